//! What tests of several crates share, with the feature `testing` only; models of threads with `schedules`.
//!
//! | for | |
//! |---|---|
//! | counting, waiting, acting or refusing at a call of a disk | [`hooked`] with a [`Hook`] |
//! | holding bytes against the examples of a format document | [`golden`], [`assert_golden`], [`hex`] |
//! | running a model under many schedules of its threads | `explore` |

mod golden;
mod hooked;
#[cfg(feature = "schedules")]
mod schedules;
#[cfg(feature = "schedules")]
mod stalling;

pub use golden::{assert_golden, golden, hex};
pub use hooked::{DiskCall, Hook, Operation, hooked};
#[cfg(feature = "schedules")]
pub use schedules::explore;
