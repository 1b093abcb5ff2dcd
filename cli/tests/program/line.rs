//! What a terminal takes, its upstream takes; and the way to an upstream is the one that was asked for.
//! Method: the built program against a real hub that is asked by hand, too, and against proxies of a few lines.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};

use tempfile::tempdir;

use crate::process::{Ended, KEY, capture, on_store, onceward, run, serve};

/// Lets plain http go to other machines.
const PLAIN: &str = "--allow-plain-http";

/// `onceward capture --dialect NAME --store DIR` with `input`.
fn capture_for(dialect: &str, store: &Path, input: &str) -> Ended {
    let mut command = onceward();
    command.args(["capture", "--dialect", dialect, "--store"]).arg(store);
    run(&mut command, input.as_bytes())
}

/// `onceward sync --once`, with these arguments and variables besides.
fn sync(store: &Path, url: &str, args: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", "wede", "--to", url, "--store"]).arg(store);
    for name in
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"]
    {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.args(args).env("ONCEWARD_API_KEY", KEY).envs(variables.iter().copied());
    run(&mut command, b"")
}

/// The status that the hub gives to a body.
fn post(url: &str, path: &str, body: &str) -> String {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

/// Payloads for Wede around each limit.
fn wede_payloads() -> Vec<String> {
    let nested =
        |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    let members = |count: usize| {
        let members: Vec<_> = (0..count).map(|number| format!("\"m{number}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    let card = |card: &str| format!("{{\"qr_code_data\":{card}}}");
    let mut payloads = vec![nested(61), nested(62), nested(100), members(4_096), members(4_097)];
    let longest = format!("\"{}\"", "c".repeat(255));
    let too_long = format!("\"{}\"", "c".repeat(256));
    payloads.extend(["null", "7", "\"\"", "\"c\"", &longest, &too_long].map(card));
    let texts = [
        "{}",
        "[]",
        "7",
        "\"text\"",
        "null",
        r#"{"a":1,"a":1}"#,
        r#"{"a":{"b":1,"\u0062":2}}"#,
        r#"{"a":"\ud83d"}"#,
        r#"{"a":"\ud83d\ude00"}"#,
        r#"{"\ud83d":1}"#,
        r#"{"a":1e400}"#,
        r#"{"a":1e300,"b":-0.0,"c":1E-400}"#,
        r#"{"a":123456789012345678901234567890.123}"#,
        r#"{"amount":"many"}"#,
    ];
    payloads.extend(texts.map(str::to_owned));
    // The item has 51 bytes besides the text.
    payloads.extend(
        (65_470..65_500).step_by(3).map(|bytes| format!("{{\"note\":\"{}\"}}", "n".repeat(bytes))),
    );
    payloads
}

#[test]
fn what_capture_takes_for_wede_the_hub_takes_and_what_it_refuses_the_hub_refuses() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    let hub = serve(&data, None);
    let payloads = wede_payloads();
    let line = |(n, payload): (usize, &String)| {
        format!("{{\"key\":\"k{n:03}\",\"kind\":\"t\",\"payload\":{payload}}}\n")
    };
    let input: String = payloads.iter().enumerate().map(line).collect();
    let verdicts = capture_for("wede", &store, &input).expect(1).column("verdict");
    assert_eq!(verdicts.len(), payloads.len());
    for ((n, payload), verdict) in payloads.iter().enumerate().zip(&verdicts) {
        let event =
            format!("{{\"type\":\"t\",\"idempotency_key\":\"k{n:03}\",\"payload\":{payload}}}");
        let moment = "2026-03-10T14:22:05.000Z";
        let body =
            format!("{{\"events\":[{event}],\"device_id\":\"d\",\"captured_at\":\"{moment}\"}}");
        let status = post(&hub.url, "/v1/sync/batch", &body);
        let expected = if verdict == "fresh" { "200" } else { "422" };
        assert_eq!(status, expected, "{payload:.100}: {verdict}");
    }
    assert!(verdicts.iter().any(|verdict| verdict == "refused"), "control");
    sync(&store, &hub.url, &[], &[]).expect(0);
}

/// A purchase with one member more, or instead of the one with its name.
fn purchase(name: &str, value: &str) -> String {
    let mut members = vec![
        ("qr_code_data", "\"q\""),
        ("location_id", "\"l\""),
        ("staff_user_id", "\"s\""),
        ("purchase_amount", "1.25"),
    ];
    members.retain(|(known, _)| *known != name);
    members.push((name, value));
    members.retain(|(_, value)| !value.is_empty());
    let members: Vec<_> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn what_capture_takes_for_forloy_the_hub_takes_and_what_it_refuses_the_hub_refuses() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    let hub = serve(&data, None);
    let (longest, too_long) =
        (format!("\"{}\"", "c".repeat(255)), format!("\"{}\"", "c".repeat(256)));
    let mut payloads = Vec::new();
    for name in ["qr_code_data", "location_id", "pos_reference_id", "pos_terminal_id"] {
        for value in ["", "null", "7", "\"\"", "\"x\"", "\"\\ud83d\"", &longest, &too_long] {
            payloads.push(purchase(name, value));
        }
    }
    for value in [
        "0",
        "24.50",
        "1.000000",
        "1.00001",
        "-0",
        "-1",
        "1e2",
        "\"1\"",
        "null",
        "",
        "1e400",
        "922337203685477.5807",
        "922337203685477.5808",
    ] {
        payloads.push(purchase("purchase_amount", value));
    }
    for value in ["0", "4294967295", "4294967296", "-1", "1.0", "1e1", "\"1\"", "null"] {
        payloads.push(purchase("punch_count", value));
    }
    for value in ["\"\"", "null", "7", "\"some\"", &too_long] {
        payloads.push(purchase("transaction_notes", value));
    }
    for value in [
        "null",
        "\"\"",
        "7",
        "\"2026-11-29T12:00:00Z\"",
        "\"2026-11-29t12:00:00.123456789+01:00\"",
        "\"2026-11-29T12:00:00\"",
        "\"20261129T120000Z\"",
        "\"2026-11-29 12:00:00Z\"",
        "\"2026-11-29T12:00:00+01:00[Europe/Berlin]\"",
        "\"2026-11-29T12:00:60Z\"",
        "\"2026-02-29T12:00:00Z\"",
        "\"9999-12-31T23:59:59Z\"",
        "\"9999-12-31T23:59:59-01:00\"",
    ] {
        payloads.push(purchase("client_timestamp", value));
    }
    payloads.push(purchase("tip", "1"));
    payloads.push("[]".to_owned());
    let line =
        |(n, payload): (usize, &String)| format!("{{\"key\":\"k{n:03}\",\"payload\":{payload}}}\n");
    let input: String = payloads.iter().enumerate().map(line).collect();
    let verdicts = capture_for("forloy", &store, &input).expect(1).column("verdict");
    for ((n, payload), verdict) in payloads.iter().enumerate().zip(&verdicts) {
        let key = format!("\"idempotency_key\":\"k{n:03}\"");
        let item = payload
            .strip_suffix('}')
            .map_or_else(|| payload.clone(), |start| format!("{start},{key}}}"));
        let status =
            post(&hub.url, "/api/v1/transactions/sync", &format!("{{\"transactions\":[{item}]}}"));
        let expected = if verdict == "fresh" { "200" } else { "422" };
        assert_eq!(status, expected, "{payload:.200}: {verdict}");
    }
    assert!(verdicts.iter().any(|verdict| verdict == "refused"), "control");
}

#[test]
fn what_can_never_be_sent_is_refused_by_name_at_capture_and_goes_to_review_unsent_otherwise() {
    let dir = tempdir().unwrap();
    let (mild, strict) = (dir.path().join("mild"), dir.path().join("strict"));
    // A moment is judged alike however it is spelled.
    let edges = "{\"key\":\"late\",\"payload\":{},\"captured_at\":\"9999-12-31T23:59:59Z\"}\n\
                 {\"key\":\"first\",\"payload\":{},\"captured_at\":-62167219200000}\n\
                 {\"key\":\"early\",\"payload\":{},\"captured_at\":\"0000-01-01T00:00:00Z\"}\n\
                 {\"key\":\"year 0\",\"payload\":{},\"captured_at\":\"0000-06-01T00:00:00Z\"}\n";
    let judged = capture_for("wede", &dir.path().join("edges"), edges).expect(1);
    assert_eq!(judged.column("verdict"), ["refused", "refused", "refused", "fresh"]);
    let input = "{\"key\":\"late\",\"payload\":{},\"captured_at\":253402300799000}\n\
                 {\"key\":\"text\",\"payload\":{},\"captured_at\":\"9999-12-31T23:59:59Z\"}\n\
                 {\"key\":\"twice\",\"payload\":{\"a\":1,\"a\":2}}\n\
                 {\"key\":\"good\",\"payload\":{}}\n";
    let refused = capture_for("wede", &strict, input).expect(1);
    assert_eq!(refused.column("verdict"), ["refused", "refused", "refused", "fresh"]);
    let errors = refused.column("error");
    assert!(errors[0].contains("UNSENDABLE") && errors[0].contains("captured_at"), "{}", errors[0]);
    assert!(errors[2].contains("payload.a: is there twice"), "{}", errors[2]);
    assert_eq!(on_store("status", &strict).expect(0).last_json()["pending"], 1);

    // With its scope before it, as it would be sent, a key may be too long.
    let long = format!("{{\"key\":\"{}\",\"payload\":{{}}}}\n", "k".repeat(249));
    for (scope, code) in [("default", 0), ("tip", 0), ("tips", 0), ("tipss", 1)] {
        let mut command = onceward();
        command.args(["capture", "--dialect", "wede", "--scope", scope, "--store"]).arg(&strict);
        let ended = run(&mut command, long.as_bytes()).expect(code);
        assert!(code == 0 || ended.out.contains("key: has 256 bytes"), "{}", ended.out);
    }

    capture(&mild, input).expect(0);
    let hub = serve(&dir.path().join("data"), None);
    let summary = sync(&mild, &hub.url, &[], &[]).last_json();
    assert_eq!((&summary["attempted"], &summary["accepted"]), (&1.into(), &1.into()), "{summary}");
    assert_eq!(summary["in_review"], 3, "{summary}");
}

#[test]
fn a_wrong_path_and_a_wrong_key_at_the_right_hub_are_told_apart_and_leave_everything_pending() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    capture(&store, "{\"key\":\"k\",\"payload\":{}}\n").expect(0);
    let hub = serve(&data, None);
    let wrong_path = sync(&store, &format!("{}/till", hub.url), &[], &[]).expect(8);
    assert!(wrong_path.err.contains("is the address right?"), "{}", wrong_path.err);
    let wrong_key = [("ONCEWARD_API_KEY", "another_key")];
    assert!(sync(&store, &hub.url, &[], &wrong_key).expect(6).err.contains("UNAUTHORIZED"));
    assert_eq!(on_store("status", &store).expect(0).last_json()["in_review"], 0);
    sync(&store, &hub.url, &[], &[]).expect(0);
}

#[test]
fn a_moment_is_rfc_3339_to_the_letter() {
    let dir = tempdir().unwrap();
    let line = |moment: &str| {
        format!("{{\"key\":\"{moment}\",\"payload\":1,\"captured_at\":\"{moment}\"}}\n")
    };
    let bad = [
        "20261129T120000Z",
        "2026-11-29 12:00:00Z",
        "2026-11-29T12:00:00+01:00[Europe/Berlin]",
        "2026-11-29T12:00:60Z",
        "2026-11-29T12:00:00",
        "2026-02-29T12:00:00Z",
    ];
    let input: String = bad.iter().map(|moment| line(moment)).collect();
    let refused = capture(dir.path(), &input).expect(1);
    assert_eq!(refused.column("verdict"), ["refused"; 6]);
    let reason = &refused.column("error")[4];
    assert!(reason.contains("captured_at: has no offset from UTC"), "{reason}");
    let good = ["9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "2026-11-29T12:00:00.5+01:00"];
    capture(dir.path(), &good.iter().map(|moment| line(moment)).collect::<String>()).expect(0);
    let shown = on_store("dump", dir.path()).expect(0).column("captured_at");
    let moments =
        ["9999-12-31T23:59:59.000Z", "0000-01-01T00:00:00.000Z", "2026-11-29T11:00:00.500Z"];
    assert_eq!(shown, moments);
}

#[test]
fn proxies_and_certificates_that_cannot_be_honoured_are_refused_before_anything_is_sent() {
    let dir = tempdir().unwrap();
    let (store, folder) = (dir.path().join("store"), dir.path().join("folder"));
    capture(&store, "{\"key\":\"k\",\"payload\":{}}\n").expect(0);
    fs::create_dir(&folder).unwrap();
    let (missing, empty) = (folder.join("none.pem"), folder.join("some.pem"));
    fs::write(&empty, "no certificate").unwrap();
    let [missing, empty, folder] = [&missing, &empty, &folder].map(|path| path.to_str().unwrap());
    // What is wrong with what was given is 2, a file that cannot be read is 1.
    for (code, args, variables, expected) in [
        (2, &["--proxy", "socks5://u:pass@p:1"][..], &[][..], ": --proxy: socks5 proxies are not"),
        (2, &[], &[("ALL_PROXY", "socks5://u:pass@p:1")], ": ALL_PROXY: socks5 proxies are not"),
        (2, &[], &[("HTTPS_PROXY", "r32/?//52:pass")], ": HTTPS_PROXY: is no address of a proxy"),
        (2, &["--ca", empty], &[], ": --ca: has no certificate in it"),
        (2, &[], &[("SSL_CERT_FILE", empty)], ": SSL_CERT_FILE: has no certificate in it"),
        (2, &[], &[("SSL_CERT_DIR", folder)], ": SSL_CERT_DIR: has no certificate in it"),
        (1, &["--ca", missing], &[], ": --ca: cannot read "),
        (1, &["--ca", "/dev/null"], &[], "/dev/null: it is not a regular file"),
        (1, &[], &[("SSL_CERT_FILE", missing)], ": SSL_CERT_FILE: cannot read "),
        (1, &[], &[("SSL_CERT_DIR", missing)], ": SSL_CERT_DIR: cannot read "),
        (1, &["--api-key-file", missing], &[], ": --api-key-file: cannot read "),
        (2, &["--api-key-file", empty], &[], ": --api-key-file: "),
    ] {
        let ended = sync(&store, "https://hub.invalid", args, variables).expect(code);
        assert!(ended.err.contains(expected) && !ended.err.contains("pass"), "{}", ended.err);
    }
    // What the arguments say makes the environment's word unnecessary, in any letters.
    let broken = [("ALL_PROXY", "socks5://p:1"), ("SSL_CERT_FILE", missing)];
    // An address that is not this machine by its name, and where nobody listens.
    let here = "http://0.0.0.0:1";
    for none in ["none", "NONE", "None"] {
        let ended = sync(&store, here, &["--proxy", none, PLAIN], &broken).expect(5);
        assert!(
            ended.err.contains("POST http://0.0.0.0:1/v1/sync/batch: connection refused"),
            "{}",
            ended.err
        );
    }
    for (name, spared) in [("NO_PROXY", "*"), ("no_proxy", "0.0.0.0"), ("NO_PROXY", "0.0.0.0/8")] {
        let variables = [("HTTP_PROXY", "http://127.0.0.1:2"), (name, spared)];
        let ended = sync(&store, here, &[PLAIN], &variables).expect(5);
        assert!(
            ended.err.contains("POST http://0.0.0.0:1/v1/sync/batch: connection refused"),
            "{name}: {}",
            ended.err
        );
    }
    let through =
        sync(&store, "http://hub.invalid", &["--proxy", "http://127.0.0.1:1", PLAIN], &[]);
    let expected = "the proxy http://127.0.0.1:1 (named by --proxy): connection refused";
    let through = through.expect(5);
    assert!(through.err.contains(expected), "{}", through.err);
}

#[test]
fn a_dead_proxy_is_told_as_the_proxy_and_a_living_one_is_asked_by_the_full_name() {
    let dir = tempdir().unwrap();
    capture(dir.path(), "{\"key\":\"k\",\"payload\":{}}\n").expect(0);
    let dead = [("HTTP_PROXY", "http://127.0.0.1:1"), ("HTTPS_PROXY", "http://127.0.0.1:2")];
    let ended = sync(dir.path(), "http://hub.invalid", &[PLAIN], &dead).expect(5);
    assert!(
        ended
            .err
            .contains("the proxy http://127.0.0.1:1 (named by HTTP_PROXY): connection refused"),
        "{}",
        ended.err
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = [0; 64];
        let count = stream.read(&mut seen).unwrap();
        String::from_utf8_lossy(&seen[..count]).into_owned()
    });
    sync(dir.path(), "http://hub.invalid/x", &[PLAIN], &[("http_proxy", &proxy)]).expect(5);
    let seen = asked.join().unwrap();
    assert!(seen.starts_with("POST http://hub.invalid:80/x/v1/sync/batch HTTP/1.1\r\n"), "{seen}");
}
