//! Keeps every event that a terminal captures until the other side confirms it, once.
#![forbid(unsafe_code)]

mod config;
mod error;
mod event;
mod inspect;
mod limits;
mod report;
mod store;
pub mod sync;
mod verdict;

pub use config::{Config, Create, OffTime};
pub use error::{Error, ErrorKind, Result};
pub use event::{Amount, Class, Event, Key, Kind, Lane, Payload, Receipt, Scope, StoredEvent};
pub use inspect::Inspection;
pub use onceward_wal::Lsn;
pub use report::{Damage, RecoveryReport, ReviewItem, Status, StoreId};
pub use store::{Answer, Effect, Settlement, Store};
pub use verdict::{Applied, Outcome, State, Verdict};
