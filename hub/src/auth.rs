//! Decides who a request comes from. The tenant follows from the credential and from nothing else.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    error::Error,
    options::Secret,
    problem::{Code, Problem},
    tenant::Tenant,
};

/// Longest bearer key, bytes.
const KEY_BYTES_MAX: usize = 1_024;
/// When a client that met the limit on requests should ask again, seconds.
const OVERLOADED_RETRY_S: u32 = 1;

/// The keys that are valid, as digests: the keys themselves are not kept.
pub(crate) struct Credentials(Vec<(Digest256, Arc<Tenant>)>);

/// SHA-256 of a key.
type Digest256 = [u8; 32];

impl Credentials {
    /// The credentials of one tenant with one key.
    pub(crate) fn new(key: &Secret, tenant: Arc<Tenant>) -> Self {
        Self(vec![(digest(key.expose().as_bytes()), tenant)])
    }

    /// The tenant of `key`.
    ///
    /// Looks at every known key to the end and compares digests in constant time, so that the time
    /// taken shows nothing about how near a guess was.
    fn tenant_of(&self, key: &[u8]) -> Option<Arc<Tenant>> {
        let offered = digest(key);
        let mut found = None;
        for (known, tenant) in &self.0 {
            if bool::from(known.ct_eq(&offered)) {
                found = Some(tenant);
            }
        }
        found.map(Arc::clone)
    }
}

/// Refuses a key that no client could send, or could send in two ways.
///
/// # Errors
///
/// `Invalid`, naming the rule and never the key.
pub(crate) fn check_key(key: &Secret) -> Result<(), Error> {
    let bytes = key.expose().as_bytes();
    let is_sendable = bytes.iter().all(u8::is_ascii_graphic);
    if bytes.is_empty() || bytes.len() > KEY_BYTES_MAX || !is_sendable {
        let rule = format!("must be 1 to {KEY_BYTES_MAX} visible ASCII characters without spaces");
        return Err(Error::option("api_key", rule));
    }
    Ok(())
}

/// Decides which requests are let in, and how many are worked on at once.
pub(crate) struct Gate {
    /// The keys that let a request in, each with its tenant.
    credentials: Credentials,
    /// Places for requests that are worked on.
    places: Arc<Semaphore>,
}

impl Gate {
    /// Lets `count_max` requests in at once that come with one of `credentials`.
    pub(crate) fn new(credentials: Credentials, count_max: usize) -> Self {
        Self { credentials, places: Arc::new(Semaphore::new(count_max)) }
    }
}

/// A request that was let in.
#[derive(Clone)]
pub(crate) struct Admitted {
    /// Whose request it is.
    pub(crate) tenant: Arc<Tenant>,
    /// The request's place among those that are worked on; free again when the work is done.
    _place: Arc<OwnedSemaphorePermit>,
}

/// Lets a request in, or refuses it before anything of its body is read.
pub(crate) async fn admit(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = bearer(request.headers());
    let tenant = gate.credentials.tenant_of(key.unwrap_or_default());
    // One answer for no key, a malformed one and a wrong one: nothing to learn from it.
    let Some(tenant) = tenant else {
        return Err(Problem::new(Code::Unauthorized, "a valid bearer key is needed"));
    };
    let Ok(place) = Arc::clone(&gate.places).try_acquire_owned() else {
        let detail = "too many requests are being worked on";
        return Err(Problem::new(Code::Overloaded, detail).retry_after(OVERLOADED_RETRY_S));
    };
    request.extensions_mut().insert(Admitted { tenant, _place: Arc::new(place) });
    Ok(next.run(request).await)
}

/// The key of the one `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, key) = only.as_bytes().split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| key.trim_ascii())
}

/// SHA-256 of `key`: as long for a short key as for a long one.
fn digest(key: &[u8]) -> Digest256 {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

    use super::{bearer, check_key};
    use crate::options::Secret;

    #[test]
    fn only_one_bearer_header_gives_a_key() {
        let headers = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            headers
        };
        assert_eq!(bearer(&headers(&["Bearer k1"])), Some(&b"k1"[..]));
        assert_eq!(bearer(&headers(&["bearer  k1 "])), Some(&b"k1"[..]));
        for bad in [&[][..], &["Basic k1"], &["Bearer"], &["Bearerk1"], &["Bearer k1", "Bearer k1"]]
        {
            assert_eq!(bearer(&headers(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_sent_is_refused_without_being_shown() {
        assert!(check_key(&Secret::from("wede_live_1")).is_ok(), "control");
        let too_long = "k".repeat(1_025);
        for bad in ["", "secret key", "sch\u{fc}ssel", "a\nb", too_long.as_str()] {
            let shown = check_key(&Secret::from(bad)).unwrap_err().to_string();
            assert!(bad.is_empty() || !shown.contains(bad), "{shown}");
        }
    }
}
