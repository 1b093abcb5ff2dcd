//! No room, no right, no sense: nothing is lost, and nobody is asked without end.

use onceward::Config;

use super::hub::{HubModel, problem};
use super::till::{Fate, Till};
use crate::deliveries::PullStep;
use crate::dialect::Response;

fn wait(till: &mut Till) -> u64 {
    match till.pull.next(till.now_ms).unwrap() {
        PullStep::Wait { until_ms } => until_ms - till.now_ms,
        step => panic!("{step:?}"),
    }
}

#[test]
fn a_full_inbox_stops_the_questions_and_loses_nothing() {
    let (mut hub, mut till) =
        (HubModel::new(), Till::with("phone-1", Config::new().with_inbox_deliveries_max(1)));
    hub.queue("first", None);
    hub.queue("second", None);
    for _ in 0..3 {
        till.pull_once(&mut hub, Fate::Arrives).unwrap();
    }
    assert_eq!((till.pull.report().received, till.pull.report().refused_full), (1, 1));
    let asked = hub.seen.len();
    assert!(wait(&mut till) >= 1_000);
    assert_eq!(hub.seen.len(), asked);
    till.until_settled(&mut hub);
    assert!(hub.deliveries.iter().all(|it| it.acks == 1));
    assert!(till.worked.values().all(|count| *count == 1));
}

#[test]
fn a_delivery_that_no_store_can_hold_is_counted_and_others_come() {
    let (mut hub, mut till) =
        (HubModel::new(), Till::with("phone-1", Config::new().with_payload_bytes_max(512)));
    hub.queue("long", None);
    hub.deliveries[0].payload = serde_json::json!("x".repeat(600));
    let note = hub.queue("note", None);
    for _ in 0..12 {
        till.round(&mut hub, Fate::Arrives);
    }
    assert_eq!(hub.find(&note).acks, 1);
    assert!(till.pull.report().unusable >= 1);
    let trouble = till.pull.report().last_trouble.clone().unwrap();
    assert!(trouble.contains(&hub.deliveries[0].id) && trouble.contains("512"), "{trouble}");
}

#[test]
fn failures_wait_twice_as_long_each_time_and_a_wish_is_honoured() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    for failures in 1..=12_u32 {
        let fate = Fate::LosesRequest;
        till.pull_once(&mut hub, fate).unwrap();
        let waits = wait(&mut till);
        let most = (1_000_u64 << failures).min(300_000);
        assert!((1_000..=most).contains(&waits), "failure {failures}: {waits}");
        till.passes(&mut hub, waits);
    }
    hub.script = vec![problem(503, "BUSY").with_retry_after("1200")];
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
    assert!(wait(&mut till) >= 1_200_000);
    till.pull.on_online();
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
    till.pull_once(&mut hub, Fate::LosesRequest).unwrap();
    assert!(wait(&mut till) <= 2_000, "a success forgets the failures");
}

#[test]
fn refused_credentials_wait_for_others() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    hub.script = vec![problem(401, "UNAUTHORIZED")];
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
    assert_eq!(till.pull.take_key_refusal(), Some(true));
    assert!(matches!(till.pull.next(u64::MAX / 2).unwrap(), PullStep::Blocked));
    assert!(till.pull.report().blocked);
    till.pull.on_new_key();
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
    assert_eq!(till.pull.take_key_refusal(), Some(false));
    assert_eq!(till.pull.report().window.as_deref(), Some("w_1"));
}

#[test]
fn a_stranger_changes_nothing() {
    let strangers = [
        Response::new(200, "<html>Log in</html>"),
        Response::new(200, "{}"),
        Response::new(200, r#"["d-1"]"#),
        Response::new(200, r#"{"delivery_id":7,"window":"w_1"}"#),
        Response::new(200, b"{\"delivery_id\":\"\xff\"}".to_vec()),
        Response::new(302, "").with_location("/login"),
        Response::new(410, "gone"),
        Response::new(410, r#"{"code":"WINDOW_OVER"}"#),
        Response::new(404, "none"),
        Response::new(401, "who?"),
    ];
    for stranger in strangers {
        let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
        till.pull_once(&mut hub, Fate::Arrives).unwrap();
        hub.queue("note", None);
        hub.script = vec![stranger.clone()];
        till.pull_once(&mut hub, Fate::Arrives).unwrap();
        let report = till.pull.report().clone();
        assert_eq!(
            (report.failures, report.received, report.blocked),
            (1, 0, false),
            "{stranger:?}"
        );
        assert_eq!(till.store.inbox().status().windows, 1, "{stranger:?}");
        till.until_settled(&mut hub);
    }
}

#[test]
fn a_step_that_a_stranger_answers_is_told_again_and_a_pointless_one_is_not() {
    let stranger = Response::new(200, r#"{"delivery_id":"another","status":"partial","step":1}"#);
    let less = |id: &str| {
        Response::new(200, format!(r#"{{"delivery_id":"{id}","status":"partial","step":0}}"#))
    };
    for (answer, is_again) in [
        (Some(stranger), true),
        (None, true),
        (Some(problem(422, "STEP_INVALID")), false),
        (Some(problem(404, "DELIVERY_NOT_FOUND")), false),
    ] {
        let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
        let id = hub.queue("survey", Some(3));
        while !till.work_once() {
            till.pull_once(&mut hub, Fate::Arrives).unwrap();
        }
        hub.script = vec![answer.clone().unwrap_or_else(|| less(&id))];
        till.pull_once(&mut hub, Fate::Arrives).unwrap();
        assert!(hub.seen.last().unwrap().path.ends_with("/ack"));
        let waits = if is_again { wait(&mut till) } else { 0 };
        till.passes(&mut hub, waits);
        till.pull_once(&mut hub, Fate::Arrives).unwrap();
        let is_told = hub.seen.last().unwrap().path.ends_with("/ack");
        assert_eq!((is_told, hub.find(&id).recorded == 1), (is_again, is_again), "{answer:?}");
    }
}

#[test]
fn nothing_is_asked_more_than_once_a_second_while_there_is_nothing() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    for _ in 0..2 {
        till.pull_once(&mut hub, Fate::Arrives).unwrap();
    }
    assert_eq!(wait(&mut till), 1_000);
}

#[test]
fn an_answer_to_what_was_not_asked_changes_nothing() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    let other = crate::RequestId::from_u64(999);
    till.pull.on_response(other, &Response::new(200, "{}"), 0).unwrap();
    till.pull.on_no_answer(other, "lost", 0);
    assert_eq!((till.pull.in_flight(), till.pull.report().failures), (0, 0));
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
}
