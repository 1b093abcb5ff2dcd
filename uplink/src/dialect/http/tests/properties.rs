use super::*;
use proptest::prelude::*;
use serde_json::Value;

use crate::dialect::members::Members;

/// JSON values, spelled in some way of their own.
fn any_json() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?",
    ];
    let text = any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap());
    let leaf = prop_oneof![Just("null".to_owned()), Just("true".to_owned()), number, text];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|list| format!("[ {} ]", list.join(" ,\t"))),
            members(inner),
        ]
    })
}

/// Objects, no name twice.
fn members(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::btree_map(any::<String>(), value, 0..6).prop_map(|members| {
        let spelled = members
            .iter()
            .rev()
            .map(|(name, value)| format!("{}\n: {value}", serde_json::to_string(name).unwrap()));
        format!("{{{}}}", spelled.collect::<Vec<_>>().join(" , "))
    })
}

/// Members and their values, as they are spelled.
fn spelled(object: &str) -> Vec<(String, String)> {
    let Members(members) = serde_json::from_str(object).unwrap();
    members.into_iter().map(|(name, value)| (name.into_owned(), value.get().to_owned())).collect()
}

/// Templates of an item that has its key.
fn any_template() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("{key}"),
        Just("{scope}"),
        Just("{kind}"),
        Just("{captured_at}"),
        Just("{lsn}"),
        Just("{amount}"),
        Just("{header:a\"b}"),
        Just("{{"),
        Just("}}"),
        Just("\\ \" \n"),
        Just("x"),
    ];
    let text = prop::collection::vec(word, 0..4)
        .prop_map(|words| serde_json::to_string(&words.concat()).unwrap());
    let leaf = prop_oneof![text, Just("\"{payload}\"".to_owned()), Just("1.50".to_owned())];
    let node = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|list| format!("[{}]", list.join(","))),
            members(inner.clone()),
            members(inner).prop_map(|object| match object.as_str() {
                "{}" => "{\"...payload\":true}".to_owned(),
                other => other.replacen('{', "{\"...payload\":true,", 1),
            }),
        ]
    });
    node.prop_map(|node| format!("{{\"the key\":\"{{key}}\",\"rest\":{node}}}"))
}

proptest! {
    #[test]
    fn any_payload_goes_in_unchanged(payload in any_json(), around in any_json()) {
        let text = toml_text(&format!("{{\"id\":\"{{key}}\",\"p\":\"{{payload}}\",\"a\":{}}}", braced(&around)));
        let dialect = dialect(&one(&format!("[item]\ntemplate = {text}\n{IGNORED}")));
        let event = event("k", &payload);
        let body = String::from_utf8(sent(&dialect, &event).body).unwrap();
        let kept = event.event.payload.as_json().unwrap();
        let expected = spelled(&body);
        prop_assert_eq!(&expected[1], &("p".to_owned(), kept.to_owned()));
        prop_assert!(serde_json::from_str::<Value>(&body).is_ok());
    }

    #[test]
    fn any_members_merge_unchanged(payload in members(any_json())) {
        let text = "'{\"\\u0000id\":\"{key}\",\"...payload\":true}'";
        let dialect = dialect(&one(&format!("[item]\ntemplate = {text}\n{IGNORED}")));
        let event = event("k", &payload);
        let body = String::from_utf8(sent(&dialect, &event).body).unwrap();
        let kept = spelled(event.event.payload.as_json().unwrap());
        prop_assert_eq!(&spelled(&body)[1..], kept.as_slice());
    }

    #[test]
    fn no_template_makes_what_is_no_json(
        template in any_template(),
        payload in any_json(),
        key in "\\PC{1,20}",
        header in any::<String>(),
    ) {
        let text = one(&format!("[item]\ntemplate = {}\n{IGNORED}", toml_text(&template)));
        let dialect = HttpDialect::from_toml(&text);
        prop_assume!(dialect.is_ok());
        let dialect = dialect.unwrap();
        let mut event = event("k", &payload);
        if let Ok(headers) = onceward::Headers::new().with("a", &header) {
            event.event = event.event.with_headers(headers);
        }
        let request = dialect.sample_request(&event, &key, "b");
        prop_assume!(request.is_ok());
        let body = request.unwrap().body;
        prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok());
    }

    #[test]
    fn arbitrary_bytes_confirm_nothing(status in 200..600_u16, body in any::<Vec<u8>>()) {
        for dialect in [dialect(&array(LIST)), built_in("stripe-like"), built_in("cloudevents-batch")] {
            let response = Response::new(status, body.clone());
            if let Ok(reply) = dialect.read_reply("k", &response) {
                prop_assert!(!reply.items.iter().any(|(_, outcome)| is_done(outcome)));
            }
        }
    }

    #[test]
    fn a_document_confirms_only_what_it_names(
        results in prop::collection::vec(("[a-c]", "ok|known|no|OK|okay|", "|00|already|bad|busy|x"), 0..4),
        cut in any::<prop::sample::Index>(),
        flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let list = dialect(&array(LIST));
        let spelled: Vec<String> = results.iter().map(|(key, word, code)| {
            format!(r#"{{"id":"{key}","status":"{word}","code":"{code}"}}"#)
        }).collect();
        let body = format!(r#"{{"results":[{}]}}"#, spelled.join(","));
        let named = |key: &str| results.iter().any(|(other, word, code)| {
            let is_positive = ["ok", "known"].contains(&word.as_str()) || code == "already";
            other == key && is_positive
        });
        let confirmed = |body: &[u8]| -> Vec<String> {
            let reply = list.read_reply("k", &Response::new(200, body)).unwrap_or_default();
            let done = reply.items.into_iter().filter(|(_, outcome)| is_done(outcome));
            done.map(|(key, _)| key).collect()
        };
        let is_silent = |(_, word, code): &(String, String, String)| word.is_empty() && code.is_empty();
        let plain = results.iter().find(|(_, word, code)| word == "ok" && code.is_empty());
        if let (Some((key, ..)), false) = (plain, results.iter().any(is_silent)) {
            prop_assert!(confirmed(body.as_bytes()).contains(key), "control: {body}");
        }
        for key in confirmed(body.as_bytes()) {
            prop_assert!(named(&key), "{key} in {body}");
        }
        prop_assert!(confirmed(&body.as_bytes()[..cut.index(body.len())]).is_empty());
        let mut bytes = body.into_bytes();
        let at = flip.0.index(bytes.len());
        bytes[at] ^= flip.1;
        for key in confirmed(&bytes) {
            // As a reader of the changed document sees it.
            let document: Value = serde_json::from_slice(&bytes).unwrap();
            let mut results = document["results"].as_array().unwrap().iter();
            let is_named = results.any(|result| {
                let is = |member: &str, word: &str| result[member] == word;
                result["id"] == key.as_str()
                    && (is("status", "ok") || is("status", "known") || is("code", "already"))
            });
            prop_assert!(is_named, "{key} in {document}");
        }
    }
}

/// Whether an event that has it is done.
fn is_done(outcome: &ItemOutcome) -> bool {
    matches!(outcome, ItemOutcome::Accepted { .. } | ItemOutcome::Duplicate { .. })
}

/// Braces twice, so that they are no placeholders. They are doubled in texts only.
fn braced(json: &str) -> String {
    let (mut out, mut is_text, mut is_escaped) = (String::new(), false, false);
    for letter in json.chars() {
        if is_text && matches!(letter, '{' | '}') {
            out.push(letter);
        }
        out.push(letter);
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_text => is_escaped = true,
            '"' => is_text = !is_text,
            _ => {}
        }
    }
    out
}

/// A text as TOML spells it.
fn toml_text(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push_str(&format!("\\U{:08X}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
