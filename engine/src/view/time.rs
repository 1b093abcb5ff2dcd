//! What time it was: trusted time and wall clock of frames, by their run. No clock here.

use std::collections::BTreeMap;

use onceward_wal::{Frame, RunBody};

/// When something was captured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Moment {
    /// Trusted time, milliseconds: decides expiry.
    pub(crate) trusted_ms: u64,
    /// Wall clock, Unix milliseconds: data for people.
    pub(crate) wall_ms: i64,
}

/// The times at which runs began, and the latest that was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    runs: BTreeMap<u32, Moment>,
    latest: Moment,
}

impl Times {
    /// Takes up what a run frame says.
    pub(crate) fn begin_run(&mut self, run: u32, body: &RunBody) {
        let moment = Moment { trusted_ms: body.stamp.trusted_ms, wall_ms: body.stamp.wall_ms };
        self.runs.insert(run, moment);
        self.saw(moment);
    }

    /// The moment of a frame, milliseconds after its run began.
    pub(crate) fn of(&mut self, frame: &Frame<'_>) -> Moment {
        let begun = self.runs.get(&frame.run).copied().unwrap_or(self.latest);
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
