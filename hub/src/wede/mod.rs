//! The Wede dialect: events of any kind, up to 500 at once, and the answers kept by batch.

mod reply;
mod request;

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderName, HeaderValue, header},
    response::Response,
};

use crate::{
    apply::{Judged, Trouble},
    auth::Admitted,
    batches::{self, Kept},
    blocking, body,
    cards::CardsFile,
    fields::KEY_BYTES_MAX,
    idempotency_key,
    notice::Notices,
    problem::{Code, Problem},
    process::{self, Decision},
    request_id::{RequestId, unique},
    tenant::{Refused, Tenant},
};

/// Largest body, bytes.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The header of an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An answer, and whether it was given before.
struct Answer {
    /// The body.
    body: String,
    /// Whether the answer was given before.
    replayed: bool,
}

/// `POST /v1/sync/batch`: applies each event once, keeps the answer, and gives it.
pub(crate) async fn submit(
    State(cards): State<Arc<CardsFile>>,
    State(notices): State<Notices>,
    Extension(admitted): Extension<Admitted>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    let id = idempotency_key::read(request.headers())?;
    let body = body::read(request, BODY_BYTES_MAX).await?;
    let answer = blocking::run(&notices, admitted, &request_id, move |admitted| {
        answer(&cards, &admitted.tenant, id, &body)
    })
    .await?;
    Ok(respond(answer))
}

/// `GET /v1/sync/batch/{id}`: the answer that the batch was given.
pub(crate) async fn show(
    State(notices): State<Notices>,
    Extension(admitted): Extension<Admitted>,
    Extension(request_id): Extension<RequestId>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Ok(Path(id)) = id else {
        return Err(Problem::new(Code::InvalidBatchId, "the batch id is not UTF-8"));
    };
    if id.is_empty() || id.len() > KEY_BYTES_MAX {
        let detail = format!("the batch id must have 1 to {KEY_BYTES_MAX} bytes");
        return Err(Problem::new(Code::InvalidBatchId, detail));
    }
    let kept = blocking::run(&notices, admitted, &request_id, move |admitted| {
        batches::load(&admitted.tenant, &id).map_err(|error| refused(&admitted.tenant, &error))
    })
    .await?;
    match kept {
        Some(kept) => Ok(respond(Answer { body: kept.response.get().to_owned(), replayed: false })),
        None => Err(Problem::new(Code::BatchNotFound, "no answer is kept under this batch id")),
    }
}

/// The response that carries `answer`.
fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if answer.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Applies the batch in `body`, unless it was answered before. Blocking.
fn answer(
    cards: &CardsFile,
    tenant: &Arc<Tenant>,
    id: Option<String>,
    body: &[u8],
) -> Result<Answer, Problem> {
    let batch = request::parse(body)?;
    let id = id.unwrap_or_else(|| unique("batch_"));
    let answer_bytes_most = reply::bytes_most(&id, &batch.keys);
    if answer_bytes_most > tenant.payload_bytes_max() {
        let detail = "the answer to so many events with so long keys cannot be kept: send fewer";
        return Err(Problem::new(Code::TooLarge, detail));
    }
    let Some(_running) = tenant.start(&id) else {
        let detail = "the batch with this Idempotency-Key is being worked on";
        return Err(Problem::new(Code::InProgress, detail).retry_after(1));
    };
    let kept = batches::load(tenant, &id).map_err(|error| refused(tenant, &error))?;
    if let Some(kept) = kept {
        return replay(kept, &batch.fingerprint);
    }
    let decisions = process::decide(tenant, &cards.current(), batch.items);
    refuse_if_failed(&decisions)?;
    let response = reply::encode(&id, batch.keys.into_iter().zip(decisions));
    let kept = Kept { request_hash: batch.fingerprint, response };
    batches::keep(tenant, &id, &kept).map_err(|error| refused(tenant, &error))?;
    Ok(Answer { body: kept.response.get().to_owned(), replayed: false })
}

/// The kept answer again, if it answers the same request.
fn replay(kept: Kept, fingerprint: &str) -> Result<Answer, Problem> {
    if kept.request_hash != fingerprint {
        let detail = "this Idempotency-Key was used for a batch with other events";
        return Err(Problem::new(Code::IdempotencyKeyReused, detail));
    }
    Ok(Answer { body: kept.response.get().to_owned(), replayed: true })
}

/// Refuses the whole batch if the store failed at any event.
///
/// An answer is kept for ever, and "failed for now" must not be: so none is given. What was applied is
/// a duplicate when the batch comes again.
fn refuse_if_failed(decisions: &[Decision]) -> Result<(), Problem> {
    let trouble = decisions.iter().find_map(|decision| match decision {
        Decision::Judged(Judged::Failed(trouble)) => Some(*trouble),
        Decision::Judged(_) | Decision::Refused(_) => None,
    });
    match trouble {
        None => Ok(()),
        Some(trouble) => Err(unavailable(trouble)),
    }
}

/// The problem of a store that refused, which the operator gets in full.
fn refused(tenant: &Tenant, why: &Refused) -> Problem {
    tenant.report(why);
    unavailable(if why.is_full() { Trouble::Full } else { Trouble::Storage })
}

/// The problem of a store that refused, as far as a client needs to know.
fn unavailable(trouble: Trouble) -> Problem {
    let (code, detail) = match trouble {
        Trouble::Full => (
            Code::Full,
            "storage full: the store takes nothing new; send the same batch again later",
        ),
        Trouble::Storage => (Code::Database, "the store refused; send the same batch again"),
        Trouble::Internal => (Code::Internal, "what is stored of an event does not fit together"),
    };
    Problem::new(code, detail).retry_after(blocking::RETRY_S)
}

#[cfg(test)]
mod tests {
    use super::{Decision, Judged, Trouble, refuse_if_failed};
    use crate::problem::Code;

    #[test]
    fn one_event_that_the_store_failed_at_leaves_the_whole_batch_unanswered() {
        let good = Decision::Judged(Judged::Conflict);
        assert!(refuse_if_failed(&[good.clone(), good.clone()]).is_ok(), "control");
        for (trouble, code) in [
            (Trouble::Full, Code::Full),
            (Trouble::Storage, Code::Database),
            (Trouble::Internal, Code::Internal),
        ] {
            let decisions = [good.clone(), Decision::Judged(Judged::Failed(trouble)), good.clone()];
            assert_eq!(refuse_if_failed(&decisions).unwrap_err().code(), code);
        }
    }
}
