//! From an answer to what became of an ack.

use onceward::sync::{Failure, ItemOutcome};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Ending;
use crate::dialect::answer::rejected;
use crate::dialect::object::Object;
use crate::dialect::problem::Problem;
use crate::dialect::{Response, problem, status};

/// The one status that confirms.
const OK: u16 = 200;

/// Refusals of an ack of an event, for good.
const OF_AN_EVENT: [(u16, &str); 2] = [(404, "EVENT_NOT_FOUND"), (400, "INVALID_EVENT_ID")];
/// Refusal of a failure of an event that was acknowledged before.
const OF_A_FAILURE: (u16, &str) = (409, "ALREADY_ACKED");
/// Refusals of an ack of a delivery in a window, for good.
const OF_A_DELIVERY: [(u16, &str); 3] =
    [(404, "DELIVERY_NOT_FOUND"), (410, "WINDOW_OVER"), (422, "STEP_INVALID")];

/// The answer to an ack that was taken.
#[derive(Deserialize)]
struct Taken {
    event_id: Option<String>,
    delivery_id: Option<String>,
    status: String,
}

/// Reads what `response` proves.
pub(super) fn judge(ending: &Ending, response: &Response) -> Result<ItemOutcome, Failure> {
    if response.status == OK {
        return taken(ending, response);
    }
    let Some(problem) = Problem::read(response) else {
        return Err(problem::failure(response, &[]));
    };
    let found = (response.status, problem.code.as_str());
    let is_final = match ending {
        Ending::Acked { .. } => OF_AN_EVENT.contains(&found),
        Ending::Failed { .. } => OF_AN_EVENT.contains(&found) || found == OF_A_FAILURE,
        Ending::Done { .. } => OF_A_DELIVERY.contains(&found),
    };
    match serde_json::from_slice::<&RawValue>(&response.body) {
        Ok(raw) if is_final => {
            let message = problem.message.as_deref().unwrap_or_default();
            Ok(rejected(response, &problem.code, message, raw))
        }
        Ok(_) | Err(_) => Err(problem::failure(response, &[])),
    }
}

/// An answer that says what was recorded of just this event or delivery. Who answers for another one, or with another
/// state, does not answer the request.
fn taken(ending: &Ending, response: &Response) -> Result<ItemOutcome, Failure> {
    let Object::<Taken>(taken) = serde_json::from_slice(&response.body).map_err(|found| {
        status::not_recognised(response, &format!("not the documented answer ({found})"))
    })?;
    let Taken { event_id, delivery_id, status } = taken;
    let is_it = match ending {
        Ending::Acked { event_id: asked } => event_id.as_ref() == Some(asked) && status == "acked",
        Ending::Failed { event_id: asked, .. } => {
            event_id.as_ref() == Some(asked) && status == "failed"
        }
        Ending::Done { delivery_id: asked, .. } => match status.as_str() {
            "done" => delivery_id.as_ref() == Some(asked),
            // After the window there may be nothing to name any more.
            "late" => delivery_id.as_ref().is_none_or(|id| id == asked),
            _ => false,
        },
    };
    if !is_it {
        let what = format!("it does not say what became of {}", ending.id());
        return Err(status::not_recognised(response, &what));
    }
    Ok(ItemOutcome::Accepted { receipt: None })
}
