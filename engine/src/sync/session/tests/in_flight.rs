//! Several batches on their way at once.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::event::Lane;
use crate::sync::{Answered, Failure, payloads};
use crate::testing::Rig;
use crate::testing::draw::Draw;

fn wide(store: &Store, count: usize) -> Session {
    Session::start(store, options().with_window(count), payloads()).unwrap()
}

/// All that may be sent now.
fn all(session: &mut Session, now_ms: u64) -> Vec<Batch> {
    let mut sent = Vec::new();
    loop {
        match session.next(now_ms).unwrap() {
            Step::Send(batch) => sent.push(batch),
            _ => return sent,
        }
    }
}

fn accept(session: &mut Session, batch: &Batch, now_ms: u64) {
    let items = batch.items().map(|item| (item.key.to_owned(), accepted()));
    session.on_reply(batch.id, &Reply::of(items.collect()), now_ms).unwrap();
}

fn away() -> Failure {
    let (why, answered) = ("timeout".to_owned(), Answered::Nobody);
    Failure::Unavailable { why, retry_after_ms: None, answered }
}

#[test]
fn one_more_goes_with_each_answer_and_they_may_come_in_any_order() {
    let store = Rig::new().open();
    capture(&store, 1..=100);
    let mut session = wide(&store, 4);
    let mut out = all(&mut session, 0);
    assert_eq!(out.len(), 1, "the first shows whether anybody is there");
    for expected in [2, 3, 4, 4, 4] {
        // The last first.
        let batch = out.pop().unwrap();
        accept(&mut session, &batch, 0);
        out.extend(all(&mut session, 0));
        assert_eq!(out.len(), expected);
        assert!(matches!(session.next(0).unwrap(), Step::Await));
    }
    let numbers: BTreeSet<u64> =
        out.iter().flat_map(|batch| batch.items().map(|item| item.lsn.get())).collect();
    assert_eq!(numbers.len(), 16, "each event is in one of them");
    while let Some(batch) = out.pop() {
        accept(&mut session, &batch, 0);
        out.extend(all(&mut session, 0));
    }
    assert_eq!((store.status().settled, session.report().accepted), (100, 100));
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
}

/// The upstream's answer to a batch that it took as the `count`-th of its history.
fn accept_as(session: &mut Session, batch: &Batch, count: u64) {
    let items = batch.items().map(|item| (item.key.to_owned(), accepted()));
    let mut reply = Reply::of(items.collect());
    reply.mark = Some(format!("{} {count} digest", batch.idempotency_key));
    session.on_reply(batch.id, &reply, 0).unwrap();
}

/// The batches by which the upstream finds that a batch goes on with its history.
fn known_by(batch: &Batch) -> BTreeSet<String> {
    let of_mark = batch.mark.split(' ').next().map(str::to_owned);
    batch.own.iter().cloned().chain(of_mark).collect()
}

#[test]
fn whichever_of_several_the_upstream_took_last_the_next_batch_goes_on_with_it() {
    for is_resent_first in [false, true] {
        let store = Rig::new().open();
        capture(&store, 1..=16);
        let options = options().with_window(2).with_history();
        let mut session = Session::start(&store, options, payloads()).unwrap();
        let first = batch(&mut session, 0);
        accept_as(&mut session, &first, 1);
        let (one, other) = (batch(&mut session, 0), batch(&mut session, 0));
        assert_eq!(known_by(&other), [&first, &one].map(|b| b.idempotency_key.clone()).into());
        // Its key was refused, so that it is sent after the other one, and the upstream takes them in their order.
        let blocked = Failure::Blocked { why: "the key is expired".to_owned() };
        session.on_failure(one.id, &blocked, 0).unwrap();
        session.on_new_key();
        let one = batch(&mut session, 0);
        let answers = match is_resent_first {
            true => [(&one, 2), (&other, 3)],
            false => [(&other, 3), (&one, 2)],
        };
        for (batch, count) in answers {
            accept_as(&mut session, batch, count);
        }
        drop(session);
        let options = super::options().with_history();
        let mut session = Session::start(&store, options, payloads()).unwrap();
        let last = batch(&mut session, 0);
        assert!(known_by(&last).contains(&other.idempotency_key), "{:?}", known_by(&last));
        // It was alone, so nothing else can be the last one.
        accept_as(&mut session, &last, 4);
        capture(&store, 17..=17);
        let after = batch(&mut session, 0);
        assert_eq!(known_by(&after), [last.idempotency_key].into());
    }
}

#[test]
fn a_line_that_fails_for_all_of_them_failed_once_and_the_same_batches_go_again_one_at_first() {
    let store = Rig::new().open();
    capture(&store, 1..=40);
    let mut session = wide(&store, 4);
    let mut out = all(&mut session, 0);
    for _ in 0..3 {
        let batch = out.remove(0);
        accept(&mut session, &batch, 0);
        out.extend(all(&mut session, 0));
    }
    assert_eq!(out.len(), 4);
    let keys: BTreeSet<String> = out.iter().map(|batch| batch.idempotency_key.clone()).collect();
    out.iter().for_each(|batch| session.on_failure(batch.id, &away(), 0).unwrap());
    let until_ms = wait(&mut session, 0);
    assert!((1_000..=2_000).contains(&until_ms), "the first wait, and not the fourth: {until_ms}");
    let mut again = BTreeSet::new();
    let mut out = all(&mut session, until_ms);
    assert_eq!(out.len(), 1);
    while again.len() < 4 {
        let batch = out.remove(0);
        again.insert(batch.idempotency_key.clone());
        accept(&mut session, &batch, until_ms);
        out.extend(all(&mut session, until_ms));
    }
    assert_eq!(again, keys);
}

#[test]
fn what_is_answered_for_an_earlier_attempt_changes_nothing() {
    let store = Rig::new().open();
    capture(&store, 1..=8);
    let mut session = wide(&store, 2);
    let first = batch(&mut session, 0);
    session.on_failure(first.id, &away(), 0).unwrap();
    // The reply comes although nobody waits for it any more; and twice.
    accept(&mut session, &first, 0);
    assert_eq!(store.status().settled, 0, "it is not on its way");
    let until_ms = wait(&mut session, 0);
    let again = batch(&mut session, until_ms);
    assert_eq!(again.id, first.id);
    accept(&mut session, &again, until_ms);
    accept(&mut session, &again, until_ms);
    assert_eq!((store.status().settled, session.report().accepted), (4, 4));
}

#[test]
fn after_a_crash_all_that_was_on_its_way_goes_again_as_it_was() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=40);
    let mut session = wide(&store, 4);
    let mut out = all(&mut session, 0);
    while out.len() < 4 {
        let batch = out.remove(0);
        accept(&mut session, &batch, 0);
        out.extend(all(&mut session, 0));
    }
    let sent = |out: &[Batch]| -> BTreeMap<String, Vec<String>> {
        out.iter().map(|batch| (batch.idempotency_key.clone(), batch.item_keys())).collect()
    };
    let before = sent(&out);
    let killed = rig.after_kill();
    drop(session);
    let store = killed.open();
    let mut session = wide(&store, 4);
    let mut again = BTreeMap::new();
    let mut out = all(&mut session, 0);
    while again.len() < 4 {
        let batch = out.remove(0);
        again.extend(sent(std::slice::from_ref(&batch)));
        accept(&mut session, &batch, 0);
        out.extend(all(&mut session, 0));
    }
    assert_eq!(again, before);
}

/// Replies, losses and refusals in any order over many lanes: at no time are two events of a lane on their way, and an
/// event is answered only after all before it in its lane.
#[test]
fn of_a_lane_one_event_is_on_its_way_and_they_take_effect_in_order_whatever_becomes_of_each() {
    for seed in 0..60 {
        let store = Rig::new().open();
        let mut draw = Draw(seed);
        let events: Vec<_> = (1..=120)
            .map(|n| event(n).with_lane(Lane::new(&format!("card-{}", n % 9)).unwrap()))
            .collect();
        store.capture_batch(&events).unwrap();
        let mut session = wide(&store, 6);
        let (mut out, mut now_ms, mut done): (Vec<Batch>, u64, BTreeMap<u64, u64>) =
            Default::default();
        let mut pending = 120;
        for step in 0.. {
            if pending == 0 {
                break;
            }
            assert!(step < 10_000, "seed {seed}: {pending} left, {:?}", session.report());
            out.extend(all(&mut session, now_ms));
            let lanes: Vec<u64> =
                out.iter().flat_map(|batch| batch.items().map(number)).map(|n| n % 9).collect();
            assert_eq!(
                lanes.iter().collect::<BTreeSet<_>>().len(),
                lanes.len(),
                "seed {seed}: {lanes:?}"
            );
            if out.is_empty() {
                let Step::Wait { until_ms } = session.next(now_ms).unwrap() else {
                    panic!("seed {seed}: {:?}, {:?}", session.report(), store.status())
                };
                now_ms = until_ms;
                continue;
            }
            let at = usize::try_from(draw.below(u64::try_from(out.len()).unwrap())).unwrap();
            let batch = out.swap_remove(at);
            if draw.below(5) == 0 {
                session.on_failure(batch.id, &away(), now_ms).unwrap();
                continue;
            }
            let mut items = Vec::new();
            for item in batch.items() {
                let n = number(item);
                let outcome = match draw.below(6) {
                    0 => transient(None),
                    1 => continue,
                    _ => {
                        let before = done.insert(n % 9, n).unwrap_or(0);
                        assert!(before < n, "seed {seed}: {n} took effect after {before}");
                        pending -= 1;
                        accepted()
                    }
                };
                items.push((item.key.to_owned(), outcome));
            }
            session.on_reply(batch.id, &Reply::of(items), now_ms).unwrap();
        }
        assert_eq!(store.status().settled, 120);
    }
}

fn number(item: crate::sync::Item<'_>) -> u64 {
    item.key[1..].parse().unwrap()
}

#[test]
fn what_is_captured_while_a_backlog_drains_goes_beside_it_in_the_proportion_that_was_chosen() {
    let store = Rig::new().open();
    capture(&store, 1..=90);
    let mixed = options().with_items_max(9).with_fresh_first(2, 1);
    let mut session = Session::start(&store, mixed, payloads()).unwrap();
    assert_eq!(batch(&mut session, 0).item_keys()[8], "k9", "nothing is fresh yet");
    session.on_abandoned();
    capture(&store, 91..=100);
    let first = again(&mut session, 0);
    accept(&mut session, &first, 0);
    let second = batch(&mut session, 0);
    let keys = second.item_keys();
    assert_eq!(keys[..3], ["k10", "k11", "k12"]);
    assert_eq!(keys[3..], ["k91", "k92", "k93", "k94", "k95", "k96"]);
    accept(&mut session, &second, 0);
    let third = batch(&mut session, 0);
    assert_eq!(third.item_keys()[4..], ["k17", "k97", "k98", "k99", "k100"], "{third:?}");
    accept(&mut session, &third, 0);
    assert_eq!(batch(&mut session, 0).item_keys().len(), 9, "what one side leaves the other takes");
}

#[test]
fn a_lone_fresh_event_is_not_kept_from_going_by_a_short_backlog() {
    let store = Rig::new().open();
    let mixed = options().with_fresh_first(1, 9);
    let mut session = Session::start(&store, mixed, payloads()).unwrap();
    capture(&store, 1..=10);
    let first = batch(&mut session, 0);
    assert_eq!(first.item_keys(), ["k1", "k2", "k3", "k4"], "there is no backlog");
}
