//! What the upstream delivers takes effect once, and its end travels back.

use std::time::Duration;

use crate::inbox::{Delivery, DeliveryState, DropReason, Progress, Received, WindowId, WindowKey};
use crate::testing::{Rig, event, keys};
use crate::{ErrorKind, Lsn, Payload, Scope, State, Store};

pub(crate) const MINUTE_MS: u64 = 60_000;
pub(crate) const HOUR_MS: u64 = 60 * MINUTE_MS;

pub(crate) fn payload(n: u64) -> Payload {
    Payload::json(&format!(r#"{{"n":{n}}}"#)).unwrap()
}

/// Delivery number `n`, known by the number of its event.
pub(crate) fn delivery(n: u64) -> Delivery {
    Delivery::new(&format!("e{n}"), payload(n)).unwrap()
}

#[track_caller]
pub(crate) fn fresh(store: &Store, delivery: &Delivery) -> Lsn {
    match store.inbox().receive(delivery).unwrap() {
        Received::Fresh { lsn } => lsn,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn duplicate(lsn: Lsn, state: DeliveryState) -> Received {
    Received::Duplicate { lsn, state }
}

fn inbox() -> Scope {
    Scope::new("inbox").unwrap()
}

/// Keys of the events that tell the upstream.
pub(crate) fn answers(store: &Store) -> Vec<String> {
    keys(&store.pending(&inbox(), None, 1_000).unwrap())
}

pub(crate) fn open_numbers(store: &Store) -> Vec<Lsn> {
    store.inbox().list(None, 1_000).unwrap().into_iter().map(|it| it.lsn).collect()
}

#[test]
fn a_delivery_is_known_by_each_of_its_names() {
    let rig = Rig::new();
    let store = rig.open();
    let window = WindowId::new("w").unwrap();
    store.inbox().open_window(&window, Duration::from_millis(HOUR_MS)).unwrap();
    let named = |event: &str, external: &str, subject: &str| {
        let within = WindowKey::new(subject, "d", window.clone()).unwrap();
        let delivery = Delivery::new(event, payload(1)).unwrap();
        delivery.with_external_id(external).unwrap().with_window(within)
    };
    let lsn = fresh(&store, &named("e", "x", "s"));
    for store in [store, rig.after_kill().open()] {
        let known = duplicate(lsn, DeliveryState::Open);
        assert_eq!(store.inbox().receive(&named("e", "y", "t")).unwrap(), known);
        assert_eq!(store.inbox().receive(&named("f", "x", "t")).unwrap(), known);
        assert_eq!(store.inbox().receive(&named("f", "y", "s")).unwrap(), known);
        // A number of an event is no external number.
        let other = fresh(&store, &named("x", "e", "t"));
        assert_eq!(open_numbers(&store), [lsn, other]);
        assert_eq!(store.inbox().status().duplicates, 3);
    }
}

/// T56: a crash after step 2 of 5 resumes at 3; a lost answer is no restart.
#[test]
fn work_resumes_behind_the_last_step_that_was_noted() {
    let rig = Rig::new();
    let store = rig.open();
    let five = delivery(1).with_steps(5).unwrap();
    let lsn = fresh(&store, &five);
    assert_eq!(store.inbox().resume(lsn).unwrap(), Some(1));
    assert_eq!(store.inbox().progress(lsn, 1).unwrap(), Progress::Noted { next: Some(2) });
    assert_eq!(store.inbox().progress(lsn, 2).unwrap(), Progress::Noted { next: Some(3) });
    drop(store);
    let rig = rig.after_power_cut(&onceward_vfs::Survival::Nothing);
    let store = rig.open();
    assert_eq!(store.inbox().resume(lsn).unwrap(), Some(3));
    let found = store.inbox().get(lsn).unwrap().unwrap();
    assert_eq!((found.next_step, found.delivery), (Some(3), five.clone()));
    assert_eq!(store.inbox().receive(&five).unwrap(), duplicate(lsn, DeliveryState::Open));
    // The host repeats what it noted: nothing changes, and it is told where to go on.
    for step in [2, 1] {
        let told = store.inbox().progress(lsn, step).unwrap();
        assert_eq!((told, told.next()), (Progress::DoneBefore { next: Some(3) }, Some(3)));
    }
    for bad in [0, 6] {
        let error = store.inbox().progress(lsn, bad).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "STEP_INVALID"), "{bad}");
    }
    assert_eq!(store.inbox().progress(lsn, 5).unwrap(), Progress::Noted { next: None });
    assert_eq!(store.inbox().resume(lsn).unwrap(), None);
    let answer = store.inbox().ack(lsn).unwrap();
    // The answer to the ack was lost; so was the upstream's memory of it, and it replays by hand.
    drop(store);
    let store = rig.open();
    assert_eq!(store.inbox().receive(&five).unwrap(), duplicate(lsn, DeliveryState::Acked));
    assert_eq!(store.inbox().ack(lsn).unwrap(), answer);
    assert_eq!(answers(&store), ["ack:e1"], "once");
    assert_eq!(store.inbox().resume(lsn).unwrap_err().code(), "ALREADY_FINISHED");
    assert_eq!(store.inbox().progress(lsn, 1).unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(store.inbox().resume(answer).unwrap_err().code(), "NO_DELIVERY");
}

/// T58: the buffer is bounded.
#[test]
fn a_full_inbox_drops_what_comes_and_counts_it() {
    let rig = Rig::new();
    let config = rig.config.clone().with_inbox_deliveries_max(2);
    let store = Rig { config, ..rig.clone() }.open();
    let (first, _) = (fresh(&store, &delivery(1)), fresh(&store, &delivery(2)));
    let full = Received::Dropped { why: DropReason::Full };
    assert_eq!(store.inbox().receive(&delivery(3)).unwrap(), full);
    let known = duplicate(first, DeliveryState::Open);
    assert_eq!(store.inbox().receive(&delivery(1)).unwrap(), known, "a duplicate needs no room");
    assert_eq!((store.inbox().status().refused_full, store.inbox().status().open), (1, 2));
    store.inbox().ack(first).unwrap();
    fresh(&store, &delivery(3));
    drop(store);
    let config = rig.config.clone().with_inbox_bytes_max(1_000);
    let store = Rig { config, ..rig }.open();
    assert!((1..1_000).contains(&store.inbox().status().open_bytes));
    let big = Delivery::new("big", Payload::bytes(vec![7; 1_000])).unwrap();
    assert_eq!(store.inbox().receive(&big).unwrap(), full);
    let huge = Delivery::new("huge", Payload::bytes(vec![7; 60_001])).unwrap();
    assert_eq!(store.inbox().receive(&huge).unwrap_err().code(), "PAYLOAD_TOO_LONG");
}

#[test]
fn the_end_of_a_delivery_travels_upstream_as_an_event() {
    let rig = Rig::new();
    let store = rig.open();
    let one = fresh(&store, &delivery(1).with_external_id("evt_1").unwrap());
    let two = fresh(&store, &delivery(2));
    let acked = store.inbox().ack(one).unwrap();
    let error = "Insufficient \"inventory\"";
    let failed = store.inbox().fail(two, error).unwrap();
    assert_eq!(store.inbox().fail(two, "another word").unwrap(), failed, "the first one counts");
    assert_eq!(store.inbox().fail(one, "no").unwrap_err().code(), "ALREADY_FINISHED");
    assert_eq!(store.inbox().ack(two).unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(store.inbox().fail(acked, "no").unwrap_err().code(), "NO_DELIVERY");
    assert_eq!(store.inbox().fail(one, &"x".repeat(1_025)).unwrap_err().code(), "ERROR_TOO_LONG");
    for store in [store, rig.after_kill().open()] {
        let events = store.pending(&inbox(), None, 9).unwrap();
        assert_eq!(events.iter().map(|it| it.lsn).collect::<Vec<_>>(), [acked, failed]);
        let kinds: Vec<&str> = events.iter().map(|it| it.event.kind.as_str()).collect();
        assert_eq!(
            (keys(&events), kinds),
            (vec!["ack:e1".into(), "fail:e2".into()], vec!["ACK", "FAIL"])
        );
        let json = |at: usize| events[at].event.payload.as_json().unwrap();
        assert_eq!(json(0), r#"{"event_id":"e1","external_id":"evt_1"}"#);
        let told = r#"{"error":"Insufficient \"inventory\"","event_id":"e2","external_id":null}"#;
        assert_eq!(json(1), told);
        assert_eq!(
            store.inbox().receive(&delivery(2)).unwrap(),
            duplicate(two, DeliveryState::Failed)
        );
        assert_eq!(store.inbox().ack(one).unwrap(), acked);
        assert_eq!((store.inbox().status().finished, store.inbox().status().open), (2, 0));
        assert_eq!((store.status().pending, store.status().settled), (2, 0));
    }
}

/// T51: the upstream delivers anew what ended here, because it has not heard of the end: the end stands, and travels.
#[test]
fn what_ended_here_stays_ended_when_the_upstream_delivers_it_again() {
    let rig = Rig::new();
    let store = rig.open();
    let done = fresh(&store, &delivery(1).with_steps(2).unwrap());
    let failed = fresh(&store, &delivery(2));
    let ends = [store.inbox().ack(done).unwrap(), store.inbox().fail(failed, "no stock").unwrap()];
    let is_as_it_was = |store: &Store| {
        // What it sends is older than what is known here, also where it says something else by now.
        let stale = Delivery::new("e1", payload(7)).unwrap();
        for again in [delivery(1).with_steps(2).unwrap(), stale] {
            assert_eq!(
                store.inbox().receive(&again).unwrap(),
                duplicate(done, DeliveryState::Acked)
            );
        }
        assert_eq!(
            store.inbox().receive(&delivery(2)).unwrap(),
            duplicate(failed, DeliveryState::Failed)
        );
        assert_eq!((store.inbox().status().open, store.inbox().status().finished), (0, 2));
        assert_eq!(store.inbox().fail(done, "no").unwrap_err().code(), "ALREADY_FINISHED");
        assert_eq!(open_numbers(store), []);
    };
    is_as_it_was(&store);
    let store = rig.after_kill().open();
    is_as_it_was(&store);
    assert_eq!(answers(&store), ["ack:e1", "fail:e2"], "each end travels once");
    // The upstream takes the ends, and one of its older messages is still on its way.
    for (lsn, name) in ends.iter().zip(["ack:e1", "fail:e2"]) {
        let (scope, key) = (inbox(), crate::Key::new(name).unwrap());
        assert_eq!(store.outcome(&scope, &key).unwrap().lsn, Some(*lsn));
        let answer = crate::Answer::Accepted { receipt: None };
        store.settle(&[crate::Settlement { scope, key, answer }]).unwrap();
    }
    is_as_it_was(&store);
    assert_eq!(answers(&store), [""; 0]);
}

#[test]
fn an_answer_whose_key_is_taken_travels_under_another_one() {
    let rig = Rig::new();
    let config = rig.config.clone().with_inbox_scope(crate::testing::sales());
    let store = Rig { config, ..rig }.open();
    let taken = crate::Key::new("ack:e1").unwrap();
    let own = crate::Event::new(crate::testing::sales(), taken, payload(5));
    store.capture(&own).unwrap();
    let lsn = fresh(&store, &delivery(1));
    let answer = store.inbox().ack(lsn).unwrap();
    let pending = store.pending(&crate::testing::sales(), None, 9).unwrap();
    assert_eq!(keys(&pending), ["ack:e1".to_owned(), format!("ack:e1~{lsn}")]);
    assert_eq!(pending[1].lsn, answer);
}

#[test]
fn deliveries_come_in_order_from_behind_a_number_on() {
    let rig = Rig::new();
    let store = rig.open();
    rig.clock.advance(250);
    let all: Vec<Lsn> = (0..5).map(|n| fresh(&store, &delivery(n))).collect();
    store.inbox().ack(all[2]).unwrap();
    let found = store.inbox().list(Some(all[0]), 2).unwrap();
    assert_eq!(found.iter().map(|it| it.lsn).collect::<Vec<_>>(), [all[1], all[3]]);
    assert_eq!(found[0].delivery, delivery(1));
    assert_eq!(found[0].received_at_ms, Some(crate::testing::WALL_MS + 250));
    assert_eq!((found[0].state, found[0].next_step), (DeliveryState::Open, Some(1)));
    assert_eq!(store.inbox().list(Some(all[4]), 9).unwrap(), []);
}

#[test]
fn a_delivery_and_its_answer_have_the_wall_clock_of_their_own_moment() {
    let rig = Rig::new();
    rig.clock.step_wall(-crate::testing::WALL_MS);
    let store = rig.open();
    rig.clock.step_wall(crate::testing::WALL_MS);
    let lsn = fresh(&store, &delivery(1));
    rig.clock.step_wall(5_000);
    store.inbox().ack(lsn).unwrap();
    let other = fresh(&store, &delivery(2));
    let check = |store: &Store| {
        let inbox = Scope::new("inbox").unwrap();
        let answer = store.pending(&inbox, None, 9).unwrap().remove(0);
        assert_eq!(answer.captured_at_ms, Some(crate::testing::WALL_MS + 5_000));
        let found = store.inbox().list(None, 9).unwrap().remove(0);
        let received = Some(crate::testing::WALL_MS + 5_000);
        assert_eq!((found.lsn, found.received_at_ms), (other, received));
    };
    check(&store);
    drop(store);
    check(&rig.open());
}

#[test]
fn an_event_and_a_delivery_may_share_a_name() {
    let store = Rig::new().open();
    store.capture(&event(1)).unwrap();
    let same = Delivery::new("k1", payload(1)).unwrap();
    fresh(&store, &same);
    assert_eq!(
        store.outcome(&crate::testing::sales(), &crate::testing::key(1)).unwrap().state,
        State::Pending
    );
    assert_eq!((store.status().pending, store.status().settled, store.status().keys), (1, 0, 2));
}

#[test]
fn a_finished_delivery_is_forgotten_after_the_inboxs_window_and_an_open_one_never() {
    let rig = Rig::new();
    let rig =
        Rig { config: rig.config.clone().with_inbox_window(Duration::from_millis(HOUR_MS)), ..rig };
    let store = rig.open();
    let (one, two) = (fresh(&store, &delivery(1)), fresh(&store, &delivery(2)));
    rig.clock.advance(5 * HOUR_MS);
    store.inbox().ack(one).unwrap();
    rig.clock.advance(HOUR_MS - 1);
    assert_eq!(store.inbox().receive(&delivery(1)).unwrap(), duplicate(one, DeliveryState::Acked));
    rig.clock.advance(2 * HOUR_MS);
    store.tick().unwrap();
    assert_ne!(fresh(&store, &delivery(1)), one);
    assert_eq!(store.inbox().receive(&delivery(2)).unwrap(), duplicate(two, DeliveryState::Open));
    drop(store);
    let store = rig.open();
    assert_eq!(store.inbox().receive(&delivery(2)).unwrap(), duplicate(two, DeliveryState::Open));
    assert!(matches!(store.inbox().receive(&delivery(1)).unwrap(), Received::Duplicate { .. }));
    // Its key was carried into a slice that the log does not tell of, and is held there.
    rig.clock.advance(9 * HOUR_MS);
    store.tick().unwrap();
    assert_eq!(store.inbox().receive(&delivery(2)).unwrap(), duplicate(two, DeliveryState::Open));
}

#[test]
fn the_inbox_refuses_options_out_of_their_range() {
    let config = || Rig::new().config;
    let bad = [
        config().with_inbox_window(Duration::from_millis(59_999)),
        config().with_inbox_window(Duration::from_millis(400 * 24 * HOUR_MS + 1)),
        config().with_inbox_deliveries_max(0),
        config().with_inbox_deliveries_max(10_001),
        config().with_inbox_bytes_max(0),
    ];
    for config in bad {
        let error = Rig { config, ..Rig::new() }.try_open().unwrap_err();
        assert_eq!(error.code(), "CONFIG_INVALID");
        assert!(error.to_string().contains("inbox_"), "{error}");
    }
    for ms in [MINUTE_MS, MINUTE_MS + 1, 400 * 24 * HOUR_MS] {
        assert!(
            Rig { config: config().with_inbox_window(Duration::from_millis(ms)), ..Rig::new() }
                .try_open()
                .is_ok()
        );
    }
}
