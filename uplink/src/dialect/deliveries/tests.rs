//! One store with deliveries of both kinds, and one dialect that tells of both.

use std::time::Duration;

use onceward::inbox::{Delivery, WindowId, WindowKey};
use onceward::testing::Machine;
use onceward::{Config, Payload, State, Store};

use super::*;
use crate::dialect::KeyPlace;
use crate::dialect::transyt::tests::{received, sent, start, state};

const EVENT: &str = "0191f2b0-5b5a-7cc0-8000-3f1d2c4b5a69";
const ID: &str = "0191f2b0-7777-7cc0-8000-3f1d2c4b5a69";

fn store() -> Store {
    let store = Machine::new().open(Config::new()).unwrap();
    let window = WindowId::new("w_1").unwrap();
    store.inbox().open_window(&window, Duration::from_hours(24)).unwrap();
    store
}

fn delivery() -> Delivery {
    let within = WindowKey::new("u-17", ID, WindowId::new("w_1").unwrap()).unwrap();
    Delivery::of_window(within, Payload::json("{}").unwrap())
}

/// The key of the one event in the inbox's scope.
fn key(store: &Store) -> String {
    let scope = store.inbox().scope().unwrap();
    store.pending(&scope, None, 2).unwrap()[0].event.key.as_str().to_owned()
}

#[test]
fn which_request_it_is_follows_from_the_ack() {
    let store = store();
    store.inbox().ack(received(&store, &delivery())).unwrap();
    let event = Delivery::new(EVENT, Payload::json("{}").unwrap()).unwrap();
    store.inbox().ack(received(&store, &event)).unwrap();
    let mut exchange = start(&store, Deliveries::new("phone-1"));
    let (id, request) = sent(exchange.next(0).unwrap());
    assert_eq!(request.path, format!("/v1/engage/deliveries/{ID}/ack"));
    assert_eq!(request.key, KeyPlace::Bearer);
    assert_eq!(request.body, br#"{"device":"phone-1","window":"w_1"}"#);
    let body = format!(r#"{{"delivery_id":"{ID}","status":"done","confirmed":true}}"#);
    exchange.on_response(id, &Response::new(200, body), 0).unwrap();
    let (id, request) = sent(exchange.next(0).unwrap());
    assert_eq!(request.path, format!("/admin/events/{EVENT}/ack"));
    let body = format!(r#"{{"event_id":"{EVENT}","status":"acked"}}"#);
    exchange.on_response(id, &Response::new(200, body), 0).unwrap();
    assert_eq!(exchange.report().accepted, 2);
}

#[test]
fn an_ack_is_confirmed_by_done_and_by_late_and_refused_by_its_own_codes() {
    let problem = |status: u16, code: &str| {
        Response::new(status, format!(r#"{{"status":{status},"code":"{code}"}}"#))
    };
    let said = |id: &str, status: &str| {
        Response::new(200, format!(r#"{{"delivery_id":"{id}","status":"{status}"}}"#))
    };
    let table = [
        (said(ID, "done"), State::Accepted),
        (said(ID, "late"), State::Accepted),
        (Response::new(200, r#"{"status":"late"}"#), State::Accepted),
        (said(EVENT, "done"), State::InFlight),
        (said(EVENT, "late"), State::InFlight),
        (Response::new(200, r#"{"status":"done"}"#), State::InFlight),
        (said(ID, "partial"), State::InFlight),
        (problem(410, "WINDOW_OVER"), State::InReview),
        (problem(404, "DELIVERY_NOT_FOUND"), State::InReview),
        (problem(422, "STEP_INVALID"), State::InReview),
        (problem(404, "EVENT_NOT_FOUND"), State::InFlight),
        (problem(404, "NOT_FOUND"), State::InFlight),
        (Response::new(410, "gone"), State::InFlight),
    ];
    for (response, expected) in table {
        let store = store();
        store.inbox().ack(received(&store, &delivery())).unwrap();
        let key = key(&store);
        let mut exchange = start(&store, Deliveries::new("phone-1"));
        let (id, _) = sent(exchange.next(0).unwrap());
        exchange.on_response(id, &response, 0).unwrap();
        assert_eq!(state(&store, &key), expected, "{response:?}");
    }
}

#[test]
fn that_a_delivery_of_a_window_failed_cannot_be_told() {
    let store = store();
    store.inbox().fail(received(&store, &delivery()), "no screen").unwrap();
    let scope = store.inbox().scope().unwrap();
    let event = &store.pending(&scope, None, 1).unwrap()[0];
    let found = Deliveries::new("phone-1").form(event, "", &mut Vec::new()).unwrap_err();
    assert!(found.message.contains("failed"), "{}", found.message);
}

#[test]
fn a_device_is_fixed_with_what_is_sent() {
    let store = store();
    store.inbox().ack(received(&store, &delivery())).unwrap();
    let mut first = start(&store, Deliveries::new("phone-1"));
    let (_, request) = sent(first.next(0).unwrap());
    drop(first);
    let (_, again) = sent(start(&store, Deliveries::new("phone-2")).next(0).unwrap());
    assert_eq!(again.body, request.body);
}
