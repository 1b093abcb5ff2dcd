//! Plain `http` through a proxy: the request goes to the proxy and names the upstream in full, as RFC 9112, section
//! 3.2.2, has it. No tunnel: many proxies open one for `https` only.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport,
};
use ureq::{Agent, Error, Proxy, config::Config};

use super::address::Address;
use super::opened::Opened;
use super::proxy::Via;

/// What carries requests for `address` through `via`.
pub(super) fn agent(config: Config, address: &Address, via: &Via, opened: &Opened) -> Agent {
    let resolver = ProxyOnly { proxy: via.uri().clone(), inner: DefaultResolver::default() };
    let named = Named { origin: address.origin() };
    let connector = opened.clone().chain(TcpConnector::default()).chain(named);
    Agent::with_parts(config, connector, resolver)
}

/// The header that says to a proxy who asks; `None` if it wants no credentials.
pub(super) fn authorization(proxy: &Proxy) -> Option<String> {
    if proxy.username().is_none() && proxy.password().is_none() {
        return None;
    }
    let (user, password) =
        (proxy.username().unwrap_or_default(), proxy.password().unwrap_or_default());
    Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

/// Looks up the proxy's name whatever is asked: the upstream's is the proxy's business.
struct ProxyOnly {
    /// Where the proxy is.
    proxy: Uri,
    /// Looks names up.
    inner: DefaultResolver,
}

impl fmt::Debug for ProxyOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyOnly").finish_non_exhaustive()
    }
}

impl Resolver for ProxyOnly {
    fn resolve(
        &self,
        _upstream: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.inner.resolve(&self.proxy, config, timeout)
    }
}

/// Makes requests over a connection name the upstream in full.
#[derive(Debug)]
struct Named {
    /// Scheme, host and port of the upstream.
    origin: String,
}

impl<In: Transport> Connector<In> for Named {
    type Out = NamedTransport<In>;

    fn connect(
        &self,
        _details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let origin = self.origin.clone();
        Ok(chained.map(|inner| NamedTransport { inner, origin, is_at_head: true }))
    }
}

/// A connection over which requests name the upstream in full.
#[derive(Debug)]
struct NamedTransport<In> {
    /// The connection.
    inner: In,
    /// Scheme, host and port of the upstream.
    origin: String,
    /// Whether the next bytes that go out begin a request.
    is_at_head: bool,
}

impl<In: Transport> Transport for NamedTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !std::mem::take(&mut self.is_at_head) {
            return self.inner.transmit_output(amount, timeout);
        }
        let written = self.inner.buffers().output().get(..amount).unwrap_or_default().to_vec();
        let head = in_full(&written, &self.origin);
        let mut rest = head.as_slice();
        while !rest.is_empty() {
            let output = self.inner.buffers().output();
            let count = rest.len().min(output.len());
            let (now, later) = rest.split_at(count);
            output.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            rest = later;
            self.inner.transmit_output(count, timeout)?;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        // After an answer another request may come.
        self.is_at_head = true;
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}

/// The beginning of a request whose target is named in full: `POST /path` becomes `POST http://host/path`.
fn in_full(head: &[u8], origin: &str) -> Vec<u8> {
    let method = head.iter().position(|byte| *byte == b' ').map_or(0, |blank| blank + 1);
    let (method, target) = head.split_at(method);
    [method, origin.as_bytes(), target].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_a_proxy_are_spelled_as_basic() {
        let header = |text: &str| authorization(&Proxy::new(text).unwrap());
        assert_eq!(header("http://proxy:1"), None);
        let expected = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(header("http://Aladdin:open%20sesame@proxy").as_deref(), Some(expected));
    }
}
