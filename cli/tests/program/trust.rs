//! An upstream with an authority of its own is reached where that authority is given, and nowhere else.
//! Method: `sync` against a real hub behind a TLS server, whose certificate an authority signed that exists for these
//! tests only, and whose key nobody has any more.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tempfile::tempdir;

use crate::process::{Ended, KEY, capture, onceward, run, serve};
use crate::upstreams::carry;

/// Signed the certificate.
const AUTHORITY: &str = include_str!("trust/authority.pem");
/// For `localhost` and 127.0.0.1, until 2126.
const CERTIFICATE: &[u8] = include_bytes!("trust/server.pem");
/// The key of the certificate.
const SERVER_KEY: &[u8] = include_bytes!("trust/server.key");

/// A TLS server before the hub; its URL. `clients` signed the certificates that it wants to see.
fn secured(hub: &str, clients: Option<CertificateDer<'static>>) -> String {
    let hub = hub.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    thread::spawn(move || {
        for client in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut client = StreamOwned::new(connection, client.unwrap());
            // Who does not trust the certificate sends no request.
            let Some(answered) = carry(&mut client, &hub) else { continue };
            drop(client.write_all(&answered));
            client.conn.send_close_notify();
            drop(client.flush());
        }
    });
    url
}

/// Captures an event under this key, and sends it.
fn send(store: &Path, key: &str, url: &str, trust: impl Fn(&mut std::process::Command)) -> Ended {
    capture(store, &format!("{{\"key\":\"{key}\",\"payload\":{{}}}}\n")).expect(0);
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", "wede", "--to", url, "--store"]).arg(store);
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    trust(&mut command);
    run(command.env("ONCEWARD_API_KEY", KEY), b"")
}

/// A directory of certificates as systems have them, with the authority's among other things.
fn directory(dir: &Path) -> PathBuf {
    let certs = dir.join("certs");
    fs::create_dir_all(certs.join("java")).unwrap();
    fs::write(certs.join("README"), "Certificates of authorities.\n").unwrap();
    fs::write(certs.join("authority.pem"), AUTHORITY).unwrap();
    symlink("authority.pem", certs.join("5ed36f99.0")).unwrap();
    symlink("gone.pem", certs.join("0a775a30.0")).unwrap();
    certs
}

#[test]
fn a_private_authority_is_trusted_where_it_is_given_and_nowhere_else() {
    let dir = tempdir().unwrap();
    let (store, file) = (dir.path().join("store"), dir.path().join("authority.pem"));
    fs::write(&file, AUTHORITY).unwrap();
    let (certs, missing) = (directory(dir.path()), dir.path().join("missing"));
    let hub = serve(&dir.path().join("data"), None);
    let url = secured(&hub.url, None);

    let refused = send(&store, "k0", &url, |_| {}).expect(5);
    assert!(
        refused.err.contains("UnknownIssuer") && refused.err.contains("--ca, SSL_CERT_FILE"),
        "{}",
        refused.err
    );
    let accepted = |ended: Ended| ended.expect(0).last_json()["accepted"].clone();
    let option = |command: &mut std::process::Command| {
        // What is given counts before what the environment names.
        command.arg("--ca").arg(&file).env("SSL_CERT_FILE", &missing);
    };
    assert_eq!(accepted(send(&store, "k1", &url, option)), 2);
    let in_file = |command: &mut std::process::Command| {
        command.env("SSL_CERT_FILE", &file).env("SSL_CERT_DIR", "/dev/null");
    };
    assert_eq!(accepted(send(&store, "k2", &url, in_file)), 1);
    let in_directories = |command: &mut std::process::Command| {
        command.env(
            "SSL_CERT_DIR",
            format!("{}:{}", dir.path().join("data").display(), certs.display()),
        );
    };
    assert_eq!(accepted(send(&store, "k3", &url, in_directories)), 1);
    // Another one that is given does not help.
    fs::write(&file, CERTIFICATE).unwrap();
    send(&store, "k4", &url, in_file).expect(5);
    fs::write(certs.join("damaged.crt"), AUTHORITY.replacen("MII", "MIJ", 1)).unwrap();
    let damaged = send(&store, "k5", &url, in_directories).expect(2);
    assert!(
        damaged.err.contains("damaged.crt: has a certificate that is damaged"),
        "{}",
        damaged.err
    );
}

#[test]
fn only_given_authorities_certificates_of_a_terminal_and_pinned_keys_are_what_was_asked_for() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let store = path("store");
    fs::write(path("authority.pem"), AUTHORITY).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let tills = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let till = CertificateParams::default().signed_by(&key, &tills).unwrap();
    fs::write(path("till.pem"), till.pem()).unwrap();
    fs::write(path("till.key"), key.serialize_pem()).unwrap();
    let hub = serve(&path("data"), None);
    let url = secured(&hub.url, Some(tills.der().clone()));

    let with = |key: &str, more: &[&str]| {
        send(&store, key, &url, |command| {
            command.arg("--ca").arg(path("authority.pem")).args(more);
        })
    };
    let bare = with("k1", &["--ca-only"]).expect(5);
    assert!(bare.err.contains("wants a certificate of this terminal"), "{}", bare.err);
    let (certificate, secret) = (path("till.pem"), path("till.key"));
    let shown = ["--client-cert", certificate.to_str().unwrap(), "--client-key"];
    let shown = [&shown[..], &[secret.to_str().unwrap(), "--ca-only"]].concat();
    assert_eq!(with("k2", &shown).expect(0).last_json()["accepted"], 2);
    let wrong = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let refused = with("k3", &[&shown[..], &["--pin", wrong]].concat()).expect(5);
    let (_, seen) = refused.err.split_once("the server's key is ").unwrap();
    let seen = &seen[..wrong.len()];
    let both = [&shown[..], &["--pin", wrong, "--pin", seen]].concat();
    assert_eq!(with("k4", &both).expect(0).last_json()["accepted"], 2);
}

#[test]
fn arguments_of_tls_that_do_not_fit_are_refused_by_name() {
    let dir = tempdir().unwrap();
    let (store, file) = (dir.path().join("store"), dir.path().join("till.pem"));
    fs::write(&file, CERTIFICATE).unwrap();
    let file = file.to_str().unwrap();
    let pin = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let (https, http) = ("https://hub.invalid", "http://127.0.0.1:1");
    let both = ["--client-cert", file, "--client-key", file];
    for (url, args, expected) in [
        (https, &["--client-key", file][..], "--client-cert <FILE>"),
        (https, &["--client-cert", file], "--client-key <FILE>"),
        (https, &both, "--client-key: has no private key in it"),
        (http, &both, "--client-cert: means nothing without TLS"),
        (https, &["--pin", "sha256/AAAA"], "--pin <sha256/BASE64>': pin: has no hash of 32 bytes"),
        (https, &["--pin", &pin[7..]], "--pin <sha256/BASE64>': pin: must start with sha256/"),
        (http, &["--pin", pin], "--pin: pin: means nothing without TLS"),
        (https, &["--ca-only"], "--ca-only: certificates: no authority was given"),
        ("http://hub.invalid", &[], "allow it by name (--allow-plain-http)"),
    ] {
        let refused = send(&store, "k", url, |command| {
            command.args(args);
        });
        let refused = refused.expect(2);
        assert!(refused.err.contains(expected), "{args:?}: {}", refused.err);
    }
}
