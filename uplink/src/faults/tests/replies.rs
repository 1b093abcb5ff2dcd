//! A reply that is not the upstream's comes as the table says, and the upstream hears of the request only if told so.
//!
//! Method: ask through each fault and look at every byte that comes back.

use super::super::{Fault, TABLE};
use super::{Upstream, ask, ask_on};

/// The status, something in the head and something in the body of each made-up reply.
const MADE: [(&str, u16, &str, &str); 29] = [
    ("malformed_json", 200, "application/json", "{\"items\":[{\"key\":"),
    ("empty_body", 200, "content-length: 0", ""),
    ("null_body", 200, "application/json", "null"),
    ("html_200", 200, "text/html", "Free Wi-Fi"),
    ("login_redirect", 302, "location: http://login.invalid/portal\r\n", "Moved"),
    ("login_redirect to=http://x.invalid/", 302, "location: http://x.invalid/\r\n", "Moved"),
    ("status_202", 202, "application/json", "queued"),
    ("status_204", 204, "http/1.1 204 no content\r\n\r\n", ""),
    ("redirect_same_host", 307, "location: /elsewhere\r\n", "Moved"),
    ("redirect_other_host", 307, "location: http://other.invalid/\r\n", "Moved"),
    ("redirect_loop", 307, "location: http://hub/sync\r\n", "Moved"),
    ("status_400", 400, "application/problem+json", "NOT_JSON"),
    ("status_400 code=INVALID_REQUEST", 400, "400 bad request", "INVALID_REQUEST"),
    ("status_401", 401, "www-authenticate: bearer", "UNAUTHORIZED"),
    ("status_403", 403, "text/html", "Access denied"),
    ("status_409", 409, "409 conflict", "\"status\":409"),
    ("status_413", 413, "413 content too large", "TOO_LARGE"),
    ("status_421", 421, "421 misdirected request", "MISDIRECTED"),
    ("status_429", 429, "retry-after: 1\r\n", "TOO_MANY_REQUESTS"),
    ("status_429 retry_after=date", 429, "gmt\r\nretry-after: ", "TOO_MANY_REQUESTS"),
    ("status_503", 503, "retry-after: 1\r\n", "UNAVAILABLE"),
    ("status_503 retry_after=7200", 503, "retry-after: 7200\r\n", "UNAVAILABLE"),
    ("status_503 retry_after=negative", 503, "retry-after: -1\r\n", "UNAVAILABLE"),
    ("status_503 retry_after=huge", 503, "retry-after: 99999999999999999999\r\n", "UNAVAILABLE"),
    ("status_503 retry_after=garbage", 503, "retry-after: in a moment\r\n", "UNAVAILABLE"),
    ("status_503 retry_after=absent", 503, "503 service unavailable", "UNAVAILABLE"),
    ("status_500", 500, "application/problem+json", "INTERNAL"),
    ("status_502", 502, "text/html", "Bad Gateway"),
    ("status_511", 511, "text/html", "login.invalid"),
];

#[test]
fn each_made_up_reply_comes_without_the_upstream_and_after_it_if_told_so() {
    let upstream = Upstream::start();
    for (fault, status, in_head, in_body) in MADE {
        let heard = upstream.count();
        let came = ask(&upstream.behind(&format!("* {fault}")), "x");
        let (head, body) = came.parts();
        assert_eq!(came.status(), status, "{fault}");
        assert!(head.contains(in_head), "{fault}: {head}");
        assert!(String::from_utf8(body).unwrap().contains(in_body), "{fault}");
        assert_eq!(head.contains("retry-after"), in_head.contains("retry-after"), "{fault}");
        assert_eq!(upstream.count(), heard, "{fault}");

        ask(&upstream.behind(&format!("* {fault} applied=yes")), "x");
        assert_eq!(upstream.count(), heard + 1, "{fault}");
    }
}

#[test]
fn a_made_up_reply_keeps_the_connection_and_its_length_is_right() {
    let upstream = Upstream::start();
    let names = TABLE.iter().filter(|row| MADE.iter().any(|made| made.0 == row.name));
    for row in names {
        let proxy = upstream.behind(&format!("1 {}", row.name));
        let stream = std::net::TcpStream::connect(proxy.addr()).unwrap();
        ask_on(&stream, "x");
        let after = ask_on(&stream, "y");
        assert_eq!(after.head.status(), Some(200), "{}", row.name);
        assert!(after.head.lists("x-kept", "yes"), "{}: the upstream's own", row.name);
        let counts = proxy.counts();
        assert_eq!((counts.of(row.fault), counts.of(Fault::Pass)), (1, 1), "{}", row.name);
    }
}

#[test]
fn a_head_request_gets_no_body() {
    use std::io::Write;
    let upstream = Upstream::start();
    let proxy = upstream.behind("* status_500");
    let stream = std::net::TcpStream::connect(proxy.addr()).unwrap();
    (&stream).write_all(b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let came = super::read_to_end(&stream);
    assert!(came.text().ends_with("\r\n\r\n") && came.status() == 500, "{}", came.text());
}
