use super::*;
use onceward::Receipt;
use onceward::sync::Answered;

use crate::Secret;

/// A receipt.
fn receipt(text: &str) -> Option<Receipt> {
    Some(Receipt::new(text.as_bytes()).unwrap())
}

/// The code of what failed for now.
fn transient(code: &str) -> ItemOutcome {
    ItemOutcome::Transient { code: code.to_owned(), retry_after_ms: None }
}

/// Who answered, as the failure says.
fn answered(found: Result<impl std::fmt::Debug, Failure>) -> Answered {
    match found {
        Err(Failure::Unavailable { answered, .. }) => answered,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_says_of_each_key_what_became_of_it() {
    let dialect = dialect(&array(LIST));
    let read = |result: &str| {
        let body = format!(r#"{{"results":[{{"id":"k",{result}}}]}}"#);
        read(&dialect, &json(200, &body))
    };
    let rejected = |code: &str, message: &str, result: &str| ItemOutcome::Rejected {
        code: code.to_owned(),
        message: message.to_owned(),
        reply: format!(r#"{{"id":"k",{result}}}"#).into_bytes(),
    };
    for (result, outcome) in [
        (r#""status":"ok""#, ItemOutcome::Accepted { receipt: None }),
        (r#""status":"ok","receipt":"r1""#, ItemOutcome::Accepted { receipt: receipt("r1") }),
        (r#""status":"ok","receipt":17"#, ItemOutcome::Accepted { receipt: receipt("17") }),
        (r#""status":"ok","code":null"#, ItemOutcome::Accepted { receipt: None }),
        (r#""status":"ok","code":"""#, ItemOutcome::Accepted { receipt: None }),
        (r#""status":"ok","code":"00""#, ItemOutcome::Accepted { receipt: None }),
        (r#""status":"ok","code":"already""#, ItemOutcome::Duplicate { receipt: None }),
        (r#""status":"known""#, ItemOutcome::Duplicate { receipt: None }),
        (r#""status":"no","code":"already""#, ItemOutcome::Duplicate { receipt: None }),
        (r#""code":"already""#, ItemOutcome::Duplicate { receipt: None }),
        (r#""status":"no""#, rejected("no", "", r#""status":"no""#)),
        (
            r#""status":"no","code":"x","text":"why""#,
            rejected("x", "why", r#""status":"no","code":"x","text":"why""#),
        ),
        (r#""status":"no","code":"busy""#, transient("busy")),
        (
            r#""status":"no","code":"lost","text":"w""#,
            ItemOutcome::Uncertain { code: "lost".to_owned(), message: "w".to_owned() },
        ),
    ] {
        assert_eq!(read(result).unwrap(), outcome, "{result}");
    }
    // None of these is an explicit and unambiguous success.
    for (result, said) in [
        (r#""status":"ok","code":"bad""#, "CONTRADICTION: \"ok\""),
        (r#""status":"ok","code":"other""#, "CONTRADICTION: \"ok\""),
        (r#""status":"no","code":"00""#, "CONTRADICTION: \"00\""),
        (r#""code":"00""#, "CONTRADICTION: \"00\""),
        (r#""status":"OK""#, "\"OK\" at /status"),
        (r#""status":true"#, "\"true\" at /status"),
        (r#""code":"other""#, "\"other\" at /code"),
    ] {
        let outcome = read(result).unwrap();
        let is_said = |code: &str| code.starts_with(said);
        assert!(
            matches!(&outcome, ItemOutcome::Transient { code, .. } if is_said(code)),
            "{outcome:?}"
        );
    }
    for result in [r#""x":1"#, r#""status":null"#, r#""status":["ok"]"#, r#""status":{}"#] {
        assert_eq!(answered(read(result)), Answered::Stranger, "{result}");
    }
}

#[test]
fn an_answer_of_another_shape_confirms_nothing() {
    let dialect = dialect(&array(LIST));
    let good = r#"{"results":[{"id":"k","status":"ok"}]}"#;
    assert!(dialect.read_reply("k", &json(200, good)).is_ok(), "control");
    for body in [
        "",
        "{}",
        "[]",
        "ok",
        r#"{"results":{}}"#,
        r#"{"results":null}"#,
        r#"{"results":[{"status":"ok"}]}"#,
        r#"{"results":[{"id":7,"status":"ok"}]}"#,
        r#"{"results":[{"id":"","status":"ok"}]}"#,
        r#"{"results":[{"id":"k","status":"ok"},7]}"#,
        r#"{"results":[{"id":"k","status":"no","status":"ok"}]}"#,
        r#"{"results":[{"id":"k","status":"ok"}]} {}"#,
        "<html><title>Log in</title>",
    ] {
        assert_eq!(
            answered(dialect.read_reply("k", &json(200, body))),
            Answered::Stranger,
            "{body}"
        );
    }
    for cut in 0..good.len() {
        assert!(dialect.read_reply("k", &json(200, &good[..cut])).is_err(), "{cut}");
    }
    let page = Response::new(200, good).with_content_type("text/html");
    assert!(dialect.read_reply("k", &page).is_err());
    assert!(dialect.read_reply("k", &json(200, good).with_content_encoding("gzip")).is_err());
    assert!(dialect.read_reply("k", &json(200, good).cut()).is_err());
    for status in [201, 202, 204, 207, 302, 404, 500] {
        assert!(dialect.read_reply("k", &json(status, good)).is_err(), "{status}");
    }
    let empty = dialect.read_reply("k", &json(200, r#"{"results":[]}"#)).unwrap();
    assert!(empty.items.is_empty(), "what is missing stays pending");
}

#[test]
fn a_status_counts_only_in_the_upstreams_own_format() {
    let dialect = dialect(&array(LIST));
    let own = |status: u16| {
        let body = r#"{"error":{"code":"newer","text":"so it is"}}"#;
        dialect.read_reply("k", &json(status, body).with_retry_after("7"))
    };
    for status in [400, 422] {
        let refused = Failure::Refused { code: "newer".to_owned(), message: "so it is".to_owned() };
        assert_eq!(own(status).unwrap_err(), refused);
    }
    for status in [401, 403, 426] {
        assert!(matches!(own(status), Err(Failure::Blocked { .. })), "{status}");
    }
    assert_eq!(own(409).unwrap_err(), Failure::InProgress { retry_after_ms: Some(7_000) });
    assert_eq!(own(413).unwrap_err(), Failure::TooLarge);
    for status in [408, 425, 429, 500, 502, 503, 599] {
        match own(status) {
            Err(Failure::Unavailable { retry_after_ms, answered, .. }) => {
                assert_eq!((retry_after_ms, answered), (Some(7_000), Answered::Upstream));
            }
            other => panic!("{status}: {other:?}"),
        }
    }
    for status in [201, 202, 204, 301, 404, 405, 410, 418, 451, 511] {
        assert_eq!(answered(own(status)), Answered::Stranger, "{status}");
    }
    for stranger in [r#"{"message":"no"}"#, "<html>", "", r#"{"error":{"code":"new"#] {
        for status in [400, 401, 403, 404, 409, 422, 426] {
            let found = dialect.read_reply("k", &json(status, stranger));
            assert_eq!(answered(found), Answered::Stranger, "{status} {stranger}");
        }
        for status in [408, 429, 500, 503] {
            let found = dialect.read_reply("k", &json(status, stranger));
            assert_eq!(answered(found), Answered::Nobody, "{status} {stranger}");
        }
        let found = dialect.read_reply("k", &json(413, stranger));
        assert!(matches!(found, Err(Failure::LineTooNarrow { .. })), "{stranger}");
    }
}

#[test]
fn a_code_of_a_refusal_counts_before_its_status() {
    let text = array(&format!(
        "headers = {{ B = \"{{batch_key}}\" }}\n{LIST}[reply.batch_key_refused]\ncodes = [\"taken\"]\n[reply.blocked]\ncodes = [\"expired\"]\nstatuses = [402]\n"
    ));
    let dialect = dialect(&text);
    let own = |status: u16, code: &str| {
        dialect.read_reply("k", &json(status, &format!(r#"{{"error":{{"code":"{code}"}}}}"#)))
    };
    assert!(matches!(own(422, "taken"), Err(Failure::BatchKeyRefused { .. })));
    assert!(matches!(own(400, "expired"), Err(Failure::Blocked { .. })));
    assert!(matches!(own(402, "newer"), Err(Failure::Blocked { .. })));
    // One of many is at fault, and is found by halves; nobody can say which was accepted.
    assert!(matches!(own(422, "bad"), Err(Failure::Refused { .. })));
    assert_eq!(answered(own(409, "00")), Answered::Stranger);
    assert_eq!(answered(own(409, "already")), Answered::Stranger);
    assert_eq!(answered(own(409, "busy")), Answered::Upstream);
}

#[test]
fn an_answer_about_one_event_names_its_key_where_that_is_declared() {
    let dialect = dialect(&one(&format!(
        "{PAYLOAD}[reply]\nstatuses = [200, 201]\nkey = \"/id\"\n[reply.duplicate]\nstatuses = [200]\n"
    )));
    let accepted = read(&dialect, &json(201, r#"{"id":"k"}"#));
    assert_eq!(accepted.unwrap(), ItemOutcome::Accepted { receipt: None });
    let duplicate = read(&dialect, &json(200, r#"{"id":"k"}"#));
    assert_eq!(duplicate.unwrap(), ItemOutcome::Duplicate { receipt: None });
    for body in [r#"{"id":"other"}"#, "{}", r#"{"id":null}"#, r#"["k"]"#, "\"k\""] {
        assert_eq!(answered(read(&dialect, &json(201, body))), Answered::Stranger, "{body}");
    }
}

#[test]
fn a_declared_type_is_the_only_one() {
    let batch = built_in("cloudevents-batch");
    let read = |kind: Option<&str>| {
        let response = Response::new(200, r#"{"results":[{"id":"k","status":"accepted"}]}"#);
        let typed = kind.map(|kind| response.clone().with_content_type(kind));
        read(&batch, &typed.unwrap_or(response))
    };
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"]
    {
        assert!(read(Some(kind)).is_ok(), "{kind}");
    }
    for kind in [None, Some("application/vnd.other+json"), Some("text/json")] {
        assert_eq!(answered(read(kind)), Answered::Stranger, "{kind:?}");
    }
}

#[test]
fn declared_members_are_the_shape_of_an_answer() {
    let stripe = built_in("stripe-like");
    let charge = r#"{"id":"ch_1","object":"charge","status":"succeeded"}"#;
    let accepted = read(&stripe, &json(200, charge)).unwrap();
    assert_eq!(accepted, ItemOutcome::Accepted { receipt: receipt("ch_1") });
    let without = charge.replace("object", "objekt");
    assert_eq!(answered(read(&stripe, &json(200, &without))), Answered::Stranger);
    let error = |status: u16, code: &str| {
        let body = format!(r#"{{"error":{{"type":"t","code":"{code}","message":"m"}}}}"#);
        read(&stripe, &json(status, &body))
    };
    assert!(matches!(error(402, "card_declined"), Ok(ItemOutcome::Rejected { .. })));
    assert!(matches!(error(402, "a_newer_code"), Ok(ItemOutcome::Rejected { .. })));
    assert!(matches!(error(401, "api_key_expired"), Err(Failure::Blocked { .. })));
    assert!(matches!(error(409, "idempotency_key_in_use"), Err(Failure::InProgress { .. })));
    assert_eq!(answered(error(429, "rate_limit")), Answered::Upstream);
    assert!(matches!(error(400, "parameter_missing"), Err(Failure::Refused { .. })));
}

#[test]
fn where_bodies_are_ignored_only_declared_statuses_say_anything() {
    let webhook = built_in("webhook");
    let read = |status: u16| read(&webhook, &Response::new(status, "<html>any</html>"));
    for status in [200, 201, 202, 204] {
        assert_eq!(read(status).unwrap(), ItemOutcome::Accepted { receipt: None });
    }
    assert_eq!(read(208).unwrap(), ItemOutcome::Duplicate { receipt: None });
    assert!(matches!(read(410), Ok(ItemOutcome::Rejected { code, .. }) if code == "STATUS_410"));
    assert!(matches!(read(401), Err(Failure::Blocked { .. })));
    assert_eq!(read(409).unwrap_err(), Failure::InProgress { retry_after_ms: None });
    assert_eq!(answered(read(503)), Answered::Upstream);
    for status in [203, 206, 302, 400, 404, 426] {
        assert_eq!(answered(read(status)), Answered::Stranger, "{status}");
    }
    assert_eq!(answered(read(500)), Answered::Nobody);
    let cut = webhook.read_reply("k", &Response::new(201, "").cut());
    assert_eq!(answered(cut), Answered::Stranger, "nobody knows whether all of it came");
    let noted = Response::new(201, "").with_header("X-Receipt", "r-9");
    let accepted = webhook.read_reply("k", &noted).unwrap().items.pop().unwrap().1;
    assert_eq!(accepted, ItemOutcome::Accepted { receipt: receipt("r-9") });
}

#[test]
fn the_terminals_key_does_not_come_back() {
    let secret = "key-of-this-terminal";
    let hiding = |response: Response| response.hiding(Some(Secret::new(secret)));
    let list = dialect(&array(LIST));
    let result = format!(r#"{{"id":"k","status":"no","code":"{secret}","text":"{secret}"}}"#);
    let response = hiding(json(200, &format!(r#"{{"results":[{result}]}}"#)));
    let ItemOutcome::Rejected { code, message, reply } = read(&list, &response).unwrap() else {
        panic!("it is rejected");
    };
    let said = format!("{code} {message} {}", String::from_utf8(reply).unwrap());
    assert!(!said.contains(secret) && said.contains("[redacted]"), "{said}");
    let result = format!(r#"{{"id":"k","status":"ok","receipt":"{secret}"}}"#);
    let response = hiding(json(200, &format!(r#"{{"results":[{result}]}}"#)));
    let accepted = ItemOutcome::Accepted { receipt: receipt("[redacted]") };
    assert_eq!(read(&list, &response).unwrap(), accepted);
    for body in ["\"SECRET\"", "{\"SECRET\":1,\"SECRET\":2}", "{\"results\":\"SECRET\"}", "SECRET"]
    {
        let response = hiding(json(200, &body.replace("SECRET", secret)));
        let found = format!("{:?}", list.read_reply("k", &response));
        assert!(found.contains("Err(Unavailable") && !found.contains(secret), "{found}");
    }
    for status in [400, 401, 429, 404] {
        let body = format!(r#"{{"error":{{"code":"{secret}","text":"{secret}"}}}}"#);
        let found = format!("{:?}", list.read_reply("k", &hiding(json(status, &body))));
        assert!(!found.contains(secret), "{found}");
    }
}
