//! The way to the upstream: blocking HTTP, one request at a time.

mod address;
mod broken_off;
mod explain;
mod forward;
mod key;
mod no_proxy;
mod opened;
mod plain;
mod probe;
mod proxy;
mod reply;
mod roots;
mod tls;
mod trust;
mod way;

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use onceward::sync::{Answered, Failure, Upstream};
use ureq::http::{self, header};
use ureq::{Agent, AsSendBody};

use crate::clock::Monotonic;
use crate::dialect::{KeyPlace, Method, Request, Response};
use crate::error::Error;
use crate::secret::Secret;
use address::Address;
#[cfg(feature = "nats")]
pub(crate) use address::is_loopback;
use broken_off::BrokenOff;
use key::{check_key, sensitive};
use opened::Opened;
use plain::Plain;
pub use probe::Unreachable;
use proxy::Via;
pub use tls::Pin;
use tls::{Terms, Tls};

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
/// to 1 MiB and not decompressed.
///
/// Where the address is `https`, nothing is sent before TLS 1.2 or 1.3 is agreed on and the certificate was checked: it
/// must be valid for that host, and signed by an authority that is trusted. There is no way around that. Trusted are
/// the authorities of the web, which are built in, and besides the certificates in the file that `SSL_CERT_FILE` names
/// and in the directories that `SSL_CERT_DIR` names; see [`Line::trusting_also`] and [`Line::trusting_only_given`].
/// [`Line::pinning`] asks for more, and [`Line::with_client_certificate`] shows the upstream who this is.
///
/// Plain `http` is for upstreams on this machine, unless it is allowed by name: [`Line::allowing_plain_http`].
///
/// Proxies are taken from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, as curl reads
/// them), except for loopback addresses; `http` and `https` proxies are supported, and what is set and cannot be
/// honoured is refused. A host that knows better begins with [`Line::direct`].
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
    /// Where plain `http` may go.
    plain: Plain,
    /// The proxy that they go through.
    via: Option<Via>,
    /// What must hold of their connections.
    terms: Terms,
    /// Makes connections that way.
    tls: Tls,
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
    /// fragment, or is plain `http` to another machine; the key has a character that a header cannot hold; or a
    /// variable of the environment cannot be honoured. `Io`: a file that one names cannot be read.
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
        Self::made(base_url, key, timeouts, Plain::Here)
    }

    /// As [`Line::direct`], and plain `http` may go to other machines too: whoever is on the way reads the key and all
    /// events, and can answer in the upstream's place. For networks that nobody else is on.
    ///
    /// ```
    /// use onceward_uplink::{Line, Timeouts};
    ///
    /// assert!(Line::direct("http://hub.example", None, Timeouts::default()).is_err());
    /// let line = Line::allowing_plain_http("http://hub.example", None, Timeouts::default())?;
    /// let line = line.through_environment()?;
    /// # let _ = line;
    /// # Ok::<(), onceward_uplink::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Line::direct`].
    pub fn allowing_plain_http(
        base_url: &str,
        key: Option<Secret>,
        timeouts: Timeouts,
    ) -> Result<Self, Error> {
        Self::made(base_url, key, timeouts, Plain::Anywhere)
    }

    /// A line without a proxy that trusts the authorities that are built in.
    fn made(
        base_url: &str,
        key: Option<Secret>,
        timeouts: Timeouts,
        plain: Plain,
    ) -> Result<Self, Error> {
        let address = Address::parse(base_url)?;
        plain.check(&address)?;
        check_key(key.as_ref())?;
        let terms = Terms::default();
        let tls = Tls::new(&address, &terms)?;
        let (off, opened) = (BrokenOff::default(), Opened::default());
        let agent = way::agent(&address, timeouts, (None, &tls), &opened);
        let key = Arc::new(RwLock::new(key));
        Ok(Self { address, timeouts, plain, via: None, terms, tls, agent, opened, off, key })
    }

    /// Goes through this proxy, also to a loopback address: `http://proxy.example:3128`, with
    /// `user:password@` before the host if it asks for credentials. `named_by` is what messages call the place
    /// where the proxy was named, such as `--proxy`.
    ///
    /// # Errors
    ///
    /// `Invalid`: it is no address of a proxy, or of a kind that is not supported; or plain `http` would go to another
    /// machine that way.
    pub fn through(self, named_by: &'static str, proxy: &str) -> Result<Self, Error> {
        let via = Via::parse(named_by, proxy, &self.address)?;
        self.plain.check_proxy(&self.address, &via)?;
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

    /// The line by way of another proxy, or of none.
    fn along(self, via: Option<Via>) -> Self {
        let way = (via.as_ref(), &self.tls);
        let agent = way::agent(&self.address, self.timeouts, way, &self.opened);
        Self { agent, via, ..self }
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
        self.address.upstream(dialect)
    }

    /// The same for an address, for hosts that reach it with a client of their own.
    ///
    /// # Errors
    ///
    /// `Invalid`: as [`Line::upstream`], or it is no address of a line.
    pub fn upstream_of(address: &str, dialect: &str) -> Result<Upstream, Error> {
        Address::parse(address)?.upstream(dialect)
    }

    /// Sends `request` and takes the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// `Unavailable` if there was no complete answer, `ReplyTooLarge` if it is longer than is taken: whether
    /// the upstream saw the request is then unknown. The reason never holds the key.
    pub fn send(&self, request: Request) -> Result<Response, Failure> {
        let (line, request) = (self.clone(), Arc::new(request));
        let theirs = Arc::clone(&request);
        let carried = self.off.unless(move || line.carry(&theirs));
        carried.unwrap_or_else(|| {
            Err(self.failure(&request, &io::Error::other("the line was shut down").into()))
        })
    }

    /// As [`Line::send`], for a thread that need not be let go before a name is looked up or a connection comes about.
    pub(crate) fn carry(&self, request: &Request) -> Result<Response, Failure> {
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner).clone();
        let carried = self.exchange(&self.address.join(&request.path), key, request);
        carried.map_err(|found| self.failure(request, &found))
    }

    /// What it means for a request that it did not come to its end.
    fn failure(&self, request: &Request, found: &ureq::Error) -> Failure {
        let (method, uri) = (request.method.as_str(), self.address.join(&request.path));
        let why = format!("{method} {uri}: {}", self.explain(found));
        if matches!(found, ureq::Error::BodyExceedsLimit(_)) {
            return Failure::ReplyTooLarge { why };
        }
        Failure::Unavailable { why, retry_after_ms: None, answered: Answered::Nobody }
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
        let (reply, round_trip_ms) = match self.attempt(uri, key.as_ref(), request, None) {
            // None was opened since, by a clone neither: it went over one that was kept.
            Err(found) if self.opened.count() == opened && is_closed(&found) => {
                let spent = Duration::from_millis(clock.now_ms());
                let left = self.timeouts.total.saturating_sub(spent);
                self.attempt(uri, key.as_ref(), request, Some(left))?
            }
            sent => sent?,
        };
        Ok(reply::take(reply, round_trip_ms)?.hiding(key))
    }

    /// Sends a request and takes the head of its answer; also how long that took, milliseconds. `fresh`: over a
    /// connection of its own, within this time.
    fn attempt(
        &self,
        uri: &str,
        key: Option<&Secret>,
        request: &Request,
        fresh: Option<Duration>,
    ) -> Result<(http::Response<ureq::Body>, u64), ureq::Error> {
        let mut builder = http::Request::builder().method(request.method.as_str()).uri(uri);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let is_typed = |name: &str| name.eq_ignore_ascii_case(header::CONTENT_TYPE.as_str());
        let has_body = request.method != Method::Get;
        if has_body && !request.headers.iter().any(|(name, _)| is_typed(name)) {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
        }
        builder = match (&request.key, key) {
            (KeyPlace::Bearer, Some(key)) => match sensitive(&format!("Bearer {}", key.expose())) {
                Some(bearer) => builder.header(header::AUTHORIZATION, bearer),
                None => builder,
            },
            (KeyPlace::Header(name), Some(key)) => match sensitive(key.expose()) {
                Some(value) => builder.header(name, value),
                None => builder,
            },
            (KeyPlace::Bearer | KeyPlace::Header(_) | KeyPlace::Nowhere, _) => builder,
        };
        let forwarded = self.via.as_ref().filter(|_| !self.address.is_https());
        if let Some(basic) = forwarded.and_then(|via| forward::authorization(&via.proxy)) {
            builder = builder.header(header::PROXY_AUTHORIZATION, basic);
        }
        let clock = Monotonic::start();
        let reply = if has_body {
            self.run(builder.body(&request.body)?, fresh)?
        } else {
            self.run(builder.body(())?, fresh)?
        };
        Ok((reply, clock.now_ms()))
    }

    /// Carries a request. `fresh`: over a connection of its own, within this time.
    fn run<B: AsSendBody>(
        &self,
        request: http::Request<B>,
        fresh: Option<Duration>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let Some(within) = fresh else { return self.agent.run(request) };
        let config = self.agent.configure_request(request).timeout_global(Some(within));
        self.agent.run(config.max_idle_age(Duration::ZERO).build())
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

#[cfg(test)]
mod tests;
