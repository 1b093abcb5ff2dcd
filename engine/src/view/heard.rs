//! What the upstream's clock showed, and since which frame all time is measured, or proven by it.
//!
//! | a gap came | it is proven |
//! |---|---|
//! | before the first note | never |
//! | behind a note | by the next note that is believed |
//!
//! A note is believed if it is not from before this program was made, and not from before the one before:
//! a clock that was wrong once must not make the time until it is right again look long.

use super::Located;
use crate::frames::clock::ServerNote;

/// No right clock shows less: the beginning of the year in which this program was made, Unix milliseconds.
const EARLIEST_MS: i64 = 1_767_225_600_000;
/// Two right clocks differ by at most so much, and by a hundredth of the time between two readings.
const DRIFT_MS: u64 = 10_000;
const DRIFT_PART: u64 = 100;

/// What was heard of the upstream's clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
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

impl Heard {
    /// The log begins: nothing tells of the time before.
    pub(super) fn begin_log(&mut self, lsn: u64) {
        self.first_lsn = lsn;
        self.known_since = lsn;
    }

    /// Time passed that nobody measured, before the frame `lsn`.
    pub(super) fn begin_gap(&mut self, lsn: u64) {
        self.said = None;
        // Also where nothing will prove it, as far as is known: a later note may be one that was carried over
        // the gap, and tell of a time before it, while damage took the note that came first.
        self.gap_lsn = lsn;
        match &mut self.note {
            Some(note) => note.has_gap = true,
            None => self.known_since = lsn,
        }
    }

    /// Whether all time since a frame was measured or is proven.
    pub(crate) fn is_known_since(&self, lsn: u64) -> bool {
        self.may_be_known_since(lsn) && lsn >= self.gap_lsn
    }

    /// Whether it is, or will be once the upstream's clock is heard.
    pub(crate) fn may_be_known_since(&self, lsn: u64) -> bool {
        lsn >= self.known_since
    }

    /// The upstream's clock shows this, just now. Returns how much more time passed than was measured;
    /// `None`: it is not believed.
    pub(crate) fn hear(&mut self, reading: ServerNote) -> Option<u64> {
        let mut note = ServerNote { known_since: self.known_since, has_gap: false, ..reading };
        self.said = Some(note);
        if note.server_ms < EARLIEST_MS || self.note.is_some_and(|before| is_behind(&before, &note))
        {
            return None;
        }
        let missing_ms = self.note.map_or(0, |before| proven_ms(&before, &note));
        note.trusted_ms = note.trusted_ms.saturating_add(missing_ms);
        (self.note, self.said) = (Some(note), Some(note));
        self.gap_lsn = 0;
        Some(missing_ms)
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
    pub(crate) fn set_noted(&mut self, note: ServerNote, at: Located) {
        self.note = Some(note);
        self.said = Some(note).filter(|note| !note.has_gap);
        self.noted = Some((at, note));
        self.known_since = note.known_since;
        // The frames before the gap may be gone.
        self.gap_lsn = if note.has_gap { self.gap_lsn.max(self.first_lsn) } else { 0 };
    }
}

/// Whether the clock shows less than it did.
fn is_behind(before: &ServerNote, after: &ServerNote) -> bool {
    let passed_ms = after.trusted_ms.saturating_sub(before.trusted_ms);
    let slack_ms = DRIFT_MS.saturating_add(passed_ms / DRIFT_PART);
    let latest = after.server_ms.saturating_add_unsigned(after.uncertainty_ms);
    let earliest = before.server_ms.saturating_sub_unsigned(before.uncertainty_ms);
    latest.saturating_add_unsigned(slack_ms) < earliest.saturating_add_unsigned(passed_ms)
}

/// How much more time passed than was measured, as the upstream's clock proves: between two notes, the
/// first one before a gap.
///
/// Without a gap nothing is missing: then a clock that shows more was set.
fn proven_ms(before: &ServerNote, after: &ServerNote) -> u64 {
    if !before.has_gap {
        return 0;
    }
    let earliest = after.server_ms.saturating_sub_unsigned(after.uncertainty_ms);
    let latest = before.server_ms.saturating_add_unsigned(before.uncertainty_ms);
    let proven = u64::try_from(earliest.saturating_sub(latest)).unwrap_or(0);
    proven.saturating_sub(after.trusted_ms.saturating_sub(before.trusted_ms))
}
