//! What the tests of this crate stand on: a machine with a configuration, and events by number.

use std::sync::Arc;

use onceward_vfs::{SimVfs, Survival};
use onceward_wal::Sealing;
use onceward_wal::testing::ToySealing;

use super::Machine;
use super::clock::{HandClock, MachineClock};
use super::disk::SimulatedDisk;
use crate::base::{FrameKind, Result};
use crate::inspect::Inspection;
use crate::sync::{KeyRule, Options};
use crate::{Amount, Config, Event, Key, Payload, Receipt, Scope, Store, StoredEvent};

/// The smallest segment: tests roll soon.
pub(crate) const SEGMENT_BYTES: u64 = 256 * 1024;
/// The window of the tests: one hour, so slices of 150 s.
pub(crate) const WINDOW_MS: u64 = 3_600_000;

/// Bytes of the log between two checkpoints of the index: most ticks make one.
pub(crate) const INDEX_LOG_BYTES_MAX: u64 = 1_024;

/// The parts of a [`Machine`] and a configuration: everything that a store needs.
#[derive(Clone, Debug)]
pub(crate) struct Rig {
    pub(crate) disk: SimVfs,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) config: Config,
}

impl Rig {
    /// An empty disk, small segments, a window of one hour.
    pub(crate) fn new() -> Self {
        Self::on(SimVfs::new())
    }

    /// As [`Rig::new`], on this disk.
    pub(crate) fn on(disk: SimVfs) -> Self {
        let mut config = Config::new()
            .with_segment_bytes(SEGMENT_BYTES)
            .with_payload_bytes_max(60_000)
            .with_window(std::time::Duration::from_millis(WINDOW_MS));
        config.index_log_bytes_max = INDEX_LOG_BYTES_MAX;
        // What is worth cleaning is cleaned at once.
        config.cleaning_slack_segments = 0;
        Self { disk, clock: HandClock::new(), config }
    }

    /// The same with its bodies sealed.
    pub(crate) fn sealed(mut self, toy: &Arc<ToySealing>) -> Self {
        self.config.toy = Some(Arc::clone(toy) as Arc<dyn Sealing>);
        self
    }

    /// The machine itself.
    pub(crate) fn machine(&self) -> Machine {
        let clock = MachineClock::of(Arc::clone(&self.clock));
        Machine::of(SimulatedDisk::of(self.disk.clone(), clock.clone()), clock)
    }

    /// Opens the store; what it counts is then what a count of everything gives.
    pub(crate) fn try_open(&self) -> Result<Store> {
        let store = self.machine().open(self.config.clone())?;
        assert!(store.inner.state.lock().has_right_counts(), "what is counted is wrong");
        Ok(store)
    }

    /// Opens the store, which must work.
    pub(crate) fn open(&self) -> Store {
        self.try_open().unwrap_or_else(|error| panic!("cannot open: {error}"))
    }

    /// Looks at the store without a lock.
    pub(crate) fn look(&self) -> Inspection {
        let seen = self.machine().inspect_with(&self.config);
        seen.unwrap_or_else(|error| panic!("cannot look: {error}"))
    }

    /// How many frames of a kind are in the log.
    pub(crate) fn frame_count(&self, kind: FrameKind) -> usize {
        let mut count = 0;
        let mut count_frame =
            |frame: &onceward_wal::Frame<'_>| count += usize::from(frame.kind == kind.code());
        onceward_wal::examine(&self.disk, &mut |frame| count_frame(frame)).unwrap();
        count
    }

    /// The same with what a power cut leaves.
    pub(crate) fn after_power_cut(&self, survival: &Survival) -> Self {
        Self { disk: self.disk.after_power_cut(survival), ..self.clone() }
    }

    /// The same with what kill -9 leaves.
    pub(crate) fn after_kill(&self) -> Self {
        Self { disk: self.disk.after_kill(), ..self.clone() }
    }
}

/// The scope of most tests.
pub(crate) fn sales() -> Scope {
    Scope::new("sales").unwrap()
}

/// How sessions of most tests behave: the scope is told by the test itself.
pub(crate) fn options() -> Options {
    Options::new(sales()).with_keys(KeyRule::Conveyed)
}

/// Key number `n`.
pub(crate) fn key(n: u64) -> Key {
    Key::new(&format!("k{n}")).unwrap()
}

/// Event number `n` in scope `sales`: its own payload, amount `n` hundredths.
pub(crate) fn event(n: u64) -> Event {
    sized_event(n, 0)
}

/// Event number `n` with a payload of at least `bytes` bytes.
pub(crate) fn sized_event(n: u64, bytes: usize) -> Event {
    let filling = "x".repeat(bytes);
    let payload = Payload::json(&format!(r#"{{"n":{n},"x":"{filling}"}}"#)).unwrap();
    Event::new(sales(), key(n), payload).with_amount(cents(n))
}

/// Event number `n` with other content than [`event`] gives it.
pub(crate) fn other_event(n: u64) -> Event {
    Event::new(sales(), key(n), Payload::json(&format!(r#"{{"other":{n}}}"#)).unwrap())
}

/// An amount of `n` hundredths.
pub(crate) fn cents(n: u64) -> Amount {
    Amount::from_ten_thousandths(i64::try_from(n * 100).unwrap())
}

/// Receipt number `n`.
pub(crate) fn receipt(n: u64) -> Receipt {
    Receipt::new(format!("txn_{n:032x}").as_bytes()).unwrap()
}

/// The LSNs of events.
pub(crate) fn lsns(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.lsn.get()).collect()
}

/// The keys of events.
pub(crate) fn keys(events: &[StoredEvent]) -> Vec<String> {
    events.iter().map(|event| event.event.key.to_string()).collect()
}
