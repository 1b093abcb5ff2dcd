//! TLS to the upstream: whom it trusts, what it shows of itself, and what it wants to see. A connection is handed on
//! only when all of that is checked, so a request, and the key in it, never goes to somebody who was not.

mod authorities;
mod identity;
mod pins;
mod transport;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection};
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, Either, NextTimeout, Transport, time,
};

use super::address::Address;
use crate::error::Error;
pub(super) use authorities::Authorities;
pub(super) use identity::Identity;
use identity::{Nobody, Shown};
pub(super) use pins::NotPinned;
pub use pins::Pin;
use pins::Pinned;
use transport::TlsTransport;

/// What has to hold of a connection by TLS.
#[derive(Clone, Default)]
pub(super) struct Terms {
    /// Whose certificates are trusted.
    pub(super) authorities: Authorities,
    /// The certificate of this terminal.
    pub(super) identity: Option<Identity>,
    /// Keys of which the upstream's chain must have one; empty: any.
    pub(super) pins: Vec<Pin>,
}

/// Makes connections to an `https` address private; the last of a chain of connectors. Leaves others as they are.
///
/// A proxy at an `https` address is held to the authorities only: the pins are not its, and the certificate of this
/// terminal is none of its business.
#[derive(Clone)]
pub(super) struct Tls {
    /// The upstream.
    address: Address,
    /// For the upstream.
    strict: Arc<ClientConfig>,
    /// For a proxy before it.
    plain: Arc<ClientConfig>,
    /// Whether the upstream wanted a certificate of this terminal, and there is none.
    asked: Arc<AtomicBool>,
}

impl Tls {
    /// Connections to `address` on these terms.
    ///
    /// # Errors
    ///
    /// `Invalid`: nobody is trusted.
    pub(super) fn new(address: &Address, terms: &Terms) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(terms.authorities.roots());
        let trusted =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(|_no_roots| {
                    Error::invalid("certificates", "there is no authority that can be trusted")
                })?;
        let algorithms = provider.signature_verification_algorithms;
        let pinned: Arc<dyn ServerCertVerifier> = match terms.pins.as_slice() {
            [] => Arc::clone(&trusted) as _,
            pins => Arc::new(Pinned::new(Arc::clone(&trusted), roots, algorithms, pins)),
        };
        let asked = Arc::new(AtomicBool::new(false));
        let nobody = Shown::Nobody(Nobody::new(Arc::clone(&asked)));
        let shown = terms.identity.clone().map_or(nobody, Shown::Identity);
        let strict = Arc::new(config(&provider, pinned, shown)?);
        let unasked = Shown::Nobody(Nobody::new(Arc::default()));
        let plain = Arc::new(config(&provider, trusted, unasked)?);
        Ok(Self { address: address.clone(), strict, plain, asked })
    }

    /// What connections to the upstream are held to.
    #[cfg(feature = "nats")]
    pub(super) fn strict(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.strict)
    }

    /// Whether the upstream wanted a certificate of this terminal when it was connected last, and got none.
    pub(super) fn was_asked_in_vain(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(inner) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(inner)));
        }
        let config = if self.address.is_at(details.uri) {
            self.asked.store(false, Ordering::Relaxed);
            &self.strict
        } else {
            &self.plain
        };
        let host = details.uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
        let connection =
            ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let now = (details.current_time)();
        let timeout = left(details.timeout, details.now, now);
        let transport = TlsTransport::open(connection, inner, details, timeout)?;
        Ok(Some(Either::B(transport)))
    }
}

/// What is left of the time to connect, which was begun then.
fn left(mut timeout: NextTimeout, begun: time::Instant, now: time::Instant) -> NextTimeout {
    if let (time::Duration::Exact(all), time::Instant::Exact(begun), time::Instant::Exact(now)) =
        (timeout.after, begun, now)
    {
        let spent = now.saturating_duration_since(begun);
        timeout.after = time::Duration::Exact(all.saturating_sub(spent));
    }
    timeout
}

/// TLS 1.2 or 1.3, with what is checked by `verifier` and shown of this terminal.
fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    shown: Shown,
) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|found| Error::invalid("certificates", found.to_string()))?;
    // The name says what it can be used for: both verifiers check the whole chain and the name.
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    Ok(builder.with_client_cert_resolver(shown.resolver()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn shaking_hands_has_what_connecting_left_of_the_time() {
        let time::Instant::Exact(begun) = time::Instant::now() else { panic!("no time") };
        let [all, spent] = [5, 2].map(Duration::from_secs);
        let timeout = NextTimeout { after: time::Duration::Exact(all), ..NextTimeout::default() };
        let after =
            |now| left(timeout, time::Instant::Exact(begun), time::Instant::Exact(now)).after;
        assert_eq!(after(begun + spent), time::Duration::Exact(all - spent));
        assert_eq!(after(begun + all + spent), time::Duration::Exact(Duration::ZERO));
        let endless =
            left(NextTimeout::default(), time::Instant::Exact(begun), time::Instant::now());
        assert_eq!(endless.after, time::Duration::NotHappening);
    }
}
