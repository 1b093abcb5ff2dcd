//! What a store learns of time, how long ago something was, and the frames that say how time goes on.

use super::ServerOffset;
use super::frames::{ClockFrame, ServerNote};
use crate::base::{ErrorKind, FrameKind, Result, WrittenAt, codec, whole_ms};
use crate::event::StoredEvent;
use crate::kernel::{FrameBody, Share};
use crate::store::{Shared, Store, StoreState};
use std::time::Duration;

/// A frame says how time goes on at least so many times a slice of keys, of which a window has 24.
const NOTES_A_WINDOW: u64 = 24 * 6;
/// Shortest time between two notes.
const NOTES_APART_MS: u64 = 60_000;
/// Closing notes what passed since the last frame if it is so long.
const WORTH_NOTING_MS: u64 = 1_000;

/// A wall clock that is so far from the run's was not set: what is said of an event may be that much off.
const WALL_DRIFT_MS_MAX: u64 = 1_000;

/// How time goes on in an open store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timekeeping<'s> {
    inner: &'s Shared,
}

/// How long ago something was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Age {
    /// The age is this many milliseconds.
    Known(u64),
    /// The age is not known.
    AtLeast {
        /// What was measured of it.
        measured_ms: u64,
        /// The upstream's clock may show the rest.
        may_be_known: bool,
    },
}

/// When time is noted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Note {
    /// If nothing was written for long.
    WhenLongAgo,
    /// If nothing was written for a moment: the store is closed.
    Now,
}

impl Store {
    /// Applies what time it is by the upstream's clock: a host or its transport calls this when a
    /// reply said.
    ///
    /// The time between two starts of the machine then counts for expiry as far as that clock and this
    /// machine's wall clock both say so, which takes a call before and one after: if one of them was wrong
    /// once, no key is forgotten early. Otherwise such time does not count, and keys are remembered longer.
    /// `uncertainty` is how far the true time may be from `server_unix_ms`: half
    /// of the request's round trip, and what the upstream says of its own clock.
    ///
    /// While the store is open its own measurement counts: an upstream whose clock is set forward or
    /// back moves nothing. A time from before this program was made proves nothing, nor does one after such
    /// a gap from before what was said last.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use onceward::{Config, Store};
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// // From the `Date` header of a reply that took 200 ms: whole seconds, half of the way back.
    /// store.confirm_time(1_800_000_000_000, Duration::from_millis(1_100))?;
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
    /// `Full`: no room. `Poisoned`, `Io`: as for [`Store::capture`]. Nothing is lost.
    pub fn confirm_time(&self, server_unix_ms: i64, uncertainty: Duration) -> Result<()> {
        // Rounded up: the reading proves no more than it does.
        let uncertainty_ms = whole_ms(uncertainty);
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        let is_due = {
            let mut state = inner.state.lock();
            let trusted_ms = inner.time.trusted_ms();
            let heard = &mut state.server_clock;
            let before = heard.note();
            let reading = ServerNote {
                server_ms: server_unix_ms,
                uncertainty_ms,
                trusted_ms,
                wall_ms: inner.time.wall_ms(),
                ..ServerNote::default()
            };
            let missing_ms = heard.hear(reading);
            missing_ms.into_iter().filter(|ms| *ms > 0).for_each(|ms| inner.advance(ms));
            let now_ms = trusted_ms.saturating_add(missing_ms.unwrap_or(0));
            let noted = heard.noted().map(|(_, noted_ms)| noted_ms);
            let is_long_ago = noted
                .is_none_or(|ms| now_ms.saturating_sub(ms) >= inner.timekeeping().noted_every_ms());
            let is_first = before.is_none_or(|before| before.has_gap);
            missing_ms.is_some() && (is_long_ago || is_first)
        };
        if is_due { inner.timekeeping().append_clock() } else { Ok(()) }
    }

    /// How far the upstream's clock is ahead of this machine's wall clock, as of its last word.
    ///
    /// `None`: it showed nothing since the machine was started. A wall clock that is set changes this.
    ///
    /// ```
    /// use std::time::Duration;
    /// use onceward::{Config, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// assert_eq!(store.server_offset(), None);
    /// store.confirm_time(1_800_000_000_000, Duration::from_millis(1_100))?;
    /// assert!(store.server_offset().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn server_offset(&self) -> Option<ServerOffset> {
        let inner = &self.inner;
        let note = inner.state.lock().server_clock.said()?;
        let since_ms = inner.time.trusted_ms().saturating_sub(note.trusted_ms);
        let server_ms = note.server_ms.saturating_add_unsigned(since_ms);
        let offset_ms = server_ms.saturating_sub(inner.time.wall_ms());
        let uncertainty = Duration::from_millis(note.uncertainty_ms);
        Some(ServerOffset { offset_ms, uncertainty })
    }
}

impl<'s> Timekeeping<'s> {
    /// The calls of this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }

    /// How long ago an event was attempted first, at most: since the frame that formed the first batch with it, which
    /// is durable before the attempt, or else since its capture. Known if one clock went on since, or if the
    /// upstream's proves what that did not measure. The wall clock is nobody's witness.
    pub(crate) fn attempt_age(&self, event: &StoredEvent) -> Age {
        let formed = self
            .inner
            .state
            .lock()
            .outbox
            .events()
            .live(event.lsn.get())
            .and_then(|live| live.attempted);
        // Damage may have taken the frame of an earlier batch.
        let formed = formed.filter(|_| self.inner.report().damage.is_empty());
        let attempted = formed.map(|formed| self.age_since(&self.inner.state.lock(), formed));
        match (attempted, self.age(event)) {
            (Some(age @ Age::Known(_)), _) | (_, age @ Age::Known(_)) => age,
            (attempted, captured) => attempted.unwrap_or(captured),
        }
    }

    /// How long ago an event was captured.
    fn age(&self, event: &StoredEvent) -> Age {
        let mono_ms = self.inner.time.mono_ms();
        if event.boot.0 == self.inner.time.stamp().boot && event.boot.0 != [0; 16] {
            return Age::Known(mono_ms.saturating_sub(event.mono_ms));
        }
        let lsn = event.lsn.get();
        let state = self.inner.state.lock();
        let live = state.outbox.events().live(lsn);
        let captured_ms = live.map_or(0, |live| live.moment.trusted_ms);
        // Of one that came from elsewhere, or whose moment damage took, nobody knows when that was.
        let is_ours = live.is_some_and(|live| !live.is_imported) && event.wall_ms.is_some();
        let since = if is_ours { lsn } else { 0 };
        self.age_since(&state, WrittenAt { lsn: since, trusted_ms: captured_ms })
    }

    /// How long ago a person decided last to send an event again; `None`: nobody did, as far as is known.
    pub(crate) fn decided_age(&self, event: &StoredEvent) -> Option<Age> {
        let state = self.inner.state.lock();
        let decided = state.outbox.reviews().sent_again(event.lsn.get())?;
        Some(self.age_since(&state, decided))
    }

    /// The age of what a frame says, at that trusted time.
    fn age_since(&self, state: &StoreState, then: WrittenAt) -> Age {
        let now_ms = self.inner.time.trusted_ms();
        let measured_ms = now_ms.saturating_sub(then.trusted_ms);
        let heard = &state.server_clock;
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
    pub(crate) fn wall_offset_ms(&self) -> i64 {
        let wall_ms = self.inner.time.wall_ms();
        let derived_ms = self.inner.time.now().wall.get().unwrap_or(wall_ms);
        let offset_ms = wall_ms.saturating_sub(derived_ms);
        if offset_ms.unsigned_abs() > WALL_DRIFT_MS_MAX { offset_ms } else { 0 }
    }

    /// Writes a frame that says how far time is, if none was written for so long. On a full disk that
    /// waits: what passes meanwhile is remembered longer if the machine stops.
    pub(crate) fn note_time(&self, when: Note) -> Result<()> {
        let passed_ms = self.inner.time.unwritten_ms();
        let is_due = match when {
            Note::WhenLongAgo => passed_ms >= self.noted_every_ms(),
            Note::Now => {
                passed_ms >= WORTH_NOTING_MS || !self.inner.state.lock().server_clock.is_noted()
            }
        };
        if !is_due || self.inner.is_closed() {
            return Ok(());
        }
        // Whoever holds it is writing a frame.
        let one_at_a_time = match when {
            Note::WhenLongAgo => self.inner.control.try_lock(),
            Note::Now => Some(self.inner.control.lock()),
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
        NOTES_APART_MS.max(self.inner.windows().shortest().length_ms() / NOTES_A_WINDOW)
    }

    /// Writes what time it is. The caller holds `control`.
    fn append_clock(&self) -> Result<()> {
        let clock = ClockFrame { server: self.inner.state.lock().server_clock.note() };
        let frame = FrameBody::new(FrameKind::Clock, codec::encode(&clock));
        let written = self.inner.write(&[frame], Share::Decisions)?;
        let mut state = self.inner.state.lock();
        let StoreState { kernel, server_clock, .. } = &mut *state;
        written.placed.into_iter().for_each(|at| server_clock.apply(kernel, &clock, at));
        Ok(())
    }
}
