use super::*;

use crate::{Dialect, KeyPlace, Method};

#[test]
fn a_lookup_asks_for_one_key() {
    let batch = built_in("cloudevents-batch");
    let request = batch.lookup_request("a/b", "default").unwrap();
    assert_eq!((request.method, request.path.as_str()), (Method::Get, "/events/a%2Fb"));
    assert_eq!((request.key, request.body.len()), (KeyPlace::Bearer, 0));
    assert!(batch.lookup_request("..", "default").is_none(), "it would be another path");
    assert!(built_in("webhook").lookup_request("k", "default").is_none());
    assert!(built_in("webhook").read_lookup("k", &Response::new(200, "")).is_err());
}

#[test]
fn no_cache_on_the_way_answers_a_lookup() {
    let request = built_in("cloudevents-batch").lookup_request("k", "default").unwrap();
    let said = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    let headers: Vec<_> = request.headers.iter().map(said).collect();
    assert!(headers.contains(&("cache-control".to_owned(), "no-cache".to_owned())), "{headers:?}");
}

#[test]
fn its_answer_is_read_by_the_same_rules() {
    let batch = built_in("cloudevents-batch");
    let ask = |status: u16, body: &str| batch.read_lookup("k", &json(status, body));
    let accepted = ItemOutcome::Accepted { receipt: None };
    assert_eq!(ask(200, r#"{"id":"k","status":"accepted"}"#).unwrap(), Some(accepted));
    let rejected = ask(200, r#"{"id":"k","status":"rejected"}"#).unwrap();
    assert!(matches!(rejected, Some(ItemOutcome::Rejected { .. })));
    assert_eq!(ask(404, r#"{"error":{"code":"event_not_found"}}"#).unwrap(), None);
    for (status, body) in [
        (404, ""),
        (404, "<html>"),
        (404, r#"{"error":{"code":"no_route"}}"#),
        (200, r#"{"id":"other","status":"accepted"}"#),
        (200, r#"{"id":"k"}"#),
        (200, "{}"),
        (503, r#"{"error":{"code":"busy"}}"#),
    ] {
        assert!(ask(status, body).is_err(), "{status} {body}");
    }
    let blocked = ask(401, r#"{"error":{"code":"expired"}}"#);
    assert!(matches!(blocked, Err(Failure::Blocked { .. })));
}

#[test]
fn a_list_must_name_the_key_once() {
    let stripe = built_in("stripe-like");
    let request = stripe.lookup_request("k\"1", "default").unwrap();
    assert!(request.path.ends_with("%3A%22k%221%22"), "{}", request.path);
    let charge = |key: &str, status: &str| {
        format!(r#"{{"id":"ch_1","status":"{status}","metadata":{{"event_key":"{key}"}}}}"#)
    };
    let ask = |charges: &[String]| {
        let body = format!(r#"{{"object":"search_result","data":[{}]}}"#, charges.join(","));
        stripe.read_lookup("k", &json(200, &body))
    };
    let (own, other) = (charge("k", "succeeded"), charge("k2", "failed"));
    assert!(matches!(
        ask(&[other.clone(), own.clone()]),
        Ok(Some(ItemOutcome::Accepted { receipt: Some(_) }))
    ));
    assert!(ask(&[]).is_err(), "silence is no answer");
    assert!(ask(&[other]).is_err());
    assert!(ask(&[own.clone(), own]).is_err());
}
