//! The way to the upstream: blocking HTTP, one request at a time.

mod address;
mod explain;
mod reply;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use onceward::sync::{Answered, Failure, Upstream};
use ureq::http::{HeaderValue, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use crate::clock::Monotonic;
use crate::dialect::{Request, Response};
use crate::error::Error;
use crate::secret::Secret;
use address::Address;

/// Largest body of a reply. The longest honest one, to 500 keys of 255 bytes that all need escapes,
/// fits.
const REPLY_BYTES_MAX: u64 = 1024 * 1024;

/// What this program calls itself.
const USER_AGENT: &str = concat!("onceward/", env!("CARGO_PKG_VERSION"));

/// How long an exchange may take.
///
/// ```
/// use std::time::Duration;
///
/// use onceward_uplink::Timeouts;
///
/// // A till on a slow line.
/// let timeouts = Timeouts { total: Duration::from_secs(60), ..Timeouts::default() };
/// assert_eq!(timeouts.connect, Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Until the connection stands, name resolution and TLS included. 5 s by default.
    pub connect: Duration,
    /// Until the last byte of the reply is there, however slowly bytes drip. 15 s by default.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(15) }
    }
}

/// A blocking HTTP line to one upstream.
///
/// Redirects are not followed, so the credentials go to the given address only. Replies are taken up
/// to 1 MiB and not decompressed. Where the address is `https`, the certificate must be valid for it
/// and there is no way around that. Proxies are taken from the environment (`HTTPS_PROXY` and the
/// like), except for loopback addresses.
///
/// Clones share connections and credentials.
///
/// ```
/// use onceward_uplink::{Line, Secret, Timeouts};
///
/// let key = Secret::new("key-of-this-terminal");
/// let line = Line::new("https://hub.example/terminals", Some(key), Timeouts::default())?;
/// // It expired: also for whoever has a clone of this line.
/// line.set_key(Some(Secret::new("its-next-key")))?;
/// # Ok::<(), onceward_uplink::Error>(())
/// ```
#[derive(Clone)]
pub struct Line {
    /// Where requests go.
    address: Address,
    /// What they may take.
    timeouts: Timeouts,
    /// Carries them.
    agent: Agent,
    /// What they are allowed by; clones share it.
    key: Arc<RwLock<Option<Secret>>>,
}

impl Line {
    /// A line to `base_url`, such as `https://hub.example/terminals`; paths are appended to it.
    ///
    /// Connects only when something is sent. `key` is sent as a bearer token.
    ///
    /// # Errors
    ///
    /// `Invalid`: the address is no `http` or `https` address, or holds credentials, a query or a
    /// fragment; or the key cannot stand in a header.
    pub fn new(base_url: &str, key: Option<Secret>, timeouts: Timeouts) -> Result<Self, Error> {
        let address = Address::parse(base_url)?;
        check_key(key.as_ref())?;
        let agent = agent(&address, timeouts, TlsConfig::default());
        Ok(Self { address, timeouts, agent, key: Arc::new(RwLock::new(key)) })
    }

    /// Trusts the certificates in `pem` and no others, for upstreams with an authority of their own.
    ///
    /// # Errors
    ///
    /// `Invalid`: there is no certificate in `pem`, or something that is damaged.
    pub fn trusting(self, pem: &[u8]) -> Result<Self, Error> {
        let mut roots = Vec::new();
        for item in parse_pem(pem) {
            match item {
                Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
                Ok(_) => {}
                Err(found) => return Err(Error::invalid("certificates", found.to_string())),
            }
        }
        if roots.is_empty() {
            return Err(Error::invalid("certificates", "there is none in the text"));
        }
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).build();
        let agent = agent(&self.address, self.timeouts, tls);
        Ok(Self { agent, ..self })
    }

    /// Uses another key from the next request on, also in clones of this line.
    ///
    /// # Errors
    ///
    /// `Invalid`: the key cannot stand in a header. The old one stays.
    pub fn set_key(&self, key: Option<Secret>) -> Result<(), Error> {
        check_key(key.as_ref())?;
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    /// The identity of the upstream at the other end, which is asked in the dialect of that name.
    ///
    /// # Errors
    ///
    /// `Invalid`: the name has a blank in it, or it or the address is too long.
    pub fn upstream(&self, dialect: &str) -> Result<Upstream, Error> {
        Upstream::new(self.address.as_str(), dialect)
            .map_err(|found| Error::invalid("upstream", found.to_string()))
    }

    /// Sends `request` and takes the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// `Unavailable` if there was no complete answer, `ReplyTooLarge` if it is longer than is taken: whether
    /// the upstream saw the request is then unknown. The reason never holds the key.
    pub fn post(&self, request: &Request) -> Result<Response, Failure> {
        let uri = self.address.join(&request.path);
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.exchange(&uri, key, request).map_err(|found| {
            let why = format!("POST {uri}: {}", explain::explain(&found));
            if matches!(found, ureq::Error::BodyExceedsLimit(_)) {
                return Failure::ReplyTooLarge { why };
            }
            Failure::Unavailable { why, retry_after_ms: None, answered: Answered::Nobody }
        })
    }

    /// Breaks off what is under way, in clones of this line too; nothing can be sent any more.
    ///
    /// For ending a thread without waiting for the time limits.
    pub fn shut_down(&self) {
        self.agent.clone().shutdown();
    }

    /// One request and its answer.
    fn exchange(
        &self,
        uri: &str,
        key: Option<Secret>,
        request: &Request,
    ) -> Result<Response, ureq::Error> {
        let mut builder = self.agent.post(uri).content_type("application/json");
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(bearer) = key.as_ref().and_then(authorization) {
            builder = builder.header(header::AUTHORIZATION, bearer);
        }
        let clock = Monotonic::start();
        let reply = builder.send(&request.body)?;
        reply::take(reply, clock.now_ms()).map(|response| response.hiding(key))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("address", &self.address)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// What carries requests to `address`.
fn agent(address: &Address, timeouts: Timeouts, tls: TlsConfig) -> Agent {
    let proxy = if address.is_loopback() { None } else { Proxy::try_from_env() };
    Agent::config_builder()
        .https_only(address.is_https())
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(timeouts.total))
        .timeout_resolve(Some(timeouts.connect))
        .timeout_connect(Some(timeouts.connect))
        .user_agent(USER_AGENT)
        .accept("application/json")
        .proxy(proxy)
        .tls_config(tls)
        .build()
        .new_agent()
}

/// The header that holds the key, marked so that it is not logged either.
fn authorization(key: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A key must be visible ASCII, or it would not arrive as it is.
fn check_key(key: Option<&Secret>) -> Result<(), Error> {
    match key.map(Secret::expose) {
        Some("") => Err(Error::invalid("key", "is empty")),
        Some(text) if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(Error::invalid("key", "has a character that cannot stand in a header"))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
