//! The segment stream: events of a terminal's log as they are, a slice of them in a request, each applied once, those
//! of a lane in order, and a history that only one store goes on with.

mod apply;
mod history;
mod reply;
mod request;

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, header},
    response::Response,
};
use onceward::Scope;
use onceward::wire::StreamSlice;

use self::history::Fork;
use crate::{
    auth::Admitted,
    blocking, body,
    notice::{Notice, Notices},
    problem::{Code, Problem},
    request_id::RequestId,
    tenant::Tenant,
};

pub(crate) use self::history::Histories;

/// Largest compressed body, bytes.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The type of a body.
const MEDIA_TYPE: &str = "application/vnd.onceward.segments+zstd";
/// What is before a terminal's scope in the name of that of its effects here.
const SCOPE_PREFIX: &str = "s_";

/// `POST /v1/segments`: applies a slice, and answers for all of it and for those that did not take effect.
pub(crate) async fn submit(
    State(notices): State<Notices>,
    Extension(admitted): Extension<Admitted>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    let head = request::Head::read(request.headers())?;
    let body = body::read_as(request, MEDIA_TYPE, BODY_BYTES_MAX).await?;
    let told = notices.clone();
    let answer = blocking::run(&notices, admitted, &request_id, move |admitted| {
        answer(&admitted.tenant, &head, &body, &told)
    })
    .await?;
    let mut response = Response::new(Body::from(answer));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// Applies the slice in `body`. Blocking.
fn answer(
    tenant: &Arc<Tenant>,
    head: &request::Head,
    body: &[u8],
    notices: &Notices,
) -> Result<String, Problem> {
    let (bytes, digest) = head.slice(body)?;
    let slice = StreamSlice::decode(&bytes)
        .map_err(|fault| Problem::new(Code::InvalidSlice, format!("the body {fault}")))?;
    let scope = Scope::new(&format!("{SCOPE_PREFIX}{}", head.scope)).map_err(|_too_long| {
        Problem::new(Code::InvalidSlice, "the scope's name is too long to be kept here")
    })?;
    let unreadable = |error: std::io::Error| {
        let (tenant, why) = (tenant.name().to_owned(), format!("a terminal's history: {error}"));
        notices.send(&Notice::StorageFailed { tenant, why });
        Problem::new(Code::Database, "the history of this store cannot be kept")
            .retry_after(blocking::RETRY_S)
    };
    let kept = tenant.histories().of(&head.store, head.scope.as_str()).map_err(unreadable)?;
    // A batch with which no history goes on is waited for in vain.
    let after = head.after.as_deref().filter(|_| !head.is_fork_accepted);
    let Some(mut history) = kept.after(after) else {
        let detail = "the batch before this one did not come: send them again in their order";
        return Err(Problem::new(Code::PredecessorMissing, detail).retry_after(1));
    };
    if !head.is_fork_accepted {
        let own: Vec<&str> = head.own.iter().map(String::as_str).collect();
        history.check(&head.batch, &head.mark, &own).map_err(|fork| forked(&fork))?;
    }
    if history.content(&head.batch).is_some_and(|content| *content != digest) {
        let detail = "this batch came before with other events";
        return Err(Problem::new(Code::IdempotencyKeyReused, detail));
    }
    history.begin_slice(&head.batch, head.is_fork_accepted);
    let applied = apply::apply_slice(tenant, &history, &scope, &slice.entries);
    history.note_done(applied.in_lanes.iter().copied());
    // Where there is no history, the one whom a person let in begins it: without a mark it would never go on.
    if !head.is_fork_accepted || history.head.is_none() {
        kept.go_on(&mut history, &head.batch, digest).map_err(unreadable)?;
    }
    Ok(reply::encode(&head.batch, &applied, history.head.as_ref()))
}

/// The problem of a batch that does not go on with the history.
fn forked(fork: &Fork) -> Problem {
    let detail = match fork {
        Fork::Forked { head } => format!(
            "the last batch that came of it is {head}, and this store does not know that it sent it: one of the two was \
             put back from a copy, or there is a copy of the store that sends too"
        ),
        Fork::Unknown => "this store was told of more than is known here: the hub is another one, or was put back or \
                          emptied"
            .to_owned(),
    };
    Problem::new(Code::HistoryForked, detail)
}
