//! Takes an answer off the wire, whole.

use std::io::Read;

use ureq::http::{self, HeaderName, header};

use crate::clock;
use crate::dialect::{Response, may_be_json};
use crate::retry_after;
use crate::upstream::{About, HORIZON_HEADER};

/// Largest body of a reply. The longest honest one, to 500 keys of 255 bytes that all need escapes,
/// fits.
const REPLY_BYTES_MAX: u64 = 1024 * 1024;

/// Head and body of `reply`, which came `round_trip_ms` after its request was begun.
///
/// # Errors
///
/// The body of an answer that may confirm something did not come whole, or is too long. That of another is no
/// reason to forget what its head says; and the beginning of a page shows whose it is.
pub(super) fn take(
    mut reply: http::Response<ureq::Body>,
    round_trip_ms: u64,
) -> Result<Response, ureq::Error> {
    let text = |name: HeaderName| reply.headers().get(name).and_then(|value| value.to_str().ok());
    let owned = |name: HeaderName| text(name).map(ToOwned::to_owned);
    let horizon = reply.headers().get(HORIZON_HEADER).and_then(|value| value.to_str().ok());
    let about = About::read(text(header::DATE), horizon, round_trip_ms);
    let mut response = Response::new(reply.status().as_u16(), Vec::new()).with_about(about);
    let wishes = reply.headers().get_all(header::RETRY_AFTER).iter();
    let wishes: Vec<&str> = wishes.filter_map(|value| value.to_str().ok()).collect();
    response.retry_after = Some(wishes.join(", ")).filter(|_| !wishes.is_empty());
    response.date = owned(header::DATE).or_else(|| retry_after::http_date_of(clock::wall_ms()));
    response.content_type = owned(header::CONTENT_TYPE);
    response.content_encoding = owned(header::CONTENT_ENCODING);
    response.location = owned(header::LOCATION);
    let texts =
        reply.headers().iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?)));
    let texts = texts.map(|(name, value)| (name.as_str().to_owned(), value.to_owned()));
    response.set_headers(texts.collect());
    let mut body = reply.body_mut().with_config().limit(REPLY_BYTES_MAX).reader();
    let read = body.read_to_end(&mut response.body);
    match read {
        Ok(_) => Ok(response),
        Err(_) if !may_be_json(&response) => Ok(response.cut()),
        Err(found) if reply.status().is_success() => Err(found.into()),
        Err(_) => {
            response.body.clear();
            Ok(response.cut())
        }
    }
}
