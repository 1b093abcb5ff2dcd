//! A disk in memory that fills, fails, waits and loses its power when the test says so.

use std::sync::Arc;
use std::time::Duration;

use onceward_vfs::testing::{Operation, hooked};
use onceward_vfs::{Fault, FaultKind, FaultOp, SimVfs, Survival, Vfs};

use super::clock::MachineClock;
use super::pace::{DiskGate, DiskPace};

/// The size of a sector, which survives a power cut as a whole or not at all.
const SECTOR_BYTES: u32 = 512;

/// What is done with a disk, for faults, delays and gates.
///
/// ```
/// use onceward::testing::{DiskError, DiskOperation, Machine};
///
/// let machine = Machine::new();
/// machine.disk().fail_every(DiskOperation::Open, DiskError::Failed);
/// assert!(machine.open(onceward::Config::new()).is_err());
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DiskOperation {
    /// Reading bytes of a file.
    Read,
    /// Writing bytes of a file, or changing its length.
    Write,
    /// Syncing the bytes of a file: what makes a capture durable.
    Sync,
    /// Syncing a directory: what makes new, renamed and removed files durable.
    SyncNames,
    /// Opening or making a file or directory, and taking the store's lock.
    Open,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
}

impl DiskOperation {
    /// The operation that a call of the disk is; `None` for looking at names, lengths and free space.
    pub(super) fn of(call: &Operation<'_>) -> Option<Self> {
        match call {
            Operation::Read(_) | Operation::Map => Some(Self::Read),
            Operation::Write(_)
            | Operation::WriteZeros(_)
            | Operation::SetLen
            | Operation::Allocate(_)
            | Operation::FillZeros(_) => Some(Self::Write),
            Operation::SyncData => Some(Self::Sync),
            Operation::SyncDir => Some(Self::SyncNames),
            Operation::Open(_) | Operation::CreateDir | Operation::Lock => Some(Self::Open),
            Operation::Rename | Operation::SetAside => Some(Self::Rename),
            Operation::Remove => Some(Self::Remove),
            Operation::List
            | Operation::Exists
            | Operation::CheckGround
            | Operation::Usurper
            | Operation::FreeBytes
            | Operation::Len => None,
        }
    }

    /// The operation of the simulated disk that a fault hits.
    fn hit(self) -> FaultOp {
        match self {
            Self::Read => FaultOp::Read,
            Self::Write => FaultOp::Write,
            Self::Sync => FaultOp::SyncData,
            Self::SyncNames => FaultOp::SyncDir,
            Self::Open => FaultOp::Open,
            Self::Rename => FaultOp::Rename,
            Self::Remove => FaultOp::Remove,
        }
    }
}

/// The error of a disk that was told to fail.
///
/// ```
/// use onceward::testing::{DiskError, DiskOperation, Machine};
/// use onceward::{Config, ErrorKind};
///
/// for (error, kind) in [(DiskError::Full, ErrorKind::Full), (DiskError::Failed, ErrorKind::Io)] {
///     let machine = Machine::new();
///     machine.disk().fail_next(DiskOperation::Write, error);
///     assert_eq!(machine.open(Config::new()).unwrap_err().kind(), kind);
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DiskError {
    /// No space is left (`ENOSPC`).
    Full,
    /// The disk failed (`EIO`).
    Failed,
}

/// What a power cut leaves of the changes that no sync had covered, of bytes and of names. What was synced is always
/// there.
///
/// ```
/// use onceward::testing::{Machine, Unsynced};
/// use onceward::Config;
///
/// let machine = Machine::new();
/// let store = machine.open(Config::new())?;
/// # drop(store);
/// // A host that holds its promise for each of these holds it for most disks.
/// let some = (0..20).map(|seed| Unsynced::Drawn { seed });
/// for unsynced in [Unsynced::Lost, Unsynced::Kept].into_iter().chain(some) {
///     machine.cut_power(unsynced).open(Config::new())?;
/// }
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unsynced {
    /// None of them.
    Lost,
    /// All of them; only what a failed sync dropped is lost.
    Kept,
    /// The oldest ones, as many as this says.
    Oldest(u64),
    /// Some of them, of bytes sector by sector. The same seed leaves the same.
    Drawn {
        /// Everything follows from it.
        seed: u64,
    },
}

/// The disk of a [`Machine`](super::Machine). Clones are the same disk.
///
/// ```
/// use onceward::testing::Machine;
/// use onceward::{Config, ErrorKind};
///
/// let machine = Machine::new();
/// machine.disk().set_free_bytes(Some(100_000));
/// assert_eq!(machine.open(Config::new()).unwrap_err().kind(), ErrorKind::Full);
/// machine.disk().set_free_bytes(None);
/// assert!(machine.open(Config::new()).is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    sim: SimVfs,
    pace: Arc<DiskPace>,
}

impl SimulatedDisk {
    /// An empty disk without limits, whose delays pass on this clock.
    pub(super) fn new(clock: MachineClock) -> Self {
        Self::of(SimVfs::new(), clock)
    }

    /// The same on a simulation that is there.
    pub(super) fn of(sim: SimVfs, clock: MachineClock) -> Self {
        Self { sim, pace: Arc::new(DiskPace::new(clock)) }
    }

    /// The disk as stores call it.
    pub(super) fn calls(&self) -> Arc<dyn Vfs> {
        hooked(Arc::new(self.sim.clone()), &self.pace)
    }

    /// Lets nobody use it any more.
    pub(super) fn stop(&self) {
        if !self.sim.is_cut() {
            self.sim.cut_power_at(self.sim.op_count());
        }
    }

    /// What a power cut leaves of it.
    pub(super) fn after_power_cut(&self, unsynced: Unsynced, clock: MachineClock) -> Self {
        Self::of(self.sim.after_power_cut(&unsynced.survival()), clock)
    }

    /// What the end of every process leaves of it.
    pub(super) fn after_kill(&self, clock: MachineClock) -> Self {
        Self::of(self.sim.after_kill(), clock)
    }

    /// Sets the space that is left, in bytes; `None` is no limit.
    ///
    /// Growth takes space, and removed and shortened files give it back. A store has space of its own beside what is
    /// left: the rest of the segment that it writes, and a reserve for answers. So a full disk refuses new events only
    /// after some more captures, and goes on taking answers; a test captures until it is refused.
    ///
    /// ```
    /// # use onceward::testing::Machine;
    /// use onceward::{Config, ErrorKind, Event, Key, Payload, Scope};
    ///
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new().with_segment_bytes(256 * 1024))?;
    /// machine.disk().set_free_bytes(Some(0));
    /// let payload = Payload::json(&format!("\"{}\"", "x".repeat(10_000)))?;
    /// let refused = (0..1_000).find_map(|n| {
    ///     let key = Key::new(&format!("sale-{n}")).unwrap();
    ///     store.capture(&Event::new(Scope::default(), key, payload.clone())).err()
    /// });
    /// let refused = refused.expect("the disk is full");
    /// assert_eq!((refused.kind(), refused.in_doubt()), (ErrorKind::Full, false));
    /// # Ok::<(), onceward::Error>(())
    /// ```
    pub fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.sim.set_free_bytes(free_bytes);
    }

    /// Lets the next `operation` fail with `error`, without effect.
    ///
    /// The first capture of an opening makes room for those that follow, which is written and synced too. So that a
    /// failed sync leaves an event in doubt, capture another one before.
    ///
    /// ```
    /// # use onceward::testing::Machine;
    /// use onceward::testing::{DiskError, DiskOperation};
    /// use onceward::{Config, ErrorKind, Event, Key, Payload, Scope};
    ///
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new())?;
    /// let sale = |key| -> onceward::Result<Event> {
    ///     Ok(Event::new(Scope::default(), Key::new(key)?, Payload::json("24.50")?))
    /// };
    /// store.capture(&sale("sale-1")?)?;
    /// machine.disk().fail_next(DiskOperation::Sync, DiskError::Failed);
    /// let error = store.capture(&sale("sale-2")?).unwrap_err();
    /// assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Poisoned, true));
    /// # Ok::<(), onceward::Error>(())
    /// ```
    pub fn fail_next(&self, operation: DiskOperation, error: DiskError) {
        self.plan(operation, error, false);
    }

    /// Lets every `operation` fail with `error`, without effect, until [`SimulatedDisk::heal`].
    ///
    /// ```
    /// # use onceward::testing::Machine;
    /// use onceward::testing::{DiskError, DiskOperation};
    /// use onceward::{Config, ErrorKind};
    ///
    /// let machine = Machine::new();
    /// machine.disk().fail_every(DiskOperation::Write, DiskError::Full);
    /// assert_eq!(machine.open(Config::new()).unwrap_err().kind(), ErrorKind::Full);
    /// machine.disk().heal();
    /// assert!(machine.open(Config::new()).is_ok());
    /// ```
    pub fn fail_every(&self, operation: DiskOperation, error: DiskError) {
        self.plan(operation, error, true);
    }

    /// Takes back all failures and delays that were planned. Gates stay closed.
    pub fn heal(&self) {
        self.sim.forget_faults();
        self.pace.forget_delays();
    }

    /// Makes every `operation` take so long by the machine's clock, until [`SimulatedDisk::heal`]. The test itself
    /// does not wait.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # use onceward::testing::Machine;
    /// use onceward::testing::DiskOperation;
    /// use onceward::{Config, Event, Key, Payload, Scope};
    ///
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new())?;
    /// machine.disk().delay_every(DiskOperation::Sync, Duration::from_secs(3));
    /// let began_ms = machine.clock().mono_ms();
    /// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
    /// assert!(machine.clock().mono_ms() - began_ms >= 3_000, "what a watchdog would have seen");
    /// # Ok::<(), onceward::Error>(())
    /// ```
    pub fn delay_every(&self, operation: DiskOperation, time: Duration) {
        self.pace.delay(operation, time);
    }

    /// Closes a gate before every `operation`: whoever comes to it waits until it is opened.
    ///
    /// For hosts with several threads. A test that closes a gate and then makes such a call in its own thread waits for
    /// ever.
    ///
    /// ```
    /// # use onceward::testing::Machine;
    /// use onceward::testing::DiskOperation;
    /// use onceward::{Config, Event, Key, Payload, Scope};
    ///
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new())?;
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?);
    /// let gate = machine.disk().close_gate(DiskOperation::Sync);
    /// let captured = std::thread::scope(|scope| {
    ///     let capture = scope.spawn(|| store.capture(&sale));
    ///     gate.wait_until_reached();
    ///     assert!(!capture.is_finished(), "the till shows that it works");
    ///     gate.open();
    ///     capture.join().unwrap()
    /// });
    /// captured?;
    /// # Ok::<(), onceward::Error>(())
    /// ```
    #[must_use = "dropping the gate opens it"]
    pub fn close_gate(&self, operation: DiskOperation) -> DiskGate {
        DiskGate::close(&self.pace, operation)
    }

    /// The number of operations so far, which is the number of the next one: for [`SimulatedDisk::cut_power_at`].
    #[must_use]
    pub fn operation_count(&self) -> u64 {
        self.sim.op_count()
    }

    /// Cuts the power at operation number `number`: it and all after it fail without effect.
    ///
    /// What is left of the machine then is for [`Machine::cut_power`](super::Machine::cut_power) to say.
    ///
    /// ```
    /// # use onceward::testing::{Machine, Unsynced};
    /// use onceward::{Config, Event, Key, Payload, Scope, State, Verdict};
    ///
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("24.50")?);
    /// // Once without a cut, to count; then with one at each operation of the capture.
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new())?;
    /// let first = machine.disk().operation_count();
    /// store.capture(&sale)?;
    /// let count = machine.disk().operation_count() - first;
    /// assert!(count > 0);
    /// for n in 0..count {
    ///     let machine = Machine::new();
    ///     let store = machine.open(Config::new())?;
    ///     machine.disk().cut_power_at(machine.disk().operation_count() + n);
    ///     let captured = store.capture(&sale);
    ///     let store = machine.cut_power(Unsynced::Lost).open(Config::new())?;
    ///     // Whatever it was, the till may ask, or capture it again under the same key.
    ///     let is_there = store.outcome(&sale.scope, &sale.key)?.state != State::Unknown;
    ///     assert!(is_there || captured.is_err());
    ///     store.capture(&sale)?;
    /// }
    /// # Ok::<(), onceward::Error>(())
    /// ```
    pub fn cut_power_at(&self, number: u64) {
        self.sim.cut_power_at(number);
    }

    /// Whether the next operation finds no power.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.sim.is_cut()
    }

    /// The number of changes that no sync has covered: the most that [`Unsynced::Oldest`] can keep.
    ///
    /// ```
    /// # use onceward::testing::{Machine, Unsynced};
    /// use onceward::Config;
    ///
    /// let machine = Machine::new();
    /// // Cut in the middle of making a store, and tried with each beginning of what was written.
    /// machine.disk().cut_power_at(5);
    /// assert!(machine.open(Config::new()).is_err() && machine.disk().is_cut());
    /// for count in 0..=machine.disk().unsynced_count() {
    ///     machine.cut_power(Unsynced::Oldest(count)).open(Config::new())?;
    /// }
    /// # Ok::<(), onceward::Error>(())
    /// ```
    #[must_use]
    pub fn unsynced_count(&self) -> u64 {
        self.sim.unsynced_count()
    }

    fn plan(&self, operation: DiskOperation, error: DiskError, forever: bool) {
        let kind = match error {
            DiskError::Full => FaultKind::Enospc,
            DiskError::Failed => FaultKind::Eio,
        };
        let (op, name_contains) = (operation.hit(), String::new());
        self.sim.plan(Fault { op, name_contains, nth: 0, kind, forever });
    }
}

impl Unsynced {
    /// What the simulated disk calls it.
    fn survival(self) -> Survival {
        match self {
            Self::Lost => Survival::Nothing,
            Self::Kept => Survival::Everything,
            Self::Oldest(count) => Survival::Prefix(count),
            Self::Drawn { seed } => Survival::Seeded { seed, sector_bytes: SECTOR_BYTES },
        }
    }
}
