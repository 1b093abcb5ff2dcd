//! Sessions: the window in which deliveries are handed over, as the hub issued it.

use std::time::Duration;

use onceward::inbox::WindowId;
use onceward::sync::Failure;
use serde::Deserialize;
use serde_json::json;

use super::PullOptions;
use crate::dialect::{Object, Request, Response, failure_of, not_recognised};

/// The path that sessions are asked for at.
const PATH: &str = "/v1/engage/sessions";
/// Longest time for which a store opens a window: 400 days.
const OPEN_MAX: Duration = Duration::from_hours(400 * 24);

/// A window that the hub issued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Issued {
    /// The name of the window.
    pub(super) window: WindowId,
    /// How long the window is open from now on.
    pub(super) remaining: Duration,
}

/// The answer to the question for a session; what else it has is for people.
#[derive(Deserialize)]
struct SessionDocument {
    window: String,
    #[serde(rename = "remainingMs")]
    remaining_ms: u64,
}

/// The question for a session. It has no time in it: the hub's alone counts.
pub(super) fn request(options: &PullOptions) -> Request {
    let body = json!({ "user": options.user(), "device": options.device() });
    Request::post(PATH, body.to_string())
}

/// Reads the answer.
///
/// # Errors
///
/// There is no session.
pub(super) fn read(response: &Response) -> Result<Issued, Failure> {
    if response.status != 200 {
        return Err(failure_of(response));
    }
    let wrong = |what: String| not_recognised(response, &what);
    let Object::<SessionDocument>(found) = serde_json::from_slice(&response.body)
        .map_err(|found| wrong(format!("not the documented answer ({found})")))?;
    let window = WindowId::new(&found.window).map_err(|found| wrong(found.to_string()))?;
    if found.remaining_ms == 0 {
        return Err(wrong(format!("remainingMs: window {window} is over already")));
    }
    Ok(Issued { window, remaining: Duration::from_millis(found.remaining_ms).min(OPEN_MAX) })
}
