//! The Forloy dialect: purchases on loyalty cards, up to 100 at once.

mod reply;
mod request;

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{
    apply::{Judged, Trouble},
    auth::Admitted,
    blocking, body,
    cards::CardsFile,
    notice::Notices,
    problem::{Code, Problem},
    process::{self, Decision},
    request_id::RequestId,
};

/// Refuses the whole request if the store had no room for any purchase: there is nothing else to say.
fn refuse_if_full(decisions: &[Decision]) -> Result<(), Problem> {
    let is_lost =
        |decision: &Decision| matches!(decision, Decision::Judged(Judged::Failed(Trouble::Full)));
    if decisions.is_empty() || !decisions.iter().all(is_lost) {
        return Ok(());
    }
    let detail = "storage full: the store takes nothing new; send the same purchases again later";
    Err(Problem::new(Code::Full, detail).retry_after(blocking::RETRY_S))
}

/// Largest body, bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// `POST /api/v1/transactions/sync`: applies each purchase once and answers for each.
pub(crate) async fn sync(
    State(cards): State<Arc<CardsFile>>,
    State(notices): State<Notices>,
    Extension(admitted): Extension<Admitted>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::read(request, BODY_BYTES_MAX).await?;
    let results = blocking::run(&notices, admitted, &request_id, move |admitted| {
        let purchases = request::parse(&body)?;
        let keys: Vec<_> =
            purchases.iter().map(|purchase| purchase.event.key.as_str().to_owned()).collect();
        let decisions = process::decide(&admitted.tenant, &cards.current(), purchases);
        refuse_if_full(&decisions)?;
        Ok(keys.into_iter().zip(decisions).map(reply::Entry::from).collect::<Vec<_>>())
    })
    .await?;
    let reply = reply::Reply::new(results, &request_id);
    let status = if reply.has_errors() { StatusCode::MULTI_STATUS } else { StatusCode::OK };
    Ok((status, Json(reply)).into_response())
}
