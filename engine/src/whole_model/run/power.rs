//! Crashes, reopenings, time, and full disks.

use std::time::Duration;

use onceward_vfs::Survival;

use super::{Done, Draw, Machine, Op, Rig, Stop, server_ms};
use crate::base::ErrorKind;
use crate::whole_model::hold;
use crate::whole_model::reference::Reference;

/// What the wall clock may show: the beginning of 2026, Unix milliseconds.
const EARLIEST_MS: i64 = 1_767_225_600_000;
/// How far the upstream's clock may be off.
const UNCERTAINTY_MS: u64 = 700;

impl Machine {
    /// Does an operation on a disk that may fail within it. Returns the states that may be found.
    pub(super) fn doubtful(&mut self, op: &Op) -> Result<Vec<Reference>, String> {
        self.steps = vec![self.model.clone()];
        self.is_cutting = true;
        let done = self.act(op);
        self.is_cutting = false;
        match done {
            // What was answered is durable.
            Ok(()) => Ok(vec![self.model.clone()]),
            Err(Stop::Doubt(_)) => {
                self.counts.add(&format!("crash within {}", op.name()));
                let mut states = std::mem::take(&mut self.steps);
                states.push(self.model.clone());
                self.model.end_windows(None);
                states.push(self.model.clone());
                Ok(states)
            }
            Err(Stop::Wrong(why)) => Err(why),
        }
    }

    /// The power goes, mostly within an operation.
    pub(super) fn cut(&mut self, ops: u64, seed: u64, op: &Op) -> Result<(), String> {
        self.rig.disk.cut_power_at(self.rig.disk.op_count() + ops);
        let states = self.doubtful(op)?;
        self.counts.add("crash: power");
        let sector_bytes = if seed.is_multiple_of(2) { 512 } else { 4096 };
        self.crash(Some(Survival::Seeded { seed, sector_bytes }), states)?;
        if !seed.is_multiple_of(5) {
            return Ok(());
        }
        // Once more, while the store is opened.
        self.counts.add("crash: within opening");
        let disk = self.rig.disk.after_kill();
        self.store = None;
        self.rig.disk = disk;
        // An opening that is not cut tells where it changes the disk.
        let whole = Rig { disk: self.rig.disk.after_kill(), ..self.rig.clone() };
        drop(whole.try_open());
        let changing = whole.disk.changing_ops();
        let at = changing.get(Draw(seed).index(changing.len().max(1))).copied();
        self.rig.disk.cut_power_at(at.unwrap_or(0));
        drop(self.rig.try_open());
        self.crash(Some(Survival::Seeded { seed, sector_bytes }), vec![self.model.clone()])
    }

    /// The process is gone; `None`: the machine is not. Opens again.
    pub(super) fn crash(
        &mut self,
        survival: Option<Survival>,
        states: Vec<Reference>,
    ) -> Result<(), String> {
        self.tickets.clear();
        self.store = None;
        self.rig.disk = match &survival {
            Some(survival) => self.rig.disk.after_power_cut(survival),
            None => self.rig.disk.after_kill(),
        };
        self.counts.add("crash");
        self.open(states)
    }

    pub(super) fn kill(&mut self) -> Result<(), String> {
        self.counts.add("crash: kill");
        self.crash(None, vec![self.model.clone()])
    }

    /// The machine is off for a while.
    pub(super) fn reboot(&mut self, off_ms: u64, is_killed: bool) -> Result<(), String> {
        if !self.has_clock_event() {
            return self.kill();
        }
        let mut floor = self.written_at;
        if is_killed {
            self.tickets.clear();
            self.store = None;
            self.rig.disk = self.rig.disk.after_power_cut(&Survival::Nothing);
            self.counts.add("crash");
        } else {
            self.plain(&Op::Close)?;
            self.store = None;
            if !self.is_full {
                floor = floor.max(self.model.now.saturating_sub(1_000));
            }
        }
        self.rig.clock.reboot(off_ms);
        self.has_written = false;
        self.real_ms += off_ms;
        self.noted = self.note.take().or(self.noted);
        self.reopen(floor, vec![self.model.clone()])
    }

    /// Opens again on the same machine, whose clock went on.
    pub(super) fn open(&mut self, states: Vec<Reference>) -> Result<(), String> {
        // What is in no frame since the machine was started is not known to be of this start.
        let floor = if self.has_written { self.model.now } else { self.written_at };
        self.reopen(floor, states)
    }

    fn reopen(&mut self, floor: u64, mut states: Vec<Reference>) -> Result<(), String> {
        self.counts.add("opened");
        if self.is_full {
            self.rig.disk.set_free_bytes(Some(0));
        }
        let mut opened = self.rig.try_open();
        if opened.as_ref().is_err_and(|error| error.kind() == ErrorKind::Full) && self.is_full {
            self.counts.add("opened: refused, full");
            self.free_disk();
            opened = self.rig.try_open();
        }
        let store = opened.map_err(|error| format!("cannot open: {error}"))?;
        hold!(store.recovery().damage.is_empty(), "damage: {:?}", store.recovery());
        self.store = Some(store);
        self.read_clock(floor)?;
        let now = self.model.now;
        for state in &mut states {
            state.now = now;
            state.reopen();
        }
        for state in &mut states {
            self.after_queue(state)?;
        }
        self.resolve(states)
    }

    /// Whether the files with decisions are there; of one that was in doubt this tells.
    pub(super) fn has_files(&self, state: &mut Reference) -> bool {
        let is_there =
            |file: &str| self.rig.disk.bytes(&format!("decisions/{file}.json")).is_some();
        let is_doubtful = |file: &String| self.doubtful_file.as_ref() == Some(file);
        state.dropped.retain(|(file, ..)| !is_doubtful(file) || is_there(file));
        state.dropped.iter().all(|(file, ..)| is_there(file))
    }

    /// Of captures for which nobody waited, the first ones are there.
    fn after_queue(&self, state: &mut Reference) -> Result<(), String> {
        let store = self.store();
        let queued: Vec<usize> =
            state.unsettled().filter(|id| state.events[*id].is_queued).collect();
        let mut is_lost = false;
        for id in queued {
            let name = state.events[id].item.name.clone();
            let outcome = store
                .outcome(
                    &crate::whole_model::compare::scope(&name),
                    &crate::whole_model::compare::key(&name),
                )
                .map_err(|error| error.to_string())?;
            state.events[id].is_queued = false;
            // One that was forgotten may be there again in its place.
            if !outcome.lsn.is_some_and(|lsn| state.is_new(id, lsn)) {
                is_lost = true;
                state.never_stored(id);
            } else {
                hold!(!is_lost, "{name:?} is there and an earlier capture is not");
            }
        }
        Ok(())
    }

    pub(super) fn close(&mut self) -> Done {
        let Some(store) = self.store.take() else { return Ok(()) };
        self.tickets.clear();
        for event in &mut self.model.events {
            event.is_queued = false;
        }
        let said = self.said(store.close());
        match said {
            Ok(Ok(())) => Ok(()),
            Ok(Err(code)) => Err(Stop::Wrong(format!("close: {code}"))),
            // Closed in order, or as after a crash: nothing is lost.
            Err(Stop::Doubt(_)) if self.is_full => Ok(()),
            Err(stop) => Err(stop),
        }
    }

    pub(super) fn fill_disk(&mut self, free: u64) -> Result<(), String> {
        while !self.tickets.is_empty() {
            self.plain(&Op::Wait(0))?;
        }
        self.rig.disk.set_free_bytes(Some(free));
        self.is_full = true;
        Ok(())
    }

    pub(super) fn free_disk(&mut self) {
        self.rig.disk.set_free_bytes(None);
        self.is_full = false;
    }

    /// The upstream's clock tells how long the machine was off.
    pub(super) fn confirm_time(&mut self) -> Done {
        let server = server_ms(self.real_ms);
        let store = self.store();
        let said = store.confirm_time(server, Duration::from_millis(UNCERTAINTY_MS));
        let mut floor = self.model.now;
        // A machine that was started since: what passed is proven, but for what the clocks may be off.
        if let (None, Some((trusted, before)), false) = (self.note, self.noted, self.is_wall_moved)
        {
            let passed = server - before;
            // By a wall clock that shows a time before this program was made, nothing passed.
            if crate::base::clock::Clock::wall_ms(&*self.rig.clock) - passed >= EARLIEST_MS {
                let passed = u64::try_from(passed).unwrap();
                floor = floor.max((trusted + passed).saturating_sub(2 * UNCERTAINTY_MS));
            }
        }
        // From a note that may have been written the next one counts, or from the one before.
        let (noted, note) = (self.noted.take(), self.note.take());
        if let Err(code) = self.said(said)? {
            return Err(Stop::Wrong(format!("confirm_time: {code}")));
        }
        (self.noted, self.note) = (noted, note);
        self.read_clock(floor)?;
        self.counts.add("time: confirmed");
        if self.note.is_none() {
            self.note = Some((self.model.now, server));
            self.is_wall_moved = false;
            self.wrote(self.model.now);
        }
        Ok(())
    }

    pub(super) fn tick(&mut self) -> Done {
        let store = self.store();
        let said = store.tick();
        while !self.model.dropped.is_empty() {
            self.counts.add("decision: applied");
            self.model.take_up(1);
            self.step();
        }
        if let Err(code) = self.said(said)? {
            return Err(Stop::Wrong(format!("tick: {code}")));
        }
        // Nothing is unsaid for longer than this.
        self.written_at = self.written_at.max(self.model.now.saturating_sub(60_000));
        self.tidy()
    }

    /// What settling and ticks do besides: windows that are over end.
    pub(super) fn tidy(&mut self) -> Done {
        self.step();
        self.model.end_windows(None);
        if self.is_full {
            return Err(Stop::Doubt("perhaps there was no room".to_owned()));
        }
        Ok(())
    }
}
