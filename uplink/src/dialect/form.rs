//! Descriptions of answers that are not in the upstream's own format, for the person who has to find out.

use serde::de::IgnoredAny;

use super::Response;
use crate::excerpt;

/// Longest title of a page that is shown, bytes before escaping.
const TITLE_BYTES_MAX: usize = 100;
/// Longest address or name from a header that is shown, bytes before escaping.
const HEADER_BYTES_MAX: usize = 200;
/// How much of a page is searched for its title.
const SEARCHED_BYTES_MAX: usize = 16 * 1024;
/// The type of a problem document.
const PROBLEM_TYPE: &str = "application/problem+json";
/// The bytes that some editors put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether the headers allow that the body is JSON as it is.
pub(crate) fn may_be_json(response: &Response) -> bool {
    encoding(response).is_none() && response.content_type.as_deref().is_none_or(is_json_type)
}

/// Whether the headers say that the body is a problem document.
pub(crate) fn is_problem(response: &Response) -> bool {
    let kind = response.content_type.as_deref().unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(PROBLEM_TYPE))
}

/// What compresses the body, if anything does.
pub(crate) fn encoding(response: &Response) -> Option<&str> {
    let named = response.content_encoding.as_deref().map(str::trim);
    named.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"))
}

/// Whether a content type is JSON or one of its kinds.
fn is_json_type(text: &str) -> bool {
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

/// Describes the answer. One line, printable, without the credential.
pub(crate) fn describe(response: &Response) -> String {
    if let Some(to) = response.location.as_deref().filter(|_| is_redirect(response.status)) {
        return format!("redirected to {}", shown(response, to, HEADER_BYTES_MAX));
    }
    if let Some(encoding) = encoding(response) {
        let encoding = shown(response, encoding, HEADER_BYTES_MAX);
        return format!("compressed with {encoding}, which was not asked for");
    }
    if response.body.is_empty() && response.is_cut() {
        return "its body did not come whole".to_owned();
    }
    if response.body.is_empty() {
        return "the body is empty".to_owned();
    }
    let excerpt = response.excerpt();
    let Some(what) = by_content(response).or_else(|| by_type(response)) else {
        return format!("the body starts with {excerpt}");
    };
    format!("{what}; the body starts with {excerpt}")
}

/// Whether a status sends the request elsewhere.
fn is_redirect(status: u16) -> bool {
    (300..400).contains(&status)
}

/// What the body is by its first bytes.
fn by_content(response: &Response) -> Option<String> {
    let body = response.body.as_slice();
    if body.starts_with(b"\x1f\x8b") {
        return Some("compressed with gzip, which was not asked for".to_owned());
    }
    let marked = body.strip_prefix(BYTE_ORDER_MARK);
    if marked.is_some_and(|rest| serde_json::from_slice::<IgnoredAny>(rest).is_ok()) {
        return Some("a byte order mark before the JSON".to_owned());
    }
    let body = marked.unwrap_or(body);
    if body.starts_with(b"\xff\xfe") || body.starts_with(b"\xfe\xff") {
        return Some("the text is in UTF-16, not UTF-8".to_owned());
    }
    let head = body.get(..SEARCHED_BYTES_MAX).unwrap_or(body).trim_ascii_start();
    let lower = head.to_ascii_lowercase();
    if lower.starts_with(b"<?xml") {
        return Some("the answer is XML".to_owned());
    }
    if !lower.starts_with(b"<") {
        return None;
    }
    Some(match title(head, &lower) {
        Some(title) => {
            let title = shown(response, &title, TITLE_BYTES_MAX);
            format!("the answer is a web page titled {title}")
        }
        None => "the answer is a web page without a title".to_owned(),
    })
}

/// What the body is by its header, where its bytes do not show it.
fn by_type(response: &Response) -> Option<String> {
    let kind = response.content_type.as_deref().filter(|kind| !is_json_type(kind))?;
    Some(format!("the answer is {}, not JSON", shown(response, kind, HEADER_BYTES_MAX)))
}

/// The title of a page, its white space in one piece. `lower` is the page in lower case.
fn title(page: &[u8], lower: &[u8]) -> Option<String> {
    let open = find(lower, b"<title")?;
    let from = open + find(lower.get(open..)?, b">")? + 1;
    let until = from + find(lower.get(from..)?, b"</")?;
    let text = String::from_utf8_lossy(page.get(from..until)?).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    Some(words.join(" ")).filter(|title| !title.is_empty())
}

/// Where `what` begins in `bytes`.
fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A foreign text in quotation marks: short, one line, without the credential.
pub(crate) fn shown(response: &Response, text: &str, bytes_max: usize) -> String {
    let clean = response.redacted(text.as_bytes());
    let clean = String::from_utf8_lossy(&clean);
    let cut = excerpt::cut(&clean, bytes_max);
    let more = if cut.len() < clean.len() { "..." } else { "" };
    format!("\"{}\"{more}", cut.escape_debug())
}
