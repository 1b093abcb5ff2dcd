//! How time goes on in the log: frames that say so where nothing else was written, and what the
//! upstream's clock showed.
//!
//! Expiry goes by trusted time: what was measured while the store was open, or between two processes of
//! one start of the machine, and what the upstream's clock and this machine's both say of the time between.
//! The wall clock alone is data for people: whoever sets it moves nothing here. When in doubt, less time
//! has passed and keys are remembered longer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use onceward_wal::Stamp;

use super::{Inner, Share, Store};
use crate::clock;
use crate::error::{ErrorKind, Result};
use crate::event::StoredEvent;
use crate::frames::clock::{Clock, ServerNote};
use crate::frames::{KIND_CLOCK, codec};
use crate::report::Unmeasured;
use crate::view::{Since, View};

/// A frame says how time goes on at least so many times a slice of keys, of which a window has 24.
const NOTES_A_WINDOW: u64 = 24 * 6;
/// And at most once in so long.
const NOTES_APART_MS: u64 = 60_000;
/// Closing notes what passed since the last frame if it is so long.
const WORTH_NOTING_MS: u64 = 1_000;

/// A wall clock that is so far from the run's was not set: what is told of an event may be so much off.
const WALL_DRIFT_MS_MAX: u64 = 1_000;

/// How far the upstream's clock is ahead of this machine's wall clock.
///
/// ```
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.confirm_time(1_800_000_000_000, 1_100)?;
/// let offset = store.server_offset().ok_or("it was told")?;
/// println!("the upstream is {} ms ahead, +-{} ms", offset.offset_ms, offset.uncertainty_ms);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerOffset {
    /// Milliseconds to be added to the wall clock; below 0 if the upstream is behind.
    pub offset_ms: i64,
    /// How far that may be off, milliseconds, besides what the machine's clock drifted since.
    pub uncertainty_ms: u64,
}

/// What is known of time besides the log.
#[derive(Debug)]
pub(super) struct Timekeeping {
    /// The monotonic clock when a frame was written last.
    written_ms: AtomicU64,
    /// Trusted time that the upstream proved since the store was opened.
    proven_ms: AtomicU64,
}

impl Timekeeping {
    /// Time goes on; the last frame is of `written_ms`.
    pub(super) fn new(written_ms: u64) -> Self {
        Self { written_ms: AtomicU64::new(written_ms), proven_ms: AtomicU64::new(0) }
    }

    /// A frame was written.
    pub(super) fn wrote(&self, mono_ms: u64) {
        self.written_ms.fetch_max(mono_ms, Relaxed);
    }

    /// Trusted time that the upstream proved since the store was opened.
    pub(super) fn proven_ms(&self) -> u64 {
        self.proven_ms.load(Relaxed)
    }
}

/// How long ago something was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Age {
    /// So many milliseconds.
    Known(u64),
    /// Nobody knows.
    AtLeast {
        /// What was measured of it.
        measured_ms: u64,
        /// The upstream's clock may tell the rest.
        may_be_known: bool,
    },
}

/// When time is noted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Note {
    /// If nothing was written for long.
    WhenLongAgo,
    /// If nothing was written for a moment: the store is closed.
    Now,
}

impl Store {
    /// Takes up what time it is by the upstream's clock: a host or its transport calls this when a
    /// reply told.
    ///
    /// The time between two starts of the machine then counts for expiry as far as that clock and this
    /// machine's wall clock both say so, which takes a call before and one after: if one of them was wrong
    /// once, no key is forgotten early. Otherwise such time does not count, and keys are remembered longer.
    /// `uncertainty_ms` is how far the true time may be from `server_unix_ms`: half
    /// of the request's round trip, and what the upstream says of its own clock.
    ///
    /// While the store is open its own measurement counts: an upstream whose clock is set forward or
    /// back moves nothing. A time from before this program was made proves nothing, nor does one after such
    /// a gap from before what was told last.
    ///
    /// ```
    /// # use onceward::{Config, Store};
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// // From the `Date` header of a reply that took 200 ms: whole seconds, half of the way back.
    /// store.confirm_time(1_800_000_000_000, 1_100)?;
    /// assert!(store.server_offset().is_some());
    /// # Ok::<(), onceward::Error>(())
    /// ```
    ///
    /// # Durability
    ///
    /// The first call since the machine was started survives a crash when this returned `Ok`. Later
    /// ones are written now and then, and by [`Store::close`].
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: the disk refused; nothing is lost.
    pub fn confirm_time(&self, server_unix_ms: i64, uncertainty_ms: u64) -> Result<()> {
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        let is_due = {
            let mut view = inner.view.lock();
            let trusted_ms = inner.moment(inner.mono_ms()).trusted_ms;
            let heard = &mut view.time.heard;
            let before = heard.note();
            let reading = ServerNote {
                server_ms: server_unix_ms,
                uncertainty_ms,
                trusted_ms,
                wall_ms: inner.wall_ms(),
                ..ServerNote::default()
            };
            let missing_ms = heard.hear(reading);
            if let Some(missing_ms) = missing_ms.filter(|missing_ms| *missing_ms > 0) {
                // Under the view's lock: no capture judges by one time and is written by another.
                inner.log.advance_trusted(missing_ms);
                inner.time.proven_ms.fetch_add(missing_ms, Relaxed);
            }
            let now_ms = trusted_ms.saturating_add(missing_ms.unwrap_or(0));
            let noted = heard.noted().map(|(_, noted_ms)| noted_ms);
            let is_long_ago =
                noted.is_none_or(|ms| now_ms.saturating_sub(ms) >= inner.noted_every_ms());
            let is_first = before.is_none_or(|before| before.has_gap);
            missing_ms.is_some() && (is_long_ago || is_first)
        };
        if is_due { inner.append_clock() } else { Ok(()) }
    }

    /// How far the upstream's clock is ahead of this machine's wall clock, as of its last word.
    ///
    /// `None`: it did not tell since the machine was started. A wall clock that is set changes this.
    ///
    /// ```
    /// use onceward::{Config, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// assert_eq!(store.server_offset(), None);
    /// store.confirm_time(1_800_000_000_000, 1_100)?;
    /// assert!(store.server_offset().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn server_offset(&self) -> Option<ServerOffset> {
        let inner = &self.inner;
        let note = inner.view.lock().time.heard.said()?;
        let since_ms = inner.moment(inner.mono_ms()).trusted_ms.saturating_sub(note.trusted_ms);
        let server_ms = note.server_ms.saturating_add_unsigned(since_ms);
        let offset_ms = server_ms.saturating_sub(inner.wall_ms());
        Some(ServerOffset { offset_ms, uncertainty_ms: note.uncertainty_ms })
    }
}

impl Inner {
    /// How long ago an event was attempted first, at most: since the frame that formed the first batch with it, which
    /// is durable before the attempt, or else since its capture. Known if one clock went on since, or if the upstream's
    /// proves what that did not measure. The wall clock is nobody's witness.
    pub(crate) fn attempt_age(&self, event: &StoredEvent) -> Age {
        let formed = self.view.lock().events.get(&event.lsn.get()).and_then(|live| live.attempted);
        // Damage may have taken the frame of an earlier batch.
        let formed = formed.filter(|_| self.recovery.damage.is_empty());
        let attempted = formed.map(|formed| self.age_since(&self.view.lock(), formed));
        match (attempted, self.age(event)) {
            (Some(age @ Age::Known(_)), _) | (_, age @ Age::Known(_)) => age,
            (attempted, captured) => attempted.unwrap_or(captured),
        }
    }

    /// How long ago an event was captured.
    fn age(&self, event: &StoredEvent) -> Age {
        let mono_ms = self.mono_ms();
        if event.boot.0 == self.stamp.boot && event.boot.0 != [0; 16] {
            return Age::Known(mono_ms.saturating_sub(event.mono_ms));
        }
        let lsn = event.lsn.get();
        let view = self.view.lock();
        let live = view.events.get(&lsn);
        let captured_ms = live.map_or(0, |live| live.moment.trusted_ms);
        // Of one that came from elsewhere, or whose moment damage took, nobody knows when that was.
        let is_ours = live.is_some_and(|live| !live.is_imported) && event.wall_ms.is_some();
        let since = if is_ours { lsn } else { 0 };
        self.age_since(&view, Since { lsn: since, trusted_ms: captured_ms })
    }

    /// How long ago a person decided last to send an event again; `None`: nobody did, as far as is known.
    pub(crate) fn decided_age(&self, event: &StoredEvent) -> Option<Age> {
        let view = self.view.lock();
        let decided = view.reviews.sent_again(event.lsn.get())?;
        Some(self.age_since(&view, decided))
    }

    /// The age of what a frame says, at that trusted time.
    fn age_since(&self, view: &View, then: Since) -> Age {
        let now_ms = self.moment(self.mono_ms()).trusted_ms;
        let measured_ms = now_ms.saturating_sub(then.trusted_ms);
        let heard = &view.time.heard;
        if heard.is_known_since(then.lsn) {
            Age::Known(measured_ms)
        } else if let Some(ms) = heard.uncounted_since(then.lsn) {
            // Not for expiry: of an attempt it is the safe side that it is older.
            Age::Known(measured_ms.saturating_add(ms))
        } else {
            Age::AtLeast { measured_ms, may_be_known: heard.may_be_known_since(then.lsn) }
        }
    }

    /// How far the wall clock is from what it would show had nobody set it since the store was opened; 0
    /// if that is about as much as clocks drift. An event's wall clock is the run's and this.
    pub(super) fn wall_offset_ms(&self) -> i64 {
        let wall_ms = self.wall_ms();
        let derived_ms = self.moment(self.mono_ms()).wall.get().unwrap_or(wall_ms);
        let offset_ms = wall_ms.saturating_sub(derived_ms);
        if offset_ms.unsigned_abs() > WALL_DRIFT_MS_MAX { offset_ms } else { 0 }
    }

    /// Writes a frame that says how far time is, if none was written for so long. On a full disk that
    /// waits: what passes meanwhile is remembered longer if the machine stops.
    pub(super) fn note_time(&self, when: Note) -> Result<()> {
        let passed_ms = self.mono_ms().saturating_sub(self.time.written_ms.load(Relaxed));
        let is_due = match when {
            Note::WhenLongAgo => passed_ms >= self.noted_every_ms(),
            Note::Now => passed_ms >= WORTH_NOTING_MS || !self.view.lock().time.heard.is_noted(),
        };
        if !is_due || self.closed.load(std::sync::atomic::Ordering::Acquire) {
            return Ok(());
        }
        // Whoever holds it is writing a frame.
        let one_at_a_time = match when {
            Note::WhenLongAgo => self.control.try_lock(),
            Note::Now => Some(self.control.lock()),
        };
        if one_at_a_time.is_none() {
            return Ok(());
        }
        match self.append_clock() {
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            done => done,
        }
    }

    /// How long no frame may be written before one says how time goes on.
    fn noted_every_ms(&self) -> u64 {
        NOTES_APART_MS.max(self.windows.shortest().length_ms() / NOTES_A_WINDOW)
    }

    /// Writes what time it is. The caller holds `control`.
    fn append_clock(&self) -> Result<()> {
        let clock = Clock { server: self.view.lock().time.heard.note() };
        let (placed, _) =
            self.append_control(&[(KIND_CLOCK, codec::encode(&clock))], Share::Decisions)?;
        let mut view = self.view.lock();
        placed.into_iter().for_each(|at| view.apply_clock(&clock, at));
        Ok(())
    }
}

/// How time goes on.
pub(super) struct Resumed {
    /// Who writes from now on, and at what time.
    pub(super) stamp: Stamp,
    /// What passed since the last frame and was measured, milliseconds.
    pub(super) unwritten_ms: u64,
    /// What passed and was not.
    pub(super) unmeasured: Option<Unmeasured>,
}

/// Goes on where the log's last frame left trusted time, and by what passed since, if the same clock
/// measured it: the process was started again, the machine was not.
pub(super) fn resume(view: &mut View, clock: &dyn clock::Clock) -> Result<Resumed> {
    let now = read_clocks(clock);
    let unmeasured = view.time.unmeasured(&now);
    let unwritten_ms = view.time.resume(&now).unwrap_or(0);
    let trusted_ms = view.time.latest_ms().saturating_add(unwritten_ms);
    let stamp = Stamp { opening: u64::from_le_bytes(clock::random()?), trusted_ms, ..now };
    Ok(Resumed { stamp, unwritten_ms, unmeasured })
}

/// What the machine's clocks show.
pub(crate) fn read_clocks(clock: &dyn clock::Clock) -> Stamp {
    let (boot, wall_ms, mono_ms) = (clock.boot(), clock.wall_ms(), clock.mono_ms());
    Stamp { boot, wall_ms, mono_ms, ..Stamp::default() }
}
