use super::*;
use onceward::{Amount, Headers, Kind};

use crate::{KeyPlace, Method};

/// The body as text.
fn body(request: &Request) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

/// The header of that name.
fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let found = request.headers.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn every_placeholder_becomes_what_it_names() {
    let text = r#"
name = "t"
horizon = "1h"
[request]
method = "PUT"
path = "/s/{scope}/e/{key}?kind={kind}&n={lsn}"
items = "one"
credential = "header X-Key"
[request.headers]
A = "{batch_key}-{device_id}"
B = "{captured_at}"
C = "{amount}"
D = "{header:till}"
E = "{{{header:till}}}"
F = "{header:absent}"
[item]
amount = "number"
template = '{"a":"{amount}","b":"[{amount}]","c":"{lsn}","d":"{key}/{kind}","e":"{{x}}","f":"{header:absent}","g":[1.50,true]}'
[reply]
body = "ignored"
statuses = [200]
"#;
    let mut event = event("a/b \u{e9}\"", "{}");
    event.event = event.event.with_kind(Kind::new("sale").unwrap());
    event.event = event.event.with_amount("12.5".parse::<Amount>().unwrap());
    event.event = event.event.with_headers(Headers::new().with("till", "7").unwrap());
    let request = sent(&dialect(text).with_device_id("dev"), &event);
    assert_eq!(request.method, Method::Put);
    assert_eq!(request.path, "/s/default/e/a%2Fb%20%C3%A9%22?kind=sale&n=1");
    assert_eq!(request.key, KeyPlace::Header("X-Key".to_owned()));
    assert_eq!(header(&request, "Content-Type"), Some("application/json"));
    let headers = ["A", "B", "C", "D", "E", "F"].map(|name| header(&request, name));
    let moment = "2026-01-01T00:00:00.000Z";
    assert_eq!(
        headers,
        [Some("batch-1-dev"), Some(moment), Some("12.50"), Some("7"), Some("{7}"), None]
    );
    let expected = concat!(
        r#"{"a":12.50,"b":"[12.50]","c":1,"d":"a/b "#,
        "\u{e9}",
        r#"\"/sale","e":"{x}","f":null,"g":[1.50,true]}"#
    );
    assert_eq!(body(&request), expected);
}

#[test]
fn a_payload_keeps_its_order_and_its_spelling() {
    let payload = r#"{"b": 1.50, "a": [1e2,  "\u0041"], "z": -0}"#;
    let whole = dialect(&one(&format!("{PAYLOAD}{IGNORED}")));
    let request = sent(&whole, &event("k", payload));
    let kept = event("k", payload);
    assert_eq!(body(&request), kept.event.payload.as_json().unwrap());
    let inside = one(&format!("[item]\ntemplate = '{{\"p\":\"{{payload}}\"}}'\n{IGNORED}"));
    let request = sent(&dialect(&inside), &event("k", payload));
    let kept = kept.event.payload.as_json().unwrap();
    assert_eq!(body(&request), format!("{{\"p\":{kept}}}"));
}

#[test]
fn merged_members_have_the_place_of_their_mark() {
    let text = one(&format!(
        "[item]\ntemplate = '{{\"id\":\"{{key}}\",\"...payload\":true,\"last\":1}}'\n{IGNORED}"
    ));
    let dialect = dialect(&text);
    let request = sent(&dialect, &event("k", r#"{"total":1.50,"b":{"x":1.0}}"#));
    assert_eq!(body(&request), r#"{"id":"k","total":1.50,"b":{"x":1.0},"last":1}"#);
    assert_eq!(body(&sent(&dialect, &event("k", "{}"))), r#"{"id":"k","last":1}"#);
    for (payload, why) in [
        (r#"{"id":"other"}"#, "payload.id: the item has this name twice"),
        (r#"{"l":1,"l":2}"#, "payload.l: the item has this name twice"),
        (r#"{"last":1}"#, "payload.last: the item has this name twice"),
        ("[1]", "the payload is not a JSON object of plain names"),
        ("7", "the payload is not a JSON object of plain names"),
    ] {
        let event = event("k", payload);
        let misfit = dialect.sample_request(&event, "k", "b").unwrap_err();
        assert_eq!(misfit.message, why, "{payload}");
    }
}

#[test]
fn a_table_is_a_template_too_and_keeps_its_order() {
    let text = one(&format!(
        "[item]\n[item.template]\nz = \"{{key}}\"\na = [1, 2.5, {{ x = true }}]\n\"...payload\" = true\n{IGNORED}"
    ));
    let request = sent(&dialect(&text), &event("k", r#"{"q":1}"#));
    assert_eq!(body(&request), r#"{"z":"k","a":[1,2.5,{"x":true}],"q":1}"#);
}

#[test]
fn items_go_to_their_place_in_the_body() {
    let around = "[body]\ntemplate = '{\"device\":\"{device_id}\",\"data\":{\"events\":[]},\"n\":1}'\nat = \"/data/events\"\n";
    let dialect = dialect(&array(&format!("{around}{LIST}"))).with_device_id("till \"7\"");
    let mut items = Vec::new();
    for key in ["a", "b"] {
        let mut item = Vec::new();
        dialect.form(&event(key, "1.0"), key, &mut item).unwrap();
        items.push((key, item));
    }
    let items = items.iter().map(|(key, item)| Formed { key, lsn: 1, body: item });
    let names = Names { scope: "default", batch_key: "b", device_id: "till \"7\"" };
    let request = dialect.plan.request(items, names).unwrap();
    let expected = r#"{"device":"till \"7\"","data":{"events":[{"id":"a","data":1.0},{"id":"b","data":1.0}]},"n":1}"#;
    assert_eq!(body(&request), expected);
}

#[test]
fn what_a_header_or_a_path_cannot_hold_is_a_misfit_and_is_never_sent() {
    let header = dialect(&one(&format!("headers = {{ K = \"{{key}}\" }}\n{PAYLOAD}{IGNORED}")));
    let path = dialect(&one(&format!("{PAYLOAD}{IGNORED}")));
    assert!(header.sample_request(&event("k 1", "1"), "k 1", "b").is_ok(), "control");
    for key in [" k", "k ", "\u{e9}", "a\nb"] {
        let event = event(key, "1");
        assert!(header.sample_request(&event, key, "b").is_err(), "{key:?}");
        assert!(path.sample_request(&event, key, "b").is_ok(), "{key:?}");
    }
    for key in [".", ".."] {
        assert!(path.sample_request(&event(key, "1"), key, "b").is_err(), "{key:?}");
    }
    let bytes = Event::new(Scope::default(), Key::new("k").unwrap(), Payload::bytes(vec![0]));
    let bytes = StoredEvent::as_if_captured(bytes, 0);
    let misfit = path.sample_request(&bytes, "k", "b").unwrap_err();
    assert_eq!(misfit.message, "the payload is not JSON");
    let amount = one(&format!("[item]\ntemplate = '\"{{amount}} EUR\"'\n{IGNORED}"));
    let misfit = dialect(&amount).sample_request(&event("k", "1"), "k", "b").unwrap_err();
    assert_eq!(misfit.message, "amount: the event has none");
}

#[test]
fn a_device_that_a_header_cannot_name_makes_a_misfit_of_each_event() {
    let header = "headers = { D = \"{device_id}\" }\n";
    let many = dialect(&array(&format!("{header}{LIST}")));
    let one = dialect(&one(&format!("{header}{PAYLOAD}{IGNORED}")));
    for dialect in [many, one] {
        let named = |id: &str| dialect.clone().with_device_id(id);
        assert!(named("till-7").sample_request(&event("k", "1"), "k", "b").is_ok(), "control");
        for id in ["", " ", "\u{e9}"] {
            let misfit = named(id).form(&event("k", "1"), "k", &mut Vec::new()).unwrap_err();
            assert!(misfit.message.starts_with("header D: "), "{}", misfit.message);
        }
    }
}

#[test]
fn an_item_over_the_limit_is_a_misfit() {
    let small = dialect(&one(&format!("bytes_max = 256\n{PAYLOAD}{IGNORED}")));
    let of = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    assert!(small.sample_request(&event("k", &of(256)), "k", "b").is_ok(), "control");
    let misfit = small.sample_request(&event("k", &of(257)), "k", "b").unwrap_err();
    assert_eq!(misfit.message, "the item has 257 bytes, more than 256");
}
