use super::*;
use onceward::Event;

fn shared() -> Shared {
    Shared { scope: Scope::default(), headers: Headers::new() }
}

fn read(line: &str) -> Result<Event, BadLine> {
    parse(line.as_bytes(), &shared())?.event().map(|event| event.to_event())
}

fn code(line: &str) -> String {
    read(line).unwrap_err().refusal.code
}

#[test]
fn every_field_arrives_in_the_event_as_it_was_spelled() {
    let event = read(
        r#"{"key":"k\u0031","payload":{ "b":1.50, "a":[] },"kind":"PAYMENT","amount":24.50,
            "captured_at":"2026-03-10T14:22:05.123+01:00","lane":"card-7","class":"evictable"}"#,
    )
    .unwrap();
    assert_eq!(event.key.as_str(), "k1");
    assert_eq!(event.payload.as_json(), Some(r#"{"b":1.50,"a":[]}"#));
    assert_eq!(event.kind.as_str(), "PAYMENT");
    assert_eq!(event.amount.unwrap().to_string(), "24.50");
    assert_eq!(event.captured_at_ms, Some(1_773_148_925_123));
    assert_eq!(event.lane.unwrap().as_str(), "card-7");
    assert_eq!(event.class, Class::Evictable);
}

#[test]
fn any_json_value_is_a_payload_and_so_is_null() {
    for payload in ["null", "true", "0", "-1.0e5", r#""text""#, "[]", "{}"] {
        let event = read(&format!(r#"{{"key":"k","payload":{payload}}}"#)).unwrap();
        assert_eq!(event.payload.as_json(), Some(payload));
    }
}

#[test]
fn an_amount_is_exact_whether_number_or_text() {
    for (spelled, amount) in [("12.3", "12.30"), (r#""-0.0001""#, "-0.0001"), ("0", "0.00")] {
        let line = format!(r#"{{"key":"k","payload":1,"amount":{spelled}}}"#);
        assert_eq!(read(&line).unwrap().amount.unwrap().to_string(), amount);
    }
    for bad in ["1e3", "1.00001", r#""1,5""#, "true", "{}", "99999999999999999999"] {
        let line = format!(r#"{{"key":"k","payload":1,"amount":{bad}}}"#);
        assert_eq!(code(&line), "AMOUNT_INVALID", "{bad}");
    }
}

#[test]
fn captured_at_is_rfc_3339_or_whole_unix_milliseconds() {
    for (spelled, ms) in [("0", 0), ("-5", -5), (r#""1970-01-01T00:00:01Z""#, 1_000)] {
        let line = format!(r#"{{"key":"k","payload":1,"captured_at":{spelled}}}"#);
        assert_eq!(read(&line).unwrap().captured_at_ms, Some(ms));
    }
    for bad in ["1.5", r#""yesterday""#, r#""2026-03-10""#, "true", "1e3"] {
        let line = format!(r#"{{"key":"k","payload":1,"captured_at":{bad}}}"#);
        assert_eq!(code(&line), "CAPTURED_AT_INVALID", "{bad}");
    }
}

#[test]
fn a_bad_line_is_refused_with_the_reason_and_the_key_if_it_has_one() {
    assert!(read(r#"{"key":"k","payload":1}"#).is_ok(), "control");
    let longest = "k".repeat(255);
    assert!(read(&format!(r#"{{"key":"{longest}","payload":1}}"#)).is_ok(), "control");
    for (line, expected, key) in [
        ("", "LINE_BLANK", None),
        (" \t\r", "LINE_BLANK", None),
        ("{", "LINE_NOT_JSON", None),
        (r#"["k",1]"#, "LINE_NOT_OBJECT", None),
        ("3", "LINE_NOT_OBJECT", None),
        ("k", "LINE_NOT_JSON", None),
        (r#"{"key":"k","payload":1} x"#, "LINE_NOT_JSON", None),
        ("[1]", "LINE_NOT_OBJECT", None),
        (r#"{"payload":1}"#, "FIELD_MISSING", None),
        (r#"{"key":"k"}"#, "FIELD_MISSING", Some("k")),
        (r#"{"key":null,"payload":1}"#, "FIELD_MISSING", None),
        (r#"{"key":7,"payload":1}"#, "FIELD_INVALID", None),
        (r#"{"key":"k","payload":1,"pay":2}"#, "FIELD_UNKNOWN", Some("k")),
        (r#"{"key":"k","key":"k","payload":1}"#, "FIELD_REPEATED", None),
        (r#"{"key":"k","payload":1,"payload":2}"#, "FIELD_REPEATED", Some("k")),
        (r#"{"key":"","payload":1}"#, "KEY_INVALID", Some("")),
        (r#"{"key":"k","payload":1,"kind":""}"#, "KIND_INVALID", Some("k")),
        (r#"{"key":"k","payload":1,"lane":""}"#, "LANE_INVALID", Some("k")),
        (r#"{"key":"k","payload":1,"class":"best"}"#, "CLASS_INVALID", Some("k")),
    ] {
        let bad = read(line).unwrap_err();
        assert_eq!((bad.refusal.code.as_str(), bad.key.as_deref()), (expected, key), "{line}");
    }
    let too_long = "k".repeat(256);
    let bad = read(&format!(r#"{{"key":"{too_long}","payload":1}}"#)).unwrap_err();
    assert!(bad.refusal.message.contains("255"), "{}", bad.refusal.message);
    assert_eq!(bad.key, Some(too_long));
    let bad = parse(b"{\"key\":\"\xff\",\"payload\":1}", &shared()).unwrap_err();
    assert_eq!(bad.refusal.code, "LINE_NOT_UTF8");
}

#[test]
fn a_payload_that_is_nested_without_end_does_not_overflow_the_stack() {
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    let read = read(&format!(r#"{{"key":"k","payload":{deep}}}"#));
    // Whether it is taken is the engine's rule; that there is an answer at all is the promise here.
    assert!(
        read.map_or_else(|bad| bad.key.as_deref() == Some("k"), |event| event.key.as_str() == "k")
    );
}

#[test]
fn headers_are_an_object_or_a_list_and_come_behind_those_of_the_run() {
    let shared = Shared { headers: Headers::new().with("till", "7").unwrap(), ..shared() };
    for headers in
        [r#"{"trace":"a","till":"8","trace":"b"}"#, r#"[["trace","a"],["till","8"],["trace","b"]]"#]
    {
        let line = format!(r#"{{"key":"k","payload":1,"headers":{headers}}}"#);
        let event = parse(line.as_bytes(), &shared).unwrap().event().unwrap().to_event();
        let found: Vec<_> = event.headers.iter().collect();
        assert_eq!(found, [("till", "7"), ("trace", "a"), ("till", "8"), ("trace", "b")]);
    }
    for (headers, code) in [
        ("7", "FIELD_INVALID"),
        (r#"{"a":1}"#, "FIELD_INVALID"),
        (r#"[["a"]]"#, "FIELD_INVALID"),
        (r#"[["a","b","c"]]"#, "FIELD_INVALID"),
        (r#"{"A":"b"}"#, "HEADER_INVALID"),
    ] {
        let line = format!(r#"{{"key":"k","payload":1,"headers":{headers}}}"#);
        let bad = parse(line.as_bytes(), &shared).unwrap_err();
        assert_eq!((bad.key.as_deref(), bad.refusal.code.as_str()), (Some("k"), code), "{headers}");
    }
}
