//! What the upstream's clock showed, and since which frame all time is measured, or proven.
//!
//! | a gap came | the next reading shows | of it |
//! |---|---|---|
//! | before the first note | anything | nothing is known |
//! | behind a note | no more than that one | nothing is known |
//! | behind a note | more | that is how long it was; it counts for expiry as far as this machine's wall clock says so, too |
//!
//! The last reading is the note, whatever it shows, so that one that was wrong is over with the next. It moves
//! nothing by itself: to make time look longer than it was, two clocks must be wrong at once.

use super::frames::{ClockFrame, ServerNote, Uncounted};
use crate::base::{FrameKind, Located, codec};
use crate::kernel::{Area, Kernel, LiveFrames, Marks};

/// No right clock shows less: the beginning of the year in which this program was made, Unix milliseconds.
const EARLIEST_MS: i64 = 1_767_225_600_000;
/// Two right clocks differ by at most so much, and by a hundredth of the time between two readings.
const DRIFT_MS: u64 = 10_000;
const DRIFT_PART: u64 = 100;

/// What was heard of the upstream's clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerClock {
    /// The last that was believed.
    note: Option<ServerNote>,
    /// The frame that says so, and whether it says just that.
    noted: Option<(Located, ServerNote)>,
    /// The last in all.
    said: Option<ServerNote>,
    /// The first LSN behind the last gap that nothing will prove.
    known_since: u64,
    /// The first LSN behind the last gap that the next note may prove; 0: there is none.
    gap_lsn: u64,
    /// The first LSN of the log.
    first_lsn: u64,
}

impl ServerClock {
    /// Notes what the log says of time that nobody measured.
    pub(crate) fn note_marks(&mut self, marks: Marks) {
        marks.begin_lsn.into_iter().for_each(|lsn| self.begin_log(lsn));
        marks.gap_lsn.into_iter().for_each(|lsn| self.begin_gap(lsn));
    }

    /// Applies what the upstream's clock showed, and what that proves.
    pub(crate) fn apply(&mut self, kernel: &mut Kernel, clock: &ClockFrame, at: Located) {
        let Some(note) = clock.server else { return };
        if let Some((before, _)) = self.noted() {
            kernel.usage.end_need(before.place.segment, u64::from(before.bytes));
        }
        kernel.usage.need(at.place.segment, u64::from(at.bytes));
        self.set_noted(note, at);
    }

    /// Keeps what the upstream's clock showed last, if the frame that says so goes.
    pub(crate) fn relocate(&self, at: Located, live: &mut LiveFrames) {
        if self.noted().is_some_and(|(noted, _)| noted.place == at.place) {
            let frame = ClockFrame { server: self.note() };
            live.push(FrameKind::Clock, codec::encode(&frame));
        }
    }

    /// The log begins: nothing says anything of the time before.
    fn begin_log(&mut self, lsn: u64) {
        self.first_lsn = lsn;
        self.known_since = lsn;
    }

    /// Time passed that nobody measured, before the frame `lsn`.
    fn begin_gap(&mut self, lsn: u64) {
        self.said = None;
        // Also where nothing will prove it, as far as is known: a later note may be one that was carried over
        // the gap, and say a time before it, while damage took the note that came first.
        self.gap_lsn = lsn;
        match &mut self.note {
            Some(note) => {
                // Of two gaps the one before is forgotten: what came before that is as old as nobody knows.
                if let Some(uncounted) = note.uncounted.take() {
                    self.known_since = uncounted.lsn;
                }
                (note.has_gap, note.known_since) = (true, self.known_since);
            }
            None => self.known_since = lsn,
        }
    }

    /// Whether all time since a frame was measured or counted.
    pub(crate) fn is_known_since(&self, lsn: u64) -> bool {
        let uncounted = self.uncounted().map_or(0, |uncounted| uncounted.lsn);
        self.may_be_known_since(lsn) && lsn >= self.gap_lsn && lsn >= uncounted
    }

    /// What of the time since a frame was shown by the upstream's clock alone; `None`: that is not all that is missing.
    pub(crate) fn uncounted_since(&self, lsn: u64) -> Option<u64> {
        let is_all = self.may_be_known_since(lsn) && self.gap_lsn == 0;
        self.uncounted().filter(|_| is_all).map(|uncounted| uncounted.ms)
    }

    /// Whether it is, or will be once the upstream's clock is heard.
    pub(crate) fn may_be_known_since(&self, lsn: u64) -> bool {
        lsn >= self.known_since
    }

    fn uncounted(&self) -> Option<Uncounted> {
        self.note.and_then(|note| note.uncounted)
    }

    /// The upstream's clock shows this, just now. Returns how much more time counts than was measured;
    /// `None`: it is not believed.
    pub(crate) fn hear(&mut self, reading: ServerNote) -> Option<u64> {
        self.said = Some(reading);
        if reading.server_ms < EARLIEST_MS {
            return None;
        }
        let (counted_ms, uncounted) = match self.note {
            Some(before) if before.has_gap => self.end_gap(&before, &reading),
            before => (0, before.and_then(|before| before.uncounted)),
        };
        self.gap_lsn = 0;
        let trusted_ms = reading.trusted_ms.saturating_add(counted_ms);
        let known_since = self.known_since;
        let note = ServerNote { trusted_ms, has_gap: false, known_since, uncounted, ..reading };
        (self.note, self.said) = (Some(note), Some(note));
        Some(counted_ms)
    }

    /// How much of the time before a reading counts, and what does not.
    fn end_gap(&mut self, before: &ServerNote, after: &ServerNote) -> (u64, Option<Uncounted>) {
        let lsn = self.gap_lsn;
        if is_behind(before, after) {
            self.known_since = lsn;
            return (0, None);
        }
        let shown_ms = shown_ms(before, after);
        let counted_ms = counted_ms(before, after, shown_ms);
        let ms = shown_ms.saturating_sub(counted_ms);
        (counted_ms, (ms > 0).then_some(Uncounted { lsn, ms }))
    }

    /// What it showed last that is believed.
    pub(crate) fn note(&self) -> Option<ServerNote> {
        self.note
    }

    /// What it showed last, since nobody measures time.
    pub(crate) fn said(&self) -> Option<ServerNote> {
        self.said
    }

    /// Whether a frame says what is believed.
    pub(crate) fn is_noted(&self) -> bool {
        let said = |note: ServerNote| (note.server_ms, note.uncertainty_ms, note.trusted_ms);
        self.noted.map(|(_, note)| said(note)) == self.note.map(said)
    }

    /// When the note was made that a frame holds, trusted time; and the frame.
    pub(crate) fn noted(&self) -> Option<(Located, u64)> {
        self.noted.map(|(at, note)| (at, note.trusted_ms))
    }

    /// A frame says so.
    fn set_noted(&mut self, note: ServerNote, at: Located) {
        self.note = Some(note);
        self.said = Some(note).filter(|note| !note.has_gap);
        self.noted = Some((at, note));
        self.known_since = note.known_since;
        // The frames before the gap may be gone.
        self.gap_lsn = if note.has_gap { self.gap_lsn.max(self.first_lsn) } else { 0 };
    }
}

impl Area for ServerClock {
    /// What it says was carried by then.
    fn forget_segment(&mut self, _kernel: &mut Kernel, _segment: u64) {}
}

/// Whether the clock shows less than it did.
fn is_behind(before: &ServerNote, after: &ServerNote) -> bool {
    let passed_ms = after.trusted_ms.saturating_sub(before.trusted_ms);
    let slack_ms = DRIFT_MS.saturating_add(passed_ms / DRIFT_PART);
    let latest = after.server_ms.saturating_add_unsigned(after.uncertainty_ms);
    let earliest = before.server_ms.saturating_sub_unsigned(before.uncertainty_ms);
    latest.saturating_add_unsigned(slack_ms) < earliest.saturating_add_unsigned(passed_ms)
}

/// How much more time passed than was measured, as the upstream's clock shows.
fn shown_ms(before: &ServerNote, after: &ServerNote) -> u64 {
    let earliest = after.server_ms.saturating_sub_unsigned(after.uncertainty_ms);
    let latest = before.server_ms.saturating_add_unsigned(before.uncertainty_ms);
    let passed_ms = u64::try_from(earliest.saturating_sub(latest)).unwrap_or(0);
    passed_ms.saturating_sub(after.trusted_ms.saturating_sub(before.trusted_ms))
}

/// How much of that counts: what this machine's wall clock says, too, but for what two right clocks differ. One
/// that cannot be right says nothing.
fn counted_ms(before: &ServerNote, after: &ServerNote, shown_ms: u64) -> u64 {
    if before.wall_ms < EARLIEST_MS || after.wall_ms < EARLIEST_MS {
        return 0;
    }
    let passed_ms = u64::try_from(after.wall_ms.saturating_sub(before.wall_ms)).unwrap_or(0);
    let more_ms = passed_ms.saturating_sub(after.trusted_ms.saturating_sub(before.trusted_ms));
    let slack_ms = DRIFT_MS.saturating_add(shown_ms / DRIFT_PART);
    if more_ms.saturating_add(slack_ms) >= shown_ms { shown_ms } else { more_ms }
}
