//! Under which keys an upstream gets events, and when it is not asked.

use std::sync::Arc;

use onceward_vfs::Survival;

use crate::Answer;
use crate::base::{FrameKind, codec};
use crate::kernel::{FrameBody, Share};
use crate::sync::payloads;
use crate::sync::{
    Answered, Effort, Failure, Form, ItemOutcome, KeyRule, Misfit, Options, Reply, Session, Step,
    Upstream,
};
use crate::testing::{Rig, SEGMENT_BYTES, key, sales, sized_event};
use crate::upstreams::frames::Hold;
use crate::{ErrorKind, Event, Key, Payload, Scope, Settlement, State, Store};

fn hub() -> Upstream {
    Upstream::new("https://hub.example", "wede").unwrap()
}

fn scope(name: &str) -> Scope {
    Scope::new(name).unwrap()
}

pub(super) fn once(name: &str) -> Options {
    Options::new(scope(name)).with_upstream(hub()).with_effort(Effort::Once)
}

pub(super) fn capture(store: &Store, name: &str, key: &str) {
    let payload = Payload::json("{}").unwrap();
    store.capture(&Event::new(scope(name), Key::new(key).unwrap(), payload)).unwrap();
}

/// Sends everything; returns the keys that the upstream saw, all of which it accepts.
fn drain(store: &Store, options: Options) -> Vec<String> {
    let mut session = Session::start(store, options, payloads()).unwrap();
    let mut seen = Vec::new();
    while let Step::Send(batch) = session.next(0).unwrap() {
        let keys: Vec<String> = batch.items().map(|item| item.key.to_owned()).collect();
        let taken = |key: &String| (key.clone(), ItemOutcome::Accepted { receipt: None });
        let reply = Reply::of(keys.iter().map(taken).collect());
        session.on_reply(batch.id, &reply, 0).unwrap();
        seen.extend(keys);
    }
    assert_eq!((session.report().strangers, session.report().missing), (0, 0));
    seen
}

fn refusal(store: &Store, options: Options) -> &'static str {
    let error = Session::start(store, options, payloads()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error.code()
}

#[test]
fn one_key_in_two_scopes_is_two_events_at_the_upstream() {
    let rig = Rig::new();
    let store = rig.open();
    for name in ["default", "tips", "voids"] {
        capture(&store, name, "receipt-1");
    }
    assert_eq!(drain(&store, once("default")), ["receipt-1"], "to the letter");
    assert_eq!(refusal(&store, once("tips")), "WIRE_KEYS_MISSING");
    assert_eq!(refusal(&store, once("tips").with_keys(KeyRule::Bare)), "WIRE_KEYS_BARE");
    let prefixed = |name: &str| once(name).with_keys(KeyRule::ScopePrefix);
    assert_eq!(drain(&store, prefixed("tips")), ["~tips/receipt-1"]);
    assert_eq!(drain(&store, prefixed("voids")), ["~voids/receipt-1"]);
    for name in ["default", "tips", "voids"] {
        let outcome = store.outcome(&scope(name), &Key::new("receipt-1").unwrap()).unwrap();
        assert_eq!(outcome.state, State::Accepted, "{name}");
    }
}

#[test]
fn a_rule_for_keys_cannot_change_after_an_attempt() {
    let mut rig = Rig::new();
    let store = rig.open();
    capture(&store, "tips", "k");
    // A session alone attempts nothing.
    drop(Session::start(&store, once("tips").with_keys(KeyRule::Conveyed), payloads()).unwrap());
    let prefixed = once("tips").with_keys(KeyRule::ScopePrefix);
    let mut session = Session::start(&store, prefixed.clone(), payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Send(_)));
    drop(session);
    drop(store);
    for seed in 0..4 {
        rig = rig.after_power_cut(&Survival::Seeded { seed, sector_bytes: 512 });
        let store = rig.open();
        let changed = once("tips").with_keys(KeyRule::Conveyed);
        assert_eq!(refusal(&store, changed), "WIRE_KEYS_CHANGED");
        assert!(Session::start(&store, once("tips"), payloads()).is_ok(), "it is known");
        // Its segment goes.
        for n in 0..16 {
            store.capture(&sized_event(seed * 16 + n, 40_000)).unwrap();
            let (key, answer) = (key(seed * 16 + n), Answer::Accepted { receipt: None });
            store.settle(&[Settlement { scope: sales(), key, answer }]).unwrap();
        }
        drop(store);
    }
    let store = rig.open();
    assert!(store.inner.log.segments()[0].number > 1, "control: the first segment is gone");
    assert_eq!(drain(&store, prefixed), ["~tips/k"]);
    // Another upstream never saw them.
    let other = Upstream::new("https://other.example", "wede").unwrap();
    let options = once("tips").with_upstream(other).with_keys(KeyRule::Conveyed);
    assert!(Session::start(&store, options, payloads()).is_ok());
}

#[test]
fn a_key_that_cannot_be_told_from_another_on_the_wire_waits_for_a_person_unsent() {
    let store = Rig::new().open();
    let long = "k".repeat(255);
    capture(&store, "default", "~tips/k");
    capture(&store, "tips", "k");
    capture(&store, "tips", &long);
    assert_eq!(drain(&store, once("default")), Vec::<String>::new());
    assert_eq!(drain(&store, once("tips").with_keys(KeyRule::ScopePrefix)), ["~tips/k"]);
    for (name, key, code) in
        [("default", "~tips/k", "KEY_RESERVED"), ("tips", &*long, "KEY_TOO_LONG")]
    {
        let review = store.reviews().get(&scope(name), &Key::new(key).unwrap()).unwrap();
        assert_eq!(review.code, code);
    }
}

/// Sends one batch that is answered with this wish; `false`: there was none to send.
pub(super) fn refuse_for_now(store: &Store, options: Options, answered: Answered) -> bool {
    let mut session = Session::start(store, options, payloads()).unwrap();
    let Step::Send(batch) = session.next(0).unwrap() else {
        let report = session.report();
        assert!(report.unreachable && report.held_until_ms.is_some(), "{report:?}");
        return false;
    };
    let (why, retry_after_ms) = ("429".to_owned(), Some(600_000));
    let failure = Failure::Unavailable { why, retry_after_ms, answered };
    session.on_failure(batch.id, &failure, 0).unwrap();
    true
}

#[test]
fn an_upstream_that_asked_to_be_left_alone_is_not_asked_by_later_sessions() {
    let mut rig = Rig::new();
    rig.clock.name_boot(1);
    let store = rig.open();
    capture(&store, "default", "k");
    assert!(refuse_for_now(&store, once("default"), Answered::Stranger));
    assert!(refuse_for_now(&store, once("default"), Answered::Upstream), "a stranger has no say");
    drop(store);
    for _ in 0..5 {
        rig = rig.after_kill();
        assert!(!refuse_for_now(&rig.open(), once("default"), Answered::Upstream));
        rig.clock.advance(100_000);
    }
    // After a start of the machine at most what is left, of which nothing is known to have passed.
    rig.clock.reboot(40_000_000);
    let store = rig.open();
    rig.clock.advance(600_001);
    assert_eq!(drain(&store, once("default")), ["k"]);
}

#[test]
fn the_host_can_ask_now_and_an_answer_ends_the_wait() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, "default", "k1");
    assert!(refuse_for_now(&store, once("default"), Answered::Upstream));
    assert!(refuse_for_now(&store, once("default").with_hold_ignored(), Answered::Upstream), "now");
    let mut session =
        Session::start(&store, once("default").with_effort(Effort::Forever), payloads()).unwrap();
    assert!(matches!(session.next(5).unwrap(), Step::Wait { until_ms: 600_005 }));
    let why = session.report().last_failure.unwrap();
    assert!(why.contains(" not to be asked until ") && why.ends_with(" UTC, in 600 s"), "{why}");
    session.on_online();
    assert!(matches!(session.next(5).unwrap(), Step::Send(_)));
    drop(session);
    assert_eq!(drain(&store, once("default").with_hold_ignored()), ["k1"]);
    capture(&store, "default", "k2");
    drop(store);
    assert_eq!(drain(&rig.after_kill().open(), once("default")), ["k2"], "it answered since");
}

#[test]
fn a_wish_to_be_left_alone_takes_nothing_of_the_reserve() {
    let rig = Rig::new();
    let store = rig.open();
    rig.disk.set_free_bytes(Some(3 * SEGMENT_BYTES));
    capture(&store, "default", "k");
    for n in 0.. {
        if store.capture(&sized_event(n, 10_000)).is_err() {
            break;
        }
    }
    for n in 0.. {
        if store.capture(&sized_event(1_000 + n, 1)).is_err() {
            break;
        }
    }
    rig.disk.set_free_bytes(Some(0));
    assert!(refuse_for_now(&store, once("default"), Answered::Upstream));
    let room = store.inner.log.room(0, 0).unwrap();
    assert!(refuse_for_now(&store, once("default").with_hold_ignored(), Answered::Upstream));
    assert_eq!(store.inner.log.room(0, 0).unwrap(), room);
    assert!(!refuse_for_now(&store, once("default"), Answered::Upstream), "it is in memory");
}

#[test]
fn a_wish_that_answers_the_question_for_the_time_is_kept_too() {
    let store = Rig::new().open();
    capture(&store, "default", "k");
    let mut session = Session::start(&store, once("default"), payloads()).unwrap();
    let (why, retry_after_ms) = ("429".to_owned(), Some(600_000));
    let failure = Failure::Unavailable { why, retry_after_ms, answered: Answered::Upstream };
    session.on_no_answer(&failure, 0).unwrap();
    drop(session);
    assert!(!refuse_for_now(&store, once("default"), Answered::Upstream), "it is left alone");
}

#[test]
fn another_key_of_the_host_is_no_word_to_ask_now() {
    let store = Rig::new().open();
    capture(&store, "default", "k");
    assert!(refuse_for_now(&store, once("default"), Answered::Upstream));
    let options = once("default").with_effort(Effort::Forever);
    let mut session = Session::start(&store, options, payloads()).unwrap();
    session.on_new_key();
    assert!(matches!(session.next(5).unwrap(), Step::Wait { until_ms: 600_005 }));
}

#[test]
fn a_wish_of_a_few_seconds_is_waited_for_by_a_later_run_too() {
    let store = Rig::new().open();
    capture(&store, "default", "k");
    let mut session = Session::start(&store, once("default"), payloads()).unwrap();
    let Step::Send(sent) = session.next(0).unwrap() else { panic!("an event waits") };
    let (why, retry_after_ms) = ("429".to_owned(), Some(5_000));
    let failure = Failure::Unavailable { why, retry_after_ms, answered: Answered::Upstream };
    session.on_failure(sent.id, &failure, 0).unwrap();
    drop(session);
    let mut session = Session::start(&store, once("default"), payloads()).unwrap();
    assert!(matches!(session.next(5).unwrap(), Step::Wait { until_ms: 5_005 }));
    assert!(!session.report().unreachable, "it was not asked");
}

#[test]
fn an_upstream_that_is_left_alone_keeps_nobody_who_has_nothing_for_it() {
    let store = Rig::new().open();
    capture(&store, "default", "k");
    assert!(refuse_for_now(&store, once("default"), Answered::Upstream));
    let options = once("tips").with_keys(KeyRule::ScopePrefix);
    let mut session = Session::start(&store, options, payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    let report = session.report();
    assert!(!report.unreachable && report.held_until_ms.is_none(), "{report:?}");
}

/// Whether the upstream is left alone after a kill, where the disk has room again.
fn is_left_alone(rig: &Rig) -> bool {
    let rig = rig.after_kill();
    rig.disk.set_free_bytes(None);
    rig.open().inner.upstreams().held_for_ms(&hub()) > 0
}

/// The frame that ends a wait stands in a segment that goes before that of the wait.
#[test]
fn the_end_of_a_wait_outlives_its_segment() {
    let rig = Rig::new();
    let store = rig.open();
    let settle = |n| {
        let (scope, key, answer) = (sales(), key(n), Answer::Accepted { receipt: None });
        store.settle(&[Settlement { scope, key, answer }]).unwrap();
    };
    let pass = |numbers: std::ops::Range<u64>| {
        for n in numbers {
            store.capture(&sized_event(n, 50_000)).unwrap();
            settle(n);
        }
    };
    let segments = || store.inner.log.segments().iter().map(|it| it.number).collect::<Vec<_>>();
    store.inner.upstreams().hold_upstream(&hub(), 600_000).unwrap();
    (0..5).for_each(|n| _ = store.capture(&sized_event(n, 55_000)).unwrap());
    let [first, second] = segments()[..] else { panic!("control: {:?}", segments()) };
    store.inner.upstreams().hold_upstream(&hub(), 0).unwrap();
    settle(4);
    pass(10..50);
    assert!(segments().contains(&first) && !segments().contains(&second), "{:?}", segments());
    assert!(!is_left_alone(&rig), "it answered since");
    // Once there is nothing to be ended, nothing says so for ever.
    (0..4).for_each(settle);
    pass(50..90);
    assert!(!segments().contains(&first), "control: {:?}", segments());
    assert_eq!(rig.frame_count(FrameKind::Hold), 0);
}

#[test]
fn the_end_of_a_wait_that_found_no_room_is_written_with_a_later_answer() {
    let rig = Rig::new();
    let store = rig.open();
    rig.disk.set_free_bytes(Some(3 * SEGMENT_BYTES));
    store.inner.upstreams().hold_upstream(&hub(), 600_000).unwrap();
    for bytes in [10_000, 1] {
        let mut refused =
            (0..).map(|n| store.capture(&sized_event(10_000 * n + bytes as u64, bytes)));
        assert!(refused.any(|captured| captured.is_err()), "control: it is full");
    }
    rig.disk.set_free_bytes(Some(0));
    // To the last byte that is for what can as well be in memory.
    let of_another = Hold { upstream: "wede http://another".to_owned(), until_ms: 0 };
    let frame = || [FrameBody::new(FrameKind::Hold, codec::encode(&of_another))];
    while store.inner.write(&frame(), Share::Nothing).is_ok() {}
    store.inner.upstreams().hold_upstream(&hub(), 0).unwrap();
    assert_eq!(store.inner.upstreams().held_for_ms(&hub()), 0);
    assert!(is_left_alone(&rig), "control: it is in memory only");
    rig.disk.set_free_bytes(None);
    store.inner.upstreams().hold_upstream(&hub(), 0).unwrap();
    assert!(!is_left_alone(&rig));
}

/// A new till whose uploader runs takes up a bundle of one that sent under other keys.
#[cfg(feature = "rescue")]
#[test]
fn a_session_sends_nothing_once_another_rule_for_its_keys_is_written() {
    let old = Rig::new().open();
    capture(&old, "default", "receipt-1");
    let prefixed = once("default").with_keys(KeyRule::ScopePrefix);
    let mut session = Session::start(&old, prefixed, payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Send(_)), "it may be there");
    drop(session);
    let store = Rig::new().open();
    let mut session =
        Session::start(&store, once("default").with_effort(Effort::Forever), payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    let (key, mut stick) = (crate::rescue::BundleKey::from_bytes([7; 32]), Vec::new());
    old.rescue().export(&mut stick, &key, true).unwrap();
    assert_eq!(store.rescue().import(&mut stick.as_slice(), &key).unwrap().fresh, 1);
    for _ in 0..2 {
        let error = session.next(0).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "WIRE_KEYS_CHANGED"));
    }
    drop(session);
    assert_eq!(drain(&store, once("default")), ["~default/receipt-1"], "as the upstream knows it");
}

/// What rule is written is only known once no other session can write one.
#[test]
fn a_session_takes_up_its_rule_once_it_has_the_store_to_itself() {
    let store = Rig::new().open();
    capture(&store, "tips", "k");
    let prefixed = once("tips").with_keys(KeyRule::ScopePrefix);
    let mut first = Session::start(&store, prefixed.clone(), payloads()).unwrap();
    let other = || Session::start(&store, once("tips").with_keys(KeyRule::Conveyed), payloads());
    assert!(matches!(first.next(0).unwrap(), Step::Send(_)));
    assert_eq!(other().unwrap_err().code(), "DRAINING");
    drop(first);
    assert_eq!(other().unwrap_err().code(), "WIRE_KEYS_CHANGED");
    assert_eq!(drain(&store, prefixed), ["~tips/k"], "one that is refused keeps nobody out");
}

/// An item that is too long only with its scope in its key would be left out of each request, and wait for ever.
#[test]
fn what_does_not_fit_under_the_key_that_is_sent_goes_to_review_and_holds_nobody_up() {
    let store = Rig::new().open();
    ["k1", "k22"].iter().for_each(|key| capture(&store, "tips", key));
    let form: Form = Arc::new(|_event, key, item| match key.len() {
        0..9 => {
            item.extend_from_slice(key.as_bytes());
            Ok(())
        }
        bytes => Err(Misfit { code: "LONG".to_owned(), message: format!("{bytes} bytes") }),
    });
    let options = once("tips").with_keys(KeyRule::ScopePrefix);
    let mut session = Session::start(&store, options, form).unwrap();
    let Step::Send(batch) = session.next(0).unwrap() else { panic!("`~tips/k1` has 8 bytes") };
    assert_eq!((batch.items().len(), session.report().misfits), (1, 1));
    let taken = ("~tips/k1".to_owned(), ItemOutcome::Accepted { receipt: None });
    session.on_reply(batch.id, &Reply::of(vec![taken]), 0).unwrap();
    let item = store.reviews().get(&scope("tips"), &Key::new("k22").unwrap()).unwrap();
    assert_eq!((item.code.as_str(), item.message.as_str()), ("LONG", "9 bytes"));
}
