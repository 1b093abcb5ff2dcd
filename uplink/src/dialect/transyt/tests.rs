//! Acks and failures of events, from the inbox to what becomes of them by the answer.

use onceward::inbox::{Delivery, Received, WindowId, WindowKey};
use onceward::sync::{Effort, KeyRule, LineOptions, Options, Upstream};
use onceward::testing::Machine;
use onceward::{Config, Payload, State, Store};

use super::*;
use crate::dialect::{KeyPlace, Method};
use crate::exchange::{Exchange, RequestId, Route, Work};

const ID: &str = "0191f2b0-5b5a-7cc0-8000-3f1d2c4b5a69";

/// An exchange of the inbox's scope.
pub(crate) fn start(store: &Store, dialect: impl Dialect + 'static) -> Exchange {
    let upstream = Upstream::new("https://hub", dialect.name()).unwrap();
    let options = Options::new(store.inbox().scope().unwrap()).with_window(1);
    let route = Route::new(dialect, options).to(upstream);
    Exchange::start(store, LineOptions::new(), Effort::Forever, [route]).unwrap()
}

pub(crate) fn sent(work: Work) -> (RequestId, Request) {
    match work {
        Work::Send(id, request) => (id, request),
        work => panic!("{work:?}"),
    }
}

/// What becomes of one event of the inbox's scope.
pub(crate) fn state(store: &Store, key: &str) -> State {
    let key = onceward::Key::new(key).unwrap();
    store.outcome(&store.inbox().scope().unwrap(), &key).unwrap().state
}

pub(crate) fn received(store: &Store, delivery: &Delivery) -> onceward::Lsn {
    match store.inbox().receive(delivery).unwrap() {
        Received::Fresh { lsn } => lsn,
        other => panic!("{other:?}"),
    }
}

fn delivery() -> Delivery {
    Delivery::new(ID, Payload::json("{}").unwrap()).unwrap()
}

/// The state of an ack, or of a failure, after this answer; and how many requests went until nothing was due.
fn after(error: Option<&str>, response: &Response) -> (State, u64) {
    let store = Machine::new().open(Config::new()).unwrap();
    let lsn = received(&store, &delivery());
    let key = match error {
        Some(error) => {
            store.inbox().fail(lsn, error).unwrap();
            format!("fail:{ID}")
        }
        None => {
            store.inbox().ack(lsn).unwrap();
            format!("ack:{ID}")
        }
    };
    let mut exchange = start(&store, Transyt::new());
    let (id, _) = sent(exchange.next(0).unwrap());
    exchange.on_response(id, response, 0).unwrap();
    (state(&store, &key), exchange.report().failures)
}

fn problem(status: u16, code: &str) -> Response {
    let body = format!(r#"{{"type":"/problems/x","status":{status},"code":"{code}"}}"#);
    Response::new(status, body).with_content_type("application/problem+json")
}

#[test]
fn the_requests_are_those_of_the_document() {
    let store = Machine::new().open(Config::new()).unwrap();
    let lsn = received(&store, &delivery());
    store.inbox().fail(lsn, "Insufficient inventory").unwrap();
    let (_, request) = sent(start(&store, Transyt::new()).next(0).unwrap());
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.path, format!("/admin/events/{ID}/fail"));
    assert_eq!(request.key, KeyPlace::Header("X-Admin-Token".to_owned()));
    assert_eq!(request.body, br#"{"error":"Insufficient inventory"}"#);
    assert!(request.headers.is_empty());

    let store = Machine::new().open(Config::new()).unwrap();
    let lsn = received(&store, &delivery());
    store.inbox().ack(lsn).unwrap();
    let (_, request) = sent(start(&store, Transyt::new()).next(0).unwrap());
    assert_eq!(request.path, format!("/admin/events/{ID}/ack"));
    assert_eq!(request.key, KeyPlace::Header("X-Admin-Token".to_owned()));
    assert!(request.body.is_empty());
}

#[test]
fn only_the_upstreams_word_about_this_event_confirms_it() {
    let said = |id: &str, status: &str| {
        let body = format!(
            r#"{{"event_id":"{id}","status":"{status}","acked_at":"2026-11-30T10:00:00Z"}}"#
        );
        Response::new(200, body)
    };
    let other = "0191f2b0-5b5a-7cc0-8000-3f1d2c4b5a6a";
    let table = [
        (None, said(ID, "acked"), State::Accepted),
        (Some("e"), said(ID, "failed"), State::Accepted),
        (None, said(other, "acked"), State::InFlight),
        (None, said(ID, "failed"), State::InFlight),
        (Some("e"), said(ID, "acked"), State::InFlight),
        (None, Response::new(200, ""), State::InFlight),
        (None, Response::new(200, "<html>Log in</html>"), State::InFlight),
        (None, Response::new(200, r#"{"status":"acked"}"#), State::InFlight),
        (None, Response::new(200, format!(r#"["{ID}","acked"]"#)), State::InFlight),
        (None, Response::new(204, ""), State::InFlight),
        (None, Response::new(302, "").with_location("/login"), State::InFlight),
    ];
    for (error, response, expected) in table {
        assert_eq!(after(error, &response).0, expected, "{error:?} {response:?}");
    }
}

#[test]
fn refusals_for_good_go_to_review_and_others_are_told_again() {
    let table = [
        (Some("e"), problem(409, "ALREADY_ACKED"), State::InReview, 0),
        // Of an ack that is no answer that anybody documents.
        (None, problem(409, "ALREADY_ACKED"), State::InFlight, 1),
        (None, problem(404, "EVENT_NOT_FOUND"), State::InReview, 0),
        (Some("e"), problem(404, "EVENT_NOT_FOUND"), State::InReview, 0),
        (None, problem(400, "INVALID_EVENT_ID"), State::InReview, 0),
        // Another status than the code's, and codes without the document.
        (None, problem(400, "EVENT_NOT_FOUND"), State::InFlight, 1),
        (None, Response::new(404, r#"{"code":"EVENT_NOT_FOUND"}"#), State::InFlight, 1),
        (None, Response::new(404, "EVENT_NOT_FOUND"), State::InFlight, 1),
        (None, problem(404, "NOT_FOUND"), State::InFlight, 1),
        (None, problem(503, "BUSY").with_retry_after("1"), State::InFlight, 1),
        (None, Response::new(500, "oops"), State::InFlight, 1),
        (None, problem(429, "USAGE_EXCEEDED"), State::InFlight, 1),
    ];
    for (error, response, expected, failures) in table {
        let found = after(error, &response);
        assert_eq!(found, (expected, failures), "{error:?} {response:?}");
    }
}

#[test]
fn refused_credentials_block_and_a_wish_to_wait_is_kept() {
    let store = Machine::new().open(Config::new()).unwrap();
    let lsn = received(&store, &delivery());
    store.inbox().ack(lsn).unwrap();
    let mut exchange = start(&store, Transyt::new());
    let (id, _) = sent(exchange.next(0).unwrap());
    exchange.on_response(id, &problem(503, "BUSY").with_retry_after("120"), 0).unwrap();
    let Work::Wait { until_ms } = exchange.next(0).unwrap() else { panic!("it asked to wait") };
    assert!(until_ms >= 120_000, "{until_ms}");
    for (status, code) in [(401, "UNAUTHORIZED"), (403, "FORBIDDEN")] {
        exchange.on_online();
        let (id, _) = sent(exchange.next(until_ms).unwrap());
        exchange.on_response(id, &problem(status, code), until_ms).unwrap();
        assert!(matches!(exchange.next(until_ms).unwrap(), Work::Blocked), "{status}");
        exchange.on_new_key();
    }
}

#[test]
fn what_is_no_ack_of_an_event_cannot_form_an_item() {
    let store = Machine::new().open(Config::new()).unwrap();
    let window = WindowId::new("w_1").unwrap();
    store.inbox().open_window(&window, std::time::Duration::from_mins(1)).unwrap();
    let within = WindowKey::new("u-17", "d-1", window).unwrap();
    let of_window = Delivery::of_window(within, Payload::json("{}").unwrap());
    store.inbox().ack(received(&store, &of_window)).unwrap();
    let upwards = Delivery::new("..", Payload::json("{}").unwrap()).unwrap();
    store.inbox().ack(received(&store, &upwards)).unwrap();
    let scope = store.inbox().scope().unwrap();
    let own = onceward::Event::new(
        scope.clone(),
        onceward::Key::new("sale-1").unwrap(),
        Payload::json("{}").unwrap(),
    );
    store.capture(&own).unwrap();
    let messages: Vec<String> = store
        .pending(&scope, None, 10)
        .unwrap()
        .iter()
        .map(|event| Transyt::new().form(event, "", &mut Vec::new()).unwrap_err().message)
        .collect();
    assert!(messages[0].contains("belongs to a window"), "{messages:?}");
    assert!(messages[1].starts_with("event_id: "), "{messages:?}");
    assert!(messages[2].starts_with("kind: "), "{messages:?}");
}

#[test]
fn a_failure_without_words_is_told_with_some() {
    let store = Machine::new().open(Config::new()).unwrap();
    store.inbox().fail(received(&store, &delivery()), "").unwrap();
    let (_, request) = sent(start(&store, Transyt::new()).next(0).unwrap());
    assert_eq!(request.body, br#"{"error":"no reason was given"}"#);
}

#[test]
fn acks_go_to_dialects_that_take_them_and_those_take_nothing_else() {
    let config = Config::new().with_inbox_scope(onceward::Scope::new("acks").unwrap());
    let store = Machine::new().open(config).unwrap();
    let start = |scope: &str, dialect: &'static str| {
        let options =
            Options::new(onceward::Scope::new(scope).unwrap()).with_keys(KeyRule::ScopePrefix);
        let route = match dialect {
            "transyt" => Route::new(Transyt::new(), options),
            _ => Route::new(crate::Forloy::new(), options),
        };
        let route = route.to(Upstream::new("https://hub", dialect).unwrap());
        Exchange::start(&store, LineOptions::new(), Effort::Once, [route]).map(drop)
    };
    assert_eq!(start("acks", "transyt").map_err(|error| error.to_string()), Ok(()), "control");
    assert_eq!(start("inbox", "forloy").map_err(|error| error.to_string()), Ok(()), "control");
    let refused = start("acks", "forloy").unwrap_err();
    assert_eq!(refused.kind(), crate::ErrorKind::Invalid);
    let shown = refused.to_string();
    assert!(shown.contains("acks") && shown.contains("forloy"), "{shown}");
    let shown = start("sales", "transyt").unwrap_err().to_string();
    assert!(shown.contains("sales") && shown.contains("transyt"), "{shown}");
}
