//! Reads a request's body: JSON only, not compressed, bounded in bytes and in time.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{HeaderMap, header},
};

use crate::problem::{Code, Problem};

/// How long a body may take to arrive: 4 MiB at 70 KB/s.
const DEADLINE: Duration = Duration::from_secs(60);
/// How much of a body that is too large is read and thrown away, so that a sender that does not listen
/// while it sends gets the answer instead of a reset connection.
const DRAIN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The body of `request`, at most `bytes_max` bytes.
///
/// # Errors
///
/// 415 for another type or a compressed body, 413 for too many bytes, 408 if it takes too long, 400 if
/// it ends early.
pub(crate) async fn read(request: Request, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    check_type(request.headers())?;
    read_any(request, bytes_max).await
}

/// The same of another type than JSON.
///
/// # Errors
///
/// As [`read`].
pub(crate) async fn read_as(
    request: Request,
    media_type: &str,
    bytes_max: usize,
) -> Result<Vec<u8>, Problem> {
    let mut types = request.headers().get_all(header::CONTENT_TYPE).iter();
    let is_it = |value: &axum::http::HeaderValue| value.as_bytes() == media_type.as_bytes();
    if !matches!((types.next(), types.next()), (Some(only), None) if is_it(only)) {
        let detail = format!("Content-Type must be {media_type}");
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    read_any(request, bytes_max).await
}

/// The body of a request, whatever it is.
async fn read_any(request: Request, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let waits_for_a_go = request.headers().contains_key(header::EXPECT);
    if waits_for_a_go && declared_bytes(request.headers()) > bytes_max {
        return Err(too_large(bytes_max));
    }
    match tokio::time::timeout(DEADLINE, collect(request.into_body(), bytes_max)).await {
        Ok(collected) => collected,
        Err(_elapsed) => Err(Problem::new(
            Code::RequestTimeout,
            format!("the body did not arrive within {} s", DEADLINE.as_secs()),
        )),
    }
}

/// The size that the request states, or 0.
fn declared_bytes(headers: &HeaderMap) -> usize {
    let text = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Refuses what is not plain JSON in UTF-8.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Problem::new(Code::UnsupportedMediaType, detail));
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return refused("Content-Encoding is not supported: send the body uncompressed");
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return refused("one Content-Type header is needed: application/json");
    };
    let is_json = only.to_str().is_ok_and(is_json_type);
    if is_json { Ok(()) } else { refused("Content-Type must be application/json in UTF-8") }
}

/// Whether `text` is `application/json`, with no other character set than UTF-8.
fn is_json_type(text: &str) -> bool {
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// All bytes of `body`, if they are at most `bytes_max`.
async fn collect(mut body: Body, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut drained: usize = 0;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_cut| {
            Problem::new(Code::BodyIncomplete, "the connection broke within the body")
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if drained == 0 && bytes.len().saturating_add(data.len()) <= bytes_max {
            bytes.extend_from_slice(&data);
            continue;
        }
        bytes = Vec::new();
        drained = drained.saturating_add(data.len());
        if drained > DRAIN_BYTES_MAX {
            break;
        }
    }
    if drained == 0 { Ok(bytes) } else { Err(too_large(bytes_max)) }
}

/// The problem of a body that is too large.
fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("the body may be at most {bytes_max} bytes"))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, extract::Request};

    use super::{is_json_type, read};
    use crate::problem::Code;

    #[test]
    fn only_json_in_utf_8_is_accepted() {
        for good in
            ["application/json", "Application/JSON; charset=\"UTF-8\"", "application/json;x=y"]
        {
            assert!(is_json_type(good), "{good}");
        }
        for bad in ["", "text/json", "application/json; charset=latin1", "application/jsonx"] {
            assert!(!is_json_type(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_body_at_the_limit_is_read_and_one_byte_more_is_refused() {
        let request = |bytes: usize| {
            let body = Body::from(vec![b' '; bytes]);
            Request::post("/").header("content-type", "application/json").body(body).unwrap()
        };
        assert_eq!(read(request(10), 10).await.unwrap().len(), 10);
        assert_eq!(read(request(11), 10).await.unwrap_err().code(), Code::TooLarge);
    }
}
