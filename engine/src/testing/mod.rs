//! A machine in memory, for tests of hosts: what does the till show when the disk is full, when the power went in the
//! middle of a capture, when the upstream forgot? With the feature `testing` only.
//!
//! It is what this crate's own tests use. Nothing here is for a till in a shop.
//!
//! | to test | use |
//! |---|---|
//! | a full or failing disk | [`SimulatedDisk::set_free_bytes`], [`SimulatedDisk::fail_next`], [`SimulatedDisk::fail_every`] |
//! | a slow disk | [`SimulatedDisk::delay_every`], and with threads [`SimulatedDisk::close_gate`] |
//! | a power cut, `kill -9` | [`Machine::cut_power`], [`SimulatedDisk::cut_power_at`], [`Machine::kill`] |
//! | time: expiry, a clock that was set, a night without power | [`MachineClock::advance`], [`MachineClock::step_wall`], [`MachineClock::reboot`] |
//! | the other side of a protocol that a document has with its bytes and dialogues | [`golden`], [`turns`] |
//! | refusals, lost replies, an upstream that is busy or forgot | [`ScriptedUpstream`] |
//!
//! ```
//! use onceward::testing::{DiskError, DiskOperation, Machine, Unsynced};
//! use onceward::{Config, Event, Key, Payload, Scope, State, Store};
//!
//! /// What the till shows after a sale.
//! fn sell(store: &Store, sale: &Event) -> &'static str {
//!     match store.capture(sale) {
//!         Ok(_) => "sold",
//!         Err(error) if error.in_doubt() => "restart the till",
//!         Err(_) => "not sold",
//!     }
//! }
//!
//! let machine = Machine::new();
//! let store = machine.open(Config::new())?;
//! let sale = |key| -> onceward::Result<Event> {
//!     Ok(Event::new(Scope::default(), Key::new(key)?, Payload::json("24.50")?))
//! };
//! assert_eq!(sell(&store, &sale("sale-1")?), "sold");
//! let sale = sale("sale-2")?;
//! machine.disk().fail_next(DiskOperation::Sync, DiskError::Failed);
//! assert_eq!(sell(&store, &sale), "restart the till");
//!
//! // Started again, the till knows.
//! let machine = machine.cut_power(Unsynced::Lost);
//! let store = machine.open(Config::new())?;
//! assert_eq!(store.outcome(&sale.scope, &sale.key)?.state, State::Unknown);
//! assert_eq!(sell(&store, &sale), "sold");
//! # Ok::<(), onceward::Error>(())
//! ```

mod clock;
mod dialogue;
mod disk;
#[cfg(test)]
pub(crate) mod draw;
#[cfg(test)]
pub(crate) mod held;
mod machine;
mod pace;
#[cfg(test)]
mod rig;
#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;
pub(crate) mod upstream;

pub use clock::MachineClock;
#[cfg(test)]
pub(crate) use clock::{HandClock, WALL_MS};
pub use dialogue::{Turn, dialogues, turns};
pub use disk::{DiskError, DiskOperation, SimulatedDisk, Unsynced};
pub use machine::Machine;
pub use onceward_vfs::testing::golden;
pub use pace::DiskGate;
#[cfg(test)]
pub(crate) use rig::{
    Rig, SEGMENT_BYTES, WINDOW_MS, cents, event, key, keys, lsns, options, other_event, receipt,
    sales, sized_event,
};
pub use upstream::{Mood, ScriptedUpstream};
