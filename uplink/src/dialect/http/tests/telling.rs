//! What is told of an answer that is not as the file says: pointer, field, and what was found.

use super::*;

use crate::Secret;

/// Why an answer is none, without its description.
fn why(dialect: &HttpDialect, response: &Response) -> String {
    match dialect.read_reply("k", response) {
        Err(Failure::Unavailable { why, .. } | Failure::LineTooNarrow { why }) => why,
        other => panic!("{other:?}"),
    }
}

/// The code of what failed for now.
fn code(dialect: &HttpDialect, response: &Response) -> String {
    match read(dialect, response) {
        Ok(ItemOutcome::Transient { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_a_list_pointer_field_and_what_was_found_are_told() {
    let dialect = dialect(&array(&LIST.replace("\"/code\"", "\"/error/code\"")));
    for (body, told) in [
        ("{}", "nothing at /results (reply.results)"),
        ("[]", "nothing at /results (reply.results)"),
        (r#"{"results":{}}"#, "/results is an object, not a list (reply.results)"),
        (r#"{"results":null}"#, "/results is null, not a list (reply.results)"),
        (r#"{"results":true}"#, "/results is a truth value, not a list (reply.results)"),
        (
            r#"{"results":[{"id":"k","status":"ok"},{"status":"ok"}]}"#,
            "nothing at /id of result 1 (reply.key)",
        ),
        (r#"{"results":[{"id":7}]}"#, "/id of result 0 is a number, not a text (reply.key)"),
        (r#"{"results":[{"id":""}]}"#, "/id of result 0 is an empty text (reply.key)"),
        (
            r#"{"results":[{"id":"k","status":["ok"]}]}"#,
            "/status of result 0 is a list, not a text (reply.outcome)",
        ),
        (
            r#"{"results":[{"id":"k","status":"ok","receipt":{}}]}"#,
            "/receipt of result 0 is an object, not a text (reply.receipt)",
        ),
        (
            r#"{"results":[{"id":"k","status":null}]}"#,
            "what became of the event is not said: /status of result 0 is null, not a text (reply.outcome), \
             nothing at /error/code of result 0 (reply.code)",
        ),
    ] {
        let said = why(&dialect, &json(200, body));
        assert!(said.starts_with(&format!("status 200: {told}; the body starts with ")), "{said}");
    }
}

#[test]
fn of_one_event_too() {
    let text = format!(
        "{PAYLOAD}[reply]\nstatuses = [200]\nkey = \"/a~1b/id\"\nmembers = [\"/object\"]\ncontent_type = [\"application/json\"]\n"
    );
    let dialect = dialect(&one(&text));
    for (body, told) in [
        ("{}", "nothing at /object (reply.members)"),
        (r#"{"object":1}"#, "nothing at /a~1b/id (reply.key)"),
        (
            r#"{"object":1,"a/b":{"id":"x"}}"#,
            "\"x\" at /a~1b/id (reply.key) is not the event's key",
        ),
    ] {
        let said = why(&dialect, &json(200, body));
        assert!(said.starts_with(&format!("status 200: {told}; ")), "{said}");
    }
    let other = Response::new(200, "{}").with_content_type("text/json");
    let told = "status 200: its type \"text/json\" is not in reply.content_type; ";
    assert!(why(&dialect, &other).starts_with(told), "{}", why(&dialect, &other));
    let none = why(&dialect, &Response::new(200, "{}"));
    assert!(none.contains("it has no type, and reply.content_type asks for one"), "{none}");
}

#[test]
fn of_a_lookup_the_table_is_its_own() {
    let batch = built_in("cloudevents-batch");
    let found = batch.read_lookup("k", &json(200, "{}")).unwrap_err();
    assert!(format!("{found:?}").contains("nothing at /id (lookup.reply.key)"), "{found:?}");
    let stripe = built_in("stripe-like");
    let empty = json(200, r#"{"object":"search_result","data":[]}"#);
    let found = format!("{:?}", stripe.read_lookup("k", &empty).unwrap_err());
    let told = "no result has the key at /metadata/event_key (lookup.reply.key)";
    assert!(found.contains(told), "{found}");
}

#[test]
fn a_status_that_the_file_does_not_list_is_told_as_that() {
    let list = dialect(&array(LIST));
    let created = why(&list, &json(201, r#"{"results":[]}"#));
    let told =
        "status 201: it is not in reply.statuses; nothing at /error (reply.refusal.member); ";
    assert!(created.starts_with(told), "{created}");
    let refused = why(&list, &json(404, r#"{"error":{"code":"gone"}}"#));
    let told = "; it is in none of the file's lists, nor is \"gone\" at /error/code (reply.refusal.code); ";
    assert!(refused.contains(told), "{refused}");
    let proxy = why(&list, &Response::new(502, "<html>").with_content_type("text/html"));
    assert!(
        proxy.starts_with("status 502: the upstream failed; the answer is a web page"),
        "{proxy}"
    );
    let (tables, _) = LIST.split_once("[reply.refusal]").unwrap();
    let accepted = "[reply.accepted]\nwords = [\"ok\"]\n";
    let without = why(&dialect(&array(&format!("{tables}{accepted}"))), &json(400, "{}"));
    assert!(without.contains("there is no reply.refusal"), "{without}");
    let large = why(&list, &json(413, "{}"));
    assert!(large.contains("nothing at /error (reply.refusal.member)"), "{large}");
    let webhook = why(&built_in("webhook"), &Response::new(203, ""));
    assert!(webhook.starts_with("status 203: it is not in reply.statuses; "), "{webhook}");
    let missing = why(&built_in("webhook"), &Response::new(404, ""));
    assert!(missing.contains("no list of reply has this status"), "{missing}");
    let many = why(&list, &json(409, r#"{"error":{"code":"00"}}"#));
    assert!(many.contains("\"00\" of a request with many events says nothing"), "{many}");
}

#[test]
fn a_word_of_no_list_and_a_contradiction_are_told_with_their_places() {
    let dialect = dialect(&array(LIST));
    let read = |result: &str| {
        code(&dialect, &json(200, &format!(r#"{{"results":[{{"id":"k",{result}}}]}}"#)))
    };
    for (result, told) in [
        (
            r#""status":"created""#,
            "\"created\" at /status (reply.outcome) is in none of the file's lists",
        ),
        (
            r#""status":"OK","code":"00""#,
            "\"OK\" at /status (reply.outcome) is in none of the file's lists",
        ),
        (r#""code":"other""#, "\"other\" at /code (reply.code) is in none of the file's lists"),
        (
            r#""status":"ok","code":"bad""#,
            "CONTRADICTION: \"ok\" at /status (reply.outcome) confirms the event, \"bad\" at /code (reply.code) does not",
        ),
        (
            r#""status":"no","code":"00""#,
            "CONTRADICTION: \"00\" at /code (reply.code) confirms the event, \"no\" at /status (reply.outcome) does not",
        ),
        (
            r#""code":"00""#,
            "CONTRADICTION: \"00\" at /code (reply.code) confirms the event, no word (reply.outcome) does not",
        ),
    ] {
        assert_eq!(read(result), told, "{result}");
    }
}

#[test]
fn what_is_told_is_short_has_no_control_characters_and_no_credential() {
    let secret = "key-of-this-terminal";
    let pointer = format!("/\\u001b\\n{}", "p".repeat(1_000));
    let dialect = dialect(&array(&LIST.replace("\"/status\"", &format!("\"{pointer}\""))));
    let name = format!("\\u001b\\n{}", "p".repeat(1_000));
    // The cut goes through the middle of the key.
    let word = format!("{}{secret}{}", "w".repeat(CUT - 10), "\\u001b[2J\\r".repeat(500));
    let results = [
        format!(r#"{{"id":"k","{name}":"{word}","code":"{word}"}}"#),
        format!(r#"{{"id":"k","{name}":"ok","code":"{word}"}}"#),
        format!(r#"{{"id":"k","{name}":null}}"#),
        format!(r#"{{"id":"k","{name}":["{word}"]}}"#),
    ];
    for result in results {
        let response = json(200, &format!(r#"{{"results":[{result}]}}"#));
        let said = match dialect.read_reply("k", &response.hiding(Some(Secret::new(secret)))) {
            Ok(reply) => match &reply.items[0].1 {
                ItemOutcome::Transient { code, .. } => code.clone(),
                other => panic!("{other:?}"),
            },
            Err(Failure::Unavailable { why, .. }) => why,
            Err(other) => panic!("{other:?}"),
        };
        assert!(said.len() < 1_600, "{}", said.len());
        assert!(!said.contains(char::is_control), "{said:?}");
        assert!(!said.contains("key-of"), "{said}");
    }
}

/// How much of a word is shown.
const CUT: usize = crate::excerpt::CODE_BYTES_MAX;
