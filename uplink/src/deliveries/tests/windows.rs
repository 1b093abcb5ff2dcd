//! Windows are the hub's: they open and end by its word.

use super::hub::{HubModel, problem};
use super::till::{Fate, Till};
use crate::dialect::Response;

/// A till that has a survey of three steps and has done the first.
fn begun(hub: &mut HubModel, till: &mut Till) -> String {
    let id = hub.queue("survey", Some(3));
    while !till.work_once() {
        till.pull_once(hub, Fate::Arrives).unwrap();
    }
    id
}

#[test]
fn a_window_that_ends_between_offer_and_ack_drops_what_is_open_and_another_session_begins() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    begun(&mut hub, &mut till);
    hub.over();
    let fresh = hub.queue("tour", None);
    till.until_settled(&mut hub);
    assert_eq!(hub.find(&fresh).acks, 1);
    assert_eq!((hub.sessions, till.pull.report().windows_over), (2, 1));
    assert_eq!(till.store.inbox().status().dropped, 1);
    assert_eq!(till.pull.report().window.as_deref(), Some("w_2"));
    let survey: Vec<u32> =
        till.worked.keys().filter(|(name, _)| name == "survey").map(|(_, step)| *step).collect();
    assert_eq!(survey, [1], "nothing of it was worked after the end");
}

#[test]
fn an_ack_after_the_end_is_late_and_taken() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    hub.queue("note", None);
    while !till.work_once() {
        till.pull_once(&mut hub, Fate::Arrives).unwrap();
    }
    hub.over();
    assert!(till.ack_once(&mut hub, Fate::Arrives));
    assert_eq!(till.store.status().settled, 1);
    assert_eq!(till.store.status().in_review, 0);
}

#[test]
fn a_question_that_is_told_of_the_end_in_its_answer_ends_the_window_too() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
    hub.script = vec![Response::new(200, r#"{"window_over":true}"#)];
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
    assert_eq!((till.pull.report().windows_over, till.store.inbox().status().windows), (1, 0));
}

#[test]
fn an_end_that_was_never_heard_shows_in_the_next_session() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    begun(&mut hub, &mut till);
    hub.over();
    till = till.killed();
    assert_eq!(till.store.inbox().list(None, 9).unwrap().len(), 1, "control: it is still open");
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
    assert_eq!(till.store.inbox().list(None, 9).unwrap().len(), 0);
    assert_eq!(till.store.inbox().dropped()[0].window, "w_1");
}

#[test]
fn a_session_that_is_resumed_moves_the_end_and_drops_nothing() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    begun(&mut hub, &mut till);
    till = till.killed();
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
    assert_eq!(hub.sessions, 2);
    assert_eq!(till.store.inbox().list(None, 9).unwrap()[0].next_step, Some(2));
}

#[test]
fn a_window_that_ends_here_before_the_hub_says_so_is_asked_for_again() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    hub.window_ms = 60_000;
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
    hub.queue("note", None);
    // The till's clock runs faster.
    till.passes(&mut hub, 61_000);
    hub.now_ms -= 10_000;
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
    let inbox = till.store.inbox().status();
    assert_eq!((inbox.refused_window_not_open, till.pull.report().received), (1, 0));
    till.passes(&mut hub, 1_000);
    till.pull_once(&mut hub, Fate::Arrives).unwrap();
    assert_eq!(hub.sessions, 2, "{:?}", hub.seen.last());
}

#[test]
fn a_hub_that_issues_a_window_again_which_it_had_ended_is_not_asked_without_end() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    for _ in 0..40 {
        let is_session = till.pull.report().window.is_none();
        hub.script = match is_session {
            true => vec![Response::new(200, r#"{"window":"w_9","remainingMs":1000000}"#)],
            false => vec![problem(410, "WINDOW_OVER")],
        };
        if let Err(until_ms) = till.pull_once(&mut hub, Fate::Arrives) {
            let until_ms = until_ms.unwrap();
            till.now_ms = until_ms;
        }
    }
    assert!(till.now_ms >= 10_000, "only {} ms passed", till.now_ms);
}

#[test]
fn a_hub_that_hands_over_what_is_of_another_window_is_not_asked_without_end() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    for _ in 0..40 {
        let said = match till.pull.report().window.is_none() {
            true => r#"{"window":"w_9","remainingMs":1000000}"#,
            false => r#"{"delivery_id":"d-1","window":"w_8"}"#,
        };
        hub.script = vec![Response::new(200, said)];
        if let Err(until_ms) = till.pull_once(&mut hub, Fate::Arrives) {
            till.now_ms = until_ms.unwrap();
        }
    }
    assert!(till.store.inbox().status().refused_window_not_open > 5, "control");
    assert!(till.now_ms >= 10_000, "only {} ms passed", till.now_ms);
}

#[test]
fn a_window_of_no_time_or_no_name_is_none() {
    for body in [
        r#"{"window":"w_1","remainingMs":0}"#,
        r#"{"window":"","remainingMs":5000}"#,
        r#"{"window":"w_1"}"#,
        r#"{"remainingMs":5000}"#,
        r#"["w_1",5000]"#,
        "<html>",
        "",
    ] {
        let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
        hub.script = vec![Response::new(200, body)];
        till.pull_once(&mut hub, Fate::Arrives).unwrap();
        assert_eq!(till.pull.report().failures, 1, "{body}");
        assert_eq!(till.store.inbox().status().windows, 0, "{body}");
    }
}
