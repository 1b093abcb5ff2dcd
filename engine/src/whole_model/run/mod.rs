//! Drives an engine and the reference side by side.
//!
//! Each operation is foretold by the reference and then done; the two answers must agree. Where an
//! operation failed with the disk it is in doubt: the states that it may have left are kept, and what can
//! be read afterwards must fit one of them.

mod calls;
mod deliveries;
mod doubt;
mod events;
mod power;
mod review;
mod sending;

use std::collections::BTreeMap;

use onceward_vfs::{Fault, FaultKind, FaultOp};

use super::compare::Gone;
use super::hold;
use super::operations::{Op, Theme};
use super::reference::Reference;
use super::words::{CLOCK, Counts, Item, Name, Told};
use crate::BatchTicket;
use crate::Store;
use crate::base::{ErrorKind, Result, whole_ms};
use crate::records::Lease;
use crate::testing::draw::Draw;
use crate::testing::upstream::ScriptedUpstream;
use crate::testing::{HandClock, Rig};

/// Why an operation did not end as foretold.
#[derive(Debug)]
pub(super) enum Stop {
    /// The engine is wrong, or the reference is.
    Wrong(String),
    /// The disk failed: the operation may have taken effect.
    Doubt(String),
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

/// How an operation ended.
pub(super) type Done<T = ()> = std::result::Result<T, Stop>;

/// What a call of the engine answered; refusals by their code.
pub(super) type Said<T> = std::result::Result<T, &'static str>;

/// An engine and a reference.
pub(super) struct Machine {
    rig: Rig,
    store: Option<Store>,
    model: Reference,
    /// States that an operation may have left so far, without the last one.
    steps: Vec<Reference>,
    /// What the store forgot.
    gone: Gone,
    /// Captures that are waited for later.
    tickets: Vec<(Vec<Told>, BatchTicket)>,
    leases: Vec<Lease>,
    upstream: ScriptedUpstream,
    /// How often this session's upstream took events, and the longest payload among them.
    taken: (u64, usize),
    /// Events that the session met and cannot send, while it took nothing yet.
    misfits: Vec<usize>,
    /// Versions of review items that waited before.
    versions: BTreeMap<Name, u64>,
    /// A file with a decision that may be there or not.
    doubtful_file: Option<String>,
    files: u64,
    receipts: u64,
    highest: u64,
    /// Trusted time at which something was queued last.
    queued_at: u64,
    is_full: bool,
    /// The disk is made to fail within this operation.
    is_cutting: bool,
    /// Trusted time is at least this after the next start of the machine.
    written_at: u64,
    /// A frame was written since the machine was started.
    has_written: bool,
    /// Time that really passed, powered off included.
    real_ms: u64,
    /// Trusted time and the upstream's, as they were noted before the machine was started.
    noted: Option<(u64, i64)>,
    /// Somebody set the wall clock since, so that no time without power need count.
    is_wall_moved: bool,
    /// As they were noted since.
    note: Option<(u64, i64)>,
    pub(super) counts: Counts,
}

impl Machine {
    /// A new store, on a new disk.
    pub(super) fn new(theme: &Theme) -> std::result::Result<Self, String> {
        let mut rig = Rig::new();
        rig.clock = HandClock::new();
        rig.clock.name_boot(1);
        rig.config = theme.rules.config(rig.config);
        let model = Reference { rules: theme.rules.clone(), ..Reference::default() };
        let mut machine = Self {
            rig,
            store: None,
            model,
            steps: Vec::new(),
            gone: Gone::default(),
            tickets: Vec::new(),
            leases: Vec::new(),
            upstream: ScriptedUpstream::default(),
            taken: (0, 0),
            misfits: Vec::new(),
            versions: BTreeMap::new(),
            doubtful_file: None,
            files: 0,
            receipts: 0,
            highest: 0,
            queued_at: 0,
            is_full: false,
            is_cutting: false,
            written_at: 0,
            has_written: false,
            real_ms: 0,
            noted: None,
            is_wall_moved: false,
            note: None,
            counts: Counts::default(),
        };
        for key in ["s3", "t8", "c1"] {
            machine.upstream.refuse(key, "CARD_NOT_FOUND");
        }
        ["s5", "c6"].iter().for_each(|key| machine.upstream.refuse_batches_with(key));
        machine.store = Some(machine.rig.open());
        if machine.has_clock_event() {
            let name = (CLOCK, "c0".to_owned());
            let item = Item { name, content: 1, dress: 0 };
            machine.run(&Op::Capture(vec![item]))?;
        }
        Ok(machine)
    }

    /// An event that is too old stops all captures, so there is none where age is limited.
    fn has_clock_event(&self) -> bool {
        self.model.rules.limits.age.is_none()
    }

    /// Does one operation and holds what it did against the reference.
    pub(super) fn run(&mut self, op: &Op) -> std::result::Result<(), String> {
        self.counts.add(&format!("op {}", op.name()));
        match op {
            Op::Cut(ops, seed, op) => self.cut(*ops, *seed, op),
            Op::FailSync(op) => self.fail_sync(op),
            Op::Kill => self.kill(),
            Op::Reboot { off_ms, is_killed } => self.reboot(*off_ms, *is_killed),
            Op::FillDisk(free) => self.fill_disk(*free),
            Op::FreeDisk => {
                self.free_disk();
                Ok(())
            }
            Op::Close => match self.plain(op) {
                Ok(()) if self.store.is_some() => Ok(()),
                done => done.and_then(|()| self.open(vec![self.model.clone()])),
            },
            op => self.plain(op),
        }
    }

    /// An operation that the disk does not stop, unless it is full.
    fn plain(&mut self, op: &Op) -> std::result::Result<(), String> {
        self.steps = vec![self.model.clone()];
        let done = self.act(op).and_then(|()| self.look_at_queued());
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Doubt(why)) if self.is_full => {
                self.counts.add("full: in doubt");
                self.step();
                self.model.end_windows(None);
                self.step();
                let steps = std::mem::take(&mut self.steps);
                self.resolve(steps).map_err(|no| format!("{why}: {no}"))
            }
            Err(Stop::Doubt(why) | Stop::Wrong(why)) => Err(why),
        }
    }

    /// Does it on both sides.
    fn act(&mut self, op: &Op) -> Done {
        match op {
            Op::Capture(items) => self.capture(items),
            Op::Apply(items) => self.apply(items),
            Op::Defer(items) => self.defer(items),
            Op::Wait(number) => self.wait(*number),
            Op::Let(number) => {
                if !self.tickets.is_empty() {
                    drop(self.tickets.remove(number % self.tickets.len()));
                }
                Ok(())
            }
            Op::WouldAccept(item) => self.would_accept(item),
            Op::Cancel(name) => self.cancel(name),
            Op::Settle(answers) => self.settle(answers),
            Op::Sync(scope, moods) => self.sync(scope, moods),
            Op::Decide(name, action, seen, who) => self.decide(name, (*action, *seen, who)),
            Op::Drop(name, action, seen, who) => self.drop_decision(name, (*action, *seen, who)),
            Op::Reviews(..) if self.is_cutting => Ok(()),
            Op::Reviews(scope, page) => {
                let store = self.store();
                Ok(self.model.fits_reviews(&store, scope, *page)?)
            }
            Op::Begin(key, request, lease_ms) => self.begin(key, *request, *lease_ms),
            Op::Complete(number, body) => self.end_lease(*number, Some(*body)),
            Op::Release(number) => self.end_lease(*number, None),
            Op::Renew(number, lease_ms) => self.renew(*number, *lease_ms),
            Op::OpenWindow(window, ms) => self.open_window(window, *ms),
            Op::CloseWindow(window) => self.close_window(window),
            Op::Receive(of) => self.receive(of),
            Op::Progress(number, step) => self.progress(*number, *step),
            Op::Resume(number) => self.resume(*number),
            Op::Finish(number, is_failed) => self.finish(*number, *is_failed),
            Op::Advance(ms) => {
                self.rig.clock.advance(*ms);
                self.model.now += ms;
                self.real_ms += ms;
                Ok(())
            }
            Op::StepWall(ms) => {
                self.rig.clock.step_wall(*ms);
                self.is_wall_moved = true;
                Ok(())
            }
            Op::ConfirmTime => self.confirm_time(),
            Op::Tick => self.tick(),
            Op::Compare => self.compare(),
            Op::Close => self.close(),
            other => Err(Stop::Wrong(format!("{other:?} within another operation"))),
        }
    }

    /// How many segments cleaning gave back.
    fn count_segments(&mut self) {
        let segments = self.store().inner.log.segments();
        let last = segments.last().map_or(0, |last| last.number);
        for _ in segments.len() as u64..last {
            self.counts.add("segment: cleaned");
        }
    }

    fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    /// Something of this moment is durable.
    fn wrote(&mut self, at: u64) {
        self.written_at = self.written_at.max(at);
        self.has_written = true;
    }

    /// A state that a crash from here on may leave.
    fn step(&mut self) {
        self.steps.push(self.model.clone());
    }

    /// What the engine answered; what the disk did to it is in doubt.
    fn said<T>(&mut self, said: Result<T>) -> Done<Said<T>> {
        let error = match said {
            Ok(said) => return Ok(Ok(said)),
            Err(error) => error,
        };
        let is_of_disk = matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned);
        let is_full = error.kind() == ErrorKind::Full && error.code() == "FULL";
        if (is_of_disk && self.is_cutting) || (is_full && self.is_full) {
            return Err(Stop::Doubt(super::compare::told(error)));
        }
        match error.code() {
            code if !is_of_disk && !is_full && error.kind() != ErrorKind::Corrupt => Ok(Err(code)),
            _ => Err(Stop::Wrong(super::compare::told(error))),
        }
    }

    fn compare(&mut self) -> Done {
        let store = self.store();
        let gone = self.gone.clone();
        if self.is_cutting {
            return Ok(());
        }
        Ok(self.model.fits(&store, &gone)?)
    }

    /// Reads trusted time off the age of the oldest event.
    fn read_clock(&mut self, floor: u64) -> std::result::Result<(), String> {
        if self.has_clock_event() && !self.model.events.is_empty() {
            let now = whole_ms(self.store().status().oldest_pending);
            let most = self.real_ms;
            hold!((floor..=most).contains(&now), "trusted time is {now}, not {floor} to {most}");
            self.model.now = now;
        }
        Ok(())
    }

    fn fail_sync(&mut self, op: &Op) -> std::result::Result<(), String> {
        let (op_failing, kind, name_contains) = (FaultOp::SyncData, FaultKind::Eio, ".seg".into());
        let fault = Fault { op: op_failing, name_contains, nth: 0, kind, forever: false };
        self.rig.disk.plan(fault);
        let states = self.doubtful(op)?;
        self.rig.disk.forget_faults();
        self.crash(None, states)
    }
}

/// The wall clock of the upstream.
pub(super) fn server_ms(real_ms: u64) -> i64 {
    1_800_000_000_000 + i64::try_from(real_ms).unwrap()
}

/// A history that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// The operation that did, from 0; behind the last: what was compared at the end.
    pub(super) at: usize,
    pub(super) why: String,
    pub(super) ops: Vec<Op>,
}

/// A history: operations one after the other, and at the end everything is compared.
pub(super) fn history(seed: u64, most: usize) -> (Counts, Option<Failed>) {
    let mut draw = Draw(seed);
    let theme = Theme::draw(&mut draw);
    let mut machine = match Machine::new(&theme) {
        Ok(machine) => machine,
        Err(why) => return (Counts::default(), Some(Failed { at: 0, why, ops: Vec::new() })),
    };
    let mut ops = Vec::new();
    for at in 0..most {
        let op = theme.op(&mut draw);
        ops.push(op.clone());
        if let Err(why) = machine.run(&op) {
            let why = format!("{why}; {theme:?}");
            return (machine.counts, Some(Failed { at, why, ops }));
        }
    }
    let ended = machine.run(&Op::Compare).and_then(|()| machine.run(&Op::Close));
    machine.count_segments();
    let why = ended.err().map(|why| format!("at the end: {why}; {theme:?}"));
    (machine.counts, why.map(|why| Failed { at: most, why, ops }))
}
