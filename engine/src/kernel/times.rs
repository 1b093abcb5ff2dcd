//! What time it was: trusted time and wall clock of frames, by their run. No clock here.
//!
//! Trusted time goes on from run to run as far as it was measured: within a process, and from one
//! process to the next on a machine that was not started in between. Where it was not, the last run
//! has a *gap* before it. Whoever can prove how long it was asks for [`Times::take_marks`].
//!
//! A run whose first frame is lost to damage began nobody knows when, unless a later frame repeats what
//! that one said. Its frames came before the next run began, and that is all that is said of them: no
//! time of theirs is made up, and trusted time does not go on by them.

use std::collections::BTreeMap;

use onceward_wal::{Frame, RunBody, Stamp};

use super::SummaryRun;
use crate::base::{BootId, Moment, Origin, Unmeasured, Wall};

/// A reading of a monotonic clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct ClockReading {
    boot: [u8; 16],
    opening: u64,
    mono_ms: u64,
}

impl ClockReading {
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
pub(crate) struct RunBegun {
    moment: Moment,
    reading: ClockReading,
}

impl RunBegun {
    /// What the run's first frame says.
    fn of(stamp: &Stamp) -> Self {
        let moment = Moment { trusted_ms: stamp.trusted_ms, wall: Wall::at(stamp.wall_ms) };
        Self { moment, reading: ClockReading::of(stamp) }
    }

    /// The moment that many milliseconds later.
    fn at(&self, ms: u32) -> Moment {
        let Moment { trusted_ms, wall } = self.moment;
        Moment {
            trusted_ms: trusted_ms.saturating_add(u64::from(ms)),
            wall: wall.moved(i64::from(ms)),
        }
    }
}

/// The moments when runs began, as far as frames say.
pub(crate) type Runs = BTreeMap<u32, RunBegun>;

/// The times at which runs began, and the latest that was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    runs: Runs,
    /// What an earlier reading of the same log found of all its runs, if there was one.
    known_runs: Option<Runs>,
    /// The latest trusted time.
    latest_ms: u64,
    /// The wall clock at the last frame.
    last_wall: Wall,
    /// The monotonic clock at the latest frame of which that is known.
    read: Option<ClockReading>,
    /// Whether frames came since of which the monotonic clock is not known.
    is_lost: bool,
    /// Whether a frame was met of whose run nothing is known.
    has_unknown: bool,
    /// The last LSN that was seen.
    last_lsn: u64,
    /// Marks that nobody took yet.
    marks: Marks,
}

/// The places in the log where it is not known how much time passed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// The first LSN of the log.
    pub(crate) begin_lsn: Option<u64>,
    /// The first LSN behind time that nobody measured.
    pub(crate) gap_lsn: Option<u64>,
}

impl Times {
    /// Times for another reading of a log in which the first reading met runs whose beginning was not known.
    pub(crate) fn with_runs(runs: Runs) -> Self {
        Self { known_runs: Some(runs), ..Self::default() }
    }

    /// Takes what was met since the last call: where the log begins, and a gap.
    pub(crate) fn take_marks(&mut self) -> Marks {
        std::mem::take(&mut self.marks)
    }

    /// The runs that were found, if one more reading with them finds more.
    pub(crate) fn worth_another_reading(&self) -> Option<Runs> {
        (self.has_unknown && self.known_runs.is_none()).then(|| self.runs.clone())
    }

    /// Applies what a run frame says.
    pub(crate) fn begin_run(&mut self, frame: &Frame<'_>, body: &RunBody) {
        self.enter(frame, RunBegun::of(&body.stamp));
    }

    /// Notes that frames of a run begin.
    fn enter(&mut self, frame: &Frame<'_>, begun: RunBegun) {
        self.observe_frame(frame);
        if self.runs.insert(frame.run, begun).is_none() {
            self.begin(self.measured(&begun.reading).is_some() || self.is_new());
            self.read = Some(begun.reading);
            self.is_lost = false;
        }
        self.observe(begun.moment);
    }

    /// Notes that a frame is there.
    fn observe_frame(&mut self, frame: &Frame<'_>) {
        if self.last_lsn == 0 {
            self.marks.begin_lsn = Some(frame.lsn.get());
        }
        self.last_lsn = frame.lsn.get();
    }

    /// The log is written from this run on; what was before it, [`Times::resume`] judged.
    pub(crate) fn open(&mut self, run: u32, stamp: &Stamp) {
        let begun = RunBegun::of(stamp);
        self.runs.insert(run, begun);
        self.observe(begun.moment);
    }

    /// A run begins behind the last frame; `is_measured`: so is the time between.
    fn begin(&mut self, is_measured: bool) {
        if !is_measured {
            self.marks.gap_lsn = Some(self.last_lsn);
        }
    }

    /// The time since the last frame, if one clock went on since.
    fn measured(&self, now: &ClockReading) -> Option<u64> {
        self.read.filter(|_| !self.is_lost).and_then(|read| read.until(now))
    }

    /// Begins the time of this process; returns the trusted time that passed since the last frame, if it was measured.
    pub(crate) fn resume(&mut self, stamp: &Stamp) -> Option<u64> {
        let measured = self.measured(&ClockReading::of(stamp));
        self.last_lsn = self.last_lsn.saturating_add(1);
        self.begin(measured.is_some() || self.is_new());
        measured
    }

    /// Whether the log has no frame.
    fn is_new(&self) -> bool {
        self.read.is_none() && !self.is_lost
    }

    /// What the wall clock says of the time since the last frame, where nobody measured that.
    pub(crate) fn unmeasured(&self, now: &Stamp) -> Option<Unmeasured> {
        let is_known = self.is_new() || self.measured(&ClockReading::of(now)).is_some();
        let by_wall_clock_ms = || Some(now.wall_ms.saturating_sub(self.last_wall.get()?));
        (!is_known).then(|| Unmeasured { by_wall_clock_ms: by_wall_clock_ms() })
    }

    /// Trusted time for somebody who looks now: as far as it was measured.
    pub(crate) fn trusted_ms(&self, now: &Stamp) -> u64 {
        self.latest_ms.saturating_add(self.measured(&ClockReading::of(now)).unwrap_or(0))
    }

    /// The runs that this opening began, which no replay shows.
    pub(crate) fn learn(&mut self, begun: impl IntoIterator<Item = (u32, Stamp)>) {
        self.runs.extend(begun.into_iter().map(|(run, stamp)| (run, RunBegun::of(&stamp))));
    }

    /// The clock by which a frame was written, that many milliseconds after its run began.
    pub(crate) fn origin(&self, run: u32, time_ms: u32) -> Origin {
        self.begun(run).map_or_else(Origin::default, |begun| begun.after(time_ms))
    }

    /// The clock by which the frames of a run were written, when it began.
    pub(crate) fn begun(&self, run: u32) -> Option<Origin> {
        let RunBegun { reading, .. } = self.runs.get(&run)?;
        Some(Origin { boot: BootId(reading.boot), mono_ms: reading.mono_ms })
    }

    /// Whether it is known when a run began.
    pub(crate) fn knows(&self, run: u32) -> bool {
        self.runs.contains_key(&run)
    }

    /// The moment of a frame, milliseconds after its run began.
    pub(crate) fn of(&mut self, frame: &Frame<'_>) -> Moment {
        self.observe_frame(frame);
        if !self.knows(frame.run) {
            match self.known_runs.as_ref().and_then(|known| known.get(&frame.run)).copied() {
                Some(begun) => self.enter(frame, begun),
                None => {
                    self.has_unknown = true;
                    self.is_lost = true;
                }
            }
        }
        if let Some(RunBegun { reading, .. }) = self.runs.get(&frame.run) {
            let mono_ms = reading.mono_ms.saturating_add(u64::from(frame.time_ms));
            self.read = Some(ClockReading { mono_ms, ..*reading });
        }
        let moment = self.moment_of(frame);
        self.observe(moment);
        moment
    }

    /// The moment that [`Times::of`] returned of a frame, for one that was applied before.
    ///
    /// Where the beginning of a run is not known, the moment is as late as it can have been, so that what the frame
    /// says is remembered long enough. Where no later run bounds it, trusted time did not go on.
    pub(crate) fn moment_of(&self, frame: &Frame<'_>) -> Moment {
        match self.runs.get(&frame.run) {
            Some(begun) => begun.at(frame.time_ms),
            None => {
                let later =
                    self.known_runs.as_ref().and_then(|known| known.range(frame.run..).next());
                let trusted_ms = later.map_or(0, |(_, begun)| begun.moment.trusted_ms);
                Moment { trusted_ms: trusted_ms.max(self.latest_ms), wall: Wall::UNKNOWN }
            }
        }
    }

    /// Notes a run of events as [`Times::of`] notes each of them. Returns the lowest moment of any; `None`: nobody
    /// knows when their run began.
    pub(crate) fn pass(&mut self, run: &SummaryRun<'_>) -> Option<Moment> {
        if self.last_lsn == 0 {
            self.marks.begin_lsn = Some(run.first_lsn());
        }
        self.last_lsn = run.last_lsn();
        let Some(begun) = self.runs.get(&run.run).copied() else {
            self.has_unknown = true;
            self.is_lost = true;
            return None;
        };
        let reading = begun.reading;
        let mono_ms = reading.mono_ms.saturating_add(u64::from(run.last_ms()));
        self.read = Some(ClockReading { mono_ms, ..reading });
        self.observe(begun.at(run.time_ms.saturating_add(run.span_ms())));
        self.observe(begun.at(run.last_ms()));
        Some(begun.at(run.time_ms))
    }

    /// When a run began, trusted time, if that is known.
    pub(crate) fn began_ms(&self, run: u32) -> Option<u64> {
        self.runs.get(&run).map(|begun| begun.moment.trusted_ms)
    }

    /// The latest trusted time of any frame.
    pub(crate) fn latest_ms(&self) -> u64 {
        self.latest_ms
    }

    /// Trusted time never falls; the wall clock is whatever came last.
    fn observe(&mut self, moment: Moment) {
        self.latest_ms = self.latest_ms.max(moment.trusted_ms);
        self.last_wall = moment.wall;
    }
}
