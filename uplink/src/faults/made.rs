//! Replies that are not the upstream's: of portals, gateways, and hubs that had a bad day. No I/O here.

use super::bomb;
use super::fault::{Argument, Fault};
use super::http::Head;
use super::injection::Injection;
use crate::retry_after::http_date_of;

/// The reply that a fault makes up for this request; `None` if the fault makes up none.
///
/// `now_ms` is the time of day, for dates.
pub(super) fn reply(injection: &Injection, request: &Head, now_ms: i64) -> Option<Reply> {
    let redirect = |status, to: &str| Reply::html(status, MOVED).with("Location", to);
    let problem = |status| Reply::problem(status, injection.value(Argument::Code));
    let wait = |made| retry_after(made, injection.value(Argument::RetryAfter), now_ms);
    Some(match injection.fault() {
        Fault::MalformedJson => Reply::json(200, r#"{"items":[{"key":"a","status":"accepted"},{"#),
        Fault::EmptyBody => Reply::json(200, ""),
        Fault::NullBody => Reply::json(200, "null"),
        Fault::Html200 => Reply::html(200, PORTAL),
        Fault::LoginRedirect => redirect(302, injection.value(Argument::To)),
        Fault::Status202 => Reply::json(202, r#"{"status":"queued"}"#),
        Fault::Status204 => Reply::empty(204),
        Fault::RedirectSameHost | Fault::RedirectOtherHost => {
            redirect(307, injection.value(Argument::To))
        }
        Fault::RedirectLoop => redirect(307, &own_address(request)),
        Fault::Status400 => problem(400),
        Fault::Status401 => problem(401).with("WWW-Authenticate", "Bearer error=\"invalid_token\""),
        Fault::Status403 => Reply::html(403, BLOCKED),
        Fault::Status409 => problem(409),
        Fault::Status413 => problem(413),
        Fault::Status421 => problem(421),
        Fault::Status429 => wait(problem(429)),
        Fault::Status500 => problem(500),
        Fault::Status503 => wait(problem(503)),
        Fault::Status502 => Reply::html(502, GATEWAY),
        Fault::Status511 => Reply::html(511, PORTAL),
        Fault::GzipBomb => {
            let bytes = injection.number(Argument::Bytes).unwrap_or(0);
            Reply::new(200, "application/json", bomb::gzip(bytes)).with("Content-Encoding", "gzip")
        }
        Fault::DeepJson => {
            let depth = injection.number(Argument::Depth).unwrap_or(0);
            let depth = usize::try_from(depth).unwrap_or(0);
            Reply::json(200, &format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
        }
        _ => return None,
    })
}

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    /// Its status.
    pub(super) status: u16,
    /// Its headers, each with its line end.
    headers: String,
    /// Its body; `None` where the status has none.
    body: Option<Vec<u8>>,
}

impl Reply {
    /// A reply with a body.
    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self { body: Some(body), ..Self::empty(status).with("Content-Type", content_type) }
    }

    /// A reply without a body.
    fn empty(status: u16) -> Self {
        Self { status, headers: String::new(), body: None }
    }

    /// A reply of JSON.
    fn json(status: u16, body: &str) -> Self {
        Self::new(status, "application/json", body.as_bytes().to_vec())
    }

    /// A problem document (RFC 9457), with a name for programs.
    fn problem(status: u16, code: &str) -> Self {
        let title = reason(status);
        let body = format!(
            r#"{{"type":"about:blank","title":"{title}","status":{status},"code":"{code}"}}"#
        );
        Self::new(status, "application/problem+json", body.into_bytes())
    }

    /// A page.
    fn html(status: u16, body: &str) -> Self {
        Self::new(status, "text/html; charset=utf-8", body.as_bytes().to_vec())
    }

    /// The same with one more header.
    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// All of it, for a request of this method.
    pub(super) fn to_bytes(&self, method: &str) -> Vec<u8> {
        let Self { status, headers, body } = self;
        let length = match body {
            Some(body) => format!("Content-Length: {}\r\n", body.len()),
            None => String::new(),
        };
        let head = format!("HTTP/1.1 {status} {}\r\n{headers}{length}\r\n", reason(*status));
        let body = body.as_deref().filter(|_| method != "HEAD").unwrap_or_default();
        [head.as_bytes(), body].concat()
    }
}

/// The same with `Retry-After` in the shape that was asked for.
fn retry_after(reply: Reply, shape: &str, now_ms: i64) -> Reply {
    let date = |ms| http_date_of(ms).unwrap_or_default();
    let reply = reply.with("Date", &date(now_ms));
    match shape {
        "absent" => reply,
        "date" => reply.with("Retry-After", &date(now_ms.saturating_add(2_000))),
        "negative" => reply.with("Retry-After", "-1"),
        "huge" => reply.with("Retry-After", "99999999999999999999"),
        "garbage" => reply.with("Retry-After", "in a moment"),
        seconds => reply.with("Retry-After", seconds),
    }
}

/// The address that a request asked for.
fn own_address(request: &Head) -> String {
    let host = request.values("host").next().unwrap_or("localhost");
    format!("http://{host}{}", request.target())
}

/// The words for a status.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        409 => "Conflict",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        511 => "Network Authentication Required",
        _ => "",
    }
}

/// The page of a captive portal.
const PORTAL: &str = "<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>Free Wi-Fi</h1>\
<form action=\"http://login.invalid/portal\"><button>Accept and connect</button></form></body></html>";

/// The page of a middlebox that does not like the request.
const BLOCKED: &str = "<!DOCTYPE html><html><body><h1>Access denied</h1><p>This request was blocked by the security \
policy of your network.</p></body></html>";

/// The page of a gateway.
const GATEWAY: &str =
    "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";

/// The page of a redirect.
const MOVED: &str = "<html><body>Moved</body></html>";
