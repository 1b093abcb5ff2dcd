//! An exchange on a machine in memory, whose clock stands until a test moves it.

use std::time::Duration;

use onceward::sync::Options;
use onceward::testing::Machine;
use onceward::{Config, Event, Key, Payload, State};

use super::*;
use crate::dialect::{BUILT_IN, Forloy, HttpDialect, Method};

const PURCHASE: &str =
    r#"{"qr_code_data":"q","location_id":"l","staff_user_id":"u","purchase_amount":1.50}"#;
/// How Forloy refuses a list without a transaction.
const EMPTY: &str = r#"{"status":422,"code":"INVALID_REQUEST"}"#;

fn capture(store: &Store, key: &str) {
    let payload = Payload::json(PURCHASE).unwrap();
    store.capture(&Event::new(Scope::default(), Key::new(key).unwrap(), payload)).unwrap();
}

fn start(store: &Store) -> Exchange {
    let route = Route::new(Forloy::new(), Options::new(Scope::default()));
    let route = route.to(Upstream::new("http://hub", "forloy").unwrap());
    Exchange::start(store, LineOptions::new(), Effort::Forever, [route]).unwrap()
}

fn sent(work: Work) -> (RequestId, Request) {
    match work {
        Work::Send(id, request) => (id, request),
        work => panic!("{work:?}"),
    }
}

fn state(store: &Store, key: &str) -> State {
    store.outcome(&Scope::default(), &Key::new(key).unwrap()).unwrap().state
}

/// An exchange that sent an event two hours ago and got no reply, and the time by its clock.
fn unanswered(machine: &Machine, store: &Store) -> (Exchange, u64) {
    capture(store, "k0");
    let mut exchange = start(store);
    let (id, _) = sent(exchange.next(0).unwrap());
    exchange.on_no_answer(id, "timeout", 0).unwrap();
    machine.clock().advance(Duration::from_hours(2));
    let now_ms = 7_200_000;
    assert!(matches!(exchange.next(now_ms).unwrap(), Work::Send(..)), "after so long one is tried");
    exchange.on_abandoned();
    (exchange, now_ms)
}

#[test]
fn the_time_is_asked_for_with_a_request_that_changes_nothing_and_its_answer_tells_the_horizon_too()
{
    for (horizon_s, expected) in [(0, State::Uncertain), (2_592_000, State::Accepted)] {
        let machine = Machine::new();
        let store = machine.open(Config::new()).unwrap();
        let (mut exchange, now_ms) = unanswered(&machine, &store);
        let (id, request) = sent(exchange.next(now_ms).unwrap());
        assert_eq!(request.body, br#"{"transactions":[]}"#);
        assert!(matches!(exchange.next(now_ms).unwrap(), Work::Await), "once");
        let horizon = horizon_s.to_string();
        let about = About::read(Some("Tue, 10 Mar 2026 14:22:05 GMT"), Some(&horizon), 80);
        exchange.on_response(id, &Response::new(422, EMPTY).with_about(about), now_ms).unwrap();
        assert!(store.server_offset().is_some());
        if expected == State::Accepted {
            let (id, _) = sent(exchange.next(now_ms).unwrap());
            let result = r#"{"success":true,"idempotent":false,"transaction_id":"t"}"#;
            let body = format!(
                r#"{{"success":true,"data":{{"total_count":1,"success_count":1,"error_count":0,"results":[{{"idempotency_key":"k0","result":{result}}}]}}}}"#
            );
            exchange.on_response(id, &Response::new(200, body), now_ms).unwrap();
        }
        assert!(matches!(exchange.next(now_ms).unwrap(), Work::Idle));
        assert_eq!(state(&store, "k0"), expected);
    }
}

#[test]
fn an_answer_to_that_question_that_is_not_the_upstreams_tells_nothing_and_refuses_keys_as_any_other()
 {
    let machine = Machine::new();
    let store = machine.open(Config::new()).unwrap();
    let (mut exchange, now_ms) = unanswered(&machine, &store);
    let about = About::read(Some("Tue, 10 Mar 2026 14:22:05 GMT"), Some("0"), 80);
    let (id, _) = sent(exchange.next(now_ms).unwrap());
    let page = Response::new(302, "<html>").with_about(about);
    exchange.on_response(id, &page, now_ms).unwrap();
    assert_eq!((store.server_offset(), exchange.take_key_refusal()), (None, Some(false)));
    let Work::Wait { until_ms } = exchange.next(now_ms).unwrap() else { panic!("the backoff") };
    let (id, _) = sent(exchange.next(until_ms).unwrap());
    let refusal = r#"{"status":401,"code":"UNAUTHORIZED"}"#;
    exchange.on_response(id, &Response::new(401, refusal), until_ms).unwrap();
    assert_eq!((exchange.take_key_refusal(), exchange.take_key_refusal()), (Some(true), None));
    assert!(matches!(exchange.next(until_ms).unwrap(), Work::Blocked));
    exchange.on_new_key();
    assert!(matches!(exchange.next(until_ms).unwrap(), Work::Send(..)));
}

#[test]
fn a_report_on_what_is_not_on_its_way_changes_nothing() {
    let store = Machine::new().open(Config::new()).unwrap();
    capture(&store, "k0");
    let mut exchange = start(&store);
    let (id, _) = sent(exchange.next(0).unwrap());
    exchange.on_response(RequestId::from_u64(id.get() + 1), &Response::new(200, ""), 0).unwrap();
    assert_eq!(exchange.in_flight(), 1);
    exchange.on_no_answer(id, "timeout", 0).unwrap();
    exchange.on_no_answer(id, "timeout", 0).unwrap();
    assert_eq!((exchange.report().failures, exchange.in_flight()), (1, 0));
}

#[test]
fn a_dialect_has_a_horizon_where_the_host_names_none() {
    let route = Route::new(Forloy::new(), Options::new(Scope::default()));
    let (_, options, _) = route.to(Upstream::new("http://hub", "f").unwrap()).into_parts().unwrap();
    assert!(options.has_horizon());
}

#[test]
fn what_the_upstream_may_have_forgotten_is_asked_for_where_a_file_says_how() {
    let text = BUILT_IN.iter().find(|(name, _)| *name == "cloudevents-batch").unwrap().1;
    let machine = Machine::new();
    let store = machine.open(Config::new()).unwrap();
    capture(&store, "known");
    capture(&store, "lost");
    let dialect = HttpDialect::from_toml(text).unwrap().with_device_id("till-7");
    let route = Route::new(dialect, Options::new(Scope::default()));
    let route = route.to(Upstream::new("http://hub", "http").unwrap());
    let mut exchange =
        Exchange::start(&store, LineOptions::new(), Effort::Forever, [route]).unwrap();
    let (id, _) = sent(exchange.next(0).unwrap());
    exchange.on_no_answer(id, "timeout", 0).unwrap();
    let days = 400;
    machine.clock().advance(Duration::from_hours(24 * days));
    let now_ms = days * 86_400_000;
    exchange.on_online();
    // One question behind the other.
    let (id, request) = sent(exchange.next(now_ms).unwrap());
    assert_eq!((request.method, request.body.len()), (Method::Get, 0), "{}", request.path);
    assert!(request.path.contains("known"), "{}", request.path);
    assert!(matches!(exchange.next(now_ms).unwrap(), Work::Await));
    let json =
        |status: u16, body: &str| Response::new(status, body).with_content_type("application/json");
    let known = r#"{"id":"known","status":"accepted"}"#;
    exchange.on_response(id, &json(200, known), now_ms).unwrap();
    assert_eq!(state(&store, "known"), State::Accepted);
    let (id, request) = sent(exchange.next(now_ms).unwrap());
    assert!(request.path.contains("lost"), "{}", request.path);
    let none = r#"{"error":{"code":"event_not_found"}}"#;
    exchange.on_response(id, &json(404, none), now_ms).unwrap();
    let (id, request) = sent(exchange.next(now_ms).unwrap());
    assert_eq!(request.method, Method::Post, "it never came");
    assert!(String::from_utf8(request.body).unwrap().contains("lost"));
    let taken = r#"{"results":[{"id":"lost","status":"accepted"}]}"#;
    exchange.on_response(id, &json(200, taken), now_ms).unwrap();
    assert_eq!((state(&store, "lost"), exchange.report().accepted), (State::Accepted, 2));
}
