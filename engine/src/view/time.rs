//! What time it was: trusted time and wall clock of frames, by their run. No clock here.
//!
//! Trusted time goes on from run to run as far as it was measured: within a process, and from one
//! process to the next on a machine that was not started in between. Where it was not, the last run
//! has a *gap* before it, which counts once the upstream's clock proves it.

use std::collections::BTreeMap;

use onceward_wal::{Frame, RunBody, Stamp};

use super::Located;
use crate::event::BootId;
use crate::frames::clock::ServerNote;

/// When something was captured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Moment {
    /// Trusted time, milliseconds: decides expiry.
    pub(crate) trusted_ms: u64,
    /// Wall clock, Unix milliseconds: data for people.
    pub(crate) wall_ms: i64,
}

/// By which clock something was captured, and what that said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Origin {
    /// The machine's boot; zeros if it is not known.
    pub(crate) boot: BootId,
    /// Its monotonic clock, milliseconds.
    pub(crate) mono_ms: u64,
}

/// A reading of a monotonic clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Reading {
    boot: [u8; 16],
    opening: u64,
    mono_ms: u64,
}

impl Reading {
    /// What the clock showed when a run began.
    fn of(stamp: &Stamp) -> Self {
        let Stamp { boot, opening, mono_ms, .. } = *stamp;
        Self { boot, opening, mono_ms }
    }

    /// The time from this reading to a later one, if the clock went on between them.
    fn until(&self, later: &Self) -> Option<u64> {
        let is_same_boot = self.boot == later.boot && self.boot != [0; 16];
        let goes_on = is_same_boot || self.opening == later.opening;
        goes_on.then(|| later.mono_ms.checked_sub(self.mono_ms))?
    }
}

/// The clocks when a run began.
#[derive(Clone, Copy, Debug)]
struct Begun {
    moment: Moment,
    reading: Reading,
}

impl Begun {
    /// What the run's first frame says.
    fn of(stamp: &Stamp) -> Self {
        let moment = Moment { trusted_ms: stamp.trusted_ms, wall_ms: stamp.wall_ms };
        Self { moment, reading: Reading::of(stamp) }
    }
}

/// The times at which runs began, the latest that was seen, and what the upstream's clock showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    runs: BTreeMap<u32, Begun>,
    /// The first run of this opening, if the log is written: all later ones go by the same clocks.
    opened: Option<u32>,
    latest: Moment,
    /// The monotonic clock at the latest frame.
    read: Option<Reading>,
    /// What the upstream's clock showed last.
    note: Option<ServerNote>,
    /// The frame that says so, and whether it says just that.
    noted: Option<(Located, ServerNote)>,
}

impl Times {
    /// Takes up what a run frame says.
    pub(crate) fn begin_run(&mut self, run: u32, body: &RunBody) {
        let begun = Begun::of(&body.stamp);
        if self.runs.insert(run, begun).is_none() {
            let is_measured = self.read.is_none_or(|read| read.until(&begun.reading).is_some());
            self.begin(is_measured);
            self.read = Some(begun.reading);
        }
        self.saw(begun.moment);
    }

    /// The log is written from this run on; what was before it, [`Times::resume`] judged.
    pub(crate) fn open(&mut self, run: u32, stamp: &Stamp) {
        self.opened = Some(run);
        let begun = Begun::of(stamp);
        self.runs.insert(run, begun);
        self.saw(begun.moment);
    }

    /// A run begins; `is_measured`: so is the time since the frame before.
    fn begin(&mut self, is_measured: bool) {
        if let Some(note) = &mut self.note {
            note.has_gap |= !is_measured;
        }
    }

    /// This process begins: the trusted time that passed since the last frame, if it was measured.
    pub(crate) fn resume(&mut self, stamp: &Stamp) -> Option<u64> {
        let measured = self.read.and_then(|read| read.until(&Reading::of(stamp)));
        self.begin(measured.is_some() || self.read.is_none());
        measured
    }

    /// By which clock an event was captured, whose frame was written in this run when the wall clock
    /// said `wall_ms`: it is derived from the run's, so the two are as far from its beginning.
    pub(crate) fn origin(&self, run: u32, wall_ms: i64) -> Origin {
        let of_this_opening = || self.opened.filter(|opened| run > *opened);
        let begun = self.runs.get(&run).or_else(|| self.runs.get(&of_this_opening()?));
        let Some(Begun { moment, reading }) = begun else { return Origin::default() };
        let since_ms = u64::try_from(wall_ms.saturating_sub(moment.wall_ms)).unwrap_or(0);
        let mono_ms = reading.mono_ms.saturating_add(since_ms);
        Origin { boot: BootId(reading.boot), mono_ms }
    }

    /// The moment of a frame, milliseconds after its run began.
    pub(crate) fn of(&mut self, frame: &Frame<'_>) -> Moment {
        let moment = self.moment_of(frame);
        if let Some(Begun { reading, .. }) = self.runs.get(&frame.run) {
            let mono_ms = reading.mono_ms.saturating_add(u64::from(frame.time_ms));
            self.read = Some(Reading { mono_ms, ..*reading });
        }
        self.saw(moment);
        moment
    }

    /// As [`Times::of`], of a frame that was taken up before.
    pub(crate) fn moment_of(&self, frame: &Frame<'_>) -> Moment {
        let begun = self.runs.get(&frame.run).map_or(self.latest, |begun| begun.moment);
        Moment {
            trusted_ms: begun.trusted_ms.saturating_add(u64::from(frame.time_ms)),
            wall_ms: begun.wall_ms.saturating_add(i64::from(frame.time_ms)),
        }
    }

    /// The latest moment that any frame tells of.
    pub(crate) fn latest(&self) -> Moment {
        self.latest
    }

    /// What the upstream's clock showed last.
    pub(crate) fn note(&self) -> Option<ServerNote> {
        self.note
    }

    /// Whether a frame says what the upstream's clock showed last.
    pub(crate) fn is_noted(&self) -> bool {
        let said = |note: ServerNote| (note.server_ms, note.uncertainty_ms, note.trusted_ms);
        self.noted.map(|(_, note)| said(note)) == self.note.map(said)
    }

    /// When the note was made that a frame holds, trusted time; and the frame.
    pub(crate) fn noted(&self) -> Option<(Located, u64)> {
        self.noted.map(|(at, note)| (at, note.trusted_ms))
    }

    /// The upstream's clock showed this, just now.
    pub(crate) fn set_note(&mut self, note: ServerNote) {
        self.note = Some(note);
    }

    /// A frame says so.
    pub(crate) fn set_noted(&mut self, note: ServerNote, at: Located) {
        self.note = Some(note);
        self.noted = Some((at, note));
    }

    /// Trusted time never falls; the wall clock is whatever came last.
    fn saw(&mut self, moment: Moment) {
        self.latest.trusted_ms = self.latest.trusted_ms.max(moment.trusted_ms);
        self.latest.wall_ms = moment.wall_ms;
    }
}

/// How much more time passed than was measured, as the upstream's clock proves: between two notes, the
/// first one before a gap.
///
/// Without a gap nothing is missing: then a clock that shows more was set.
pub(crate) fn proven_ms(before: &ServerNote, after: &ServerNote) -> u64 {
    if !before.has_gap {
        return 0;
    }
    let earliest = after.server_ms.saturating_sub_unsigned(after.uncertainty_ms);
    let latest = before.server_ms.saturating_add_unsigned(before.uncertainty_ms);
    let proven = u64::try_from(earliest.saturating_sub(latest)).unwrap_or(0);
    proven.saturating_sub(after.trusted_ms.saturating_sub(before.trusted_ms))
}
