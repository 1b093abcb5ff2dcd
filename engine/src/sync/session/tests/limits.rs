//! What goes into a batch: durable events of its scope that fit.

use std::sync::Arc;

use onceward_wal::{Lsn, NewFrame, Purpose};

use super::*;
use crate::base::FrameKind;
use crate::event::layout::{self as layout, Encoded};
use crate::kernel::{Queueing, Waiter};
use crate::outbox::{Arrived, Facts, TakenEvent};
use crate::review::ReviewFilter;
use crate::testing::upstream::{payloads_but, rejected};
use crate::testing::{Rig, sized_event};
use crate::{Answer, Settlement};

#[test]
fn batches_keep_to_the_counts_and_bytes_and_a_larger_single_goes_alone() {
    let store = Rig::new().open();
    for (n, bytes) in [(1, 100), (2, 100), (3, 900), (4, 10), (5, 10), (6, 10), (7, 10), (8, 10)] {
        store.capture(&sized_event(n, bytes)).unwrap();
    }
    let mut session =
        Session::start(&store, options().with_items_max(3).with_bytes_max(300), payloads())
            .unwrap();
    let mut batches = Vec::new();
    while let Step::Send(sent) = session.next(0).unwrap() {
        batches.push(sent.item_keys().join(" "));
        let items = sent.items().map(|i| (i.key.to_owned(), accepted()));
        session.on_reply(sent.id, &Reply::of(items.collect()), 0).unwrap();
    }
    assert_eq!(batches, ["k1 k2", "k3", "k4 k5 k6", "k7 k8"]);
}

#[test]
fn events_that_cannot_form_an_item_go_to_review_unsent() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=6);
    let form = payloads_but(&["k1", "k3", "k6"]);
    let mut session = Session::start(&store, options(), form).unwrap();
    let mut upstream = ScriptedUpstream::default();
    drain(&mut session, &mut upstream, 0);
    let sent: Vec<&String> = upstream.effects().keys().collect();
    assert_eq!(sent, ["k2", "k4", "k5"]);
    let reviews = store.reviews().list(&ReviewFilter::new()).unwrap();
    let told: Vec<_> = reviews.iter().map(|r| (r.key.as_str(), r.code.as_str())).collect();
    assert_eq!(told, [("k1", "INVALID_ITEM"), ("k3", "INVALID_ITEM"), ("k6", "INVALID_ITEM")]);
    let report = session.report();
    assert_eq!((report.attempted, report.accepted, report.rejected), (3, 3, 3));
    drop(session);
    assert_eq!(rig.after_kill().open().status().in_review, 3);
}

#[test]
fn five_thousand_misfits_in_a_row_do_not_hide_what_follows() {
    let store = Rig::new().open();
    for first in (1..=5_000).step_by(1_000) {
        capture(&store, first..=first + 999);
    }
    let form: crate::sync::Form = Arc::new(|event, _key, item| match event.event.key.as_str() {
        "k5000" => {
            item.push(b'x');
            Ok(())
        }
        _ => Err(crate::sync::Misfit { code: "INVALID_ITEM".into(), message: String::new() }),
    });
    let mut session = Session::start(&store, options(), form).unwrap();
    let sent = batch(&mut session, 0);
    assert_eq!(sent.item_keys(), ["k5000"]);
    session.on_reply(sent.id, &reply(&[5_000], &accepted()), 0).unwrap();
    assert_eq!(store.status().in_review, 4_999);
}

/// Upstream must not know an event that this terminal can still lose.
#[test]
fn an_event_that_is_not_durable_yet_is_not_sent() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=1);
    let inner = &store.inner;
    let queued = event(2);
    let lsn = {
        let state = &mut *inner.state.lock();
        let encoded = Encoded::new(&queued);
        let parts = encoded.parts();
        let new = [NewFrame { kind: FrameKind::Event.code(), flags: encoded.flags, parts: &parts }];
        let (kind, mono_ms, purpose) = (FrameKind::Event, inner.time.mono_ms(), Purpose::Capture);
        let how = Queueing { kind, keys: 1, mono_ms, purpose, waiter: Waiter::Ticket };
        let at = inner.queue(state, &new, how).unwrap()[0];
        let kernel = &mut state.kernel;
        let facts = Facts::of(&kernel.secret, kernel.keys.windows(), &layout::View::of(&queued));
        let moment = inner.time.moment(mono_ms);
        let held = kernel.keys.take(facts.reservation(at.lsn), moment.trusted_ms);
        let arrived = Arrived { moment, is_effect: false };
        state.outbox.add(kernel, TakenEvent { facts: &facts, at, held }, arrived);
        Lsn::from_u64(at.lsn).unwrap()
    };
    let mut session = start(&store);
    // Forming the batch syncs what was queued before it, but it is formed of what was durable then.
    let first = batch(&mut session, 0);
    assert_eq!(first.item_keys(), ["k1"]);
    assert_eq!(session.report().last_failure, None, "nor was it tried to be read");
    session.on_reply(first.id, &reply(&[1], &accepted()), 0).unwrap();
    inner.log.wait(lsn).unwrap();
    assert_eq!(batch(&mut session, 0).item_keys(), ["k2"], "control: now it is durable");
}

/// T39: a number stands for one content.
#[test]
fn a_batch_of_which_a_part_was_settled_otherwise_is_sent_under_another_number() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=4);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    drop(session);
    let settle = |n: u64, answer: Answer| {
        store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
    };
    settle(1, Answer::Accepted { receipt: None });
    let ItemOutcome::Rejected { code, message, reply: bytes } = rejected("NO") else { panic!() };
    settle(2, Answer::Rejected { code, message, reply: bytes });
    let mut session = start(&store);
    let rest = batch(&mut session, 0);
    assert_eq!(rest.item_keys(), ["k3", "k4"], "neither what is settled nor what is in review");
    assert_ne!(rest.idempotency_key, first.idempotency_key);
    drop(session);
    let store = rig.after_kill().open();
    let mut session = start(&store);
    let again = batch(&mut session, 0);
    assert_eq!((again.id, &again.items), (rest.id, &rest.items));
    session.on_reply(again.id, &reply(&[3, 4], &accepted()), 0).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    assert_eq!((store.status().settled, store.status().in_review), (3, 1));
}
