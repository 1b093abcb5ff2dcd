//! Events that are refused alone: whose fault it is shows by what the upstream takes besides.

use super::*;
use crate::review::ReviewFilter;
use crate::sync::Failure;
use crate::testing::{Rig, sized_event};

fn refused() -> Failure {
    Failure::Refused { code: "HTTP_400".to_owned(), message: "a page".to_owned() }
}

/// Refuses whatever is sent until the session has nothing more to send for now. Returns how often.
fn refuse_all(session: &mut Session, now_ms: u64) -> u64 {
    let mut requests = 0;
    while let Step::Send(sent) = session.next(now_ms).unwrap() {
        requests += 1;
        session.on_failure(sent.id, &refused(), now_ms).unwrap();
    }
    requests
}

fn in_review(store: &Store) -> Vec<String> {
    let found = store.reviews().list(&ReviewFilter::new()).unwrap();
    found.iter().map(|item| item.key.to_string()).collect()
}

#[test]
fn a_server_that_does_not_serve_this_there_is_the_configuration_and_no_events_fault() {
    let store = Rig::new().open();
    capture(&store, 1..=10);
    let why = "there is no such route".to_owned();
    let failure = Failure::Misdirected { why };
    let mut session = start_once(&store);
    let first = batch(&mut session, 0);
    session.on_failure(first.id, &failure, 0).unwrap();
    assert!(matches!(session.next(u64::MAX).unwrap(), Step::Idle), "one request is enough");
    let report = session.report();
    assert!(report.misconfigured.unwrap().contains("no such route"));
    drop(session);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    session.on_failure(first.id, &failure, 0).unwrap();
    let again = wait(&mut session, 0);
    let first = batch(&mut session, again);
    session.on_reply(first.id, &reply(&[1, 2, 3, 4], &accepted()), again).unwrap();
    assert_eq!(session.report().misconfigured, None, "it is mended");
    assert_eq!((store.status().in_review, store.status().settled), (0, 4));
}

#[test]
fn one_that_is_refused_alone_stays_pending_until_the_upstream_takes_another() {
    let store = Rig::new().open();
    capture(&store, 1..=1);
    let mut session = start(&store);
    assert_eq!(refuse_all(&mut session, 0), 1);
    assert_eq!((pending(&store), session.report().suspects), (vec!["k1".to_owned()], 1));
    assert!(matches!(session.next(1_000_000_000), Ok(Step::Idle)), "it waits for evidence");
    capture(&store, 2..=2);
    let other = batch(&mut session, 0);
    assert_eq!(other.item_keys(), ["k2"]);
    session.on_reply(other.id, &reply(&[2], &accepted()), 0).unwrap();
    assert_eq!((in_review(&store), session.report().rejected), (vec!["k1".to_owned()], 1));
    let report = session.report();
    assert_eq!((report.suspects, report.misconfigured), (0, None));
}

/// Poison and nothing else: nobody can tell it from a wrong address, so it waits, and that is said.
#[test]
fn two_that_are_refused_alone_wait_in_every_session_and_it_is_said_for_what() {
    let store = Rig::new().open();
    capture(&store, 1..=2);
    for effort in [Effort::Once, Effort::Forever, Effort::Once] {
        let mut session =
            Session::start(&store, options().with_effort(effort), payloads()).unwrap();
        assert_eq!(refuse_all(&mut session, 0), 3, "together, and each alone");
        let report = session.report();
        assert_eq!((report.suspects, report.rejected, report.misconfigured), (2, 0, None));
        let said = report.last_failure.unwrap();
        assert!(said.starts_with("2 events that were sent alone were refused"), "{said}");
        assert!(said.contains("wait until the upstream takes others"), "{said}");
        assert_eq!((pending(&store).len(), in_review(&store).len()), (2, 0));
    }
    // The next sale that it takes is the evidence.
    capture(&store, 3..=3);
    let mut upstream = ScriptedUpstream::default();
    ["k1", "k2"].iter().for_each(|key| upstream.refuse_batches_with(key));
    drain(&mut start(&store), &mut upstream, 0);
    assert_eq!(
        (in_review(&store), state(&store, 3)),
        (vec!["k1".to_owned(), "k2".to_owned()], State::Accepted)
    );
}

/// A wrong address, a wrong dialect, a page on the way.
#[test]
fn an_upstream_that_refuses_whatever_it_is_sent_pauses_the_session_and_rejects_nothing() {
    let store = Rig::new().open();
    capture(&store, 1..=40);
    let mut session = Session::start(&store, options().with_items_max(50), payloads()).unwrap();
    let requests = refuse_all(&mut session, 0);
    assert!(requests <= 25, "{requests}");
    let until_ms = wait(&mut session, 0);
    assert!(until_ms >= 300_000, "{until_ms}");
    let told = session.report().misconfigured.unwrap();
    assert!(told.contains("8 events in a row") && told.contains("HTTP_400"), "{told}");
    assert_eq!((pending(&store).len(), store.status().in_review), (40, 0));
    // It is tried seldom, and with few requests.
    let again = refuse_all(&mut session, until_ms);
    assert!(again <= 7, "{again}");
    assert!(wait(&mut session, until_ms) >= until_ms + 300_000);
    assert_eq!(store.status().in_review, 0);
    drop(session);
    // Sent to the right place, everything goes.
    let mut upstream = ScriptedUpstream::default();
    drain(&mut start(&store), &mut upstream, 0);
    assert_eq!((store.status().settled, upstream.effects().len()), (40, 40));
}

#[test]
fn an_upstream_that_is_mended_gets_everything_also_what_it_refused_before() {
    let store = Rig::new().open();
    capture(&store, 1..=20);
    let mut session = start(&store);
    refuse_all(&mut session, 0);
    assert!(session.report().misconfigured.is_some());
    let mut upstream = ScriptedUpstream::default();
    drain(&mut session, &mut upstream, 0);
    assert_eq!((store.status().settled, store.status().in_review), (20, 0));
    assert_eq!(session.report().misconfigured, None);
}

#[test]
fn being_told_that_the_configuration_changed_tries_everything_at_once() {
    let store = Rig::new().open();
    capture(&store, 1..=9);
    let mut session = start(&store);
    refuse_all(&mut session, 0);
    assert!(session.report().misconfigured.is_some());
    session.on_online();
    assert_eq!((session.report().misconfigured, session.report().suspects), (None, 0));
    drain(&mut session, &mut ScriptedUpstream::default(), 0);
    assert_eq!(store.status().settled, 9);
}

#[test]
fn once_ends_with_a_configuration_at_fault_and_everything_pending() {
    let store = Rig::new().open();
    capture(&store, 1..=40);
    let mut session = start_once(&store);
    refuse_all(&mut session, 0);
    assert!(matches!(session.next(10_000_000), Ok(Step::Idle)));
    assert!(session.report().misconfigured.is_some());
    assert_eq!((pending(&store).len(), store.status().in_review), (40, 0));
}

#[test]
fn what_was_taken_with_other_settings_is_no_evidence_and_what_they_broke_is_sent_anew() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=4);
    let wrong = options().with_settings("");
    let mut session = Session::start(&store, wrong, payloads()).unwrap();
    let left = batch(&mut session, 0);
    drop(session);
    capture(&store, 5..=5);
    let mut session =
        Session::start(&store, options().with_settings("till-1"), payloads()).unwrap();
    let again = batch(&mut session, 0);
    assert_eq!((again.id, again.settings.as_str()), (left.id, ""), "a resend is the same request");
    session.on_failure(again.id, &refused(), 0).unwrap();
    let anew = batch(&mut session, 0);
    assert_eq!((&anew.items, anew.settings.as_str()), (&left.items, "till-1"));
    session.on_reply(anew.id, &reply(&[1, 2, 3, 4], &accepted()), 0).unwrap();
    drop(session);

    // And an acceptance of what has other settings convicts nobody.
    let mut session =
        Session::start(&store, options().with_settings("till-1"), payloads()).unwrap();
    let left = batch(&mut session, 0);
    assert_eq!(left.item_keys(), ["k5"]);
    drop(session);
    capture(&store, 6..=6);
    let mut session =
        Session::start(&store, options().with_settings("till-2"), payloads()).unwrap();
    let resent = batch(&mut session, 0);
    session.on_failure(resent.id, &unavailable(), 0).unwrap();
    session.on_online();
    let resent = batch(&mut session, 0);
    assert_eq!(resent.settings, "till-1");
    session.on_reply(resent.id, &reply(&[5], &accepted()), 0).unwrap();
    refuse_all(&mut session, 0);
    assert_eq!((pending(&store), in_review(&store)), (vec!["k6".to_owned()], vec![]));
}

fn unavailable() -> Failure {
    let answered = crate::sync::Answered::Nobody;
    Failure::Unavailable { why: "away".to_owned(), retry_after_ms: None, answered }
}

#[test]
fn too_large_for_an_event_that_is_smaller_than_one_that_was_taken_is_the_line() {
    let store = Rig::new().open();
    store.capture(&sized_event(1, 500)).unwrap();
    let mut session = start(&store);
    let large = batch(&mut session, 0);
    session.on_reply(large.id, &reply(&[1], &accepted()), 0).unwrap();
    store.capture(&sized_event(2, 100)).unwrap();
    let small = batch(&mut session, 0);
    session.on_failure(small.id, &Failure::TooLarge, 0).unwrap();
    assert!(session.report().unreachable);
    let until_ms = wait(&mut session, 0);
    let again = batch(&mut session, until_ms);
    assert_eq!(again.idempotency_key, small.idempotency_key, "the same again");
    session.on_reply(again.id, &reply(&[2], &accepted()), until_ms).unwrap();
    assert_eq!((store.status().settled, store.status().in_review), (2, 0));
    // Control: a larger one may be too large.
    store.capture(&sized_event(3, 5_000)).unwrap();
    let larger = batch(&mut session, until_ms);
    session.on_failure(larger.id, &Failure::TooLarge, until_ms).unwrap();
    assert_eq!(in_review(&store), ["k3"]);
}

#[test]
fn what_the_upstream_took_before_speaks_against_what_it_refuses_alone() {
    let store = Rig::new().open();
    let mut upstream = ScriptedUpstream::default();
    (1..=8).for_each(|n| upstream.refuse_batches_with(key(n).as_str()));
    capture(&store, 20..=24);
    let mut session = start(&store);
    drain(&mut session, &mut upstream, 0);
    capture(&store, 1..=8);
    drain(&mut session, &mut upstream, 0);
    assert_eq!((store.status().settled, store.status().in_review), (5, 8));
    assert_eq!(session.report().misconfigured, None);
}

/// Something on its side was changed, perhaps.
#[test]
fn an_upstream_that_refuses_everything_after_a_while_rejects_eight_and_pauses_the_session() {
    let store = Rig::new().open();
    capture(&store, 1..=4);
    let mut session = start(&store);
    drain(&mut session, &mut ScriptedUpstream::default(), 0);
    capture(&store, 5..=44);
    refuse_all(&mut session, 0);
    assert_eq!((store.status().in_review, pending(&store).len()), (8, 32));
    let told = session.report().misconfigured.unwrap();
    assert!(told.contains("9 events in a row") && told.contains("taken since"), "{told}");
    let until_ms = wait(&mut session, 0);
    refuse_all(&mut session, until_ms);
    assert_eq!(store.status().in_review, 8, "and no more of them later");
}

#[test]
fn a_suspect_parks_its_lane() {
    let store = Rig::new().open();
    let lane = || crate::Lane::new("card").unwrap();
    store.capture_batch(&[event(1).with_lane(lane()), event(2).with_lane(lane())]).unwrap();
    let mut session = start(&store);
    assert_eq!(refuse_all(&mut session, 0), 1, "k2 is not tried before k1 is done");
    capture(&store, 3..=3);
    let other = batch(&mut session, 0);
    session.on_reply(other.id, &reply(&[3], &accepted()), 0).unwrap();
    assert_eq!(
        (in_review(&store), pending(&store)),
        (vec!["k1".to_owned()], vec!["k2".to_owned()])
    );
    assert!(matches!(session.next(1_000_000_000), Ok(Step::Idle)));
}

/// The eighth is the one at which the session pauses; when it was attempted first is not forgotten with that.
#[test]
fn a_pause_for_the_configuration_makes_no_event_one_that_an_earlier_session_attempted() {
    const DAY_MS: u64 = 86_400_000;
    let rig = Rig::new();
    rig.clock.name_boot(1);
    let store = rig.open();
    capture(&store, 1..=8);
    rig.clock.advance(31 * DAY_MS);
    let options = options().with_horizon(Duration::from_millis(30 * DAY_MS)).with_items_max(8);
    let mut session = Session::start(&store, options, payloads()).unwrap();
    refuse_all(&mut session, 0);
    assert!(session.report().misconfigured.is_some());
    // The address is mended.
    session.on_online();
    drain(&mut session, &mut ScriptedUpstream::default(), 1_000_000);
    assert_eq!((store.status().in_review, store.status().settled), (0, 8));
}
