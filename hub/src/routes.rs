//! The HTTP interface: which route does what, and the shape that every answer shares.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Request},
    handler::Handler,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    auth, forloy, health,
    problem::{self, Code, Problem},
    request_id::RequestId,
    segments,
    shared::Shared,
    tenant::WINDOW_S,
    wede,
};

/// The header that names a request in its answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header that says how many seconds keys are remembered at least: a terminal does not send again
/// blindly what it first sent longer ago.
const HORIZON: HeaderName = HeaderName::from_static("onceward-horizon");

/// All routes. Those that write, and those that show what was written, need a key.
pub(crate) fn router(shared: Shared) -> Router {
    let admit = || middleware::from_fn_with_state(Arc::clone(&shared.gate), auth::admit);
    Router::new()
        .route("/api/v1/transactions/sync", post(forloy::sync.layer(admit())))
        .route("/v1/sync/batch", post(wede::submit.layer(admit())))
        .route("/v1/segments", post(segments::submit.layer(admit())))
        .route("/v1/sync/batch/{id}", get(wede::show.layer(admit())))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/problems/{name}", get(explain))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn(name_request))
        .with_state(shared)
}

/// Names the request, and writes out the problem that its answer may carry.
async fn name_request(mut request: Request, next: Next) -> Response {
    let id = RequestId::make();
    request.extensions_mut().insert(id.clone());
    let mut response = problem::write_out(next.run(request).await, &id);
    // What a client was answered is its own: no cache on the way may keep it.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(HORIZON, HeaderValue::from(WINDOW_S));
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Answers what a problem's `type` means.
async fn explain(name: Result<Path<String>, axum::extract::rejection::PathRejection>) -> Response {
    let code = name.ok().and_then(|Path(name)| Code::named(&name));
    let Some(code) = code else { return no_route().await.into_response() };
    let row = code.row();
    let status = row.status.as_u16();
    let text = format!("{} (status {status})\n\n{}.\n\n{}\n", row.code, row.title, row.advice);
    (StatusCode::OK, text).into_response()
}

/// Answers that no route has this path.
async fn no_route() -> Problem {
    Problem::new(Code::NotFound, "no route has this path")
}

/// The route has no such method.
async fn no_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "the header Allow names the methods of this route")
}
