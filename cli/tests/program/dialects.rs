//! A file describes a dialect: the program checks it, shows what it does, and syncs by it.
//! Method: run the built program with files, and against a server that answers as a webhook does.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    thread,
};

use tempfile::{TempDir, tempdir};

use crate::process::{Ended, KEY, ask, capture, onceward, run, serve};

/// The built-in file of that name, in a directory.
fn shown(dir: &TempDir, name: &str) -> String {
    let path = dir.path().join(format!("{name}.toml")).to_str().unwrap().to_owned();
    fs::write(&path, ask(&["dialect", "show", name]).expect(0).out).unwrap();
    path
}

/// `dialect check` with more arguments.
fn check(file: &str, more: &[&str]) -> Ended {
    ask(&[&["dialect", "check", file], more].concat())
}

#[test]
fn the_files_that_come_with_it_are_listed_and_shown_and_pass_the_check() {
    let dir = tempdir().unwrap();
    let list = ask(&["dialect", "list"]).expect(0).out;
    let names: Vec<&str> = list.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        names,
        ["cloudevents", "cloudevents-batch", "stripe-like", "webhook", "wede-single"]
    );
    for name in names {
        let out = check(&shown(&dir, name), &[]).expect(0).out;
        assert!(out.starts_with(&format!("# dialect {name}: ")), "{out}");
        assert!(out.contains("sample-1"), "{out}");
    }
    let refused = ask(&["dialect", "show", "nothing"]).expect(2);
    assert!(refused.err.contains("webhook"), "{}", refused.err);
}

#[test]
fn a_check_prints_the_request_of_an_event() {
    let dir = tempdir().unwrap();
    let event = dir.path().join("event.json").to_str().unwrap().to_owned();
    fs::write(&event, "{\"key\": \"k 1\",\n \"kind\": \"tip\", \"payload\": {\"t\": 1.0}}\n")
        .unwrap();
    let out = check(&shown(&dir, "webhook"), &["--event", &event]).expect(0).out;
    let lines: Vec<&str> = out.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "POST /hook HTTP/1.1",
            "X-Webhook-Key: [the terminal's key]",
            "Content-Type: application/json",
            "Idempotency-Key: k 1",
            "X-Device: sample-device",
            "X-Event-Kind: tip",
            "",
            "{\"t\":1.0}",
            "",
        ]
    );
    fs::write(&event, "{\"key\": \"k\\u00e9\", \"payload\": 1}").unwrap();
    let refused = check(&shown(&dir, "webhook"), &["--event", &event]).expect(1);
    assert!(refused.err.contains("header Idempotency-Key"), "{}", refused.err);
    fs::write(&event, "{\"payload\": 1}").unwrap();
    let refused = check(&shown(&dir, "webhook"), &["--event", &event]).expect(2);
    assert!(refused.err.contains("event.json: key: missing"), "{}", refused.err);
}

#[test]
fn a_check_prints_how_an_answer_is_read() {
    let dir = tempdir().unwrap();
    let (batch, reply) = (shown(&dir, "cloudevents-batch"), dir.path().join("reply.json"));
    let read = |status: &str, body: &str, more: &[&str]| {
        fs::write(&reply, body).unwrap();
        let typed = ["--header", "Content-Type: application/json", "--status", status];
        let args = [&typed[..], &["--reply", reply.to_str().unwrap()], more].concat();
        let out = check(&batch, &args).expect(0).out;
        let lines: Vec<String> = out.lines().map(str::to_owned).collect();
        let at = lines.iter().position(|line| line.ends_with("is read as")).unwrap();
        lines[at + 1..].to_vec()
    };
    let results = r#"{"results":[{"id":"sample-1","status":"accepted","receipt":"r-1"},
        {"id":"other","status":"error","error":{"code":"bad","message":"no"}}]}"#;
    assert_eq!(
        read("207", results, &[]),
        [
            "sample-1: accepted, receipt r-1",
            "other: rejected, it goes to review: bad: no (not the event that was sent)",
        ]
    );
    assert_eq!(read("200", r#"{"results":[]}"#, &[]), ["sample-1: not named: it stays pending"]);
    let busy = read("503", r#"{"error":{"code":"busy"}}"#, &["--header", "Retry-After: 2"]);
    assert!(busy[0].starts_with(
        "request: the upstream has no answer for now, it is sent again after 2000 ms"
    ));
    let page = read("200", "<html>", &[]);
    assert!(page[0].starts_with("request: this proves nothing"), "{page:?}");
    let unknown = read("404", r#"{"error":{"code":"event_not_found"}}"#, &["--lookup"]);
    assert_eq!(unknown, ["sample-1: unknown: the upstream never got it"]);
}

#[test]
fn a_wrong_file_is_named_with_line_and_column() {
    let dir = tempdir().unwrap();
    let good = shown(&dir, "webhook");
    let text = fs::read_to_string(&good).unwrap();
    let wrong = dir.path().join("wrong.toml").to_str().unwrap().to_owned();
    fs::write(&wrong, text.replace("items = \"one\"", "items = \"two\"")).unwrap();
    let said = format!(
        "onceward: {wrong}:8:9: request.items: \"two\" is neither (allowed: \"one\", \"array\")"
    );
    assert_eq!(check(&wrong, &[]).expect(2).err.trim(), said);
    let store = dir.path().join("store");
    capture(&store, "").expect(0);
    let dialect = format!("http:{wrong}");
    let store = store.to_str().unwrap();
    let sync = ["sync", "--once", "--store", store, "--to", "http://127.0.0.1:1", "--dialect"];
    assert_eq!(ask(&[&sync[..], &[&dialect]].concat()).expect(2).err.trim(), said);
    let capture = ask(&["capture", "--store", store, "--dialect", &dialect]).expect(2);
    assert_eq!(capture.err.trim(), said);
    let missing = ask(&[&sync[..], &["http:/no/such/file"]].concat()).expect(1);
    assert!(missing.err.contains("cannot read /no/such/file"), "{}", missing.err);
    for (name, what) in
        [("wide", "forloy, wede, onceward, nats, http:FILE"), ("http:", "needs the file")]
    {
        let refused = ask(&[&sync[..], &[name]].concat()).expect(2);
        assert!(refused.err.contains(what), "{}", refused.err);
    }
    let bare = ask(&[&sync[..], &[good.as_str()]].concat()).expect(2);
    assert!(bare.err.contains(&format!("a file is given as http:{good};")), "{}", bare.err);
}

#[test]
fn an_answer_without_a_status_has_the_first_that_confirms() {
    let dir = tempdir().unwrap();
    let (batch, reply) = (shown(&dir, "cloudevents-batch"), dir.path().join("reply.json"));
    let answer = ["--header", "Content-Type: application/json", "--reply", reply.to_str().unwrap()];
    fs::write(&reply, r#"{"results":[{"id":"sample-1","status":"created"}]}"#).unwrap();
    let out = check(&batch, &answer).expect(0).out;
    let told = "\n# status 200, the first of the file's `statuses`, is read as\n\
                sample-1: transient, it is sent again: \"created\" at /status (reply.outcome) is in none of the file's lists\n";
    assert!(out.ends_with(told), "{out}");
    let refused = check(&shown(&dir, "webhook"), &["--lookup"]).expect(2);
    assert!(refused.err.contains("--reply"), "{}", refused.err);
    let none = [&answer[..], &["--lookup"]].concat();
    let none = check(&shown(&dir, "webhook"), &none).expect(2);
    assert!(none.err.contains("the file has no [lookup]"), "{}", none.err);
}

#[test]
fn a_check_prints_json_and_a_horizon_in_units_that_people_use() {
    let dir = tempdir().unwrap();
    let (batch, reply) = (shown(&dir, "cloudevents-batch"), dir.path().join("reply.json"));
    let head = check(&batch, &[]).expect(0).out;
    assert!(head.lines().next().unwrap().ends_with(" 7 days (604800 s)"), "{head}");
    fs::write(&reply, r#"{"results":[{"id":"sample-1","status":"accepted"}]}"#).unwrap();
    let kind = ["--header", "Content-Type: application/json"];
    let more = [&kind[..], &["--json", "--status", "207", "--reply", reply.to_str().unwrap()]];
    let json = check(&batch, &more.concat()).expect(0).last_json();
    assert_eq!(
        (&json["dialect"], &json["horizon_ms"]),
        (&"cloudevents-batch".into(), &604_800_000.into())
    );
    assert_eq!(
        (&json["request"]["method"], &json["lookup"]["path"]),
        (&"POST".into(), &"/events/sample-1".into())
    );
    assert!(json["request"]["body"].as_str().unwrap().contains("sample-1"), "{json}");
    let item = &json["reply"]["items"][0];
    assert_eq!((&json["reply"]["status"], &item["outcome"]), (&207.into(), &"accepted".into()));
    fs::write(&reply, "<html>").unwrap();
    let json = check(&batch, &more.concat()).expect(0).last_json();
    assert_eq!(json["reply"]["request"]["outcome"], "not_recognised", "{json}");
    let list = ask(&["dialect", "list", "--json"]).expect(0);
    assert_eq!(list.column("name").len(), 5);
}

/// The document of dialects.
const DOCUMENT: &str = include_str!("../../../uplink/DIALECTS.md");

#[test]
fn the_lines_in_the_document_are_captured_and_taken_by_the_hub() {
    for (dialect, fields) in [
        ("forloy", &["qr_code_data", "location_id", "staff_user_id", "purchase_amount"][..]),
        ("wede", &[]),
    ] {
        let dir = tempdir().unwrap();
        let store = dir.path().join("store");
        let hub = serve(&dir.path().join("data"), None);
        let before = format!("`onceward capture --dialect {dialect}`:\n\n```json\n");
        let line = DOCUMENT.split_once(&before).unwrap().1.lines().next().unwrap();
        let captured = |line: &str, code: i32| {
            let mut command = onceward();
            command.args(["capture", "--dialect", dialect, "--store"]).arg(&store);
            run(&mut command, format!("{line}\n").as_bytes()).expect(code)
        };
        for field in fields {
            let without = line.replace(field, "pos_terminal_id");
            let refused = captured(&without, 1);
            assert!(
                refused.out.contains(&format!("{field}: the field is missing")),
                "{}",
                refused.out
            );
            assert!(DOCUMENT.contains(&format!("| `{field}` | yes |")), "{field}");
        }
        captured(line, 0);
        let mut command = onceward();
        command.args(["sync", "--once", "--dialect", dialect, "--to", &hub.url, "--store"]);
        let sent = run(command.arg(&store).env("ONCEWARD_API_KEY", KEY), b"").expect(0);
        assert_eq!(sent.last_json()["accepted"], 1, "{dialect}");
    }
}

/// A server that takes `count` requests, one a connection, and answers each with 201; what came.
fn webhook(count: usize) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let taken = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut seen, mut block) = (String::new(), [0; 4_096]);
        while !seen.ends_with('}') {
            let count = stream.read(&mut block).unwrap();
            assert!(count > 0, "{seen}");
            seen.push_str(str::from_utf8(block.get(..count).unwrap()).unwrap());
        }
        let answer = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
        seen
    };
    (url, thread::spawn(move || (0..count).map(|_| taken()).collect()))
}

#[test]
fn a_sync_goes_by_the_file() {
    let dir = tempdir().unwrap();
    let dialect = format!("http:{}", shown(&dir, "webhook"));
    let store = dir.path().join("store");
    let (a, b) = (r#"{"key":"a","payload":{"n":1.50}}"#, r#"{"key":"b","payload":{"n":2}}"#);
    let mut command = onceward();
    command.args(["capture", "--dialect", &dialect, "--store"]).arg(&store);
    let odd = r#"{"key":" ","payload":{}}"#;
    let answers = run(&mut command, format!("{a}\n{b}\n{odd}\n").as_bytes()).expect(1);
    assert!(answers.out.contains("header Idempotency-Key"), "{}", answers.out);
    let (url, server) = webhook(2);
    let ended = sync(&store, &url, &dialect).expect(0);
    assert_eq!(ended.last_json()["accepted"], 2);
    let seen = server.join().unwrap();
    let first = seen[0].to_ascii_lowercase();
    assert!(first.starts_with("post /hook http/1.1\r\n"), "{first}");
    for header in
        ["idempotency-key: a\r\n", "x-webhook-key: some-key-1\r\n", "x-device: till-7\r\n"]
    {
        assert!(first.contains(header), "{first}");
    }
    assert!(seen[0].ends_with("\r\n\r\n{\"n\":1.50}") && seen[1].ends_with("{\"n\":2}"));
}

/// `sync --once` as the device `till-7`.
fn sync(store: &Path, url: &str, dialect: &str) -> Ended {
    let mut command = onceward();
    command.args(["sync", "--once", "--device-id", "till-7", "--api-key", "some-key-1"]);
    run(command.args(["--to", url, "--dialect", dialect, "--store"]).arg(store), b"")
}
