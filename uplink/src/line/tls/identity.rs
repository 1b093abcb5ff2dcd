//! What this terminal shows of itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::error::Error;
use crate::secret::Secret;

/// A certificate of this terminal with its key. Shows neither.
#[derive(Clone)]
pub(in crate::line) struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// A chain of certificates, the terminal's first, and the key in `pem`. `named_by` says where the key comes from.
    ///
    /// # Errors
    ///
    /// `Invalid`: there is no key, or it is not that of the first certificate. Says nothing of what is in it.
    pub(in crate::line) fn new(
        chain: Vec<CertificateDer<'static>>,
        named_by: &'static str,
        pem: &Secret,
    ) -> Result<Self, Error> {
        let invalid = |why: &str| Error::invalid(named_by, why);
        let text = pem.expose();
        if text.contains("ENCRYPTED") {
            return Err(invalid("the key needs a pass phrase; give it without one"));
        }
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|found| match found {
            pem::Error::NoItemsFound => invalid("has no private key in it"),
            _may_quote_it => invalid("has a private key that is damaged"),
        })?;
        let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let pair = pair.map_err(|found| match found {
            rustls::Error::InconsistentKeys(_) => invalid("is not the key of the certificate"),
            rustls::Error::InvalidCertificate(_) => invalid("the certificate is damaged"),
            _may_quote_it => {
                invalid("is no key that TLS can use: RSA, ECDSA on P-256 or P-384, or Ed25519")
            }
        })?;
        Ok(Self(Arc::new(pair)))
    }
}

/// What is shown to an upstream that asks.
pub(super) enum Shown {
    /// A certificate.
    Identity(Identity),
    /// None.
    Nobody(Nobody),
}

impl Shown {
    /// As a handshake asks for it.
    pub(super) fn resolver(self) -> Arc<dyn ResolvesClientCert> {
        match self {
            Self::Identity(Identity(pair)) => Arc::new(SingleCertAndKey::from(pair)),
            Self::Nobody(nobody) => Arc::new(nobody),
        }
    }
}

/// Shows no certificate, and notes that one was wanted.
pub(super) struct Nobody(Arc<AtomicBool>);

impl Nobody {
    /// Notes it there.
    pub(super) fn new(asked: Arc<AtomicBool>) -> Self {
        Self(asked)
    }
}

impl fmt::Debug for Nobody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nobody")
    }
}

impl ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
