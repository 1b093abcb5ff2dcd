//! Answers to captures besides [`Verdict`], and effects, which a receiver of events stores.
//!
//! [`Store::capture`](crate::Store::capture) stores an event,
//! [`Store::would_accept`](crate::Store::would_accept) asks before ([`WouldAccept`]), and
//! [`Store::apply_batch`](crate::Store::apply_batch) stores what took effect here ([`Effect`], [`Applied`]).

// `call`: the events of one call, in one list. `calls`: captures that wait, and effects. `effects`: what takes effect
// here. `tickets`: captures that are waited for later, or by nobody. `waking`:
// tickets that are futures. `judging`: which keys of a call are new. `append`: queues the frames of a call and takes
// their keys. `verdict`: the answers.

mod admission;
mod append;
mod call;
mod calls;
mod effects;
mod judging;
mod tickets;
mod verdict;
mod waking;

pub use crate::event::AnyEvent;
pub(crate) use calls::Captures;
pub use effects::{AnyEffect, Effect, EffectRef};
#[cfg(feature = "rescue")]
pub(crate) use judging::{Judged, Prepared, judged, lost_verdict, originals, plan};
pub use tickets::{BatchTicket, Ticket};
pub use verdict::{Applied, Verdict, WouldAccept};
pub(crate) use waking::Waking;

#[cfg(test)]
pub(crate) mod tests;
