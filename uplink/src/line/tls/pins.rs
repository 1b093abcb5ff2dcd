//! Keys that the chain of an upstream must have, whoever signed it.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use crate::error::Error;

/// What a pin is called in messages of the library.
const ARGUMENT: &str = "pin";
/// What a pin begins with.
const PREFIX: &str = "sha256/";

/// The SHA-256 hash of a public key with its algorithm (`SubjectPublicKeyInfo`), as HTTP public key pinning has it.
///
/// That of a certificate is printed by `openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform DER |
/// openssl dgst -sha256 -binary | base64`, without the prefix.
///
/// ```
/// use onceward_uplink::Pin;
///
/// let pin = Pin::parse("sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")?;
/// assert_eq!(pin.to_string(), "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
/// assert!(Pin::parse("47DEQpj8HBSa").is_err());
/// # Ok::<(), onceward_uplink::Error>(())
/// ```
///
/// # Source
///
/// RFC 7469, section 2.4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Reads `sha256/` and the hash in base64.
    ///
    /// # Errors
    ///
    /// `Invalid`: it is something else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |why: &str| Error::invalid(ARGUMENT, why);
        let hash = text.strip_prefix(PREFIX);
        let hash = hash.ok_or_else(|| invalid("must start with sha256/"))?;
        let bytes = BASE64_STANDARD.decode(hash);
        let bytes = bytes.map_err(|_not_base64| invalid("has no base64 behind sha256/"))?;
        let hash = bytes.try_into();
        hash.map(Self).map_err(|_too_long_or_short| invalid("has no hash of 32 bytes in it"))
    }

    /// That of a key: all bytes of its `SubjectPublicKeyInfo`.
    fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64_STANDARD.encode(self.0))
    }
}

/// Checks what is always checked, and then that the chain has one of the pinned keys.
#[derive(Debug)]
pub(super) struct Pinned {
    /// Checks what is always checked.
    inner: Arc<WebPkiServerVerifier>,
    /// What a chain ends at.
    roots: Arc<RootCertStore>,
    /// How certificates may be signed.
    algorithms: WebPkiSupportedAlgorithms,
    /// The keys.
    pins: Vec<Pin>,
}

impl Pinned {
    /// Asks `inner`, which trusts `roots`, and then for `pins`.
    pub(super) fn new(
        inner: Arc<WebPkiServerVerifier>,
        roots: Arc<RootCertStore>,
        algorithms: WebPkiSupportedAlgorithms,
        pins: &[Pin],
    ) -> Self {
        Self { inner, roots, algorithms, pins: pins.to_vec() }
    }

    /// Whether a chain from the server's certificate to an authority has a pinned key. Certificates that were sent and
    /// are in no such chain do not count: anybody can send them along.
    fn has_pinned_key(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let seen = RefCell::new(Vec::new());
        let is_pinned = |path: &VerifiedPath<'_>| {
            let keys = keys(path);
            if keys.iter().any(|key| self.pins.contains(key)) {
                return Ok(());
            }
            // There may be several chains, and the first is as good as another to tell of.
            let mut seen = seen.borrow_mut();
            if seen.is_empty() {
                *seen = keys;
            }
            Err(webpki::Error::UnknownIssuer)
        };
        let certificate = EndEntityCert::try_from(end_entity)
            .map_err(|_damaged| rustls::Error::from(CertificateError::BadEncoding))?;
        let found = certificate.verify_for_usage(
            self.algorithms.all,
            &self.roots.roots,
            intermediates,
            now,
            KeyUsage::server_auth(),
            None,
            Some(&is_pinned),
        );
        found.map(|_path| ()).map_err(|_no_such_chain| {
            let other = NotPinned { seen: seen.take() };
            CertificateError::Other(OtherError(Arc::new(other))).into()
        })
    }
}

/// The keys of a chain, the server's first.
fn keys(path: &VerifiedPath<'_>) -> Vec<Pin> {
    let mut keys = vec![Pin::of(&path.end_entity().subject_public_key_info())];
    for between in path.intermediate_certificates() {
        keys.push(Pin::of(&between.subject_public_key_info()));
    }
    keys.push(Pin::of(&sequence(&path.anchor().subject_public_key_info)));
    keys
}

/// A sequence of DER around `content`: of an authority only that is kept.
fn sequence(content: &[u8]) -> Vec<u8> {
    // A key has less than 64 KiB: more cannot be in a certificate that is read.
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let head = match length.to_be_bytes() {
        [0, short @ 0..0x80] => vec![0x30, short],
        [0, long] => vec![0x30, 0x81, long],
        [high, low] => vec![0x30, 0x82, high, low],
    };
    [&head, content].concat()
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let inner = &self.inner;
        let checked =
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        self.has_pinned_key(end_entity, intermediates, now)?;
        Ok(checked)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// A chain is valid and has no pinned key.
#[derive(Debug)]
pub(in crate::line) struct NotPinned {
    /// The keys that it has, the server's first.
    seen: Vec<Pin>,
}

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the certificate is valid, but its key and those of its authorities are none of the pinned ones (--pin): \
             the server's key is ",
        )?;
        let mut seen = self.seen.iter();
        match seen.next() {
            Some(first) => write!(f, "{first}")?,
            None => f.write_str("unknown")?,
        }
        for (count, key) in seen.enumerate() {
            let before = if count == 0 { ", that of its authorities " } else { ", " };
            write!(f, "{before}{key}")?;
        }
        f.write_str("; somebody may be in between, or the upstream has a new key")
    }
}

impl std::error::Error for NotPinned {}
