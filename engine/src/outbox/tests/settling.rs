//! Pending, settled, and what is answered about it.

use std::time::Duration;

use onceward_wal::Lsn;

use crate::review::ReviewFilter;
use crate::testing::{Rig, event, key, keys, lsns, receipt, sales};
use crate::{Answer, Settlement};
use crate::{Event, Outcome, Scope, State, Store, Verdict};

fn settlement(n: u64, answer: Answer) -> Settlement {
    Settlement { scope: sales(), key: key(n), answer }
}

fn accepted(n: u64) -> Settlement {
    settlement(n, Answer::Accepted { receipt: Some(receipt(n)) })
}

fn state(store: &Store, n: u64) -> State {
    store.outcome(&sales(), &key(n)).unwrap().state
}

#[test]
fn pending_shows_unsettled_events_in_order_and_in_pieces() {
    let store = Rig::new().open();
    let batch: Vec<Event> = (1..=7).map(event).collect();
    let verdicts = store.capture_batch(&batch).unwrap();
    store.capture(&Event { scope: Scope::new("tickets").unwrap(), ..event(1) }).unwrap();
    let all = store.pending(&sales(), None, 100).unwrap();
    assert_eq!(lsns(&all), verdicts.iter().map(|v| v.lsn().get()).collect::<Vec<_>>());
    assert!(all.iter().all(|event| event.state == State::Pending));
    let first = store.pending(&sales(), None, 3).unwrap();
    let rest = store.pending(&sales(), Some(first[2].lsn), 100).unwrap();
    assert_eq!(keys(&first), ["k1", "k2", "k3"]);
    assert_eq!(keys(&rest), ["k4", "k5", "k6", "k7"]);
    assert!(store.pending(&sales(), None, 0).unwrap().is_empty());
    assert!(store.pending(&Scope::new("none").unwrap(), None, 9).unwrap().is_empty());
}

#[test]
fn a_range_settles_what_waits_in_its_scope_and_leaves_all_else_as_it_is() {
    let rig = Rig::new();
    let store = rig.open();
    let tickets = Scope::new("tickets").unwrap();
    let other = Event { scope: tickets.clone(), ..event(1) };
    let batch = [event(1), event(2), other, event(3), event(4), event(5), event(6)];
    let numbers: Vec<_> = store.capture_batch(&batch).unwrap().iter().map(Verdict::lsn).collect();
    let refused = Answer::Rejected { code: "C".into(), message: "m".into(), reply: vec![] };
    store.settle(&[accepted(2), settlement(4, refused)]).unwrap();
    let answer = Answer::Duplicate { receipt: Some(receipt(8)) };
    store.settle_range(&sales(), numbers[1], numbers[5], &answer).unwrap();
    // Turned around, of nobody, or once more: nothing is left to do.
    let late = Answer::Accepted { receipt: None };
    store.settle_range(&sales(), numbers[5], numbers[1], &late).unwrap();
    store.settle_range(&Scope::new("none").unwrap(), numbers[0], numbers[6], &late).unwrap();
    store.settle_range(&sales(), numbers[1], numbers[5], &late).unwrap();
    for store in [store, rig.after_kill().open()] {
        let states = [1, 2, 3, 4, 5, 6].map(|n| state(&store, n));
        let expected = [
            State::Pending,
            State::Accepted,
            State::Duplicate,
            State::InReview,
            State::Duplicate,
            State::Pending,
        ];
        assert_eq!(states, expected);
        assert_eq!(store.outcome(&tickets, &key(1)).unwrap().state, State::Pending);
        let receipt_of = |n| store.outcome(&sales(), &key(n)).unwrap().receipt;
        assert_eq!((receipt_of(2), receipt_of(5)), (Some(receipt(2)), Some(receipt(8))));
        assert_eq!(store.status().keys, 7);
    }
}

#[test]
fn numbers_settle_what_waits_in_their_scope_and_leave_all_else_as_it_is() {
    let rig = Rig::new();
    let store = rig.open();
    let tickets = Scope::new("tickets").unwrap();
    let other = Event { scope: tickets.clone(), ..event(1) };
    let batch = [event(1), event(2), other, event(3), event(4), event(5)];
    let numbers: Vec<_> = store.capture_batch(&batch).unwrap().iter().map(Verdict::lsn).collect();
    let refused = || Answer::Rejected { code: "C".into(), message: "m".into(), reply: vec![] };
    store.settle(&[accepted(2), settlement(4, refused())]).unwrap();
    let with = |n| Answer::Accepted { receipt: Some(receipt(n)) };
    // In no order, twice, with an answer already, of another scope, in review, of nobody.
    let beyond = Lsn::from_u64(numbers[5].get() + 1_000).unwrap();
    let answers = [
        (numbers[3], with(3)),
        (numbers[1], with(9)),
        (numbers[3], with(9)),
        (numbers[2], with(9)),
        (numbers[4], with(9)),
        (beyond, with(9)),
        (numbers[5], refused()),
    ];
    store.settle_each(&sales(), &answers).unwrap();
    store.settle_each(&Scope::new("none").unwrap(), &[(numbers[0], with(9))]).unwrap();
    store.settle_each(&sales(), &[]).unwrap();
    for store in [store, rig.after_kill().open()] {
        let states = [1, 2, 3, 4, 5].map(|n| state(&store, n));
        let (pending, accepted, in_review) = (State::Pending, State::Accepted, State::InReview);
        assert_eq!(states, [pending, accepted, accepted, in_review, in_review]);
        assert_eq!(store.outcome(&tickets, &key(1)).unwrap().state, pending);
        let receipt_of = |n| store.outcome(&sales(), &key(n)).unwrap().receipt;
        assert_eq!((receipt_of(2), receipt_of(3)), (Some(receipt(2)), Some(receipt(3))));
        assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap().len(), 2);
    }
}

#[test]
fn a_settled_event_keeps_its_first_answer_and_its_receipt_over_restarts() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2), event(3)]).unwrap();
    assert_eq!(state(&store, 1), State::Pending, "control");
    store.settle(&[accepted(1), settlement(2, Answer::Duplicate { receipt: None })]).unwrap();
    // Late and repeated answers change nothing; unknown keys are left alone.
    let rejected = Answer::Rejected { code: "C".into(), message: "m".into(), reply: vec![] };
    store
        .settle(&[settlement(1, rejected), settlement(77, Answer::Accepted { receipt: None })])
        .unwrap();
    let other = Answer::Accepted { receipt: Some(receipt(9)) };
    store.settle(&[settlement(2, other.clone()), settlement(1, other)]).unwrap();
    store.settle(&[]).unwrap();
    for store in [store, rig.after_kill().open()] {
        let one = store.outcome(&sales(), &key(1)).unwrap();
        assert_eq!((one.state, one.receipt), (State::Accepted, Some(receipt(1))));
        let two = store.outcome(&sales(), &key(2)).unwrap();
        assert_eq!((two.state, two.receipt), (State::Duplicate, None));
        assert_eq!(state(&store, 3), State::Pending);
        let unknown = Outcome { state: State::Unknown, lsn: None, receipt: None };
        assert_eq!(store.outcome(&sales(), &key(77)).unwrap(), unknown);
        assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k3"]);
        let verdict = store.capture(&event(1)).unwrap();
        assert!(matches!(verdict, Verdict::Duplicate { state: State::Accepted, .. }));
        let status = store.status();
        assert_eq!((status.pending, status.settled, status.keys), (1, 2, 3));
        assert_eq!(status.amount_pending.to_string(), "0.03");
        assert_eq!(store.reviews().list(&ReviewFilter::new().with_max(1_000)).unwrap(), []);
    }
}

#[test]
fn of_two_answers_for_a_key_in_one_call_the_first_counts() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    let second = settlement(1, Answer::Accepted { receipt: Some(receipt(2)) });
    store.settle(&[accepted(1), second]).unwrap();
    for store in [store, rig.after_kill().open()] {
        assert_eq!(store.outcome(&sales(), &key(1)).unwrap().receipt, Some(receipt(1)));
    }
}

#[test]
fn five_thousand_answers_in_one_call_are_kept_all() {
    let rig = Rig::new();
    let store = rig.open();
    for first in (0..5_000).step_by(1_000) {
        let batch: Vec<Event> = (first..first + 1_000).map(event).collect();
        store.capture_batch(&batch).unwrap();
    }
    let answers: Vec<Settlement> = (0..5_000).map(accepted).collect();
    store.settle(&answers).unwrap();
    for store in [store, rig.after_kill().open()] {
        assert_eq!((store.status().pending, store.status().settled), (0, 5_000));
        for n in (0..5_000).step_by(499) {
            assert_eq!(store.outcome(&sales(), &key(n)).unwrap().receipt, Some(receipt(n)), "{n}");
        }
    }
}

#[test]
fn a_thousand_long_rejections_in_one_call_are_kept_all() {
    let rig = Rig::new();
    let store = rig.open();
    let batch: Vec<Event> = (0..1_000).map(event).collect();
    store.capture_batch(&batch).unwrap();
    let answers: Vec<Settlement> = (0..1_000)
        .map(|n| {
            let code = "C".repeat(100);
            // A cut must not split a character.
            let message = "\u{e9}".repeat(300);
            settlement(n, Answer::Rejected { code, message, reply: vec![9; 5_000] })
        })
        .collect();
    store.settle(&answers).unwrap();
    for store in [store, rig.after_kill().open()] {
        let items =
            store.reviews().list(&ReviewFilter::new().with_scope(sales()).with_max(1_000)).unwrap();
        assert_eq!((items.len(), store.status().in_review), (1_000, 1_000));
        let item = &items[999];
        assert_eq!((item.code.len(), item.message.len(), item.reply.len()), (64, 512, 1_024));
    }
}

/// T21.
#[test]
fn oldest_age_and_sums_follow_what_is_unsettled() {
    let rig = Rig::new();
    let store = rig.open();
    assert_eq!(store.status().oldest_pending, Duration::ZERO);
    store.capture(&event(5)).unwrap();
    rig.clock.advance(40_000);
    store.capture(&event(7)).unwrap();
    assert_eq!(store.status().oldest_pending, Duration::from_secs(40));
    assert_eq!(store.status().amount_pending.to_string(), "0.12");
    store.settle(&[accepted(5)]).unwrap();
    assert_eq!(store.status().oldest_pending, Duration::ZERO);
    assert_eq!(store.status().amount_pending.to_string(), "0.07");
}
