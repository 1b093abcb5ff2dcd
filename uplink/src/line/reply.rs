//! Takes an answer off the wire, whole.

use std::io::Read;
use std::time::Duration;

use ureq::http;

use crate::clock;
use crate::dialect::{Response, may_be_json};
use crate::retry_after;

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
    let headers = reply.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let (status, round_trip) = (reply.status().as_u16(), Duration::from_millis(round_trip_ms));
    let mut response = Response::from_headers(status, headers, round_trip, Vec::new());
    let wall = || retry_after::http_date_of(clock::wall_ms());
    response.date = response.date.take().or_else(wall);
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
