//! Answers to captures besides [`Verdict`], and effects, which a receiver of events stores.
//!
//! [`Store::capture`](crate::Store::capture) stores an event,
//! [`Store::would_accept`](crate::Store::would_accept) asks before ([`WouldAccept`]), and
//! [`Store::apply_batch`](crate::Store::apply_batch) stores what took effect here ([`Effect`], [`Applied`]).

// `calls`: captures that wait, and effects. `tickets`: captures that are waited for later, or by nobody. `waking`:
// tickets that are futures. `judging`: which keys of a call are new. `append`: queues the frames of a call and takes
// their keys. `verdict`: the answers.

mod admission;
mod append;
mod calls;
mod judging;
mod tickets;
mod verdict;
mod waking;

pub(crate) use calls::Captures;
#[cfg(feature = "rescue")]
pub(crate) use judging::{Judged, Plan, Prepared, lost_verdict, plan};
pub use tickets::{BatchTicket, Ticket};
pub use verdict::{Applied, Verdict, WouldAccept};
pub(crate) use waking::Waking;

use crate::event::{Event, Receipt};

/// Something that takes effect here and now, with the receipt that every repetition of it gets.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Receipt, Scope, Store};
/// use onceward::capture::{Applied, Effect};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let event = Event::new(Scope::default(), Key::new("p-1")?, Payload::json("{}")?);
/// let effect = Effect { event, receipt: Receipt::new(b"txn_1")? };
/// let first = store.apply_batch(std::slice::from_ref(&effect))?;
/// assert!(matches!(first[0], Applied::Fresh { .. }));
/// let again = store.apply_batch(&[effect])?;
/// assert!(matches!(&again[0], Applied::Duplicate { receipt: Some(it), .. } if it.as_bytes() == b"txn_1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effect {
    /// What takes effect.
    pub event: Event,
    /// The receipt.
    pub receipt: Receipt,
}

#[cfg(test)]
pub(crate) mod tests;
