//! What is fixed in a batch, and what becomes of one whose key is refused.

use super::{accepted, batch, capture, options, pending, reply, start, state, wait};
use crate::State;
use crate::sync::payloads;
use crate::sync::{Failure, Options, Session, Step, Upstream};
use crate::testing::Rig;

fn upstream(url: &str) -> Upstream {
    Upstream::new(url, "wede").unwrap()
}

fn set(url: &str, settings: &str) -> Options {
    options().with_upstream(upstream(url)).with_settings(settings)
}

fn key_refused() -> Failure {
    let (code, message) = ("IDEMPOTENCY_KEY_REUSED".to_owned(), "other events".to_owned());
    Failure::BatchKeyRefused { code, message }
}

#[test]
fn a_resend_by_a_later_opening_with_other_settings_is_the_same_request() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=3);
    let mut session = Session::start(&store, set("http://hub", "till-1"), payloads()).unwrap();
    let first = batch(&mut session, 0);
    assert_eq!((first.settings.as_str(), &first.upstream), ("till-1", &upstream("http://hub")));
    drop((session, store));

    let store = rig.open();
    capture(&store, 4..=5);
    let mut session = Session::start(&store, set("http://HUB:80/", "till-2"), payloads()).unwrap();
    let again = batch(&mut session, 0);
    assert_eq!(
        (&again.idempotency_key, &again.settings, &again.items),
        (&first.idempotency_key, &first.settings, &first.items)
    );
    session.on_reply(again.id, &reply(&[1, 2, 3], &accepted()), 0).unwrap();
    let next = batch(&mut session, 0);
    assert_eq!(next.settings, "till-2", "what is formed now has the settings of now");
    let opening = |key: &str| key.rsplit('-').nth(1).map(ToOwned::to_owned);
    assert_ne!(opening(&next.idempotency_key), opening(&first.idempotency_key));
}

#[test]
fn a_batch_for_another_upstream_is_not_sent_to_this_one_and_its_events_are() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=3);
    let mut session = Session::start(&store, set("http://one", "d"), payloads()).unwrap();
    let first = batch(&mut session, 0);
    drop(session);
    let mut session = Session::start(&store, set("http://two", "d"), payloads()).unwrap();
    let moved = batch(&mut session, 0);
    assert_eq!(moved.items, first.items);
    assert_ne!((moved.id, &moved.idempotency_key), (first.id, &first.idempotency_key));
    assert_eq!(moved.upstream, upstream("http://two"));
    drop((session, store));
    // It is retired for good.
    let store = rig.open();
    let open = store.inner.events().open_batches(&crate::testing::sales());
    assert_eq!(open.iter().map(|open| open.number).collect::<Vec<_>>(), [moved.id.get()]);
}

#[test]
fn a_refused_batch_key_forms_the_batch_anew_and_sends_nothing_to_review() {
    for count in [1, 3] {
        let rig = Rig::new();
        let store = rig.open();
        capture(&store, 1..=count);
        let mut session = start(&store);
        let mut keys = Vec::new();
        let mut now_ms = 0;
        for _ in 0..5 {
            let sent = batch(&mut session, now_ms);
            assert_eq!(u64::try_from(sent.items().len()).unwrap(), count);
            assert!(!keys.contains(&sent.idempotency_key), "{keys:?}");
            keys.push(sent.idempotency_key);
            session.on_failure(sent.id, &key_refused(), now_ms).unwrap();
            now_ms = wait(&mut session, now_ms);
        }
        let report = session.report();
        assert_eq!((report.rejected, report.failures), (0, 5));
        assert!(report.last_failure.unwrap().contains("IDEMPOTENCY_KEY_REUSED"));
        assert_eq!(u64::try_from(pending(&store).len()).unwrap(), count);
        // A crash in between keeps the new name.
        drop((session, store));
        let store = rig.open();
        let mut session = start(&store);
        let sent = batch(&mut session, 0);
        assert!(!keys.contains(&sent.idempotency_key), "the refused one is retired");
        let numbers: Vec<u64> = (1..=count).collect();
        session.on_reply(sent.id, &reply(&numbers, &accepted()), 0).unwrap();
        assert!(matches!(session.next(0), Ok(Step::Idle)));
        assert_eq!(state(&store, count), State::Accepted);
    }
}

#[test]
fn settings_that_no_batch_can_hold_are_refused_at_once() {
    let store = Rig::new().open();
    let error =
        Session::start(&store, options().with_settings("d".repeat(1_025)), payloads()).unwrap_err();
    assert_eq!(error.code(), "SETTINGS_TOO_LONG");
    assert!(Session::start(&store, options().with_settings("d".repeat(1_024)), payloads()).is_ok());
}
