//! What time it was: trusted time and wall clock of frames, by their run. No clock here.
//!
//! Trusted time goes on from run to run as far as it was measured: within a process, and from one
//! process to the next on a machine that was not started in between. Where it was not, the last run
//! has a *gap* before it, which counts once the upstream's clock proves it (`heard`).
//!
//! A run whose first frame is lost to damage began nobody knows when, unless a later frame repeats what
//! that one said. Its frames came before the next run began, and that is all that is said of them: no
//! time of theirs is made up, and trusted time does not go on by them.

use std::collections::BTreeMap;

use onceward_wal::{Frame, RunBody, Stamp};

use super::heard::Heard;
use crate::event::BootId;
use crate::report::Unmeasured;

/// When something was captured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Moment {
    /// Trusted time, milliseconds: decides expiry.
    pub(crate) trusted_ms: u64,
    /// The wall clock: data for people.
    pub(crate) wall: Wall,
}

/// Since when something is so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Since {
    /// The frame that says so.
    pub(crate) lsn: u64,
    /// Its trusted time, milliseconds.
    pub(crate) trusted_ms: u64,
}

/// What a wall clock showed, if that is known.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Wall(i64);

impl Wall {
    /// Nobody knows.
    pub(crate) const UNKNOWN: Self = Self(i64::MIN);

    /// What it showed, Unix milliseconds.
    pub(crate) fn at(unix_ms: i64) -> Self {
        Self(unix_ms)
    }

    /// Unix milliseconds; `None`: nobody knows.
    pub(crate) fn get(self) -> Option<i64> {
        (self != Self::UNKNOWN).then_some(self.0)
    }

    /// As it stands in frames: Unix milliseconds, or the lowest number if nobody knows.
    pub(crate) fn code(self) -> i64 {
        self.0
    }

    /// So long after, or before.
    pub(crate) fn moved(self, ms: i64) -> Self {
        self.get().map_or(self, |unix_ms| Self(unix_ms.saturating_add(ms)))
    }
}

impl Default for Wall {
    fn default() -> Self {
        Self::UNKNOWN
    }
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
pub(crate) struct Begun {
    moment: Moment,
    reading: Reading,
}

impl Begun {
    /// What the run's first frame says.
    fn of(stamp: &Stamp) -> Self {
        let moment = Moment { trusted_ms: stamp.trusted_ms, wall: Wall::at(stamp.wall_ms) };
        Self { moment, reading: Reading::of(stamp) }
    }
}

/// When runs began, as far as frames tell.
pub(crate) type Runs = BTreeMap<u32, Begun>;

/// The times at which runs began, the latest that was seen, and what the upstream's clock showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    runs: Runs,
    /// What an earlier reading of the same log found of all its runs, if there was one.
    told: Option<Runs>,
    /// The latest trusted time.
    latest_ms: u64,
    /// The wall clock at the last frame.
    last_wall: Wall,
    /// The monotonic clock at the latest frame of which that is known.
    read: Option<Reading>,
    /// Frames came since of which it is not.
    is_lost: bool,
    /// A frame was met whose run nothing told of.
    has_unknown: bool,
    /// The last LSN that was seen.
    last_lsn: u64,
    /// What was heard of the upstream's clock.
    pub(crate) heard: Heard,
}

impl Times {
    /// For another reading of a log of which the first one met runs that nothing told of.
    pub(crate) fn told(runs: Runs) -> Self {
        Self { told: Some(runs), ..Self::default() }
    }

    /// The runs that were found, if one more reading with them tells more.
    pub(crate) fn worth_another_reading(&self) -> Option<Runs> {
        (self.has_unknown && self.told.is_none()).then(|| self.runs.clone())
    }

    /// Takes up what a run frame says.
    pub(crate) fn begin_run(&mut self, frame: &Frame<'_>, body: &RunBody) {
        self.enter(frame, Begun::of(&body.stamp));
    }

    /// Frames of a run begin.
    fn enter(&mut self, frame: &Frame<'_>, begun: Begun) {
        self.see(frame);
        if self.runs.insert(frame.run, begun).is_none() {
            self.begin(self.measured(&begun.reading).is_some() || self.is_new());
            self.read = Some(begun.reading);
            self.is_lost = false;
        }
        self.saw(begun.moment);
    }

    /// A frame is there.
    fn see(&mut self, frame: &Frame<'_>) {
        if self.last_lsn == 0 {
            self.heard.begin_log(frame.lsn.get());
        }
        self.last_lsn = frame.lsn.get();
    }

    /// The log is written from this run on; what was before it, [`Times::resume`] judged.
    pub(crate) fn open(&mut self, run: u32, stamp: &Stamp) {
        let begun = Begun::of(stamp);
        self.runs.insert(run, begun);
        self.saw(begun.moment);
    }

    /// A run begins behind the last frame; `is_measured`: so is the time between.
    fn begin(&mut self, is_measured: bool) {
        if !is_measured {
            self.heard.begin_gap(self.last_lsn);
        }
    }

    /// The time since the last frame, if one clock went on since.
    fn measured(&self, now: &Reading) -> Option<u64> {
        self.read.filter(|_| !self.is_lost).and_then(|read| read.until(now))
    }

    /// This process begins: the trusted time that passed since the last frame, if it was measured.
    pub(crate) fn resume(&mut self, stamp: &Stamp) -> Option<u64> {
        let measured = self.measured(&Reading::of(stamp));
        self.last_lsn = self.last_lsn.saturating_add(1);
        self.begin(measured.is_some() || self.is_new());
        measured
    }

    /// Whether the log has no frame.
    fn is_new(&self) -> bool {
        self.read.is_none() && !self.is_lost
    }

    /// Nobody measured how long ago the last frame was written: what the wall clock says of that.
    pub(crate) fn unmeasured(&self, now: &Stamp) -> Option<Unmeasured> {
        let is_known = self.is_new() || self.measured(&Reading::of(now)).is_some();
        let by_wall_clock_ms = || Some(now.wall_ms.saturating_sub(self.last_wall.get()?));
        (!is_known).then(|| Unmeasured { by_wall_clock_ms: by_wall_clock_ms() })
    }

    /// Trusted time for somebody who looks now: as far as it was measured.
    pub(crate) fn trusted_ms(&self, now: &Stamp) -> u64 {
        self.latest_ms.saturating_add(self.measured(&Reading::of(now)).unwrap_or(0))
    }

    /// The runs that this opening began, which no replay shows.
    pub(crate) fn learn(&mut self, begun: impl IntoIterator<Item = (u32, Stamp)>) {
        self.runs.extend(begun.into_iter().map(|(run, stamp)| (run, Begun::of(&stamp))));
    }

    /// By which clock a frame was written, so long after its run began.
    pub(crate) fn origin(&self, run: u32, time_ms: u32) -> Origin {
        self.runs.get(&run).map_or_else(Origin::default, |Begun { reading, .. }| Origin {
            boot: BootId(reading.boot),
            mono_ms: reading.mono_ms.saturating_add(u64::from(time_ms)),
        })
    }

    /// Whether it is known when a run began.
    pub(crate) fn knows(&self, run: u32) -> bool {
        self.runs.contains_key(&run)
    }

    /// The moment of a frame, milliseconds after its run began.
    pub(crate) fn of(&mut self, frame: &Frame<'_>) -> Moment {
        self.see(frame);
        if !self.knows(frame.run) {
            match self.told.as_ref().and_then(|told| told.get(&frame.run)).copied() {
                Some(begun) => self.enter(frame, begun),
                None => {
                    self.has_unknown = true;
                    self.is_lost = true;
                }
            }
        }
        if let Some(Begun { reading, .. }) = self.runs.get(&frame.run) {
            let mono_ms = reading.mono_ms.saturating_add(u64::from(frame.time_ms));
            self.read = Some(Reading { mono_ms, ..*reading });
        }
        let moment = self.moment_of(frame);
        self.saw(moment);
        moment
    }

    /// As [`Times::of`], of a frame that was taken up before.
    ///
    /// Of a run of which nothing tells: as late as it can have been, so that what it says is remembered
    /// long enough. Where no later run bounds it, trusted time stood still.
    pub(crate) fn moment_of(&self, frame: &Frame<'_>) -> Moment {
        match self.runs.get(&frame.run) {
            Some(Begun { moment, .. }) => Moment {
                trusted_ms: moment.trusted_ms.saturating_add(u64::from(frame.time_ms)),
                wall: moment.wall.moved(i64::from(frame.time_ms)),
            },
            None => {
                let later = self.told.as_ref().and_then(|told| told.range(frame.run..).next());
                let trusted_ms = later.map_or(0, |(_, begun)| begun.moment.trusted_ms);
                Moment { trusted_ms: trusted_ms.max(self.latest_ms), wall: Wall::UNKNOWN }
            }
        }
    }

    /// The latest trusted time that any frame tells of.
    pub(crate) fn latest_ms(&self) -> u64 {
        self.latest_ms
    }

    /// Trusted time never falls; the wall clock is whatever came last.
    fn saw(&mut self, moment: Moment) {
        self.latest_ms = self.latest_ms.max(moment.trusted_ms);
        self.last_wall = moment.wall;
    }
}
