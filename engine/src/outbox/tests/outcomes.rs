//! What is known of a key after its event's frames are gone: nothing less, and not for ever.

use std::collections::BTreeMap;

use onceward_vfs::{SimVfs, Survival};
use onceward_wal::Lsn;

use crate::base::Located;
use crate::base::{FrameKind, codec};
use crate::capture::Effect;
use crate::config::Retain;
use crate::kernel::KeysFrame;
use crate::testing::{Rig, WINDOW_MS, event, key, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Event, Outcome, Receipt, State, Store, Verdict};

/// Events that are settled in five different ways.
const EVENTS: u64 = 60;

/// Captures and settles events `first..first + count` of about `bytes` bytes each.
fn round(store: &Store, first: u64, count: u64, bytes: usize) {
    let events: Vec<Event> = (first..first + count).map(|n| sized_event(n, bytes)).collect();
    store.capture_batch(&events).unwrap();
    let accepted = |n| settlement(n, Answer::Accepted { receipt: None });
    store.settle(&(first..first + count).map(accepted).collect::<Vec<_>>()).unwrap();
}

/// Rounds of about a segment each, with numbers from `first` on, until `is_enough`.
fn rounds_until(store: &Store, first: u64, is_enough: impl Fn() -> bool) {
    for n in 0..100 {
        if is_enough() {
            return;
        }
        round(store, first + n * 100, 50, 4_000);
    }
    panic!("100 rounds were not enough");
}

fn settlement(n: u64, answer: Answer) -> Settlement {
    Settlement { scope: sales(), key: key(n), answer }
}

/// Where the frame is that holds the carried key of an event.
fn holder(store: &Store, lsn: Lsn) -> Option<Located> {
    let state = store.inner.state.lock();
    let events = state.outbox.events();
    events.outcomes().get(lsn.get())?;
    events.outcome_at(&state.kernel, lsn.get())
}

/// The answer that event `n` of [`EVENTS`] gets, as it is to be told for ever; neighbours differ.
fn told(n: u64) -> (State, Option<Receipt>) {
    match n % 5 {
        0 => (State::Accepted, Some(receipt(n))),
        1 => (State::Duplicate, Some(receipt(n))),
        2 => (State::Accepted, None),
        3 => (State::Rejected, None),
        _ => (State::Pending, None),
    }
}

/// Captures [`EVENTS`] events, whose numbers are consecutive, and settles each in its way.
fn settle_in_five_ways(store: &Store) -> Vec<Verdict> {
    let verdicts = store.capture_batch(&(0..EVENTS).map(event).collect::<Vec<_>>()).unwrap();
    let answers = (0..EVENTS).filter(|n| told(*n).0 != State::Pending).map(|n| {
        let answer = match told(n) {
            (State::Accepted, receipt) => Answer::Accepted { receipt },
            (State::Duplicate, receipt) => Answer::Duplicate { receipt },
            _ => Answer::Rejected { code: "C".into(), message: "m".into(), reply: vec![] },
        };
        settlement(n, answer)
    });
    store.settle(&answers.collect::<Vec<_>>()).unwrap();
    let refused = (0..EVENTS).filter(|n| told(*n).0 == State::Rejected);
    refused.for_each(|n| store.reviews().resolve(&sales(), &key(n), "done").unwrap());
    verdicts
}

#[test]
fn every_answer_is_told_by_key_after_its_frames_moved_again_and_again_and_after_reopening() {
    let rig = Rig::new();
    let mut store = rig.open();
    let verdicts = settle_in_five_ways(&store);
    let check = |store: &Store, turn: u64| {
        for (n, verdict) in (0..EVENTS).zip(&verdicts) {
            let (lsn, (state, receipt)) = (verdict.lsn(), told(n));
            let outcome = Outcome { state, lsn: Some(lsn), receipt };
            assert_eq!(store.outcome(&sales(), &key(n)).unwrap(), outcome, "{n}, turn {turn}");
            let again = store.capture(&event(n)).unwrap();
            assert_eq!(again, Verdict::Duplicate { lsn, state }, "{n}, turn {turn}");
        }
    };
    check(&store, 0);
    let first = verdicts[0].lsn();
    for turn in 1..=3 {
        let before = holder(&store, first);
        assert_eq!(before.is_none(), turn == 1, "control: the first turn carries the key");
        rounds_until(&store, turn * 100_000, || holder(&store, first) != before);
        check(&store, turn);
        if turn == 2 {
            drop(store);
            store = rig.open();
            check(&store, turn);
        }
    }
    check(&rig.after_kill().open(), 4);
    store.close().unwrap();
    check(&rig.open(), 5);
}

#[test]
fn receipts_of_effects_are_told_by_key_after_two_moves_and_a_reopening() {
    let rig = Rig::new();
    let store = rig.open();
    let effect = |n| Effect { event: event(n), receipt: receipt(n) };
    let applied = store.apply_batch(&(0..30).map(effect).collect::<Vec<_>>()).unwrap();
    assert_eq!(applied.len(), 30);
    let first = store.outcome(&sales(), &key(0)).unwrap().lsn.unwrap();
    for turn in 1..=2 {
        let before = holder(&store, first);
        rounds_until(&store, turn * 100_000, || holder(&store, first) != before);
    }
    for store in [&store, &rig.after_kill().open()] {
        for n in 0..30 {
            let outcome = store.outcome(&sales(), &key(n)).unwrap();
            assert_eq!(
                (outcome.state, outcome.receipt),
                (State::Accepted, Some(receipt(n))),
                "{n}"
            );
        }
        let carried =
            store.inner.state.lock().outbox.events().outcomes().get(first.get()).map(|it| it.state);
        assert_eq!(carried, Some(State::Accepted), "control");
    }
}

/// P5: what is known of keys that expired goes with the frames that held it.
#[test]
fn answers_take_no_more_room_however_many_keys_came_and_went() {
    let rig = Rig::new();
    let store = rig.open();
    let mut spans = Vec::new();
    for n in 0..60 {
        round(&store, n * 500, 500, 300);
        rig.clock.advance(180_000);
        let state = store.inner.state.lock();
        spans.push(state.outbox.events().outcomes().len());
        let segments = store.inner.log.segments();
        let is_there = |at: Located| segments.iter().any(|s| s.number == at.place.segment);
        assert!(state.kernel.dependencies.places().all(is_there), "round {n}");
    }
    let most = |part: &[usize]| part.iter().copied().max().unwrap();
    let (early, late) = (most(&spans[..40]), most(&spans[40..]));
    assert!(early > 0, "control: keys are carried");
    // 20 rounds a window, a span or two of each, and the segments that wait to be cleaned.
    assert!(late <= early + 5 && late <= 30, "{spans:?}");
    rig.clock.advance(2 * WINDOW_MS);
    store.tick().unwrap();
    let last_lsn = store.inner.log.synced();
    let last = store.inner.log.segments().last().unwrap().number;
    let oldest = || store.inner.log.segments()[0].number;
    rounds_until(&store, 1_000_000, || oldest() > last);
    let state = store.inner.state.lock();
    let is_old = |n: &u64| state.outbox.events().outcomes().get(*n).is_some();
    assert_eq!((1..last_lsn).filter(is_old).count(), 0, "all that held them is gone");
}

/// The outcome of an expired key's event may stay a while; the key is free all the same.
#[test]
fn what_is_still_known_of_an_expired_key_is_not_said_of_the_event_that_comes_after() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    store.settle(&[settlement(1, Answer::Accepted { receipt: Some(receipt(1)) })]).unwrap();
    let first = store.outcome(&sales(), &key(1)).unwrap().lsn.unwrap();
    rounds_until(&store, 1_000, || holder(&store, first).is_some());
    rig.clock.advance(2 * WINDOW_MS);
    store.inner.expire_now();
    assert!(holder(&store, first).is_some(), "control: its answer is still known");
    let unknown = Outcome { state: State::Unknown, lsn: None, receipt: None };
    assert_eq!(store.outcome(&sales(), &key(1)).unwrap(), unknown);
    let second = store.capture(&event(1)).unwrap();
    assert!(matches!(second, Verdict::Fresh { lsn } if lsn > first), "{second:?}");
    let expected = Outcome { state: State::Pending, lsn: Some(second.lsn()), receipt: None };
    for store in [&store, &rig.after_kill().open()] {
        assert_eq!(store.outcome(&sales(), &key(1)).unwrap(), expected);
    }
    // The old key is not carried on, and what is known of it ends with the frame that holds it.
    rounds_until(&store, 100_000, || holder(&store, first).is_none());
    assert_eq!(carried(&rig.disk).get(&first.get()), None);
    for store in [&store, &rig.after_kill().open()] {
        assert_eq!(store.outcome(&sales(), &key(1)).unwrap(), expected);
        assert_eq!(store.inner.state.lock().outbox.events().outcomes().get(first.get()), None);
    }
}

/// How many frames of a log hold the carried key of each event.
fn carried(disk: &SimVfs) -> BTreeMap<u64, usize> {
    let mut carried = BTreeMap::new();
    onceward_wal::examine(disk, &mut |frame| {
        if frame.kind == FrameKind::Keys.code() {
            let keys: KeysFrame = codec::decode(frame.body).unwrap();
            keys.entries.iter().for_each(|key| *carried.entry(key.event).or_default() += 1);
        }
    })
    .unwrap();
    carried
}

/// A store with much to clean at once: bodies, and keys that were carried before. Returns the numbers
/// of its [`EVENTS`] events.
fn full_of_settled(rig: &Rig) -> Vec<Lsn> {
    let store = rig.open();
    let verdicts = settle_in_five_ways(&store);
    let lsns: Vec<Lsn> = verdicts.iter().map(Verdict::lsn).collect();
    rounds_until(&store, 1_000, || holder(&store, lsns[0]).is_some());
    drop(store);
    let store =
        Rig { config: rig.config.clone().with_retain(Retain::Everything), ..rig.clone() }.open();
    (0..8).for_each(|n| round(&store, 100_000 + n * 100, 50, 4_000));
    lsns
}

/// Events that stand in the log and whose keys were carried all the same.
fn in_two_places(store: &Store) -> usize {
    let state = store.inner.state.lock();
    let events = state.outbox.events();
    let settled = events.packed().settled_between(..);
    settled.filter(|(lsn, _)| events.outcomes().get(*lsn).is_some()).count()
}

/// A crash between carrying and trimming leaves events and keys in two places.
#[test]
fn a_cleaning_that_is_cut_anywhere_forgets_nothing_and_goes_on_without_carrying_a_key_again() {
    let rig = Rig::new();
    let lsns = full_of_settled(&rig);
    let control = rig.after_kill();
    let store = control.open();
    let (before, opened) = (holder(&store, lsns[0]), control.disk.op_count());
    store.tick().unwrap();
    assert_ne!(holder(&store, lsns[0]), before, "control: carried again");
    let (mut twice_carried, mut carried_and_there) = (0, 0);
    for op in control.disk.changing_ops().into_iter().filter(|op| *op >= opened) {
        let cut = rig.after_kill();
        let store = cut.open();
        cut.disk.cut_power_at(op);
        // Nobody hears of a summary that could not be written or removed.
        drop(store.tick());
        assert!(cut.disk.is_cut(), "op {op}");
        {
            let state = store.inner.state.lock();
            let events = state.outbox.events();
            for (n, lsn) in (0..).zip(&lsns) {
                assert_eq!(events.state_of(lsn.get()), told(n).0, "op {op}: {n}");
                let is_final = events.state_of(lsn.get()).is_final();
                assert_eq!(
                    events.outcome_at(&state.kernel, lsn.get()).is_some(),
                    is_final,
                    "op {op}: {n}"
                );
            }
        }
        let rig = cut.after_power_cut(&Survival::Everything);
        twice_carried += carried(&rig.disk).values().filter(|count| **count == 2).count();
        let store = rig.open();
        carried_and_there += in_two_places(&store);
        // Settling cleans too, and events that were just carried whole are among those settled.
        let accepted = |n| settlement(n, Answer::Accepted { receipt: None });
        let waiting = (0..EVENTS).filter(|n| told(*n).0 == State::Pending);
        store.settle(&waiting.map(accepted).collect::<Vec<_>>()).unwrap();
        assert_eq!(in_two_places(&store), 0, "op {op}");
        let carried = carried(&rig.disk);
        assert!(carried.contains_key(&lsns[0].get()), "control");
        assert!(carried.values().all(|count| *count == 1), "op {op}: {carried:?}");
        for store in [&store, &rig.after_kill().open()] {
            for n in 0..EVENTS {
                let outcome = store.outcome(&sales(), &key(n)).unwrap();
                let expected = match told(n) {
                    (State::Pending, _) => (State::Accepted, None),
                    told => told,
                };
                assert_eq!((outcome.state, outcome.receipt), expected, "op {op}: {n}");
            }
        }
    }
    assert!(twice_carried > 0 && carried_and_there > 0, "control: both kinds were interrupted");
}
