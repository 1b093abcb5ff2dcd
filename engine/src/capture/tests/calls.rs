//! What a capture answers.

use std::slice::from_ref;

use onceward_vfs::{Fault, FaultKind, FaultOp};

use crate::capture::{Applied, Effect};
use crate::testing::{
    Rig, WALL_MS, cents, event, key, keys, other_event, receipt, sales, sized_event,
};
use crate::{Class, ErrorKind, Event, Key, Kind, Lane, Payload, Scope, State, Verdict};

fn is_fresh(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fresh { .. })
}

#[test]
fn a_key_is_fresh_once_then_duplicate_or_in_conflict_also_after_reopening() {
    let rig = Rig::new();
    let store = rig.open();
    let fresh = store.capture(&event(1)).unwrap();
    let lsn = fresh.lsn();
    assert!(is_fresh(&fresh));
    let again = Verdict::Duplicate { lsn, state: State::Pending };
    assert_eq!(store.capture(&event(1)).unwrap(), again);
    // T30.
    assert_eq!(store.capture(&other_event(1)).unwrap(), Verdict::Conflict { lsn });
    assert!(store.capture(&event(2)).unwrap().lsn() > lsn, "control: another key is fresh");
    store.close().unwrap();

    let store = rig.open();
    assert!(store.recovery().clean);
    assert_eq!(store.capture(&event(1)).unwrap(), again, "after a close");
    drop(store);
    let store = rig.open();
    assert!(!store.recovery().clean);
    assert_eq!(store.capture(&event(1)).unwrap(), again, "after a drop");
    assert_eq!(store.capture(&other_event(1)).unwrap(), Verdict::Conflict { lsn });
    assert_eq!(store.status().pending, 2);
}

#[test]
fn kind_amount_and_payload_make_a_conflict_and_nothing_else_does() {
    let store = Rig::new().open();
    let first = event(1).with_kind(Kind::new("SALE").unwrap());
    let lsn = store.capture(&first).unwrap().lsn();
    let same = [
        first.clone().with_captured_at_ms(5),
        first.clone().with_lane(Lane::new("card").unwrap()),
        first.clone().with_class(Class::Evictable),
        Event { payload: Payload::json("{ \"n\" : 1, \"x\": \"\" }").unwrap(), ..first.clone() },
    ];
    for event in same {
        let verdict = store.capture(&event).unwrap();
        assert_eq!(verdict, Verdict::Duplicate { lsn, state: State::Pending }, "{event:?}");
    }
    let others = [
        first.clone().with_kind(Kind::new("VOID").unwrap()),
        first.clone().with_amount(cents(2)),
        Event { amount: None, ..first.clone() },
        Event { payload: Payload::json("{\"n\":1,\"x\":\" \"}").unwrap(), ..first },
    ];
    for event in others {
        assert_eq!(store.capture(&event).unwrap(), Verdict::Conflict { lsn }, "{event:?}");
    }
}

#[test]
fn the_same_key_in_two_scopes_is_two_events() {
    let store = Rig::new().open();
    let elsewhere = Event { scope: Scope::new("tickets").unwrap(), ..event(1) };
    let one = store.capture(&event(1)).unwrap();
    let two = store.capture(&elsewhere).unwrap();
    assert!(is_fresh(&one) && is_fresh(&two) && one.lsn() != two.lsn());
    // Scope and key must not run into each other.
    let split = |scope: &str, key: &str| {
        let scope = Scope::new(scope).unwrap();
        store.capture(&Event { scope, key: Key::new(key).unwrap(), ..event(1) }).unwrap()
    };
    assert!(is_fresh(&split("ab", "c")) && is_fresh(&split("a", "bc")));
    assert_eq!(keys(&store.pending(&sales(), None, 10).unwrap()), ["k1"]);
}

/// T27.
#[test]
fn a_batch_stores_what_is_new_and_tells_the_rest_in_order() {
    let rig = Rig::new();
    let store = rig.open();
    let old = store.capture(&event(1)).unwrap().lsn();
    let batch = [event(1), event(2), event(2), other_event(2), event(3), other_event(1)];
    let verdicts = store.capture_batch(&batch).unwrap();
    let (two, three) = (verdicts[1].lsn(), verdicts[4].lsn());
    assert!(old < two && two < three);
    let pending = State::Pending;
    let expected = [
        Verdict::Duplicate { lsn: old, state: pending },
        Verdict::Fresh { lsn: two },
        Verdict::Duplicate { lsn: two, state: pending },
        Verdict::Conflict { lsn: two },
        Verdict::Fresh { lsn: three },
        Verdict::Conflict { lsn: old },
    ];
    assert_eq!(verdicts, expected);
    drop(store);
    assert_eq!(keys(&rig.open().pending(&sales(), None, 10).unwrap()), ["k1", "k2", "k3"]);
}

#[test]
fn a_batch_in_which_everything_was_seen_writes_nothing() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2)]).unwrap();
    let ops = rig.disk.changing_ops().len();
    store.capture_batch(&[event(2), event(1), other_event(1)]).unwrap();
    assert_eq!(rig.disk.changing_ops().len(), ops);
    store.capture(&event(3)).unwrap();
    assert!(rig.disk.changing_ops().len() > ops, "control: a fresh one writes");
}

#[test]
fn what_is_over_a_limit_is_refused_by_name_and_nothing_of_its_batch_is_stored() {
    let store = Rig::new().open();
    let payload = |bytes: usize| Event { payload: Payload::bytes(vec![7; bytes]), ..event(1) };
    assert!(store.capture(&payload(60_000)).is_ok(), "control: the longest");
    let long = Event { key: key(2), ..payload(60_001) };
    let error = store.capture_batch(&[event(3), long]).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "PAYLOAD_TOO_LONG"));
    assert!(error.to_string().contains("60001") && error.to_string().contains("60000"), "{error}");
    assert!(!error.in_doubt());

    let many: Vec<Event> = (10..1011).map(event).collect();
    for batch in [&[][..], &many] {
        let error = store.capture_batch(batch).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "BATCH_SIZE"));
        assert!(error.to_string().contains("1000"), "{error}");
    }
    let wide: Vec<Event> = (20..25).map(|n| sized_event(n, 55_000)).collect();
    let error = store.capture_batch(&wide).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(store.capture_batch(&wide[..4]).is_ok(), "control: what fits a segment");

    assert_eq!(store.status().keys, 5, "a refused batch leaves no key behind");
    assert!(is_fresh(&store.capture(&event(3)).unwrap()));
    assert_eq!(store.capture_batch(&many[..1000]).unwrap().len(), 1000, "control: the most");
}

#[test]
fn an_event_comes_back_as_it_was_given_with_the_wall_clock_of_its_capture() {
    let rig = Rig::new();
    let given = event(1)
        .with_kind(Kind::new("PAYMENT").unwrap())
        .with_lane(Lane::new("card-7").unwrap())
        .with_class(Class::Evictable);
    let dated = event(2).with_captured_at_ms(-5);
    let bytes = Event::new(Scope::default(), key(3), Payload::bytes(vec![0, 255, 10]));
    let check = |store: &crate::Store, what: &str| {
        let found = store.find(&sales(), &key(1)).unwrap().unwrap();
        assert_eq!(found.event, given, "{what}");
        assert_eq!(found.captured_at_ms, Some(WALL_MS + 1500), "{what}");
        let found = store.find(&sales(), &key(2)).unwrap().unwrap();
        assert_eq!((found.captured_at_ms, found.event), (Some(-5), dated.clone()), "{what}");
        let found = store.find(&Scope::default(), &key(3)).unwrap().unwrap();
        assert_eq!(found.event, bytes, "{what}");
        assert_eq!(store.find(&sales(), &key(3)).unwrap(), None, "{what}");
    };
    let store = rig.open();
    rig.clock.advance(1500);
    store.capture_batch(&[given.clone(), dated.clone(), bytes.clone()]).unwrap();
    // T31: a wall clock that is set back moves nothing that was captured.
    rig.clock.step_wall(-9_000_000);
    check(&store, "live");
    drop(store);
    let store = rig.open();
    check(&store, "reopened");
    store.capture(&event(4)).unwrap();
    check(&store, "reopened and written");
    assert_eq!(
        store.find(&sales(), &key(4)).unwrap().unwrap().captured_at_ms,
        Some(WALL_MS + 1500 - 9_000_000)
    );
}

#[test]
fn an_effect_is_settled_at_once_and_a_repetition_gets_its_receipt() {
    let rig = Rig::new();
    let store = rig.open();
    let effect = |n: u64| Effect { event: event(n), receipt: receipt(n) };
    let again = Effect { event: event(1), receipt: receipt(99) };
    let conflict = Effect { event: other_event(1), receipt: receipt(98) };
    let applied = store.apply_batch(&[effect(1), effect(2), again.clone(), conflict]).unwrap();
    let [Applied::Fresh { lsn: one }, Applied::Fresh { lsn: two }, rest @ ..] = &applied[..] else {
        panic!("{applied:?}");
    };
    let duplicate = Applied::Duplicate { lsn: *one, receipt: Some(receipt(1)) };
    assert_eq!(rest, [duplicate.clone(), Applied::Conflict { lsn: *one }]);
    for round in 0..3 {
        let store = rig.after_kill().open();
        assert_eq!(store.apply_batch(from_ref(&again)).unwrap(), from_ref(&duplicate), "{round}");
        let outcome = store.outcome(&sales(), &key(2)).unwrap();
        assert_eq!(outcome.receipt, Some(receipt(2)));
        assert_eq!((outcome.state, outcome.lsn), (State::Accepted, Some(*two)));
        let found = store.find(&sales(), &key(2)).unwrap().unwrap();
        assert_eq!((found.event, found.receipt), (event(2), Some(receipt(2))));
        assert_eq!(store.pending(&sales(), None, 9).unwrap(), []);
        let verdict = store.capture(&event(2)).unwrap();
        assert_eq!(verdict, Verdict::Duplicate { lsn: *two, state: State::Accepted });
    }
}

/// T2, T26: a failed sync poisons, and nothing that was not confirmed is called a duplicate.
#[test]
fn a_failed_sync_is_told_in_doubt_and_poisons_until_the_store_is_opened_again() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    let kind = FaultKind::Eio;
    let name_contains = ".seg".to_owned();
    rig.disk.plan(Fault { op: FaultOp::SyncData, name_contains, nth: 0, kind, forever: false });
    let error = store.capture(&event(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
    assert!(error.in_doubt());
    let error = store.capture(&event(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned, "not a duplicate: {error}");
    assert!(store.outcome(&sales(), &key(2)).unwrap_err().in_doubt());
    assert!(store.find(&sales(), &key(2)).unwrap_err().in_doubt());
    assert!(matches!(store.capture(&event(1)).unwrap(), Verdict::Duplicate { .. }), "durable");
    drop(store);
    for rig in [rig.after_kill(), rig.after_power_cut(&onceward_vfs::Survival::Nothing)] {
        let store = rig.open();
        assert!(matches!(store.capture(&event(1)).unwrap(), Verdict::Duplicate { .. }));
        store.capture(&event(2)).unwrap();
        assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k1", "k2"]);
    }
}
