//! A clock that moves only when a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::base::clock::Clock;

/// The moment at which every hand-set clock starts: some day in 2027, Unix milliseconds.
pub(crate) const WALL_MS: i64 = 1_800_000_000_000;

/// The clocks of a [`Machine`](super::Machine): they move only when a test moves them.
///
/// ```
/// use std::time::Duration;
///
/// use onceward::testing::Machine;
///
/// let machine = Machine::new();
/// let before_ms = machine.clock().mono_ms();
/// machine.clock().advance(Duration::from_secs(3_600));
/// assert_eq!(machine.clock().mono_ms() - before_ms, 3_600_000);
/// ```
#[derive(Clone, Debug)]
pub struct MachineClock(Arc<HandClock>);

impl MachineClock {
    /// A handle to `clock`.
    pub(super) fn of(clock: Arc<HandClock>) -> Self {
        Self(clock)
    }

    /// A clock that shows the same now, and goes its own way from here on.
    pub(super) fn copy(&self) -> Self {
        Self(self.0.copy())
    }

    /// The clock as stores ask it.
    pub(super) fn shared(&self) -> Arc<HandClock> {
        Arc::clone(&self.0)
    }

    /// Lets time pass, on both clocks; of a duration, whole milliseconds.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use onceward::testing::Machine;
    /// use onceward::{Config, Event, Key, Payload, Scope};
    ///
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new())?;
    /// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
    /// machine.clock().advance(Duration::from_secs(90));
    /// assert_eq!(store.status().oldest_pending, Duration::from_secs(90));
    /// # Ok::<(), onceward::Error>(())
    /// ```
    pub fn advance(&self, time: Duration) {
        self.0.advance(ms_of(time));
    }

    /// Steps the wall clock by `milliseconds`, forward or backward, as a person or a time server does. The monotonic
    /// clock does not see it.
    ///
    /// ```
    /// # use onceward::testing::Machine;
    /// let machine = Machine::new();
    /// let (mono_ms, wall_ms) = (machine.clock().mono_ms(), machine.clock().wall_ms());
    /// machine.clock().step_wall(-86_400_000);
    /// assert_eq!(machine.clock().wall_ms(), wall_ms - 86_400_000);
    /// assert_eq!(machine.clock().mono_ms(), mono_ms);
    /// ```
    pub fn step_wall(&self, milliseconds: i64) {
        self.0.step_wall(milliseconds);
    }

    /// Starts the machine anew after it was off for so long: the wall clock went on by its battery, and the monotonic
    /// one counts from the new start.
    ///
    /// A store that is open meanwhile would see time run backward, which no process does: close it before, or use
    /// [`Machine::cut_power`](super::Machine::cut_power), which starts the machine anew by itself.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use onceward::testing::Machine;
    /// use onceward::{Config, Event, Key, Payload, Scope};
    ///
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new())?;
    /// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
    /// store.close()?;
    /// let wall_ms = machine.clock().wall_ms();
    /// machine.clock().reboot(Duration::from_secs(28_800));
    /// assert_eq!(machine.clock().wall_ms(), wall_ms + 28_800_000);
    /// // How long it was off is not proven by the wall clock, which anybody may set.
    /// let store = machine.open(Config::new())?;
    /// assert!(store.recovery().unmeasured.is_some());
    /// # Ok::<(), onceward::Error>(())
    /// ```
    pub fn reboot(&self, off: Duration) {
        self.0.reboot(ms_of(off));
    }

    /// Milliseconds of the monotonic clock, which is what [`Session::next`](crate::sync::Session::next) wants as `now`.
    #[must_use]
    pub fn mono_ms(&self) -> u64 {
        Clock::mono_ms(&*self.0)
    }

    /// The wall clock, Unix milliseconds; a new machine's shows some day in 2027.
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        Clock::wall_ms(&*self.0)
    }
}

/// Whole milliseconds of a duration, at most as many as an `i64` holds.
pub(super) fn ms_of(time: Duration) -> u64 {
    const MOST: u64 = i64::MAX.unsigned_abs();
    u64::try_from(time.as_millis()).map_or(MOST, |ms| ms.min(MOST))
}

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub(crate) struct HandClock {
    mono_ms: AtomicU64,
    wall_ms: AtomicI64,
    /// Which start of the machine it is; 0: it does not say.
    boot: AtomicU64,
}

impl HandClock {
    /// A clock that starts at [`WALL_MS`].
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            mono_ms: AtomicU64::new(77),
            wall_ms: AtomicI64::new(WALL_MS),
            boot: AtomicU64::new(0),
        })
    }

    /// A clock that shows the same now, and goes its own way from here on.
    fn copy(&self) -> Arc<Self> {
        Arc::new(Self {
            mono_ms: AtomicU64::new(self.mono_ms.load(Ordering::Relaxed)),
            wall_ms: AtomicI64::new(self.wall_ms.load(Ordering::Relaxed)),
            boot: AtomicU64::new(self.boot.load(Ordering::Relaxed)),
        })
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, ms: u64) {
        self.mono_ms.fetch_add(ms, Ordering::Relaxed);
        self.wall_ms.fetch_add(ms.cast_signed(), Ordering::Relaxed);
    }

    /// From now on it says since which start of the machine it counts.
    pub(crate) fn name_boot(&self, number: u64) {
        self.boot.store(number, Ordering::Relaxed);
    }

    /// The machine is off for so long and started again: the wall clock went on, by its battery.
    pub(crate) fn reboot(&self, off_ms: u64) {
        self.advance(off_ms);
        self.mono_ms.store(1_500, Ordering::Relaxed);
        self.boot.fetch_add(1, Ordering::Relaxed);
    }

    /// Steps the wall clock, as a person or a time server does.
    pub(crate) fn step_wall(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn mono_ms(&self) -> u64 {
        self.mono_ms.load(Ordering::Relaxed)
    }

    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::Relaxed)
    }

    fn boot(&self) -> [u8; 16] {
        u128::from(self.boot.load(Ordering::Relaxed)).to_le_bytes()
    }
}
