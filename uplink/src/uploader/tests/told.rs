//! What a reply says of the upstream itself.

use onceward::sync::payloads;

use super::*;

/// A day on which no test runs.
const ELSEWHEN: &str = "Date: Tue, 10 Mar 2020 14:22:05 GMT\r\n";

#[test]
fn the_clock_of_an_upstream_that_answers_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let hub = Hub::start(&[Act::Tell(ELSEWHEN)]);
    assert_eq!(store.server_offset(), None);
    hub.uploader(&store).run_once(&mut |_| ()).unwrap();
    let offset = store.server_offset().unwrap();
    let range = Duration::from_millis(500)..Duration::from_secs(20);
    assert!(range.contains(&offset.uncertainty), "{offset:?}");
    let wall_ms = crate::clock::wall_ms() + offset.offset_ms;
    let off_ms = u64::try_from(wall_ms - 1_583_850_125_000).unwrap();
    assert!(off_ms < 60_000, "{offset:?}");
}

#[test]
fn the_time_is_asked_for_with_a_request_that_changes_nothing() {
    for (act, is_told) in [(Act::Tell(ELSEWHEN), true), (Act::RefuseTelling(503, ELSEWHEN), false)]
    {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 0);
        let hub = Hub::start(&[act]);
        let mut uploader = hub.uploader(&store);
        let form = payloads();
        let mut session = Session::start(&store, uploader.options.clone(), form).unwrap();
        uploader.ask_time(&mut session).unwrap();
        assert_eq!(hub.requests.try_iter().collect::<Vec<_>>(), [0], "without an item");
        assert!(hub.applied().is_empty());
        assert_eq!(store.server_offset().is_some(), is_told, "{act:?}");
        assert_eq!(session.report().unreachable, !is_told, "{act:?}");
    }
}

#[test]
fn an_answer_without_a_date_and_one_that_is_none_tell_no_time() {
    for act in [
        Act::Answer,
        Act::RefuseTelling(200, ELSEWHEN),
        Act::RefuseTelling(503, ELSEWHEN),
        Act::RefuseTelling(302, ELSEWHEN),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 1);
        let hub = Hub::start(&[act]);
        hub.uploader(&store).run_once(&mut |_| ()).unwrap();
        assert_eq!(hub.requests.try_iter().count(), 1, "control: it was asked");
        assert_eq!(store.server_offset(), None, "{act:?}");
    }
}

#[test]
fn what_was_attempted_is_not_sent_again_once_the_upstream_says_that_it_forgets() {
    for (act, state_then) in [
        (Act::Tell("Onceward-Horizon: 2592000\r\n"), State::Accepted),
        (Act::Tell("Onceward-Horizon: 0\r\n"), State::Uncertain),
        // Whoever says this is not the upstream.
        (Act::RefuseTelling(503, "Onceward-Horizon: 0\r\n"), State::Accepted),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 3);
        // Of three requests with one event each the second has no answer.
        let hub = Hub::start(&[act, Act::Refuse(503)]);
        let mut uploader = hub.uploader(&store);
        uploader.options = uploader.options.clone().with_items_max(1);
        let uploader = uploader.spawn().unwrap();
        until(&uploader, |report| report.accepted + report.rejected == 3);
        uploader.stop().unwrap();
        let states = ["k0", "k1", "k2"].map(|key| state(&store, key));
        assert!(states.contains(&state_then), "{act:?}: {states:?}");
        let uncertain = states.iter().filter(|state| **state == State::Uncertain).count();
        assert_eq!(uncertain, usize::from(state_then == State::Uncertain), "{act:?}: {states:?}");
    }
}

#[test]
fn a_dialect_has_a_horizon_where_the_host_names_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 0);
    let hub = Hub::start(&[]);
    assert!(hub.uploader(&store).options.has_horizon());
    assert_eq!(Forloy::new().horizon_ms(), Some(2_592_000_000));
}

/// A session of an uploader that sent one event and got no reply.
fn unanswered(uploader: &mut Uploader) -> Session {
    let dialect = Arc::clone(&uploader.dialect);
    let form: Form = Arc::new(move |event, key, item| dialect.form(event, key, item));
    let mut session = Session::start(&uploader.store, uploader.options.clone(), form).unwrap();
    let Step::Send(batch) = session.next(0).unwrap() else { panic!("an event waits") };
    uploader.exchange(&mut session, &batch).unwrap();
    session
}

#[test]
fn the_answer_to_the_question_for_the_time_tells_the_horizon_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let hub = Hub::start(&[Act::LoseReply, Act::Tell("Onceward-Horizon: 0\r\n")]);
    let mut uploader = hub.uploader(&store);
    let mut session = unanswered(&mut uploader);
    uploader.ask_time(&mut session).unwrap();
    assert!(matches!(session.next(u64::MAX).unwrap(), Step::Idle));
    assert_eq!(state(&store, "k0"), State::Uncertain);
}

#[test]
fn a_refused_key_and_a_wish_are_taken_up_from_that_answer_too() {
    const REFUSAL: &str = r#"{"status":401,"code":"UNAUTHORIZED"}"#;
    for has_source in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 1);
        let hub = Hub::start(&[Act::LoseReply, Act::Say(401, REFUSAL)]);
        let mut uploader = hub.uploader(&store);
        if has_source {
            uploader = uploader.fresh_key(|| Some(Secret::new("fresh")));
        }
        let mut session = unanswered(&mut uploader);
        uploader.ask_time(&mut session).unwrap();
        assert_eq!(session.report().blocked, !has_source);
        assert_eq!(matches!(session.next(u64::MAX).unwrap(), Step::Blocked), !has_source);
    }
}
