//! What an operator asks of TLS besides: authorities of his own, certificates of terminals, pinned keys.
//! Method: servers by TLS that say what they could read, and a proxy by TLS before one of them.

use super::private::{Authority, Leaf, serve, showing};
use super::*;
use crate::{ErrorKind, Pin};

/// The line to a server that shows a certificate of `authority`, and trusts it.
fn trusting(server: &Server, authority: &Authority) -> Line {
    server.private_line().trusting_also(authority.pem().as_bytes()).unwrap()
}

#[test]
fn authorities_are_added_to_those_that_are_built_in_unless_only_they_are_asked_for() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let count = |line: &Line| line.terms.authorities.roots().len();
    let server = Server::private(3, showing(&ours.sign(), None));
    let bare = server.private_line();
    let built_in = count(&bare);
    assert!(built_in > 50, "control: {built_in}");
    let both = trusting(&server, &ours).trusting_also(other.pem().as_bytes()).unwrap();
    assert_eq!(count(&both), built_in + 2);
    assert_eq!(both.send(request()).unwrap().status, 200);
    let only = both.clone().trusting_only_given().unwrap();
    assert_eq!(count(&only), 2);
    assert_eq!(only.send(request()).unwrap().status, 200);
    let replaced = both.trusting(other.pem().as_bytes()).unwrap();
    assert_eq!(count(&replaced), 1);
    assert!(failure(&replaced).contains("UnknownIssuer"));
    assert_eq!(server.seen().iter().filter(|seen| seen.contains(KEY)).count(), 2);
    let nobody = bare.trusting_only_given().unwrap_err();
    assert!(nobody.to_string().contains("no authority was given"), "{nobody}");
}

#[test]
fn an_upstream_that_wants_a_certificate_gets_it_and_a_terminal_without_is_told() {
    let (ours, tills) = (Authority::new("ours"), Authority::new("tills"));
    let server = Server::private(4, showing(&ours.sign(), Some(&tills)));
    let line = trusting(&server, &ours);
    let (till, stranger) = (tills.sign(), Authority::new("strangers").sign());
    let with = |leaf: &Leaf| {
        let key = Secret::new(leaf.key.serialize_pem());
        line.clone().with_client_certificate(leaf.pem.as_bytes(), key).unwrap()
    };
    assert_eq!(with(&till).send(request()).unwrap().status, 200);
    let why = failure(&line);
    assert!(why.contains("wants a certificate of this terminal") && why.contains("--client-cert"));
    let why = failure(&with(&stranger));
    assert!(why.contains("it refuses the certificate of this terminal"), "{why}");
    // The next one is not taken for one without a certificate.
    assert_eq!(with(&till).send(request()).unwrap().status, 200);
    let read: Vec<bool> = server.seen().iter().map(|seen| seen.contains(KEY)).collect();
    assert_eq!(read, [true, false, false, true]);
}

#[test]
fn a_certificate_of_the_terminal_must_have_its_key_and_shows_nothing_of_it() {
    let tills = Authority::new("tills");
    let (till, other) = (tills.sign(), tills.sign());
    let line = || Line::direct("https://hub.example", None, Timeouts::default()).unwrap();
    let key = till.key.serialize_pem();
    let secret: String = key.lines().skip(1).take(1).collect();
    let shown = line().with_client_certificate(till.pem.as_bytes(), Secret::new(&key)).unwrap();
    assert!(!format!("{shown:?} {:?}", shown.tls).contains(&secret));
    let damaged = key.replacen(&secret[..8], "AAAAAAAA", 1);
    for (pem, key, expected) in [
        ("", key.clone(), "client certificate: has no certificate in it"),
        (&till.pem, String::new(), "client key: has no private key in it"),
        (&till.pem, till.pem.clone(), "client key: has no private key in it"),
        (
            &till.pem,
            key.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            "client key: the key needs a pass",
        ),
        (&till.pem, damaged, "client key: is no key that TLS can use"),
        (&other.pem, key.clone(), "client key: is not the key of the certificate"),
    ] {
        let secret_key = Secret::new(key);
        let refused = line().with_client_certificate(pem.as_bytes(), secret_key).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        let text = format!("{refused} {refused:?}");
        assert!(text.starts_with(expected) && !text.contains(&secret), "{expected}: {text}");
    }
    let plain = Line::direct("http://127.0.0.1", None, Timeouts::default()).unwrap();
    let refused = plain.with_client_certificate(till.pem.as_bytes(), Secret::new(key));
    assert!(refused.unwrap_err().to_string().contains("must be https"));
}

#[test]
fn a_chain_without_a_pinned_key_is_refused_and_its_keys_are_named() {
    let root = Authority::new("root");
    let between = root.below("between");
    let leaf = between.sign();
    let other = Authority::new("other").pin();
    let pins: [&[Pin]; 5] =
        [&[leaf.pin()], &[between.pin()], &[root.pin()], &[other, leaf.pin()], &[other]];
    let server = Server::private(pins.len(), showing(&leaf, None));
    let line = trusting(&server, &root);
    for pinned in &pins[..4] {
        let line = line.clone().pinning(pinned).unwrap();
        assert_eq!(line.send(request()).unwrap().status, 200, "{pinned:?}");
    }
    let why = failure(&line.pinning(pins[4]).unwrap());
    for seen in [leaf.pin(), between.pin(), root.pin()] {
        assert!(why.contains(&seen.to_string()), "{seen} is not in: {why}");
    }
    assert!(why.contains("none of the pinned ones") && !why.contains(&other.to_string()), "{why}");
    let read: Vec<bool> = server.seen().iter().map(|seen| seen.contains(KEY)).collect();
    assert_eq!(read, [true, true, true, true, false]);
}

#[test]
fn a_pinned_certificate_that_is_only_sent_along_and_one_that_nobody_signed_do_not_count() {
    let (ours, evil) = (Authority::new("ours"), Authority::new("evil"));
    let right = ours.sign();
    // Somebody in between with an authority that is trusted too, who sends the right certificates behind his own.
    let mut chain = evil.sign();
    chain.chain.extend([right.chain[0].clone(), ours.der()]);
    let server = Server::private(2, showing(&chain, None));
    let line = trusting(&server, &ours).trusting_also(evil.pem().as_bytes()).unwrap();
    assert_eq!(line.send(request()).unwrap().status, 200, "control: without a pin it is taken");
    let why = failure(&line.pinning(&[right.pin(), ours.pin()]).unwrap());
    assert!(why.contains("none of the pinned ones"), "{why}");
    assert!(why.contains(&chain.pin().to_string()), "{why}");
    assert_eq!(server.seen()[1], "");
    // A pin does not stand for an authority.
    let server = Server::private(1, showing(&right, None));
    let why = failure(&server.private_line().pinning(&[right.pin()]).unwrap());
    assert!(why.contains("UnknownIssuer"), "{why}");
    assert_eq!(server.seen(), [""]);
}

#[test]
fn pins_are_hashes_and_mean_nothing_without_tls() {
    let good = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let pin = Pin::parse(good).unwrap();
    for bad in ["", "sha1/AAAA", "sha256/", "sha256/????", &good[..30], &good[7..], "sha256/AAAA"] {
        let refused = Pin::parse(bad).unwrap_err();
        assert!(refused.to_string().starts_with("pin: "), "{bad}: {refused}");
    }
    let line = |to| Line::direct(to, None, Timeouts::default()).unwrap();
    assert!(line("https://hub.example").pinning(&[]).is_err());
    let refused = line("http://127.0.0.1").pinning(&[pin]).unwrap_err();
    assert!(refused.to_string().contains("must be https"), "{refused}");
}

#[test]
fn a_proxy_by_tls_is_checked_too_but_sees_neither_the_certificate_nor_the_key_of_the_terminal() {
    let (ours, tills) = (Authority::new("ours"), Authority::new("tills"));
    let (upstream, proxys, till) = (ours.sign(), ours.sign(), tills.sign());
    let (inner, outer) = (showing(&upstream, Some(&tills)), showing(&proxys, None));
    // The upstream is behind the proxy on the same connection.
    let proxy = Server::start(1, move |stream| {
        let mut connection = rustls::ServerConnection::new(Arc::clone(&outer)).unwrap();
        let mut tunnel = rustls::Stream::new(&mut connection, stream);
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            tunnel.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        tunnel.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        head.extend(b"BEHIND ");
        head.extend(serve(&inner, &mut tunnel));
        head
    });
    let line = Line::direct("https://localhost:1", Some(Secret::new(KEY)), Timeouts::default());
    let line = line.unwrap().through("--proxy", &format!("https://{}", proxy.address)).unwrap();
    let line = line.trusting(ours.pem().as_bytes()).unwrap().pinning(&[upstream.pin()]).unwrap();
    let key = Secret::new(till.key.serialize_pem());
    let line = line.with_client_certificate(till.pem.as_bytes(), key).unwrap();
    assert_eq!(line.send(request()).unwrap().status, 200);
    let seen = proxy.seen().remove(0);
    let (by_proxy, by_upstream) = seen.split_once("BEHIND ").unwrap();
    assert!(by_proxy.starts_with("CONNECT localhost:1 ") && !by_proxy.contains(KEY), "{by_proxy}");
    assert!(by_upstream.contains(KEY), "{by_upstream}");
}
