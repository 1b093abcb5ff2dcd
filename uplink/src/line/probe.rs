//! Whether the upstream can be reached at all, found out without asking it anything.

use std::fmt;

use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    ConnectProxyConnector, ConnectionDetails, Connector, TcpConnector, Transport,
};
use ureq::{Agent, Error};

use super::address::Address;
use super::{Line, Timeouts, way};

/// Why nobody can be reached, in words.
///
/// ```
/// use onceward_uplink::{Line, Timeouts};
///
/// let line = Line::direct("http://127.0.0.1:1", None, Timeouts::default())?;
/// let found = line.probe().unwrap_err();
/// assert!(found.to_string().contains("connection refused"), "{found}");
/// # Ok::<(), onceward_uplink::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreachable(String);

impl Unreachable {
    /// For this reason, in words.
    #[must_use]
    pub fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

impl Line {
    /// Opens a connection to the upstream and closes it: nothing is sent, no key and no request, and TLS is not
    /// begun. At most the time to connect is waited, and [`Line::shut_down`] ends it.
    ///
    /// Through a proxy, it is asked for a tunnel to the upstream, with the credentials that are the proxy's. For an
    /// upstream at `http` many proxies open none: then it counts that the proxy says so.
    ///
    /// # Errors
    ///
    /// There is no connection within that time; the words say whose fault it is.
    pub fn probe(&self) -> Result<(), Unreachable> {
        let unreachable = |why: &str| Unreachable(format!("{}: {why}", self.address.origin()));
        let agent = self.prober();
        let (line, theirs) = (self.clone(), agent.clone());
        match self.off.unless(move || line.reach(&theirs)) {
            None => {
                agent.shutdown();
                Err(unreachable("the line was shut down"))
            }
            Some(Ok(())) => Ok(()),
            Some(Err(Error::Timeout(_))) => {
                let via = self.via.as_ref();
                let whom = via.map(|via| format!(" (through the proxy {})", via.shown));
                Err(unreachable(&format!("no connection in time{}", whom.unwrap_or_default())))
            }
            Some(Err(found)) => Err(unreachable(&self.explain(&found))),
        }
    }

    /// Makes connections that end where a request would begin.
    fn prober(&self) -> Agent {
        let within = Timeouts { total: self.timeouts.connect, ..self.timeouts };
        let config = way::config(&self.address, within, self.via.as_ref());
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(Stop { address: self.address.clone() })
                .chain(self.tls.clone());
        Agent::with_parts(config, connector, DefaultResolver::default())
    }

    /// Makes such a connection.
    fn reach(&self, agent: &Agent) -> Result<(), Error> {
        match agent.get(self.address.as_str()).call() {
            Err(Error::Other(found)) if found.is::<Reached>() => Ok(()),
            Err(Error::ConnectProxyFailed(why)) if self.opens_no_tunnel(&why) => Ok(()),
            Err(found) => Err(found),
            // Nothing can come over a connection that is not handed on.
            Ok(_) => Err(Error::ConnectionFailed),
        }
    }

    /// Whether a proxy only says that it opens tunnels for `https` alone. That it wants other credentials, or cannot
    /// reach the upstream, is something else.
    fn opens_no_tunnel(&self, why: &str) -> bool {
        let status = why.strip_prefix("proxy server responded ");
        let status = status.and_then(|rest| rest.split('/').next()?.parse::<u16>().ok());
        !self.address.is_https() && status.is_some_and(|code| !matches!(code, 407 | 502..=504))
    }
}

/// Ends a connection to the upstream when it is made; one to a proxy goes on.
#[derive(Debug)]
struct Stop {
    /// The upstream.
    address: Address,
}

impl<In: Transport> Connector<In> for Stop {
    type Out = In;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<In>, Error> {
        if chained.is_some() && self.address.is_at(details.uri) {
            return Err(Error::Other(Box::new(Reached)));
        }
        Ok(chained)
    }
}

/// A connection is made.
#[derive(Debug)]
struct Reached;

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("reached")
    }
}

impl std::error::Error for Reached {}
