//! What the hub hands over, from its document to what a store receives.

use onceward::inbox::{Delivery, WindowId, WindowKey};
use onceward::sync::Failure;
use onceward::{Payload, Result};
use serde::Deserialize;

use super::PullOptions;
use crate::dialect::{
    Ending, Method, Object, Problem, Request, Response, failure_of, not_recognised, percent_encoded,
};

/// The path that deliveries are asked for at.
const PATH: &str = "/v1/engage/next";
/// The refusal of a window that is over.
pub(super) const WINDOW_OVER: (u16, &str) = (410, "WINDOW_OVER");

/// What an answer hands over.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing for now.
    Nothing,
    /// The window is over.
    WindowOver,
    /// A delivery.
    Offered(Offer),
}

/// A delivery that is handed over.
#[derive(Debug)]
pub(super) struct Offer {
    names: Names,
    steps: Option<u32>,
    resume_at: Option<u32>,
    document: String,
}

/// By what the hub knows a delivery.
#[derive(Debug)]
enum Names {
    /// An event, whatever the window.
    Event { event_id: String, external_id: Option<String> },
    /// A delivery of a window.
    Windowed { delivery_id: String, window: String },
}

/// The members that say how a delivery is handled. The others are the application's.
#[derive(Deserialize)]
struct OfferDocument {
    #[serde(default)]
    window_over: bool,
    event_id: Option<String>,
    external_id: Option<String>,
    delivery_id: Option<String>,
    window: Option<String>,
    steps: Option<u32>,
    resume_at: Option<u32>,
}

/// The question for the next delivery of a window.
pub(super) fn request(options: &PullOptions, window: &WindowId) -> Request {
    let (window, device) = (percent_encoded(window.as_str()), percent_encoded(options.device()));
    let path =
        format!("{PATH}?window={window}&device={device}&wait_ms={}", options.hold.as_millis());
    Request::new(Method::Get, path, "").with_hold(options.hold)
}

/// Reads the answer to a question in that window.
///
/// # Errors
///
/// The answer hands nothing over.
pub(super) fn read(response: &Response, asked: &WindowId) -> std::result::Result<Next, Failure> {
    match response.status {
        204 => return Ok(Next::Nothing),
        200 => {}
        _ if is_window_over(response) => return Ok(Next::WindowOver),
        _ => return Err(failure_of(response)),
    }
    let wrong = |what: String| not_recognised(response, &what);
    let document = String::from_utf8(response.body.clone())
        .map_err(|found| wrong(format!("not the documented answer ({found})")))?;
    let Object::<OfferDocument>(found) = serde_json::from_str(&document)
        .map_err(|found| wrong(format!("not the documented answer ({found})")))?;
    if found.window_over {
        return Ok(Next::WindowOver);
    }
    let names = match (found.event_id, found.delivery_id) {
        (Some(event_id), _) => Names::Event { event_id, external_id: found.external_id },
        (None, Some(delivery_id)) => {
            let window = found.window.unwrap_or_else(|| asked.as_str().to_owned());
            Names::Windowed { delivery_id, window }
        }
        (None, None) => return Err(wrong("it has neither delivery_id nor event_id".to_owned())),
    };
    let (steps, resume_at) = (found.steps.filter(|steps| *steps > 0), found.resume_at);
    Ok(Next::Offered(Offer { names, steps, resume_at, document }))
}

/// Whether an answer says in the hub's own format that the window is over.
pub(super) fn is_window_over(response: &Response) -> bool {
    has_code(response, WINDOW_OVER)
}

/// Whether an answer has this status and this code, in the hub's own format.
pub(super) fn has_code(response: &Response, (status, code): (u16, &str)) -> bool {
    response.status == status && Problem::read(response).is_some_and(|found| found.code == code)
}

impl Offer {
    /// What a store receives: the document as it came, under the names that the hub gave it.
    ///
    /// # Errors
    ///
    /// `Invalid`: no store can hold it.
    pub(super) fn to_delivery(&self, user: &str) -> Result<Delivery> {
        let payload = Payload::json(&self.document)?;
        let delivery = match &self.names {
            Names::Event { event_id, external_id } => {
                let delivery = Delivery::new(event_id, payload)?;
                match external_id.as_deref().filter(|id| !id.is_empty()) {
                    Some(external_id) => delivery.with_external_id(external_id)?,
                    None => delivery,
                }
            }
            Names::Windowed { delivery_id, window } => {
                let within = WindowKey::new(user, delivery_id, WindowId::new(window)?)?;
                Delivery::of_window(within, payload)
            }
        };
        match self.steps {
            Some(steps) => delivery.with_steps(steps),
            None => Ok(delivery),
        }
    }

    /// The last step of which the hub knows that it is done; 0: none.
    pub(super) fn done(&self) -> u32 {
        let done = self.resume_at.unwrap_or(1).saturating_sub(1);
        self.steps.map_or(0, |steps| done.min(steps))
    }

    /// The ack of the whole.
    pub(super) fn ending(&self) -> Ending {
        match &self.names {
            Names::Event { event_id, .. } => Ending::Acked { event_id: event_id.clone() },
            Names::Windowed { delivery_id, window } => {
                let (delivery_id, window) = (delivery_id.clone(), window.clone());
                Ending::Done { delivery_id, window }
            }
        }
    }

    /// The name for people.
    pub(super) fn id(&self) -> &str {
        match &self.names {
            Names::Event { event_id, .. } => event_id,
            Names::Windowed { delivery_id, .. } => delivery_id,
        }
    }
}
