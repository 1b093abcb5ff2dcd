//! Onceward keeps every event that a terminal captures until the other side confirms it, once.
//!
//! [`Store`] is what a terminal embeds. [`Store::capture`] returns once the event survives a power cut, and
//! answers every repetition with *duplicate*.
//!
//! | to | call |
//! |---|---|
//! | keep an event, or several at once | [`Store::capture`], [`Store::capture_batch`], [`Store::capture_deferred`] |
//! | keep what is in a buffer, without copies | the same, with an [`EventRef`] for the [`Event`] |
//! | ask before | [`Store::would_accept`] |
//! | know what became of an event, also after it is gone | [`Store::outcome`] |
//! | take back an event that was never sent | [`Store::cancel`] |
//! | send what waits | [`sync`] decides what to send and what a reply means; the crate `onceward-uplink` sends it over HTTP |
//! | send by other means | [`Store::pending`], [`Store::settle_each`], [`Store::settle_range`], [`Store::settle`] |
//! | do work once, whoever asks how often | [`Records::begin`](crate::records::Records::begin), [`Records::complete`](crate::records::Records::complete), [`Records::release`](crate::records::Records::release) |
//! | take what the upstream delivers, once | [`Inbox::receive`](crate::inbox::Inbox::receive), [`Inbox::progress`](crate::inbox::Inbox::progress), [`Inbox::ack`](crate::inbox::Inbox::ack), [`Inbox::fail`](crate::inbox::Inbox::fail) |
//! | let a person decide | [`Reviews::list`](crate::review::Reviews::list), [`Reviews::retry`](crate::review::Reviews::retry), [`Reviews::resolve`](crate::review::Reviews::resolve), [`Reviews::decide`](crate::review::Reviews::decide) |
//! | bound what is held | [`Config::with_limits`] |
//! | look at a store that another process writes | [`Inspection`](crate::inspect::Inspection), [`Tail`](crate::inspect::Tail) |
//! | judge every byte of a store, without its keys | [`inspect::verify`] |
//! | mend a damaged store | [`repair::plan_repair`], [`repair::repair`] |
//! | see what is in a store before its terminal is left or wiped | [`Rescue::summary`](crate::rescue::Rescue::summary), [`Rescue::safe_to_wipe`](crate::rescue::Rescue::safe_to_wipe) |
//! | move what was not delivered to another store | `Rescue::export`, `Rescue::import` (feature `rescue`) |
//! | let a store capture again that was left | [`Rescue::unfence`](crate::rescue::Rescue::unfence) |
//!
//! A host calls [`Store::tick`] from a timer, every second or so. A tick forgets keys whose window is over, gives space
//! back, makes durable what nobody waits for, and carries out decisions that other processes dropped into the
//! directory. Without ticks those decisions wait, and the rest is done after events were settled, by a thread: where
//! nothing is settled, keys and space are kept.
//!
//! The crate uses no network and prints nothing: it returns reports, and the host decides. It serves Linux and Android,
//! and compiles on nothing else.
//!
//! An open store has two threads: `onceward-log` prepares segments of the log ahead of need, and `onceward-index`
//! writes the index's files. Once something was settled there is `onceward-clean`, which gives space back beside who
//! settles, and once a ticket is awaited `onceward-wake`. With the feature `sled`, once an event came into review,
//! there are `onceward-catalog` and sled's own, about 8 together. The store's end when it is closed, `onceward-clean`
//! and `onceward-wake` with the last handle; sled's belong to the process, serve all its stores, and may outlive them
//! all.
//!
//! The meaning of each word of this documentation is in `docs/GLOSSARY.md` of the repository, and what is promised in
//! `GUARANTEES.md`.
//!
//! # From async code
//!
//! The crate needs no runtime and brings none. A [`Ticket`] and a [`BatchTicket`] are futures, for any executor: what
//! they resolve to is durable, and tasks that capture at the same time share a sync.
//!
//! ```
//! use onceward::{Event, Result, Store, Verdict};
//!
//! async fn sell(store: &Store, sale: &Event) -> Result<Verdict> {
//!     store.capture_deferred(sale)?.await
//! }
//! # let dir = tempfile::tempdir()?;
//! # let store = Store::open(dir.path().join("store"), onceward::Config::new())?;
//! # let sale = Event::new(onceward::Scope::default(), onceward::Key::new("k")?, onceward::Payload::json("{}")?);
//! # let mut task = std::task::Context::from_waker(std::task::Waker::noop());
//! # let mut sold = std::pin::pin!(sell(&store, &sale));
//! # while std::future::Future::poll(sold.as_mut(), &mut task).is_pending() {}
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Queueing takes microseconds, and waits for the disk only where 6 MiB are queued already, where a segment is full and
//! the next one not prepared yet, where a limit is kept by dropping events, or where the disk is so full that space
//! must be given back first. Every other call of a [`Store`] may read from the disk or wait for it: it belongs where
//! the runtime keeps such calls (with tokio: `spawn_blocking`, to which a clone of the store is moved), and so does
//! dropping the last handle. `engine/examples/11_async.rs` shows the whole way. A future that is dropped takes nothing
//! back: its event is stored all the same. While the disk works for an awaited ticket, the store has a handle of its
//! own: dropped by everybody else then, it is locked until the disk is done. One that was closed is free once
//! [`Store::close`] returns.
//!
//! # Process and place
//!
//! A store belongs to the process that opened it, and to its directory. Where either changes, whatever would write
//! is refused as [`ErrorKind::Poisoned`] with the code `GROUND_MOVED`:
//!
//! - In a forked process. The child may only drop its handles ([`Store::is_forked`]); it opens a store of its own after
//!   forking.
//! - Once the directory or its active segment was moved, removed or replaced. The store looks at that before each
//!   group of events is written, and again before any of them is answered. Refused before the write: not stored.
//!   Refused after it: [in doubt](Error::in_doubt), since it is in the moved directory.
//!
//! A relative path keeps the meaning that it had when the store was opened; after `chroot` it leads elsewhere.
//!
//! New files belong to the user and group to whom the directory belongs, also when root makes them. Nobody else may
//! read them; the group may only where it may write to the directory.
//!
//! A file that may not grow, because of `RLIMIT_FSIZE` or its file system, is reported as a full disk
//! ([`ErrorKind::Full`]). With `RLIMIT_FSIZE` the system also sends `SIGXFSZ`, which ends a process that does not
//! ignore it. The crate installs no signal handlers: a host that has such a limit ignores that signal itself.
//!
//! # Panics
//!
//! No call panics for what it finds on disk. But with the feature `sled` the texts of review items and decisions are
//! in a catalog on sled, which panics where its files are damaged or a sync of theirs fails. The store catches such a
//! panic, makes the catalog anew from the log and reports why. Before that, the process's panic hook is called, and
//! Rust's own hook writes a text on stderr. A host that sets a hook can ask [`host::reports_panic`] to pass over
//! these. Without the feature there are none, and none in a program that is built with
//! `panic = "abort"`, where nothing can be caught: there the catalog is in memory too.
//!
//! # Features
//!
//! Each feature only adds: the calls without a feature in the table above need none.
//!
//! | feature | by default | adds |
//! |---|---|---|
//! | `sled` | yes | the catalog of review texts in files, on sled, which brings 10 crates; without it they are in memory, rebuilt from the log at opening: up to 2 KiB for an item in review, as much for each of the newest 256 decisions |
//! | `rescue` | yes | `Rescue::export` and `Rescue::import`: sealed files of what was not delivered |
//! | `encryption` | no | `Config::with_encryption`: encryption at rest, with keys that the host keeps |
//! | `serde` | no | a [`Config`] is read from a configuration file, and written to one; brings no crate |
//! | `testing` | no | `testing`: a machine in memory, for tests of a host: its disk fills, fails and loses power, its clock is set by hand |
//! | `tracing` | no | spans and events without keys, payloads, scopes or amounts; brings 4 crates |
//! | `metrics` | no | counters, gauges and histograms, with the facade of that name; brings 3 crates |
//!
//! `OBSERVING.md` beside the crate's sources has every name that is reported.
//!
//! On Linux the crate is built with 69 others by default, with 59 without `sled`, and with 36 without any feature
//! (`cargo tree -p onceward --edges normal`). A store that was written with `sled` opens without it, and the other way
//! round: without it the catalog's files are left alone, and with it again they are compared with the log, and made
//! anew where they differ.
#![forbid(unsafe_code)]

mod base;
pub mod capture;
pub mod config;
#[cfg(test)]
mod crash_tests;
#[cfg(feature = "encryption")]
pub mod encryption;
mod event;
#[cfg(test)]
mod full_model;
#[doc(hidden)]
pub mod fuzzing;
pub mod inbox;
pub mod inspect;
mod kernel;
pub mod limits;
#[cfg(test)]
mod outage_model;
mod outbox;
pub mod records;
#[cfg(test)]
mod replayed_tests;
pub mod rescue;
pub mod review;
mod state;
mod store;
pub mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod timekeeping;
mod upstreams;
#[cfg(test)]
mod whole_model;
pub mod wire;

pub use base::{Error, ErrorKind, Result, State, StoreId};
pub use capture::{BatchTicket, Ticket, Verdict};
pub use config::Config;
pub use event::{
    Amount, Class, Event, EventRef, Headers, Key, Kind, Lane, Payload, PayloadRef, Receipt, Scope,
    StoredEvent,
};
pub use onceward_wal::Lsn;
pub use outbox::{Answer, Outcome, Settlement};
pub use state::{ScopeStatus, Status};
pub use store::Store;

/// Mending a damaged store, and what was lost with it.
pub mod repair {
    pub use crate::inspect::repair::{
        Lost, LostKey, LostRange, Repair, plan_repair, plan_repair_with, repair, repair_with,
    };
}

/// Clocks: how far the upstream's is from the machine's, and which start of the machine an event is of.
pub mod time {
    pub use crate::base::BootId;
    pub use crate::timekeeping::ServerOffset;
}

/// What a program around a store needs besides: files that an operator names, remarks on the place of a store, and
/// the panics of the catalog that a hook passes over.
pub mod host {
    pub use onceward_vfs::{Outside, SmallFiles, read_at_most, remark_on};

    pub use crate::base::panics::reports_panic;
}

/// The example in the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
