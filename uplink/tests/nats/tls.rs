//! Nothing goes to a server that does not show who it is, where that is asked for.
//!
//! Method: certificates of an authority made for the test, trusted, unknown or not pinned.

use onceward::sync::Report;
use onceward_uplink::nats::{NatsCredentials, NatsOptions, NatsUploader, NewStream};
use onceward_uplink::{Line, Secret, Timeouts};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::reader::Reader;
use super::server::Server;
use super::terminal::{Terminal, options};

/// The token of the terminal.
const TOKEN: &str = "token-of-this-terminal";

/// A server that wants TLS and a token, and the authority of its certificate, PEM.
fn private() -> (Server, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let files = [("server.pem", leaf.pem()), ("server.key", key.serialize_pem())];
    let config = format!(
        "tls {{ cert_file: \"server.pem\", key_file: \"server.key\" }}\nauthorization {{ token: \"{TOKEN}\" }}"
    );
    (Server::with_files(&config, &files), authority.pem())
}

fn drain(terminal: &Terminal, options_of_server: NatsOptions) -> Report {
    let token = NatsCredentials::Token(Secret::new(TOKEN));
    let to = options_of_server.with_credentials(token).creating(NewStream::default());
    let uploader = NatsUploader::new(terminal.store.clone(), to).unwrap();
    uploader.draining(options("default"), 1).run_once(&mut |_| ()).unwrap()
}

#[test]
fn a_server_is_held_to_the_authorities_that_are_given() {
    let (server, authority) = private();
    let terminal = Terminal::with(5, &["default"]);
    let to = || NatsOptions::new(&[&server.url()], "SALES").unwrap();
    let line = || Line::direct("https://127.0.0.1", None, Timeouts::default()).unwrap();
    let trusting = line().trusting(authority.as_bytes()).unwrap();
    // Its authority is none of those that are built in.
    let report = drain(&terminal, to());
    assert!(report.unreachable && report.attempted == 0, "{report:?}");
    let pin = "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let pinned = trusting.clone().pinning(&[onceward_uplink::Pin::parse(pin).unwrap()]).unwrap();
    let report = drain(&terminal, to().with_tls_of(&pinned));
    assert!(report.unreachable && report.attempted == 0, "{report:?}");
    let report = drain(&terminal, to().with_tls_of(&trusting));
    assert_eq!(report.accepted, 5, "{report:?}");
}

#[test]
fn a_terminal_that_asks_for_tls_sends_nothing_to_a_server_without() {
    let server = Server::start();
    Reader::of(&[&server.url()]).make("SALES", "");
    let terminal = Terminal::with(5, &["default"]);
    let to = NatsOptions::new(&[&format!("tls://127.0.0.1:{}", server.port)], "SALES").unwrap();
    let report = drain(&terminal, to);
    assert!(report.unreachable && report.attempted == 0, "{report:?}");
    assert_eq!(terminal.pending(), 5);
}
