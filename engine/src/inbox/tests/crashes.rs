//! Whatever a crash leaves of the inbox, what the host was told still holds, and no end of a delivery
//! is there without the event that tells the upstream.
//! Method: run a script in chapters, stop it at each of the disk's operations, look at several survivals.

#![expect(clippy::print_stdout, reason = "how many states were tried is part of the result")]

use std::collections::BTreeMap;
use std::time::Duration;

use onceward_vfs::Survival;

use crate::base::{ErrorKind, Result};
use crate::inbox::{Delivery, DeliveryState, DropReason, Received, WindowId, WindowKey};
use crate::testing::{HandClock, Rig, key, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Key, Lsn, Payload, Scope, Store};

/// One thing that a host does.
#[derive(Clone, Debug)]
enum Step {
    /// Receives this delivery, of this window if it has one.
    Receive(u64),
    /// This step of a delivery is done.
    Progress(u64, u32),
    Ack(u64),
    Fail(u64),
    /// Opens a window for so long.
    Open(u64, u64),
    Close(u64),
    /// Fills and settles a good part of a segment, and cleans.
    Churn(u64),
    Advance(u64),
    /// Closes the store in order.
    End,
}

use Step::{Ack, Advance, Churn, Close, End, Fail, Open, Progress, Receive};

/// What the host knows of a delivery.
#[derive(Clone, Debug, Default)]
struct Note {
    lsn: Option<Lsn>,
    done: u32,
    /// A step that was about to be noted.
    perhaps_done: u32,
    end: Option<DeliveryState>,
    /// How it may have ended.
    perhaps: Option<DeliveryState>,
}

/// A host at work.
#[derive(Clone, Debug)]
struct Host {
    rig: Rig,
    store: Option<Store>,
    notes: BTreeMap<u64, Note>,
    /// Whether each window is surely open, surely over, or neither.
    windows: BTreeMap<u64, Option<bool>>,
}

fn window(n: u64) -> WindowId {
    WindowId::new(&format!("w{n}")).unwrap()
}

/// The window of a delivery: those from 100 on are of window 1, those from 200 on of window 2.
fn window_of(n: u64) -> Option<u64> {
    (n >= 100).then_some(n / 100)
}

/// Delivery number `n`: all have an event's number, some an external one, those of a window that too.
fn delivery(n: u64) -> Delivery {
    let payload = Payload::bytes(vec![7; usize::try_from(n % 7).unwrap() * 300]);
    let delivery = Delivery::new(&format!("e{n}"), payload).unwrap().with_steps(5).unwrap();
    let delivery = if n.is_multiple_of(2) {
        delivery
    } else {
        delivery.with_external_id(&format!("x{n}")).unwrap()
    };
    match window_of(n) {
        Some(w) => {
            delivery.with_window(WindowKey::new("user", &format!("d{n}"), window(w)).unwrap())
        }
        None => delivery,
    }
}

impl Host {
    /// The same host with another disk, its process gone.
    fn moved_to(&self, rig: Rig) -> Self {
        Self { rig, store: None, ..self.clone() }
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let store = match &self.store {
            Some(store) => store.clone(),
            None => self.store.insert(self.rig.try_open()?).clone(),
        };
        match step {
            Receive(n) => {
                self.notes.entry(*n).or_default();
                let told = store.inbox().receive(&delivery(*n))?;
                let note = self.notes.get_mut(n).unwrap();
                match (told, note.lsn) {
                    (Received::Fresh { lsn }, None) => note.lsn = Some(lsn),
                    (Received::Duplicate { lsn, .. }, Some(known)) if lsn == known => {}
                    other => panic!("{n}: {other:?}"),
                }
            }
            Progress(n, step) => {
                let note = self.notes.get_mut(n).unwrap();
                note.perhaps_done = *step;
                store.inbox().progress(note.lsn.unwrap(), *step)?;
                note.done = *step;
            }
            Ack(n) => self.end(*n, DeliveryState::Acked, |lsn| store.inbox().ack(lsn))?,
            Fail(n) => self.end(*n, DeliveryState::Failed, |lsn| store.inbox().fail(lsn, "no"))?,
            Open(w, ms) => {
                if self.windows.get(w) != Some(&Some(true)) {
                    self.windows.insert(*w, None);
                }
                store.inbox().open_window(&window(*w), Duration::from_millis(*ms))?;
                self.windows.insert(*w, Some(true));
            }
            Close(w) => {
                self.may_end(*w);
                store.inbox().close_window(&window(*w))?;
                self.has_ended(*w);
            }
            Churn(first) => {
                let events: Vec<_> = (*first..first + 4).map(|n| sized_event(n, 50_000)).collect();
                store.capture_batch(&events)?;
                let answer = |n| Answer::Accepted { receipt: Some(receipt(n)) };
                let settle = |n| Settlement { scope: sales(), key: key(n), answer: answer(n) };
                store.settle(&(*first..first + 4).map(settle).collect::<Vec<_>>())?;
            }
            Advance(ms) => {
                // Window 2 is over then.
                self.rig.clock.advance(*ms);
                self.may_end(2);
                store.tick()?;
                self.has_ended(2);
            }
            End => {
                self.store = None;
                store.close()?;
            }
        }
        Ok(())
    }

    fn end(
        &mut self,
        n: u64,
        state: DeliveryState,
        call: impl Fn(Lsn) -> Result<Lsn>,
    ) -> Result<()> {
        let note = self.notes.get_mut(&n).unwrap();
        note.perhaps = Some(state);
        call(note.lsn.unwrap())?;
        note.end = note.perhaps.take();
        Ok(())
    }

    fn may_end(&mut self, w: u64) {
        self.windows.insert(w, None);
        let of_it = self
            .notes
            .iter_mut()
            .filter(|(n, note)| window_of(**n) == Some(w) && note.end.is_none());
        of_it.for_each(|(_, note)| note.perhaps = Some(DeliveryState::Dropped));
    }

    fn has_ended(&mut self, w: u64) {
        self.windows.insert(w, Some(false));
        for note in self.notes.values_mut() {
            note.end = note.perhaps.take().or(note.end);
        }
    }
}

/// What the host does. Every chapter begins by opening the store.
fn script() -> Vec<Vec<Step>> {
    vec![
        vec![Open(1, 9_000_000), Receive(1), Receive(2), Receive(101), Progress(1, 2), Receive(1)],
        vec![Ack(2), Fail(101), Progress(1, 3), Receive(102), Receive(3), End],
        vec![Open(2, 600_000), Receive(201), Receive(202), Ack(202), Churn(0), Churn(10)],
        vec![Ack(3), Churn(20), Churn(30), Progress(1, 4), Churn(40), Open(1, 9_000_000)],
        vec![Advance(600_000), Receive(4), Churn(50), Churn(60), End],
        vec![Ack(102), Churn(70), Receive(5), Churn(80), Close(1), Churn(90)],
        vec![Receive(6), Ack(4), Churn(100), Churn(110), Fail(6), Churn(120), End],
    ]
}

/// The host as it is before each chapter, and the operations of that chapter.
fn chapters() -> Vec<(Host, Vec<Step>, Vec<u64>)> {
    let (notes, windows) = (BTreeMap::new(), BTreeMap::new());
    let mut host = Host { rig: Rig::new(), store: None, notes, windows };
    let mut found = Vec::new();
    for steps in script() {
        let before = host.moved_to(host.rig.after_kill());
        steps.iter().for_each(|step| host.step(step).unwrap());
        let ops = host.rig.disk.changing_ops();
        found.push((before, steps, ops));
        host = host.moved_to(host.rig.after_kill());
    }
    found
}

/// Holds what is found on `rig` against what `host` was told.
fn check(host: &Host, rig: &Rig, context: &str) {
    let store = rig.try_open().unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_eq!(store.recovery().damage, [], "{context}");
    assert_eq!(rig.look().recovery().damage, [], "{context}");
    let status = store.inbox().status();
    let mut found = Vec::new();
    for (n, note) in &host.notes {
        let what = format!("delivery {n}, {note:?}: {context}");
        if let Some((lsn, state)) = look_up(host, &store, *n, &what) {
            check_end(&store, (*n, note), (lsn, state), &what);
            found.push(state);
        }
    }
    let open = found.iter().filter(|state| **state == DeliveryState::Open).count() as u64;
    let finished = found.len() as u64 - open;
    assert_eq!((status.open, status.finished), (open, finished), "{context}");
    // What was shown is durable, and the store goes on.
    let before = (store.inbox().status().open, store.inbox().status().finished);
    drop(store);
    let store = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(before, (store.inbox().status().open, store.inbox().status().finished), "{context}");
    assert_eq!(store.inbox().status().dropped, status.dropped, "{context}");
    let new = Delivery::new("new", Payload::bytes(vec![1])).unwrap();
    let Received::Fresh { lsn } = store.inbox().receive(&new).unwrap() else { panic!("{context}") };
    store.inbox().ack(lsn).unwrap();
}

/// Delivers again; returns what is known, if it should be.
fn look_up(host: &Host, store: &Store, n: u64, what: &str) -> Option<(Lsn, DeliveryState)> {
    let note = &host.notes[&n];
    match store.inbox().receive(&delivery(n)).unwrap_or_else(|error| panic!("{error}: {what}")) {
        Received::Duplicate { lsn, state } => {
            assert!(note.lsn.is_none_or(|known| known == lsn), "{what}");
            Some((lsn, state))
        }
        Received::Fresh { .. } => {
            assert_eq!(note.lsn, None, "{what}");
            None
        }
        told => {
            assert_eq!(told, Received::Dropped { why: DropReason::WindowNotOpen }, "{what}");
            assert_ne!(host.windows.get(&window_of(n).unwrap()), Some(&Some(true)), "{what}");
            let may_be = [note.end, note.perhaps].contains(&Some(DeliveryState::Dropped));
            assert!(may_be || note.lsn.is_none(), "{what}");
            None
        }
    }
}

/// How a delivery ended, and the event that tells so: never one without the other.
fn check_end(store: &Store, (n, note): (u64, &Note), found: (Lsn, DeliveryState), what: &str) {
    let (lsn, state) = found;
    let answer = |prefix: &str| {
        let key = Key::new(&format!("{prefix}:e{n}")).unwrap();
        store.outcome(&Scope::new("inbox").unwrap(), &key).unwrap().lsn
    };
    let (acked, failed) = (answer("ack"), answer("fail"));
    assert_eq!(acked.is_some(), state == DeliveryState::Acked, "{state}, {what}");
    assert_eq!(failed.is_some(), state == DeliveryState::Failed, "{state}, {what}");
    match state {
        DeliveryState::Open => {
            assert_eq!(note.end, None, "{what}");
            let next = store.inbox().resume(lsn).unwrap();
            let fitting = [note.done, note.perhaps_done].map(|done| (done < 5).then_some(done + 1));
            assert!(fitting.contains(&next), "{next:?}, {what}");
            let stored = store.inbox().get(lsn).unwrap().unwrap();
            assert_eq!(stored.delivery, delivery(n), "{what}");
        }
        DeliveryState::OutcomeUnknown => panic!("nothing is damaged, {what}"),
        DeliveryState::Acked | DeliveryState::Failed | DeliveryState::Dropped => {
            assert!([note.end, note.perhaps].contains(&Some(state)), "{state}, {what}");
            let acks = state == DeliveryState::Acked;
            let again = if acks { store.inbox().ack(lsn) } else { store.inbox().fail(lsn, "no") };
            assert_eq!(again.ok(), acked.or(failed), "{what}");
        }
    }
}

/// Cuts at every operation, in `parts` parts.
fn cut_everywhere(part: usize, parts: usize) {
    let (mut states, mut ops) = (0, 0);
    for (chapter, (before, steps, cuts)) in chapters().into_iter().enumerate() {
        for op in cuts.into_iter().skip(part).step_by(parts) {
            let mut host = before.moved_to(before.rig.after_kill());
            host.rig.clock = HandClock::new();
            host.rig.disk.cut_power_at(op);
            let ended = steps.iter().try_for_each(|step| host.step(step));
            assert!(host.rig.disk.is_cut(), "the operation was reached");
            if let Err(error) = ended {
                let is_dead = matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned);
                assert!(is_dead, "chapter {chapter}, op {op}: {error}");
            }
            host.store = None;
            ops += 1;
            let sector_bytes = if op % 2 == 0 { 512 } else { 4096 };
            let seeded = Survival::Seeded { seed: op, sector_bytes };
            let other = if op % 4 < 2 { seeded } else { Survival::Everything };
            for survival in [Survival::Nothing, other] {
                let context = format!("chapter {chapter}, op {op}, {survival:?}");
                check(&host, &host.rig.after_power_cut(&survival), &context);
                states += 1;
            }
        }
    }
    println!("{states} crash states at {ops} operations (part {part} of {parts})");
    assert!(states > 100 && ops > 30, "{states} states at {ops} operations");
}

#[test]
fn the_script_reaches_what_it_is_for() {
    let chapters = chapters();
    for (before, steps, _) in &chapters {
        let rig = Rig { clock: HandClock::new(), ..before.rig.after_kill() };
        check(before, &rig, &format!("before {steps:?}"));
    }
    let (host, ..) = chapters.last().unwrap();
    let store = host.rig.after_kill().open();
    assert!(store.inner.log.segments()[0].number > 3, "segments were trimmed");
    assert_eq!(store.inbox().status().dropped, 1);
    let ends = |state| host.notes.values().filter(|note| note.end == Some(state)).count();
    assert_eq!((ends(DeliveryState::Acked), ends(DeliveryState::Failed)), (4, 1));
}

#[test]
fn every_crash_state_of_the_inbox_keeps_what_was_told_first_part() {
    cut_everywhere(0, 2);
}

#[test]
fn every_crash_state_of_the_inbox_keeps_what_was_told_second_part() {
    cut_everywhere(1, 2);
}
