//! Several scopes over a line that comes and goes.

use super::*;
use crate::State;
use crate::event::{Event, Key, Payload};
use crate::sync::{Answered, Batch, Failure, ItemOutcome, KeyRule, Reply, SyncState, payloads};
use crate::testing::Rig;

fn scope(name: &str) -> Scope {
    Scope::new(name).unwrap()
}

fn capture(store: &Store, name: &str, numbers: std::ops::Range<u32>) {
    let event = |n: u32| {
        let key = Key::new(&format!("k{n}")).unwrap();
        Event::new(scope(name), key, Payload::json("{}").unwrap())
    };
    store.capture_batch(&numbers.map(event).collect::<Vec<_>>()).unwrap();
}

fn options(name: &str) -> Options {
    let options = Options::new(scope(name)).with_items_max(10).with_seed(7);
    if name == "default" { options } else { options.with_keys(KeyRule::ScopePrefix) }
}

/// A drain of these scopes, each with its weight.
fn drain(store: &Store, line: LineOptions, scopes: &[(&str, u32)]) -> Drain {
    let mut drain = Drain::new(store, line);
    for (name, weight) in scopes {
        drain.add(options(name), payloads(), *weight).unwrap();
    }
    drain
}

fn sent(step: Step) -> Batch {
    match step {
        Step::Send(batch) => batch,
        step => panic!("{step:?}"),
    }
}

fn accept(drain: &mut Drain, batch: &Batch, now_ms: u64) {
    let taken = |key: &str| (key.to_owned(), ItemOutcome::Accepted { receipt: None });
    let reply = Reply::of(batch.items().map(|item| taken(item.key)).collect());
    drain.on_reply(batch, &reply, now_ms).unwrap();
}

fn away() -> Failure {
    let (why, answered) = ("connection refused".to_owned(), Answered::Nobody);
    Failure::Unavailable { why, retry_after_ms: None, answered }
}

/// When it wants to be asked again.
fn wait(step: &Step) -> u64 {
    match step {
        Step::Wait { until_ms } => *until_ms,
        step => panic!("{step:?}"),
    }
}

#[test]
fn while_nobody_answers_connections_are_tried_and_the_first_that_opens_sends_at_once() {
    let store = Rig::new().open();
    capture(&store, "default", 0..3);
    capture(&store, "tips", 0..3);
    let mut drain = drain(&store, LineOptions::new(), &[("default", 1), ("tips", 1)]);
    let batch = sent(drain.next(0).unwrap());
    drain.on_failure(&batch, &away(), 0).unwrap();
    let (mut now_ms, mut probes) = (0, 0);
    while now_ms < 150_000 {
        match drain.next(now_ms).unwrap() {
            Step::Probe => {
                probes += 1;
                assert!(matches!(drain.next(now_ms).unwrap(), Step::Await), "one at a time");
                drain.on_probe(false, now_ms);
            }
            step => now_ms = wait(&step),
        }
    }
    assert!((25..=31).contains(&probes), "{probes}");
    assert!(matches!(drain.next(now_ms).unwrap(), Step::Probe));
    drain.on_probe(true, now_ms);
    for _ in 0..2 {
        let batch = sent(drain.next(now_ms).unwrap());
        accept(&mut drain, &batch, now_ms);
    }
    assert!(matches!(drain.next(now_ms).unwrap(), Step::Idle));
    assert_eq!((store.status().settled, drain.report().failures), (6, 1));
}

#[test]
fn a_host_that_says_that_the_line_is_back_is_believed_at_once_and_an_idle_line_is_not_probed() {
    let store = Rig::new().open();
    capture(&store, "default", 0..1);
    let mut drain = drain(&store, LineOptions::new(), &[("default", 1)]);
    let batch = sent(drain.next(0).unwrap());
    drain.on_failure(&batch, &away(), 0).unwrap();
    assert!(matches!(drain.next(0).unwrap(), Step::Wait { .. }));
    drain.on_online();
    let again = sent(drain.next(0).unwrap());
    assert_eq!(again.idempotency_key, batch.idempotency_key);
    drain.on_failure(&again, &away(), 0).unwrap();
    // Nothing is to be sent any more, so nobody is called.
    store
        .settle_range(
            &scope("default"),
            crate::Lsn::FIRST,
            crate::Lsn::from_u64(1_000).unwrap(),
            &crate::Answer::Accepted { receipt: None },
        )
        .unwrap();
    assert!(matches!(drain.next(60_000).unwrap(), Step::Idle));
}

#[test]
fn what_answers_is_no_dead_line_and_other_scopes_go_on() {
    let store = Rig::new().open();
    capture(&store, "default", 0..1);
    capture(&store, "tips", 0..1);
    let mut drain = drain(&store, LineOptions::new(), &[("default", 1), ("tips", 1)]);
    let batch = sent(drain.next(0).unwrap());
    let why = "busy".to_owned();
    let busy = Failure::Unavailable { why, retry_after_ms: None, answered: Answered::Stranger };
    drain.on_failure(&batch, &busy, 0).unwrap();
    let other = sent(drain.next(0).unwrap());
    assert_ne!(other.scope, batch.scope);
    accept(&mut drain, &other, 0);
    let until_ms = wait(&drain.next(0).unwrap());
    assert_eq!(sent(drain.next(until_ms).unwrap()).scope, batch.scope);
}

#[test]
fn scopes_share_the_line_by_their_weights_and_what_is_on_its_way_is_bounded() {
    let store = Rig::new().open();
    capture(&store, "default", 0..300);
    capture(&store, "tips", 0..300);
    let mut drain = Drain::new(&store, LineOptions::new().with_in_flight(3));
    for (name, weight) in [("default", 3), ("tips", 1)] {
        drain.add(options(name).with_window(8), payloads(), weight).unwrap();
    }
    let (mut parts, mut out) = ([0, 0], Vec::new());
    for _ in 0..40 {
        loop {
            match drain.next(0).unwrap() {
                Step::Send(batch) => out.push(batch),
                Step::Await => break,
                step => panic!("{step:?}"),
            }
        }
        assert!(out.len() <= 3);
        let batch = out.remove(0);
        parts[usize::from(batch.scope == scope("tips"))] += batch.items().len();
        accept(&mut drain, &batch, 0);
    }
    assert!(parts[0] >= 270 && (90..=110).contains(&parts[1]), "{parts:?}");
}

#[test]
fn no_more_goes_than_the_line_may_carry_and_no_batch_is_too_large_for_it() {
    let store = Rig::new().open();
    capture(&store, "default", 0..100);
    let line = LineOptions::new().with_bytes_per_second(Some(1_000));
    let mut drain = Drain::new(&store, line);
    let options = options("default").with_items_max(10_000).with_bytes_max(1_000_000);
    drain
        .add(
            options,
            std::sync::Arc::new(|_, _, item: &mut Vec<u8>| {
                item.resize(item.len() + 1_000, b'x');
                Ok(())
            }),
            1,
        )
        .unwrap();
    let (mut now_ms, mut bytes) = (0, 0);
    while now_ms < 60_000 {
        match drain.next(now_ms).unwrap() {
            Step::Send(batch) => {
                assert!(batch.bytes() <= 5_000, "{}", batch.bytes());
                bytes += batch.bytes() + 512;
                accept(&mut drain, &batch, now_ms);
            }
            step => now_ms = wait(&step),
        }
    }
    assert!((55_000..=66_000).contains(&bytes), "{bytes}");
}

#[test]
fn each_scope_is_drained_by_one_and_another_one_may_be_beside_it() {
    let store = Rig::new().open();
    let first = drain(&store, LineOptions::new(), &[("default", 1)]);
    let mut second = Drain::new(&store, LineOptions::new());
    let refused = second.add(options("default"), payloads(), 1).unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Fenced, "DRAINING"));
    second.add(options("tips"), payloads(), 1).unwrap();
    drop(first);
    second.add(options("default"), payloads(), 1).unwrap();
}

#[test]
fn what_came_last_is_in_the_status_and_written_down_on_change_once_a_minute() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, "default", 0..1);
    let mut drain = drain(&store, LineOptions::new(), &[("default", 1)]);
    assert!(store.status().sync.is_empty(), "nothing was sent");
    let fail = |drain: &mut Drain, now_ms| {
        drain.on_online();
        let batch = sent(drain.next(now_ms).unwrap());
        drain.on_failure(&batch, &away(), now_ms).unwrap();
        drain.next(now_ms).unwrap()
    };
    let step = fail(&mut drain, 0);
    let result = store.status().sync.remove(0);
    assert_eq!((result.state, result.what.as_str()), (SyncState::Waiting, "connection refused"));
    let wait_ms = i64::try_from(wait(&step)).unwrap();
    assert_eq!(result.next_ms, Some(result.at_ms + wait_ms));
    // The same again and again is written seldom: a dead line must not wear the disk.
    let frames = || rig.frame_count(crate::base::FrameKind::SyncResult);
    assert_eq!(frames(), 1);
    let mut now_ms = 0;
    let mut fail_for = |drain: &mut Drain, every_ms: u64, times: u64| {
        for _ in 0..times {
            rig.clock.advance(every_ms);
            now_ms += every_ms;
            fail(drain, now_ms);
        }
        (frames(), now_ms)
    };
    assert_eq!(fail_for(&mut drain, 10_000, 5).0, 1, "within a minute");
    assert_eq!(fail_for(&mut drain, 10_000, 14).0, 3, "after a minute, two, and three and a half");
    assert_eq!(fail_for(&mut drain, 300_000, 12).0, 6, "in an hour");
    let (count, mut now_ms) = fail_for(&mut drain, 300_000, 12 * 24);
    assert!((6 + 20..=6 + 24).contains(&count), "in a day: {count}");
    // What is new is written, but not more often than once a minute.
    drain.on_online();
    now_ms += 60_000;
    rig.clock.advance(60_000);
    let batch = sent(drain.next(now_ms).unwrap());
    accept(&mut drain, &batch, now_ms);
    drain.next(now_ms).unwrap();
    assert_eq!((store.status().sync[0].state, frames()), (SyncState::Good, count + 1));
    capture(&store, "default", 1..2);
    fail(&mut drain, now_ms + 1_000);
    assert_eq!((store.status().sync[0].state, frames()), (SyncState::Waiting, count + 1));
    rig.clock.advance(60_000);
    drain.next(now_ms + 61_000).unwrap();
    assert_eq!(frames(), count + 2, "a minute later, though nothing happened since");
    drop((drain, store));
    let store = rig.open();
    let kept = store.status().sync.remove(0);
    assert_eq!((kept.state, kept.what.as_str()), (SyncState::Waiting, "connection refused"));
    assert_eq!(
        store.outcome(&scope("default"), &Key::new("k0").unwrap()).unwrap().state,
        State::Accepted
    );
}

#[test]
fn an_event_that_can_never_be_sent_is_in_the_status_though_nothing_was_asked() {
    let store = Rig::new().open();
    capture(&store, "default", 0..1);
    let never: Form = std::sync::Arc::new(|_, _, _| {
        Err(crate::sync::Misfit {
            code: "INVALID_ITEM".to_owned(),
            message: "x: unknown".to_owned(),
        })
    });
    let mut drain = Drain::new(&store, LineOptions::new());
    drain.add(Options::new(scope("default")), never, 1).unwrap();
    assert!(matches!(drain.next(0).unwrap(), Step::Idle));
    let told = store.status().sync.remove(0);
    assert_eq!(told.state, SyncState::Waiting);
    assert!(
        told.what.contains("(k0) cannot be sent in this dialect for INVALID_ITEM: x: unknown"),
        "{}",
        told.what
    );
    assert!(told.what.contains("goes to review"), "{}", told.what);
}

#[test]
fn a_session_that_an_import_gave_another_rule_is_begun_anew_in_its_place() {
    let store = Rig::new().open();
    let mut drain = drain(&store, LineOptions::new(), &[("default", 1)]);
    let drained = &mut drain.scopes[0];
    drained.restart(&store).unwrap();
    assert_eq!(store.inner.draining.lock().len(), 1, "the claim is kept");
    drop(drain);
    assert!(store.inner.draining.lock().is_empty());
}

#[test]
fn while_the_time_is_asked_for_no_wait_that_is_over_makes_the_driver_spin() {
    const HOURS_MS: u64 = 2 * 60 * 60 * 1_000;
    let rig = Rig::new();
    rig.clock.name_boot(1);
    let store = rig.open();
    capture(&store, "default", 0..1);
    let mut drain = Drain::new(&store, LineOptions::new().with_probes(false));
    let options = options("default").with_horizon(std::time::Duration::from_hours(24));
    drain.add(options, payloads(), 1).unwrap();
    let batch = sent(drain.next(0).unwrap());
    drain.on_failure(&batch, &away(), 0).unwrap();
    assert!(wait(&drain.next(0).unwrap()) > 0, "the backoff");
    rig.clock.advance(HOURS_MS);
    assert!(matches!(drain.next(HOURS_MS).unwrap(), Step::AskTime(_)));
    assert!(matches!(drain.next(HOURS_MS + 1).unwrap(), Step::Await), "until the answer comes");
    drain.on_time_answer(&scope("default"), Some(&away()), HOURS_MS + 2).unwrap();
    assert!(wait(&drain.next(HOURS_MS + 2).unwrap()) > HOURS_MS + 2);
}
