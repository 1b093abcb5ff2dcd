//! What stands in the log: the bodies of the engine's frames. No I/O here.
//!
//! | kind | name | body |
//! |---:|---|---|
//! | 16 | event | an event as it was captured, laid out by hand |
//! | 17 | carried | an event that moved because its first segment was trimmed |
//! | 18 | effect | an event that was settled at once, with its receipt |
//! | 19 | batch | what is sent together, fixed before the first attempt |
//! | 20 | settle | answers of the upstream |
//! | 21 | decision | what a person decided on a review item |
//! | 22 | keys | keys of settled events whose segment was trimmed |
//! | 23 | lease | a key of a record is leased |
//! | 24 | record | a lease is completed, with the body to remember |
//! | 25 | lease_end | a lease is given back |
//! | 26 | window | a window that the upstream issued: told, or over |
//! | 27 | delivery | what the upstream delivers, whole or only its keys |
//! | 28 | progress | how far a delivery is, and how it ended |
//! | 29 | clock | how long the store was open, and what the upstream's clock showed |
//! | 30 | evict | events that were dropped to make room |
//! | 31 | cancel | an event that was taken back before its first attempt |
//! | 32 | fence | the store is left: what it did not deliver is in a bundle; or it is not any more |
//! | 33 | import | a bundle of another store was taken up |
//! | 34 | upstream | under which keys an upstream gets the events of a scope |
//! | 35 | hold | until when an upstream asked not to be asked |
//!
//! The first three are on the hot path and laid out by hand, see `FORMAT.md`; the others go through
//! [`codec`]. Never change or reuse a number.

pub(crate) mod clock;
pub(crate) mod codec;
pub(crate) mod control;
pub(crate) mod event;
#[cfg(test)]
pub(crate) mod golden;
pub(crate) mod inbox;
pub(crate) mod leaving;
pub(crate) mod limits;
pub(crate) mod records;
pub(crate) mod upstreams;

/// An event as it was captured.
pub(crate) const KIND_EVENT: u8 = 16;
/// An event that moved.
pub(crate) const KIND_CARRIED: u8 = 17;
/// An event that was settled at once.
pub(crate) const KIND_EFFECT: u8 = 18;
/// What is sent together.
pub(crate) const KIND_BATCH: u8 = 19;
/// Answers of the upstream.
pub(crate) const KIND_SETTLE: u8 = 20;
/// What a person decided.
pub(crate) const KIND_DECISION: u8 = 21;
/// Keys of settled events.
pub(crate) const KIND_KEYS: u8 = 22;
/// A key of a record is leased.
pub(crate) const KIND_LEASE: u8 = 23;
/// A lease is completed.
pub(crate) const KIND_RECORD: u8 = 24;
/// A lease is given back.
pub(crate) const KIND_LEASE_END: u8 = 25;
/// A window that the upstream issued.
pub(crate) const KIND_WINDOW: u8 = 26;
/// What the upstream delivers.
pub(crate) const KIND_DELIVERY: u8 = 27;
/// How far a delivery is.
pub(crate) const KIND_PROGRESS: u8 = 28;
/// Events that were dropped to make room.
pub(crate) const KIND_EVICT: u8 = 30;
/// An event that was taken back.
pub(crate) const KIND_CANCEL: u8 = 31;
/// What time it is.
pub(crate) const KIND_CLOCK: u8 = 29;
/// The store is left, or it is not any more.
pub(crate) const KIND_FENCE: u8 = 32;
/// A bundle was taken up.
pub(crate) const KIND_IMPORT: u8 = 33;
/// Under which keys an upstream gets a scope's events.
pub(crate) const KIND_UPSTREAM: u8 = 34;
/// An upstream asked not to be asked for a while.
pub(crate) const KIND_HOLD: u8 = 35;

/// Whether a frame of this kind relies on the segments before it being gone first.
///
/// Frames of leases, records, the inbox, of what was dropped or cancelled, and of leaving change others
/// of their item without a note in the view of which of those still stand.
pub(crate) const fn goes_in_order(kind: u8) -> bool {
    let is_late = matches!(kind, KIND_EVICT | KIND_CANCEL | KIND_FENCE | KIND_IMPORT);
    is_late || matches!(kind, KIND_LEASE..=KIND_PROGRESS)
}

const _: () = assert!(KIND_EVENT >= onceward_wal::KIND_HOST_MIN, "kinds below belong to the log");
