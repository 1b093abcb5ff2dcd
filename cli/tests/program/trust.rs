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

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
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

/// A TLS server before the hub; its URL.
fn secured(hub: &str) -> String {
    let hub = hub.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
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
    let url = secured(&hub.url);

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
