//! Authorities, certificates and servers by TLS that exist for one test.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use sha2::{Digest, Sha256};

use super::*;
use crate::Pin;

/// Signs certificates.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What is sent behind a certificate: its own, unless everybody has it.
    between: Vec<CertificateDer<'static>>,
}

/// A certificate with those behind it, and its key.
pub(super) struct Leaf {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) pem: String,
    pub(super) key: KeyPair,
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(authority(name), key).unwrap();
        Self { issuer, between: Vec::new() }
    }

    /// One that this one vouches for.
    pub(super) fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::signed_by(authority(name), key, &self.issuer).unwrap();
        Self { between: vec![issuer.der().clone()], issuer }
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub(super) fn pin(&self) -> Pin {
        pin(self.issuer.key())
    }

    /// A certificate for this machine.
    pub(super) fn sign(&self) -> Leaf {
        self.sign_this(|_| {})
    }

    pub(super) fn sign_this(&self, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = here();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let mut chain = vec![certificate.der().clone()];
        chain.extend(self.between.iter().cloned());
        Leaf { chain, pem: certificate.pem(), key }
    }
}

/// What is asked of an authority for this machine.
pub(super) fn here() -> CertificateParams {
    CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

/// A certificate that nobody else signed.
pub(super) fn self_signed() -> Leaf {
    let key = KeyPair::generate().unwrap();
    let certificate = here().self_signed(&key).unwrap();
    Leaf { chain: vec![certificate.der().clone()], pem: certificate.pem(), key }
}

impl Leaf {
    pub(super) fn pin(&self) -> Pin {
        pin(&self.key)
    }

    pub(super) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

/// The pin of a key, spelled by other means than those under test.
fn pin(key: &KeyPair) -> Pin {
    let hash = Sha256::digest(key.subject_public_key_info());
    Pin::parse(&format!("sha256/{}", BASE64_STANDARD.encode(hash))).unwrap()
}

/// How a server shows `leaf`, and whom it wants to see.
pub(super) fn showing(leaf: &Leaf, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    Arc::new(builder.with_single_cert(leaf.chain.clone(), leaf.private_key()).unwrap())
}

/// Answers one request over each connection; what it could read of it.
pub(super) fn serving(config: Arc<ServerConfig>) -> impl Fn(&mut TcpStream) -> Vec<u8> {
    move |stream| serve(&config, stream)
}

/// Answers the one request over this connection.
pub(super) fn serve(config: &Arc<ServerConfig>, stream: &mut (impl Read + Write)) -> Vec<u8> {
    let mut connection = ServerConnection::new(Arc::clone(config)).unwrap();
    while connection.is_handshaking() {
        if connection.complete_io(stream).is_err() {
            // What the client has sent must be read, or it sees a reset and no reason.
            drop(stream.read_to_end(&mut Vec::new()));
            return Vec::new();
        }
    }
    let mut private = rustls::Stream::new(&mut connection, stream);
    let request = read_request(&mut private);
    if !request.is_empty() {
        drop(private.write_all(answer("200 OK", "", "{}").as_bytes()));
        connection.send_close_notify();
        drop(connection.write_tls(stream));
    }
    request
}

impl Server {
    /// A server by TLS, for this many connections.
    pub(super) fn private(count: usize, config: Arc<ServerConfig>) -> Self {
        Self::start(count, serving(config))
    }

    /// A line by TLS that trusts what is built in.
    pub(super) fn private_line(&self) -> Line {
        let to = format!("https://{}", self.address);
        Line::direct(&to, Some(Secret::new(KEY)), Timeouts::default()).unwrap()
    }
}
