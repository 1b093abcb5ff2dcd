//! Events that the dialect cannot send: whose fault that is shows by what the upstream takes besides.

use std::sync::Arc;

use super::*;
use crate::review::ReviewFilter;
use crate::sync::{Answered, Failure, Form, Misfit};
use crate::testing::Rig;
use crate::testing::upstream::payloads_but;

/// As another dialect than the one for which the events were captured.
fn wrong_dialect() -> Form {
    let (code, message) = ("INVALID_ITEM".to_owned(), "amount: is missing".to_owned());
    Arc::new(move |_, _, _| Err(Misfit { code: code.clone(), message: message.clone() }))
}

#[test]
fn a_wrong_dialect_sends_nothing_and_rejects_nothing_and_is_told_as_the_configuration() {
    let store = Rig::new().open();
    capture(&store, 1..=40);
    // Some were attempted: these are uncertain no more than the others are rejected.
    drop(batch(&mut start(&store), 0));
    for effort in [Effort::Once, Effort::Forever] {
        let upstream = crate::sync::Upstream::new("http://elsewhere", "other").unwrap();
        let options = options().with_effort(effort).with_upstream(upstream);
        let mut session = Session::start(&store, options, wrong_dialect()).unwrap();
        assert!(matches!(session.next(0).unwrap(), Step::Idle));
        let report = session.report();
        let told = report.misconfigured.unwrap();
        assert!(told.contains("40 events") && told.contains("(k40) for INVALID_ITEM"), "{told}");
        assert_eq!((report.batches, report.misfits, report.rejected), (0, 40, 0));
        assert_eq!((pending(&store).len(), store.status().in_review), (40, 0));
    }
    drain(&mut start(&store), &mut ScriptedUpstream::default(), 0);
    assert_eq!(store.status().settled, 40, "sent in the right dialect, everything goes");
}

#[test]
fn what_forms_no_item_waits_until_the_upstream_takes_another_event_and_goes_to_review_then() {
    let store = Rig::new().open();
    capture(&store, 1..=6);
    let fit = payloads_but(&["k1", "k3", "k6", "k7"]);
    let mut session = Session::start(&store, options(), fit).unwrap();
    let sent = batch(&mut session, 0);
    assert_eq!(sent.item_keys(), ["k2", "k4"]);
    assert_eq!(store.status().in_review, 0, "nobody took anything yet");
    let (why, answered) = ("away".to_owned(), Answered::Nobody);
    let failure = Failure::Unavailable { why, retry_after_ms: None, answered };
    session.on_failure(sent.id, &failure, 0).unwrap();
    assert_eq!((store.status().in_review, session.report().misconfigured), (0, None));
    let again = wait(&mut session, 0);
    let sent = batch(&mut session, again);
    session.on_reply(sent.id, &reply(&[2, 4], &accepted()), again).unwrap();
    assert_eq!((store.status().in_review, session.report().misfits), (2, 0));
    // From then on at once.
    capture(&store, 7..=7);
    assert_eq!(batch(&mut session, again).item_keys(), ["k5"]);
    assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap().len(), 4);
}

#[test]
fn one_that_forms_no_item_and_is_alone_stays_pending_and_is_told() {
    let store = Rig::new().open();
    capture(&store, 1..=1);
    for (effort, is_told) in [(Effort::Forever, false), (Effort::Once, true)] {
        let options = options().with_effort(effort);
        let mut session = Session::start(&store, options, wrong_dialect()).unwrap();
        assert!(matches!(session.next(0).unwrap(), Step::Idle));
        let report = session.report();
        assert_eq!(report.misconfigured.is_some(), is_told, "{effort:?}");
        assert!(report.last_failure.unwrap().contains("amount: is missing"));
        assert_eq!((pending(&store), store.status().in_review), (vec!["k1".to_owned()], 0));
    }
}
