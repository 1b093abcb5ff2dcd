//! Who cannot show that he is the upstream gets no byte of a request: neither the key nor an event.
//! Method: servers by TLS, each with something wrong, that say what they could read.

use std::process::{Child, Command, Stdio};

use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};

use super::private::{Authority, Leaf, self_signed, showing};
use super::*;

/// Whoever shows `leaf` is refused with these words by a line that trusts `authority`, and reads nothing.
fn is_refused(leaf: &Leaf, authority: &Authority, words: &[&str]) {
    let server = Server::private(1, showing(leaf, None));
    let line = server.private_line().trusting(authority.pem().as_bytes()).unwrap();
    let why = failure(&line);
    for word in words {
        assert!(why.contains(word), "{word} is not in: {why}");
    }
    assert_eq!(server.seen(), [""], "it read something: {why}");
}

#[test]
fn a_certificate_that_is_not_right_is_refused_with_the_reason_and_the_request_is_not_sent() {
    let authority = Authority::new("ours");
    let good = Server::private(1, showing(&authority.sign(), None));
    let line = good.private_line().trusting(authority.pem().as_bytes()).unwrap();
    assert_eq!(line.send(request()).unwrap().status, 200, "control");
    assert!(good.seen().remove(0).contains(KEY), "control");

    let expired = authority.sign_this(|params| params.not_after = date_time_ymd(2020, 1, 1));
    is_refused(&expired, &authority, &["certificate expired", "clock of this machine"]);
    let early = authority.sign_this(|params| params.not_before = date_time_ymd(3000, 1, 1));
    is_refused(&early, &authority, &["not valid yet", "clock of this machine"]);
    let other = authority.sign_this(|params| params.subject_alt_names.clear());
    is_refused(&other, &authority, &["not valid for name", "127.0.0.1"]);
    let client = authority
        .sign_this(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    is_refused(&client, &authority, &["certificate does not allow extended key usage"]);
    is_refused(&self_signed(), &authority, &["UnknownIssuer", "who signed it is not trusted"]);
    // Somebody in between who has an authority of his own, of the same name.
    is_refused(&Authority::new("ours").sign(), &authority, &["BadSignature"]);
    is_refused(&Authority::new("other").sign(), &authority, &["UnknownIssuer", "--ca"]);
    let above = authority
        .sign_this(|params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    is_refused(&above, &authority, &["CaUsedAsEndEntity", "CA:FALSE"]);
    // The right certificate, and the key of another.
    let stolen = Leaf { key: KeyPair::generate().unwrap(), ..authority.sign() };
    let config = with_any_key(&stolen);
    let server = Server::private(1, config);
    let line = server.private_line().trusting(authority.pem().as_bytes()).unwrap();
    assert!(failure(&line).contains("BadSignature"), "{}", failure(&line));
    assert_eq!(server.seen(), [""]);
}

/// A server that does not look whether its key is that of its certificate.
fn with_any_key(leaf: &Leaf) -> Arc<rustls::ServerConfig> {
    let provider = rustls::crypto::ring::default_provider();
    let key = provider.key_provider.load_private_key(leaf.private_key()).unwrap();
    let pair = rustls::sign::CertifiedKey::new(leaf.chain.clone(), key);
    let resolver = rustls::sign::SingleCertAndKey::from(pair);
    let builder = rustls::ServerConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_cert_resolver(Arc::new(resolver)))
}

#[test]
fn an_authority_that_is_not_built_in_is_trusted_only_where_it_is_given() {
    let authority = Authority::new("ours");
    let server = Server::private(1, showing(&authority.sign(), None));
    let why = failure(&server.private_line());
    assert!(why.contains("UnknownIssuer") && why.contains("--ca, SSL_CERT_FILE"), "{why}");
    assert_eq!(server.seen(), [""]);
}

#[test]
fn a_server_that_shakes_no_hands_meets_the_limit_of_connecting() {
    let server = Server::start(1, |stream| {
        let mut seen = Vec::new();
        drop(stream.read_to_end(&mut seen));
        seen
    });
    let to = format!("https://{}", server.address);
    let connect = Duration::from_millis(300);
    let limits = Timeouts { connect, ..Timeouts::default() };
    let clock = Monotonic::start();
    let why = failure(&Line::direct(&to, Some(Secret::new(KEY)), limits).unwrap());
    assert!(why.contains("in time") && clock.now_ms() < 10_000, "{why}");
    assert!(!server.seen().remove(0).contains(KEY));
}

#[test]
fn nothing_before_tls_1_2_is_offered() {
    let server = Server::start(1, |stream| {
        let mut hello = vec![0; 4_096];
        let count = stream.read(&mut hello).unwrap();
        hello.truncate(count);
        hello
    });
    drop(failure(&server.private_line()));
    let hello = server.thread.join().unwrap().remove(0);
    // The extension `supported_versions` (RFC 8446, section 4.2.1): 1.3 and 1.2.
    let versions = [0x00, 0x2b, 0x00, 0x05, 0x04, 0x03, 0x04, 0x03, 0x03];
    assert!(hello.windows(versions.len()).any(|window| window == versions), "{hello:x?}");
}

/// `openssl s_server` with one version of TLS; ends with it.
struct OpenSsl(Child);

impl Drop for OpenSsl {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl OpenSsl {
    /// `None`: there is no such program, or it does not speak that version.
    fn start(leaf: &Leaf, version: &str) -> Option<(Self, u16)> {
        let files = tempfile::tempdir().unwrap();
        let (chain, key) = (files.path().join("chain.pem"), files.path().join("key.pem"));
        Outside::put(&chain, &leaf.pem);
        Outside::put(&key, &leaf.key.serialize_pem());
        // Whoever listens on port 0 does not say where it is: the one that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-rev", version, "-cipher", "ALL:@SECLEVEL=0"])
            .args(["-accept", &free.to_string(), "-cert"])
            .arg(&chain)
            .arg("-key")
            .arg(&key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut running = Self(child.ok()?);
        while TcpStream::connect(free).is_err() {
            if running.0.try_wait().unwrap().is_some() {
                return None;
            }
            thread::yield_now();
        }
        Some((running, free.port()))
    }
}

/// Files of tests.
struct Outside;

impl Outside {
    #[expect(clippy::disallowed_methods, reason = "a file of a test's, which no store reads")]
    fn put(path: &std::path::Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn tls_before_1_2_is_refused_with_the_reason() {
    let authority = Authority::new("ours");
    let leaf = authority.sign();
    for (version, is_safe) in
        [("-tls1_2", true), ("-tls1_3", true), ("-tls1_1", false), ("-tls1", false)]
    {
        // Where openssl is missing or was built without that version, there is nobody to be refused.
        let Some((_running, port)) = OpenSsl::start(&leaf, version) else { continue };
        let to = format!("https://127.0.0.1:{port}");
        let line = Line::direct(&to, Some(Secret::new(KEY)), Timeouts::default()).unwrap();
        let sent = line.trusting(authority.pem().as_bytes()).unwrap().send(request());
        match sent {
            // It answers with what it was sent, backwards.
            Err(Failure::Unavailable { why, .. }) if is_safe => {
                assert!(why.contains("http parse fail"), "{version}: {why}");
            }
            Err(Failure::Unavailable { why, .. }) => {
                assert!(why.contains("nothing older is safe"), "{version}: {why}");
            }
            other => panic!("{version}: {other:?}"),
        }
    }
}
