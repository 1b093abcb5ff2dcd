//! The store: captures, remembers, settles. Everything durable is a frame of the one log.
//!
//! | file | what |
//! |---|---|
//! | `open` | lock, read and judge the log, replay it, begin a run; close |
//! | `capture` | new events and effects: reserve, append, sync, answer |
//! | `judging` | which keys of a call are new |
//! | `tickets` | captures that are waited for later, or by nobody |
//! | `limits` | whether there is room, what is dropped for it, what would be accepted |
//! | `cancel` | takes an event back before its first attempt |
//! | `outbox` | what is pending, batches |
//! | `answers` | writes down what the upstream said |
//! | `review` | what waits for a person |
//! | `inbox` | what the upstream delivers, step by step to its end |
//! | `decide` | what persons decide |
//! | `decisions` | decisions that other processes drop into the directory |
//! | `notices` | callbacks for what comes into review |
//! | `rare` | the catalog |
//! | `read` | events and outcomes by key |
//! | `refusals` | a store that was closed or forked, payloads over the limit, errors of the log |
//! | `records` | leases and records of idempotent calls |
//! | `shares` | how the reserve is shared out when the disk is full |
//! | `leaving` | what is still here, whether it may be wiped, bundles |
//! | `keeper` | writes the index's files |
//! | `anew` | makes the index anew where its files turn out to be damaged |
//! | `clean` | forgets keys whose window is over, trims segments |
//! | `upstreams` | what is kept by upstream |
//! | `timekeeping` | notes how time goes on, and what the upstream's clock shows |
//!
//! Two locks. `view` is held for the short critical sections that touch memory and queue frames;
//! nobody waits for the disk under it, but who meets damage in the index's files, and with them all others: making
//! the index anew reads the whole log (see `anew.rs`). `control` is held by whoever changes what is already stored
//! (settling, deciding, cleaning) from reading the state to the frame's durability, so that these
//! changes reach memory in the order of their frames. Captures never take it, but one that drops other
//! events to make room. Order: `control` before the catalog's own, and that before `view`.

mod anew;
mod answers;
mod cancel;
mod capture;
mod clean;
mod decide;
mod decisions;
mod inbox;
mod judging;
mod keeper;
mod leaving;
mod limits;
mod notices;
mod open;
mod outbox;
mod rare;
mod read;
mod records;
mod refusals;
mod review;
mod shares;
mod tickets;
mod timekeeping;
mod upstreams;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use onceward_vfs::Vfs;
use onceward_wal::{Appended, Log, NewFrame, Place, Stamp};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::config::Config;
use crate::error::Result;
use crate::event::{Event, Key, Receipt, Scope};
use crate::report::{Damage, RecoveryReport, Status, StoreId};
use crate::view::{Located, Moment, View, Wall, Windows};

pub(crate) use decisions::DECISIONS_DIR;
pub use decisions::write_decision;
#[cfg(test)]
pub(crate) use decisions::write_decision_on;
pub use notices::{ReviewCallback, ReviewWatch};
pub(crate) use open::{
    INDEX_DIR, UNCHECKED, ask_for_check, cannot_open, damage_of, from_index, no_store, recovery_of,
    secret_of, told_of,
};
pub(crate) use outbox::Formed;
pub(crate) use rare::rejection_in;
pub(crate) use read::{frame_lsn, receipts, stored_event};
pub(crate) use refusals::from_log;
pub(crate) use shares::{Share, capture_purpose};
pub use tickets::{BatchTicket, Ticket};
pub use timekeeping::ServerOffset;
pub(crate) use timekeeping::{Age, read_clocks};

/// Something that takes effect here and now, with the receipt that every repetition of it gets.
///
/// ```
/// use onceward::{Applied, Config, Effect, Event, Key, Payload, Receipt, Scope, Store};
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

/// A final answer for one event.
///
/// ```
/// use onceward::{Answer, Config, Event, Key, Payload, Receipt, Scope, Settlement, State, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let (scope, key) = (Scope::default(), Key::new("sale-1")?);
/// store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
/// // A host that delivers by itself heard that it took effect.
/// let answer = Answer::Accepted { receipt: Some(Receipt::new(b"txn_1")?) };
/// store.settle(&[Settlement { scope: scope.clone(), key: key.clone(), answer }])?;
/// assert_eq!(store.outcome(&scope, &key)?.state, State::Accepted);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settlement {
    /// The event's scope.
    pub scope: Scope,
    /// The event's key.
    pub key: Key,
    /// The upstream's answer.
    pub answer: Answer,
}

/// What the upstream said of an event.
///
/// ```
/// use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, State, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let (scope, key) = (Scope::default(), Key::new("sale-1")?);
/// store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
/// let (code, message) = ("LINE_CUT".to_owned(), "sent, and the other side is gone".to_owned());
/// let answer = Answer::Uncertain { code, message };
/// store.settle(&[Settlement { scope: scope.clone(), key: key.clone(), answer }])?;
/// assert_eq!(store.outcome(&scope, &key)?.state, State::Uncertain);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It took effect now.
    Accepted {
        /// The upstream's receipt.
        receipt: Option<Receipt>,
    },
    /// It had taken effect before.
    Duplicate {
        /// The upstream's receipt.
        receipt: Option<Receipt>,
    },
    /// It is refused for good and goes to review.
    Rejected {
        /// The upstream's code.
        code: String,
        /// The upstream's words.
        message: String,
        /// The reply for this event.
        reply: Vec<u8>,
    },
    /// Whether it took effect cannot be known, and it must not be sent again blindly: it goes to
    /// review.
    Uncertain {
        /// A code for the reason.
        code: String,
        /// The reason in words.
        message: String,
    },
}

/// A handle to an open store: cheap to clone, to be used from any thread.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store, Verdict};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// let store = Store::open(&dir, Config::new())?;
/// let sale = Event::new(
///     Scope::default(),
///     Key::new("till-7-000042")?,
///     Payload::json(r#"{"total":24.50}"#)?,
/// );
/// assert!(matches!(store.capture(&sale)?, Verdict::Fresh { .. }));
/// assert!(matches!(store.capture(&sale)?, Verdict::Duplicate { .. }));
/// store.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

/// What the handles share.
#[derive(Debug)]
pub(crate) struct Inner {
    /// Writes the index's files.
    keeper: keeper::Keeper,
    pub(crate) log: Log,
    vfs: Arc<dyn Vfs>,
    /// The catalog.
    rare: rare::Rare,
    /// Who is told of what comes into review.
    pub(crate) watchers: Arc<notices::Watchers>,
    /// Decisions that were dropped into the directory.
    drops: decisions::Drops,
    pub(crate) view: Mutex<View>,
    pub(crate) control: Mutex<()>,
    /// Records that were used lately. Never locked together with the view.
    bodies: Mutex<records::Bodies>,
    /// Bytes of the reserve that ends of leases took since they last found room elsewhere.
    reserve_used: AtomicU64,
    pub(crate) config: Config,
    pub(crate) id: StoreId,
    /// Key of the fingerprints.
    secret: onceward_index::Secret,
    /// How long the keys of each scope are remembered.
    windows: Windows,
    clock: Arc<dyn Clock>,
    stamp: Stamp,
    recovery: RecoveryReport,
    /// Damage of the log that was found since.
    damage_since: Mutex<Vec<Damage>>,
    time: timekeeping::Timekeeping,
    /// The state of cleaning.
    cleaning: clean::Cleaning,
    /// A session drains this store.
    pub(crate) draining: AtomicBool,
    /// Somebody closed the store: nothing more is written through other handles.
    closed: AtomicBool,
}

impl Store {
    /// How many events are where, and how much room they take.
    #[must_use]
    pub fn status(&self) -> Status {
        let trusted_ms = self.inner.moment(self.inner.clock.mono_ms()).trusted_ms;
        let mut status = self.inner.view.lock().status(trusted_ms);
        status.bytes = self.inner.log.file_bytes();
        status.damaged_ranges = self.inner.damaged_ranges();
        status.index_trouble = self.inner.keeper.trouble();
        status.server_offset_ms = self.server_offset().map(|offset| offset.offset_ms);
        status.catalog_trouble = self.inner.rare.trouble();
        status.decision_troubles = self.inner.drops.troubles();
        status
    }

    /// What opening found.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.inner.recovery
    }

    /// Bytes that the store's file system still offers; `None` if it does not say.
    ///
    /// # Errors
    ///
    /// `Io`: what the disk said.
    pub fn free_bytes(&self) -> Result<Option<u64>> {
        Ok(self.inner.vfs.free_bytes()?)
    }

    /// The store's number.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.inner.id
    }

    /// Whether this process was forked from the one that opened the store. It may not use the store: calls
    /// that return a result are refused with the code `GROUND_MOVED`, where they write, and others may wait
    /// for ever for a thread that only the parent has. Dropping the handle is safe, and does nothing to the parent.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.inner.log.is_forked()
    }
}

impl Inner {
    /// The moment of a reading of the monotonic clock.
    pub(crate) fn moment(&self, mono_ms: u64) -> Moment {
        let elapsed = mono_ms.saturating_sub(self.stamp.mono_ms);
        let proven_ms = self.time.proven_ms();
        Moment {
            trusted_ms: self.stamp.trusted_ms.saturating_add(elapsed).saturating_add(proven_ms),
            wall: Wall::at(self.stamp.wall_ms.saturating_add_unsigned(elapsed)),
        }
    }

    /// The monotonic clock, now.
    pub(crate) fn mono_ms(&self) -> u64 {
        self.clock.mono_ms()
    }

    /// The wall clock, now.
    pub(crate) fn wall_ms(&self) -> i64 {
        self.clock.wall_ms()
    }

    /// Notes frames that were queued, and how many keys they take. Returns their bytes.
    pub(crate) fn wrote(
        &self,
        view: &mut View,
        new: &[NewFrame<'_>],
        placed: &[Located],
        (keys, mono_ms): (usize, u64),
    ) -> u64 {
        let bytes = placed.iter().map(|at| u64::from(at.bytes)).sum();
        self.keeper.count(bytes, u64::try_from(keys).unwrap_or(u64::MAX));
        self.cleaning.count(bytes);
        self.time.wrote(mono_ms);
        new.iter().zip(placed).for_each(|(frame, at)| view.lives.note(frame.kind, *at));
        bytes
    }
}

/// Where each frame of an appended batch stands.
pub(crate) fn located(appended: &Appended, new: &[NewFrame<'_>]) -> Vec<Located> {
    let mut offset = appended.place.offset;
    let mut out = Vec::with_capacity(new.len());
    for (frame, lsn) in new.iter().zip(appended.first.get()..) {
        let bytes = u32::try_from(appended.bytes_of(frame)).unwrap_or(u32::MAX);
        let place = Place { segment: appended.place.segment, offset };
        out.push(Located { place, bytes, lsn });
        offset = offset.saturating_add(bytes);
    }
    out
}

#[cfg(test)]
mod tests;
