//! Who may have signed the certificate of an upstream.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// The authorities that are trusted.
#[derive(Clone)]
pub(in crate::line) struct Authorities {
    /// Those of the web, which are built in.
    built_in: &'static [rustls::pki_types::TrustAnchor<'static>],
    /// Those that were given.
    given: Vec<CertificateDer<'static>>,
}

impl Default for Authorities {
    fn default() -> Self {
        Self { built_in: webpki_roots::TLS_SERVER_ROOTS, given: Vec::new() }
    }
}

impl Authorities {
    /// These and no others.
    pub(in crate::line) fn only(given: Vec<CertificateDer<'static>>) -> Self {
        Self { built_in: &[], given }
    }

    /// The given ones without those that are built in; `None` where none was given.
    pub(in crate::line) fn only_given(self) -> Option<Self> {
        (!self.given.is_empty()).then(|| Self::only(self.given))
    }

    /// These besides.
    pub(in crate::line) fn and(mut self, more: Vec<CertificateDer<'static>>) -> Self {
        self.given.extend(more);
        self
    }

    /// What a chain has to end at. A given one that means nothing to TLS is left out, as bundles of systems have some.
    pub(in crate::line) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore { roots: self.built_in.to_vec() };
        roots.add_parsable_certificates(self.given.iter().cloned());
        roots
    }
}
