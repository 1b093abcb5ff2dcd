//! What time it was: trusted time and wall clock of frames, by their run. No clock here.

use std::collections::BTreeMap;

use onceward_wal::{Frame, RunBody, Stamp};

use crate::event::BootId;

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

/// The clocks when a run began.
#[derive(Clone, Copy, Debug)]
struct Begun {
    moment: Moment,
    origin: Origin,
}

/// The times at which runs began, and the latest that was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    runs: BTreeMap<u32, Begun>,
    /// The first run of this opening, if the log is written: all later ones go by the same clocks.
    opened: Option<u32>,
    latest: Moment,
}

impl Times {
    /// Takes up what a run frame says.
    pub(crate) fn begin_run(&mut self, run: u32, body: &RunBody) {
        self.begin(run, &body.stamp);
    }

    /// The log is written from this run on.
    pub(crate) fn open(&mut self, run: u32, stamp: &Stamp) {
        self.opened = Some(run);
        self.begin(run, stamp);
    }

    fn begin(&mut self, run: u32, stamp: &Stamp) {
        let moment = Moment { trusted_ms: stamp.trusted_ms, wall_ms: stamp.wall_ms };
        let origin = Origin { boot: BootId(stamp.boot), mono_ms: stamp.mono_ms };
        self.runs.insert(run, Begun { moment, origin });
        self.saw(moment);
    }

    /// By which clock an event was captured, whose frame was written in this run when the wall clock
    /// said `wall_ms`: it is derived from the run's, so the two are as far from its beginning.
    pub(crate) fn origin(&self, run: u32, wall_ms: i64) -> Origin {
        let of_this_opening = || self.opened.filter(|opened| run > *opened);
        let begun = self.runs.get(&run).or_else(|| self.runs.get(&of_this_opening()?));
        let Some(Begun { moment, origin }) = begun else { return Origin::default() };
        let since_ms = u64::try_from(wall_ms.saturating_sub(moment.wall_ms)).unwrap_or(0);
        Origin { mono_ms: origin.mono_ms.saturating_add(since_ms), ..*origin }
    }

    /// The moment of a frame, milliseconds after its run began.
    pub(crate) fn of(&mut self, frame: &Frame<'_>) -> Moment {
        let begun = self.runs.get(&frame.run).map_or(self.latest, |begun| begun.moment);
        let moment = Moment {
            trusted_ms: begun.trusted_ms.saturating_add(u64::from(frame.time_ms)),
            wall_ms: begun.wall_ms.saturating_add(i64::from(frame.time_ms)),
        };
        self.saw(moment);
        moment
    }

    /// The latest moment that any frame tells of.
    pub(crate) fn latest(&self) -> Moment {
        self.latest
    }

    /// Trusted time never falls; the wall clock is whatever came last.
    fn saw(&mut self, moment: Moment) {
        self.latest.trusted_ms = self.latest.trusted_ms.max(moment.trusted_ms);
        self.latest.wall_ms = moment.wall_ms;
    }
}
