use onceward::sync::Reply;

use super::*;

/// What one dialect documents besides.
const TABLE: [Known; 1] = [known(503, "FULL", Meaning::Later)];

/// Holds what a dialect makes of every documented problem against what it means: of the shared ones, and of its own.
pub(crate) fn assert_documented(
    decode: impl Fn(u16, &str) -> Result<Reply, Failure>,
    own: &[(u16, &str, &str)],
) {
    let name = |status: u16, code: &str| match decode(status, &document(status, code)) {
        Err(Failure::Refused { .. }) => "refused",
        Err(Failure::BatchKeyRefused { .. }) => "key",
        Err(Failure::Blocked { .. }) => "blocked",
        Err(Failure::TooLarge) => "too large",
        Err(Failure::InProgress { .. }) => "in progress",
        Err(Failure::Unavailable { answered: Answered::Upstream, .. }) => "later",
        Err(Failure::Unavailable { answered: Answered::Stranger, .. }) => "stranger",
        Err(Failure::LineTooNarrow { .. }) => "stranger",
        Err(Failure::Misdirected { .. }) => "elsewhere",
        other => panic!("{status} {code}: {other:?}"),
    };
    let shared = [
        (400, "NOT_JSON", "refused"),
        (400, "BODY_INCOMPLETE", "later"),
        (401, "UNAUTHORIZED", "blocked"),
        (403, "FORBIDDEN", "blocked"),
        (404, "NOT_FOUND", "elsewhere"),
        (405, "METHOD_NOT_ALLOWED", "elsewhere"),
        (408, "REQUEST_TIMEOUT", "later"),
        (409, "REQUEST_IN_PROGRESS", "in progress"),
        (413, "TOO_LARGE", "too large"),
        (415, "UNSUPPORTED_MEDIA_TYPE", "elsewhere"),
        (422, "INVALID_REQUEST", "refused"),
        (429, "USAGE_EXCEEDED", "later"),
        (500, "INTERNAL_ERROR", "later"),
        (503, "FULL", "later"),
    ];
    for (status, code, expected) in shared.iter().chain(own).copied() {
        assert_eq!(name(status, code), expected, "{status} {code}");
        assert_ne!(name(status + 1, code), "refused", "{code} belongs to {status}");
    }
    for status in [400, 401, 403, 409, 413, 422, 426] {
        assert_eq!(name(status, "SOMETHING"), "stranger", "{status}");
    }
}

/// A problem document as our hub writes it.
fn document(status: u16, code: &str) -> String {
    format!(
        r#"{{"type":"/problems/x","title":"A title","status":{status},"detail":"a detail","code":"{code}","request_id":"r"}}"#
    )
}

/// An answer with such a document.
fn problem(status: u16, code: &str) -> Response {
    Response::new(status, document(status, code)).with_content_type("application/problem+json")
}

/// Why the line is at fault, and who answered.
fn line(response: &Response) -> (String, Answered) {
    match failure(response, &TABLE) {
        Failure::Unavailable { why, answered, .. } => (why, answered),
        Failure::LineTooNarrow { why } if response.status == 413 => (why, Answered::Stranger),
        other => panic!("{response:?}: {other:?}"),
    }
}

#[test]
fn a_documented_problem_means_what_the_table_says() {
    let refused = Failure::Refused { code: "INVALID_REQUEST".into(), message: "a detail".into() };
    assert_eq!(failure(&problem(422, "INVALID_REQUEST"), &TABLE), refused);
    assert_eq!(failure(&problem(413, "TOO_LARGE"), &TABLE), Failure::TooLarge);
    let busy = problem(409, "REQUEST_IN_PROGRESS").with_retry_after("2");
    assert_eq!(failure(&busy, &TABLE), Failure::InProgress { retry_after_ms: Some(2_000) });
    let Failure::Blocked { why } = failure(&problem(401, "UNAUTHORIZED"), &TABLE) else {
        panic!("not blocked");
    };
    assert!(why.starts_with("status 401: ") && why.ends_with("UNAUTHORIZED: a detail"), "{why}");
    let full = problem(503, "FULL").with_retry_after("7");
    let Failure::Unavailable { why, retry_after_ms, answered } = failure(&full, &TABLE) else {
        panic!("not for now");
    };
    assert!(why.ends_with("the upstream says FULL: a detail"), "{why}");
    assert_eq!((retry_after_ms, answered), (Some(7_000), Answered::Upstream));
    let Failure::Misdirected { why } = failure(&problem(404, "NOT_FOUND"), &TABLE) else {
        panic!("not elsewhere");
    };
    assert!(why.contains("is the address right?"), "{why}");
}

#[test]
fn whatever_is_not_the_upstreams_own_format_is_the_line_whatever_its_status() {
    let page = "<!DOCTYPE html><html><head><title>Sign in</title></head></html>";
    for status in (100..=999).filter(|status| !status::may_confirm(*status)) {
        let mut rows = SHARED.iter().chain(&TABLE);
        let own = rows.find(|row| row.status == status).map_or("RULE", |row| row.code);
        let document = document(status, own);
        let other_status = document.replace(&format!("\"status\":{status}"), "\"status\":200");
        let bodies = [
            Response::new(status, ""),
            Response::new(status, page),
            Response::new(status, page).with_content_type("application/json"),
            Response::new(status, r#"{"message":"Forbidden"}"#),
            Response::new(status, r#"{"error":{"code":"INVALID_REQUEST"}}"#),
            Response::new(status, r#"[{"code":"INVALID_REQUEST"}]"#),
            Response::new(status, format!(r#"["{own}",{status},"a detail","a title"]"#)),
            Response::new(status, format!("{{\"code\":[\"{own}\"]}}")),
            Response::new(status, other_status),
            Response::new(status, format!(r#"{{"code":"{own}"}}"#)),
            Response::new(status, format!(r#"{{"code":"{own}","message":"no"}}"#))
                .with_content_type("application/json"),
            Response::new(status, format!("{document}{document}")),
            Response::new(status, format!("\u{feff}{document}")),
            Response::new(status, document.as_bytes()).with_content_type("text/html"),
            Response::new(status, document.as_bytes()).with_content_encoding("gzip"),
        ];
        for response in bodies {
            let (why, answered) = line(&response);
            assert!(why.starts_with(&format!("status {status}: ")) && why.is_ascii(), "{why}");
            let who =
                if status::is_for_now(status) { Answered::Nobody } else { Answered::Stranger };
            assert_eq!(answered, who, "{response:?}");
        }
    }
    assert_eq!(failure(&problem(413, "TOO_LARGE"), &TABLE), Failure::TooLarge, "control");
}

#[test]
fn a_document_is_a_problem_by_its_type_or_by_its_status() {
    let bare = Response::new(413, r#"{"code":"TOO_LARGE"}"#);
    assert_eq!(line(&bare).1, Answered::Stranger);
    let typed = bare.with_content_type("Application/Problem+JSON; charset=utf-8");
    assert_eq!(failure(&typed, &TABLE), Failure::TooLarge);
    let told = Response::new(413, r#"{"code":"TOO_LARGE","status":413}"#);
    assert_eq!(failure(&told, &TABLE), Failure::TooLarge);
}

#[test]
fn whoever_on_the_way_finds_a_request_too_large_may_let_half_of_it_through() {
    let page = "<html><title>413 Request Entity Too Large</title></html>";
    for body in [page, "", "{}", r#"{"message":"too large"}"#] {
        let Failure::LineTooNarrow { why } = failure(&Response::new(413, body), &TABLE) else {
            panic!("{body}");
        };
        assert!(why.starts_with("status 413: the request is too large; "), "{why}");
    }
}

#[test]
fn a_code_that_the_table_does_not_know_for_a_status_rejects_and_blocks_nothing() {
    for (status, code) in [(422, "RULE"), (400, "INVALID_REQUEST"), (403, "UNAUTHORIZED")] {
        assert_eq!(line(&problem(status, code)).1, Answered::Stranger, "{status} {code}");
    }
    for status in [408, 425, 429, 500, 503] {
        let response = problem(status, "NEWER_THAN_THIS").with_retry_after("600");
        let Failure::Unavailable { retry_after_ms, answered, .. } = failure(&response, &TABLE)
        else {
            panic!("status {status}");
        };
        assert_eq!((retry_after_ms, answered), (Some(600_000), Answered::Upstream), "{status}");
    }
}

#[test]
fn an_answer_that_is_not_the_upstreams_is_named_as_what_it_is() {
    let page = "<html>\n<head><TITLE lang=en> Log in\n to  caf\u{e9} </TITLE>";
    let table = [
        (Response::new(403, page), "the answer is a web page titled \"Log in to caf\u{e9}\""),
        (Response::new(400, "<p>no</p>"), "the answer is a web page without a title"),
        (Response::new(400, "<?xml version=\"1.0\"?><e/>"), "the answer is XML"),
        (
            Response::new(308, "").with_location("http://portal.example/login?to=x"),
            "redirected to \"http://portal.example/login?to=x\"",
        ),
        (Response::new(302, ""), "a redirect, which is not followed; the body is empty"),
        (
            Response::new(422, "\u{1f}\u{8b}").with_content_encoding("gzip"),
            "compressed with \"gzip\", which was not asked for",
        ),
        (
            Response::new(422, &b"\x1f\x8b\x08\x00"[..]),
            "compressed with gzip, which was not asked for",
        ),
        (Response::new(422, "\u{feff}{}"), "a byte order mark before the JSON"),
        (Response::new(200, "\u{feff}<title>Log in</title>"), "a web page titled \"Log in\""),
        (Response::new(422, &b"\xff\xfe{\0}\0"[..]), "the text is in UTF-16"),
        (
            Response::new(413, "too big").with_content_type("text/plain; charset=utf-8"),
            "the answer is \"text/plain; charset=utf-8\", not JSON",
        ),
        (Response::new(407, ""), "the proxy asks for credentials"),
        (Response::new(511, page), "the network asks for a login first"),
        (Response::new(421, ""), "does not serve this address"),
        (Response::new(451, ""), "refused for legal reasons"),
        (Response::new(202, "{}"), "it is taken for later, and confirms no item"),
        (Response::new(204, ""), "it confirms no item; the body is empty"),
        (Response::new(404, "{}"), "is the address right?"),
        (Response::new(401, "").cut(), "its body did not come whole"),
        (Response::new(502, "upstream down"), "the body starts with \"upstream down\""),
    ];
    for (response, expected) in table {
        let (why, _) = line(&response);
        assert!(why.contains(expected), "{why}\nhas no: {expected}");
    }
}

#[test]
fn words_from_outside_are_short_and_in_one_line_and_never_hold_the_credential() {
    let key = crate::Secret::new("wede_live_1234567890");
    let long = "x".repeat(100_000);
    for response in [
        Response::new(403, format!("<title>\u{1b}[31m wede_live_1234567890\n{long}</title>")),
        Response::new(302, "").with_location(format!("/?k=wede_live_1234567890&{long}")),
        Response::new(200, "x").with_content_encoding(format!("wede_live_1234567890 {long}")),
        Response::new(200, "x").with_content_type(format!("wede_live_1234567890 {long}")),
    ] {
        let (why, _) = line(&response.hiding(Some(key.clone())));
        assert!(!why.contains("wede_live") && !why.contains(['\n', '\u{1b}']), "{why}");
        assert!(why.len() < 1_200, "{why}");
    }
}
