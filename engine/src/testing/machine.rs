//! A machine in memory: a disk, a clock, and the store on them.

use super::clock::{HandClock, MachineClock};
use super::disk::{SimulatedDisk, Unsynced};
use crate::base::Result;
use crate::{Config, Store, inspect::Inspection};

/// A machine in memory, with a disk and a clock that the test drives. Clones are the same machine.
///
/// A store on it is the same engine as on real files. But it has no threads, so the same calls do the same operations
/// on the disk; and its catalog of texts, which the log rebuilds, is in memory.
///
/// ```
/// use onceward::testing::{Machine, Unsynced};
/// use onceward::{Config, Event, Key, Payload, Scope, Verdict};
///
/// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("24.50")?);
/// let machine = Machine::new();
/// let store = machine.open(Config::new())?;
/// assert!(matches!(store.capture(&sale)?, Verdict::Fresh { .. }));
///
/// // What was answered survives, whatever the disk does to the rest.
/// let machine = machine.cut_power(Unsynced::Lost);
/// let store = machine.open(Config::new())?;
/// assert!(matches!(store.capture(&sale)?, Verdict::Duplicate { .. }));
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Machine {
    disk: SimulatedDisk,
    clock: MachineClock,
}

impl Machine {
    /// A machine with an empty disk without limits. It knows which start of it is running, as Linux does.
    #[must_use]
    pub fn new() -> Self {
        let clock = HandClock::new();
        clock.name_boot(1);
        let clock = MachineClock::of(clock);
        Self::of(SimulatedDisk::new(clock.clone()), clock)
    }

    /// The machine with this disk and clock.
    pub(super) fn of(disk: SimulatedDisk, clock: MachineClock) -> Self {
        Self { disk, clock }
    }

    /// Opens the store of this machine, and makes one if there is none and the configuration allows it.
    ///
    /// ```
    /// # use onceward::testing::Machine;
    /// use onceward::{Config, ErrorKind};
    ///
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new())?;
    /// // It is one store: a second opening finds it locked.
    /// assert_eq!(machine.open(Config::new()).unwrap_err().kind(), ErrorKind::Locked);
    /// # drop(store);
    /// # Ok::<(), onceward::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn open(&self, config: Config) -> Result<Store> {
        Store::open_on(self.disk.calls(), self.clock.shared(), config)
    }

    /// Looks at the store without a lock, also while it is open.
    ///
    /// ```
    /// # use onceward::testing::Machine;
    /// use onceward::Config;
    ///
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new())?;
    /// let seen = machine.inspect()?;
    /// assert_eq!(seen.status().pending, 0);
    /// # drop(store);
    /// # Ok::<(), onceward::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Inspection::open`].
    pub fn inspect(&self) -> Result<Inspection> {
        self.inspect_with(&Config::new())
    }

    /// As [`Machine::inspect`], with the keys of an encrypted store; nothing else of the configuration counts.
    ///
    /// # Errors
    ///
    /// As [`Inspection::open_with`].
    pub fn inspect_with(&self, config: &Config) -> Result<Inspection> {
        Inspection::open_on(self.disk.calls(), self.clock.shared(), config.sealing())
    }

    /// The disk.
    #[must_use]
    pub fn disk(&self) -> &SimulatedDisk {
        &self.disk
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &MachineClock {
        &self.clock
    }

    /// Cuts the power. Returns the machine as it is started again at once; `unsynced` says what it finds of what no
    /// sync had covered.
    ///
    /// Whoever still has a store of this one is refused by the disk. Several survivals can be tried of one cut: each
    /// call returns a machine with a disk and a clock of its own. It has been off for no time;
    /// [`MachineClock::reboot`] adds some. It has the free space of this one, and none of what was planned for it.
    ///
    /// ```
    /// use onceward::testing::{DiskError, DiskOperation, Machine, Unsynced};
    /// use onceward::{Config, Event, Key, Payload, Scope, State};
    ///
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new())?;
    /// # let first = Event::new(Scope::default(), Key::new("sale-0")?, Payload::json("3.80")?);
    /// # store.capture(&first)?;
    /// machine.disk().fail_next(DiskOperation::Sync, DiskError::Failed);
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("24.50")?);
    /// assert!(store.capture(&sale).unwrap_err().in_doubt());
    ///
    /// // Only the disk knows, and it may find it, or not.
    /// let lost = machine.cut_power(Unsynced::Lost).open(Config::new())?;
    /// assert_eq!(lost.outcome(&sale.scope, &sale.key)?.state, State::Unknown);
    /// # Ok::<(), onceward::Error>(())
    /// ```
    #[must_use]
    pub fn cut_power(&self, unsynced: Unsynced) -> Self {
        let clock = self.clock.copy();
        clock.reboot(std::time::Duration::ZERO);
        self.disk.stop();
        Self::of(self.disk.after_power_cut(unsynced, clock.clone()), clock)
    }

    /// Ends every process, as `kill -9` does. Returns the machine that goes on: all that was written is there, synced
    /// or not, until the power goes too.
    ///
    /// Whoever still has a store of this one is refused by the disk. The machine that is returned has a disk and a
    /// clock of its own, the free space of this one, and none of what was planned for it.
    ///
    /// ```
    /// # use onceward::testing::Machine;
    /// use onceward::{Config, ErrorKind, Event, Key, Payload, Scope};
    ///
    /// let machine = Machine::new();
    /// let killed = machine.open(Config::new())?;
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("24.50")?);
    /// let ticket = killed.capture_deferred(&sale)?;
    ///
    /// let machine = machine.kill();
    /// assert!(ticket.wait().is_err());
    /// let store = machine.open(Config::new())?;
    /// assert_eq!(store.status().pending, 0, "it was not even written");
    /// # Ok::<(), onceward::Error>(())
    /// ```
    #[must_use]
    pub fn kill(&self) -> Self {
        let clock = self.clock.copy();
        self.disk.stop();
        Self::of(self.disk.after_kill(clock.clone()), clock)
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}
