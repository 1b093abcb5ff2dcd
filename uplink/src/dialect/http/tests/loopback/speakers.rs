//! How a server speaks each of the dialects that come with the crate.

use serde_json::{Value, json};

use super::hub::Said;

/// What the server has done with an event.
pub(super) struct Given {
    /// Its key.
    pub(super) key: String,
    /// Whether it is refused for good.
    pub(super) is_bad: bool,
    /// Whether it had come before.
    pub(super) is_known: bool,
}

/// How a server reads requests and answers them.
pub(super) struct Speaker {
    /// The name of the dialect.
    pub(super) name: &'static str,
    /// The keys in a request.
    pub(super) keys: fn(head: &str, body: &str) -> Vec<String>,
    /// Status, headers and body of the answer.
    pub(super) answer: fn(&[Given]) -> (&'static str, String),
    /// How it says that it is busy.
    pub(super) busy: Said,
    /// How it refuses a key.
    pub(super) blocked: Said,
    /// The code of what it refuses for good.
    pub(super) code_of_bad: &'static str,
    /// Whether it gives receipts, `r-` and the key.
    pub(super) has_receipts: bool,
    /// Whether it says of an event that it had come before.
    pub(super) says_duplicate: bool,
    /// Whether its bodies say nothing.
    pub(super) ignores_bodies: bool,
    /// How many requests three events take.
    pub(super) requests_of_three: usize,
}

/// All of them.
pub(super) static SPEAKERS: [Speaker; 4] = [
    Speaker {
        name: "cloudevents",
        keys: |head, body| {
            assert!(head.starts_with("POST /events HTTP/1.1"), "{head}");
            assert!(head.contains("application/cloudevents+json"), "{head}");
            vec![cloud_event(&serde_json::from_str(body).unwrap())]
        },
        answer: |given| match given {
            [Given { is_bad: true, .. }] => ("410 Gone", "\r\n".to_owned()),
            _ => ("204 No Content", "\r\n".to_owned()),
        },
        busy: ("503 Busy", "\r\n"),
        blocked: ("401 Unauthorized", "\r\n"),
        code_of_bad: "STATUS_410",
        has_receipts: false,
        says_duplicate: false,
        ignores_bodies: true,
        requests_of_three: 3,
    },
    Speaker {
        name: "cloudevents-batch",
        keys: |head, body| {
            assert!(head.starts_with("POST /events/batch HTTP/1.1"), "{head}");
            let events: Vec<Value> = serde_json::from_str(body).unwrap();
            events.iter().map(cloud_event).collect()
        },
        answer: |given| {
            let result = |given: &Given| match (given.is_bad, given.is_known) {
                (true, _) => {
                    json!({"id": given.key, "status": "error", "error": {"code": "bad_event", "message": "it is bad"}})
                }
                (_, true) => json!({"id": given.key, "status": "duplicate"}),
                _ => {
                    json!({"id": given.key, "status": "accepted", "receipt": format!("r-{}", given.key)})
                }
            };
            let results: Vec<Value> = given.iter().map(result).collect();
            ("207 Multi-Status", of_json(&json!({"results": results})))
        },
        busy: (
            "200 OK",
            "Content-Type: application/json\r\n\r\n{\"results\":[{\"id\":\"a\",\"status\":\"error\",\"error\":{\"code\":\"busy\"}}]}",
        ),
        blocked: (
            "403 Forbidden",
            "Content-Type: application/problem+json\r\n\r\n{\"error\":{\"code\":\"forbidden\"}}",
        ),
        code_of_bad: "bad_event",
        has_receipts: true,
        says_duplicate: true,
        ignores_bodies: false,
        requests_of_three: 1,
    },
    Speaker {
        name: "stripe-like",
        keys: |head, body| {
            assert!(head.starts_with("POST /v1/charges HTTP/1.1"), "{head}");
            let charge: Value = serde_json::from_str(body).unwrap();
            assert_eq!(charge["amount"], 2450);
            let key = header(head, "idempotency-key");
            assert_eq!(charge["metadata"]["event_key"], key);
            vec![key]
        },
        answer: |given| match given {
            [Given { is_bad: true, .. }] => {
                let error = json!({"type": "card_error", "code": "card_declined", "message": "no"});
                ("402 Payment Required", of_json(&json!({"error": error})))
            }
            _ => {
                let id = format!("r-{}", given[0].key);
                ("200 OK", of_json(&json!({"id": id, "object": "charge", "status": "succeeded"})))
            }
        },
        busy: (
            "429 Too Many Requests",
            "Content-Type: application/json\r\n\r\n{\"error\":{\"type\":\"api_error\",\"code\":\"rate_limit\"}}",
        ),
        blocked: (
            "401 Unauthorized",
            "Content-Type: application/json\r\n\r\n{\"error\":{\"type\":\"auth\",\"code\":\"api_key_expired\"}}",
        ),
        code_of_bad: "card_declined",
        has_receipts: true,
        says_duplicate: false,
        ignores_bodies: false,
        requests_of_three: 3,
    },
    Speaker {
        name: "webhook",
        keys: |head, body| {
            assert_eq!(body, r#"{"amount":2450,"currency":"eur"}"#);
            assert_eq!(header(head, "x-device"), "till-7");
            assert_eq!(header(head, "x-event-kind"), "event");
            vec![header(head, "idempotency-key")]
        },
        answer: |given| match given {
            [Given { is_bad: true, .. }] => ("410 Gone", "\r\n".to_owned()),
            [Given { is_known: true, .. }] => ("208 Already Reported", "\r\n".to_owned()),
            _ => ("201 Created", format!("X-Receipt: r-{}\r\n\r\n", given[0].key)),
        },
        busy: ("429 Too Many Requests", "Retry-After: 0\r\n\r\nlater"),
        blocked: ("403 Forbidden", "\r\n"),
        code_of_bad: "STATUS_410",
        has_receipts: true,
        says_duplicate: true,
        ignores_bodies: true,
        requests_of_three: 3,
    },
];

/// The key of a CloudEvent.
fn cloud_event(event: &Value) -> String {
    assert_eq!(
        (&event["specversion"], &event["type"]),
        (&json!("1.0"), &json!("org.example.event"))
    );
    assert_eq!(event["data"], json!({"amount": 2450, "currency": "eur"}));
    assert!(event["time"].as_str().unwrap().ends_with('Z'));
    event["id"].as_str().unwrap().to_owned()
}

/// The value of a header.
fn header(head: &str, name: &str) -> String {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut named = lines.filter(|(other, _)| other.eq_ignore_ascii_case(name));
    named.next().unwrap().1.to_owned()
}

/// Headers and body of an answer of JSON.
fn of_json(value: &Value) -> String {
    format!("Content-Type: application/json\r\n\r\n{value}")
}
