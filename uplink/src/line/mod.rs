//! The way to the upstream: blocking HTTP, one request at a time.

mod address;
mod broken_off;
mod explain;
mod forward;
mod no_proxy;
mod opened;
mod proxy;
mod reply;
mod roots;

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use onceward::sync::{Answered, Failure, Upstream};
use ureq::Agent;
use ureq::http::{self, HeaderValue, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, DefaultConnector};

use crate::clock::Monotonic;
use crate::dialect::{Request, Response};
use crate::error::Error;
use crate::secret::Secret;
use address::Address;
use broken_off::BrokenOff;
use opened::Opened;
use proxy::Via;

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
    /// Until the connection is made, name resolution and TLS included. 5 s by default.
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
/// Redirects are not followed, so the credentials go to the given address only. Replies are read up
/// to 1 MiB and not decompressed. Where the address is `https`, the certificate must be valid for it
/// and there is no way around that.
///
/// Proxies are taken from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, as curl reads
/// them), except for loopback addresses; `http` and `https` proxies are supported, and what is set and cannot be
/// honoured is refused. The certificates in the file that `SSL_CERT_FILE` names, and in the directories that
/// `SSL_CERT_DIR` names, are trusted in place of those that are built in. A host that knows better begins with
/// [`Line::direct`].
///
/// Connections are kept. One that turns out to be closed when it is used again is followed by a fresh one at once:
/// whether the upstream saw the request is unknown then, so requests must carry keys, as batches do.
///
/// Clones share connections and credentials.
///
/// ```
/// use onceward_uplink::{Line, Secret, Timeouts};
///
/// let key = Secret::new("key-of-this-terminal");
/// let line = Line::direct("https://hub.example/terminals", Some(key), Timeouts::default())?;
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
    /// The proxy that they go through.
    via: Option<Via>,
    /// Whose certificates are trusted.
    roots: RootCerts,
    /// Carries them.
    agent: Agent,
    /// Counts connections that are opened; clones share it.
    opened: Opened,
    /// Whether it was shut down; clones share it.
    off: BrokenOff,
    /// What they are allowed by; clones share it.
    key: Arc<RwLock<Option<Secret>>>,
}

impl Line {
    /// A line to `base_url`, such as `https://hub.example/terminals`; paths are appended to it. Proxies and
    /// trusted certificates are those of the environment.
    ///
    /// Connects only when something is sent. `key` is sent as a bearer token.
    ///
    /// # Errors
    ///
    /// `Invalid`: the address is no `http` or `https` address, or holds credentials, a query or a
    /// fragment; the key has a character that a header cannot hold; or a variable of the environment cannot be
    /// honoured. `Io`: a file that one names cannot be read.
    pub fn new(base_url: &str, key: Option<Secret>, timeouts: Timeouts) -> Result<Self, Error> {
        Self::direct(base_url, key, timeouts)?.through_environment()?.trusting_environment()
    }

    /// As [`Line::new`], whatever the environment says: without a proxy, and trusting the authorities that are
    /// built in.
    ///
    /// # Errors
    ///
    /// As [`Line::new`], of address and key.
    pub fn direct(base_url: &str, key: Option<Secret>, timeouts: Timeouts) -> Result<Self, Error> {
        let address = Address::parse(base_url)?;
        check_key(key.as_ref())?;
        let (via, roots) = (None, RootCerts::WebPki);
        let (off, opened) = (BrokenOff::default(), Opened::default());
        let agent = agent(&address, timeouts, (via.as_ref(), &roots), &opened);
        let key = Arc::new(RwLock::new(key));
        Ok(Self { address, timeouts, via, roots, agent, opened, off, key })
    }

    /// Goes through this proxy, also to a loopback address: `http://proxy.example:3128`, with
    /// `user:password@` before the host if it asks for credentials. `named_by` is what messages call the place
    /// where the proxy was named, such as `--proxy`.
    ///
    /// # Errors
    ///
    /// `Invalid`: it is no address of a proxy, or of a kind that is not supported.
    pub fn through(self, named_by: &'static str, proxy: &str) -> Result<Self, Error> {
        let via = Via::parse(named_by, proxy, &self.address)?;
        Ok(self.along(Some(via)))
    }

    /// Goes through the proxy that the environment names for this upstream, if it names one.
    ///
    /// # Errors
    ///
    /// `Invalid`: what it names cannot be honoured.
    pub fn through_environment(self) -> Result<Self, Error> {
        let via = Via::from_environment(&self.address, proxy::variable)?;
        Ok(self.along(via))
    }

    /// Trusts the certificates in `pem` and no others, for upstreams with an authority of their own.
    ///
    /// # Errors
    ///
    /// `Invalid`: there is no certificate in `pem`, or something that is damaged.
    pub fn trusting(self, pem: &[u8]) -> Result<Self, Error> {
        let roots = roots::read("certificates", pem)?;
        Ok(self.believing(roots))
    }

    /// The same with the certificates in a file of at most 16 MiB. `named_by` is what messages call the place
    /// where the file was named, such as `--ca-file`.
    ///
    /// # Errors
    ///
    /// `Io`: the file cannot be read, or is no regular one or too large. `Invalid`: it has no certificate in it, or
    /// something that is damaged.
    pub fn trusting_file(self, named_by: &'static str, path: &Path) -> Result<Self, Error> {
        let roots = roots::read(named_by, &roots::read_file(named_by, path)?)?;
        Ok(self.believing(roots))
    }

    /// Trusts the certificates in the file that `SSL_CERT_FILE` names and in the files of the directories that
    /// `SSL_CERT_DIR` names, with colons between, and no others, if one of these is set and the upstream is at an
    /// `https` address. Files of such a directory that hold no certificate are passed by, and beside a file so is what
    /// is no directory.
    ///
    /// # Errors
    ///
    /// As [`Line::trusting_file`]; `Invalid` also where no file of those directories has a certificate in it.
    pub fn trusting_environment(self) -> Result<Self, Error> {
        if !self.address.is_https() {
            return Ok(self);
        }
        match roots::of_environment(proxy::variable)? {
            Some(roots) => Ok(self.believing(roots)),
            None => Ok(self),
        }
    }

    /// The line by way of another proxy, or of none.
    fn along(self, via: Option<Via>) -> Self {
        let way = (via.as_ref(), &self.roots);
        let agent = agent(&self.address, self.timeouts, way, &self.opened);
        Self { agent, via, ..self }
    }

    /// The line with other trusted certificates.
    fn believing(self, roots: RootCerts) -> Self {
        let way = (self.via.as_ref(), &roots);
        let agent = agent(&self.address, self.timeouts, way, &self.opened);
        Self { agent, roots, ..self }
    }

    /// Uses another key from the next request on, also in clones of this line.
    ///
    /// # Errors
    ///
    /// `Invalid`: the key has a character that a header cannot hold. The old one stays.
    pub fn set_key(&self, key: Option<Secret>) -> Result<(), Error> {
        check_key(key.as_ref())?;
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    /// Whether this is the key that is used.
    pub(crate) fn has_key(&self, key: &Secret) -> bool {
        self.key.read().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(key)
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
        let (line, to, body) = (self.clone(), uri.clone(), request.clone());
        let carried = self.off.unless(move || line.exchange(&to, key, &body));
        let carried =
            carried.unwrap_or_else(|| Err(io::Error::other("the line was shut down").into()));
        carried.map_err(|found| {
            let why = format!("POST {uri}: {}", explain::explain(&found, self.via.as_ref()));
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
        self.off.set();
        self.agent.clone().shutdown();
    }

    /// Sends one request and reads its answer: over a kept connection, if there is one that works.
    fn exchange(
        &self,
        uri: &str,
        key: Option<Secret>,
        request: &Request,
    ) -> Result<Response, ureq::Error> {
        let clock = Monotonic::start();
        let opened = self.opened.count();
        let (reply, round_trip_ms) = match self.send(uri, key.as_ref(), request, None) {
            // None was opened since, by a clone neither: it went over one that was kept.
            Err(found) if self.opened.count() == opened && is_closed(&found) => {
                let spent = Duration::from_millis(clock.now_ms());
                let left = self.timeouts.total.saturating_sub(spent);
                self.send(uri, key.as_ref(), request, Some(left))?
            }
            sent => sent?,
        };
        Ok(reply::take(reply, round_trip_ms)?.hiding(key))
    }

    /// Sends a request and takes the head of its answer; also how long that took, milliseconds. `fresh`: over a
    /// connection of its own, within this time.
    fn send(
        &self,
        uri: &str,
        key: Option<&Secret>,
        request: &Request,
        fresh: Option<Duration>,
    ) -> Result<(http::Response<ureq::Body>, u64), ureq::Error> {
        let mut builder = self.agent.post(uri).content_type("application/json");
        if let Some(within) = fresh {
            let config = builder.config().timeout_global(Some(within));
            builder = config.max_idle_age(Duration::ZERO).build();
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(bearer) = key.and_then(authorization) {
            builder = builder.header(header::AUTHORIZATION, bearer);
        }
        let forwarded = self.via.as_ref().filter(|_| !self.address.is_https());
        if let Some(basic) = forwarded.and_then(|via| forward::authorization(&via.proxy)) {
            builder = builder.header(header::PROXY_AUTHORIZATION, basic);
        }
        let clock = Monotonic::start();
        let reply = builder.send(&request.body)?;
        Ok((reply, clock.now_ms()))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("address", &self.address)
            .field("timeouts", &self.timeouts)
            .field("via", &self.via.as_ref().map(|via| &via.shown))
            .finish_non_exhaustive()
    }
}

/// What carries requests to `address`, by this way and trusting these.
fn agent(
    address: &Address,
    timeouts: Timeouts,
    (via, roots): (Option<&Via>, &RootCerts),
    opened: &Opened,
) -> Agent {
    let tunnel = via.filter(|_| address.is_https()).map(|via| via.proxy.clone());
    let config = Agent::config_builder()
        .https_only(address.is_https())
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(timeouts.total))
        .timeout_resolve(Some(timeouts.connect))
        .timeout_connect(Some(timeouts.connect))
        .user_agent(USER_AGENT)
        .accept("application/json")
        .proxy(tunnel)
        .tls_config(TlsConfig::builder().root_certs(roots.clone()).build())
        .build();
    match via {
        Some(via) if !address.is_https() => forward::agent(config, address, via, opened),
        Some(_) | None => {
            let connector = opened.clone().chain(DefaultConnector::default());
            Agent::with_parts(config, connector, DefaultResolver::default())
        }
    }
}

/// Whether a connection ended before anything of an answer came over it.
fn is_closed(error: &ureq::Error) -> bool {
    let ureq::Error::Io(found) = error else { return false };
    matches!(
        found.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
    )
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
            Err(Error::invalid("key", "has a character that a header cannot hold"))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
