//! Keeps every event that a terminal captures until the other side confirms it, once.
//!
//! [`Store`] is what a terminal embeds: [`Store::capture`] answers once the event survives a power
//! cut, and says of every repetition that it is one. [`sync`] decides what to send upstream and what
//! a reply means; the crate `onceward-uplink` carries it. [`Store::receive`] takes what the upstream
//! delivers, once, and [`Store::ack`] tells it of the end. [`Inspection`] looks at a store that
//! another process writes, [`Tail`] follows it, and [`repair`] mends one that is damaged.
//!
//! No network and no output: it reports, and the host decides. An open store has one thread, which
//! prepares segments of the log ahead of need.
#![forbid(unsafe_code)]

mod admission;
mod catalog;
mod clock;
mod config;
#[cfg(test)]
mod crash_tests;
mod error;
mod event;
mod frames;
mod inbox;
mod inspect;
mod limits;
#[cfg(test)]
mod model_tests;
mod record;
mod repair;
mod report;
mod review;
mod store;
pub mod sync;
mod tail;
#[cfg(test)]
mod trial;
mod verdict;
mod view;

pub use admission::{Limit, Limits, WhenFull};
pub use config::{Config, Create, IndexReading, OffTime, Retain, WindowStart};
pub use error::{Error, ErrorKind, Result};
pub use event::{
    Amount, BootId, Class, Event, Headers, Key, Kind, Lane, Payload, Receipt, Scope, StoredEvent,
};
pub use inbox::{
    Delivery, DeliveryState, DropReason, DroppedDelivery, InboxStatus, Progress, Received,
    StoredDelivery, WindowId, Within,
};
pub use inspect::Inspection;
pub use onceward_wal::Lsn;
pub use record::{Begin, Begun, Lease, OpenLease, Record, RecordState};
pub use repair::{Lost, LostKey, LostRange, Repair, plan_repair, repair};
pub use report::{
    Damage, DecisionTrouble, KeyPrint, Loss, RecoveryReport, ReviewItem, Status, StoreId,
};
pub use review::{Decision, DecisionAction, DecisionMade, ReviewFilter, ReviewNotice};
pub use store::{
    Answer, BatchTicket, Effect, ReviewCallback, ReviewWatch, Settlement, Store, Ticket,
    write_decision,
};
pub use tail::{Looked, Since, Tail};
pub use verdict::{Applied, Cancellation, Outcome, State, Verdict, WouldAccept};

/// The example in the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
