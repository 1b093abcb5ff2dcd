//! The program says what is so: of files without an end, stores that are not there, other scopes, and foreign files.
//! Method: run the built program into each of these and read what it says.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{
    Guarded, KEY, ask, capture, first_line, flip, lines, on_store, onceward, run, send, serve,
};

/// The answer to a request without a body.
fn get(url: &str, path: &str) -> String {
    let mut line = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    write!(line, "GET {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn files_without_an_end_and_pipes_without_a_writer_are_refused() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (store, data, pipe, large) = (path("store"), path("data"), path("pipe"), path("large"));
    capture(Path::new(&store), &lines(1, "a")).expect(0);
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::write(&large, vec![b'k'; 1024 * 1024]).unwrap();
    let to =
        ["sync", "--once", "--to", "http://127.0.0.1:1", "--dialect", "forloy", "--store", &store];
    for file in ["/dev/zero", large.as_str(), dir.path().to_str().unwrap()] {
        let ended = ask(&[&to[..], &["--api-key-file", file]].concat()).expect(1);
        assert!(ended.err.contains("--api-key-file: cannot read "), "{}", ended.err);
    }
    for file in ["/dev/zero", pipe.as_str(), dir.path().to_str().unwrap()] {
        let ended = ask(&[&to[..], &["--ca", file]].concat()).expect(1);
        assert!(ended.err.contains("regular file"), "{}", ended.err);
    }
    let hub = ["serve", "--listen", "127.0.0.1:0", "--api-key", "k", "--data", &data, "--cards"];
    for file in ["/dev/zero", pipe.as_str(), dir.path().to_str().unwrap()] {
        let ended = ask(&[&hub[..], &[file]].concat()).expect(1);
        assert!(ended.err.contains("regular file"), "{}", ended.err);
    }
    let import = ["import", "--store", &store, "--key-file", "/dev/zero", "--file", "/dev/zero"];
    assert!(ask(&import).expect(1).err.contains("device"));
}

#[test]
fn a_key_may_come_out_of_a_pipe_that_has_a_writer() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    capture(&store, "").expect(0);
    let hub = serve(&data, None);
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", "wede", "--to", &hub.url, "--store"]).arg(&store);
    run(command.args(["--api-key-file", "/dev/stdin"]), KEY.as_bytes()).expect(0);
}

#[test]
fn what_must_exist_is_not_made() {
    let dir = tempdir().unwrap();
    let missing = dir.path().join("mount").join("store");
    let mut command = onceward();
    command.args(["capture", "--must-exist", "--store"]).arg(&missing);
    run(&mut command, b"{\"key\":\"a\",\"payload\":1}\n").expect(1);
    let mut command = onceward();
    command.args(["serve", "--must-exist", "--listen", "127.0.0.1:0", "--api-key", "k", "--data"]);
    run(command.arg(&missing), b"").expect(1);
    assert!(!missing.exists() && !dir.path().join("mount").exists());
    capture(&missing, "").expect(0);
    let mut command = onceward();
    command.args(["capture", "--must-exist", "--store"]).arg(&missing);
    run(&mut command, b"{\"key\":\"a\",\"payload\":1}\n").expect(0);
}

#[test]
fn sync_says_what_waits_in_other_scopes() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    let mut command = onceward();
    command.args(["capture", "--scope", "other", "--store"]).arg(&store);
    run(&mut command, lines(2, "a").as_bytes()).expect(0);
    let hub = serve(&data, None);
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", "wede", "--to", &hub.url, "--store"]).arg(&store);
    // Who names a scope has all that was asked for.
    command.args(["--scope", "default"]);
    let ended = run(command.env("ONCEWARD_API_KEY", KEY), b"").expect(0);
    let summary = ended.last_json();
    assert_eq!((&summary["pending"], &summary["pending_elsewhere"]), (&json!(0), &json!(2)));
    let told = "2 events wait in scopes that --scope does not name";
    assert!(ended.err.contains(told), "{}", ended.err);
}

#[test]
fn a_foreign_file_is_not_said_to_have_brought_anything() {
    let dir = tempdir().unwrap();
    let (store, file, key) = (dir.path().join("s"), dir.path().join("f"), dir.path().join("k"));
    capture(&store, "").expect(0);
    fs::write(&file, "holiday").unwrap();
    fs::write(&key, "5a".repeat(32)).unwrap();
    let mut command = onceward();
    command.args(["import", "--store"]).arg(&store).arg("--file").arg(&file);
    let ended = run(command.arg("--key-file").arg(&key), b"").expect(3);
    assert!(ended.err.contains("no event of it was imported"), "{}", ended.err);
    assert!(!ended.err.contains("stay"), "{}", ended.err);
}

#[test]
fn no_message_names_line_1_for_another_line() {
    let dir = tempdir().unwrap();
    for bad in ["{\"key\":\"a\",", "[1,", "nonsense", "{\"key\":1,\"payload\":1}", "{\"a\":1}"] {
        let input = format!("{}{bad}\n", lines(3, "a"));
        let ended = capture(dir.path(), &input).expect(1);
        let message = ended.last_json()["error"]["message"].to_string();
        assert!(!message.contains("line 1"), "{message}");
        assert!(ended.err.contains("line 4") && !ended.err.contains("line 1"), "{}", ended.err);
    }
    let cards = dir.path().join("cards");
    fs::write(&cards, "\n\n{\"code\":\n").unwrap();
    let data = dir.path().join("data");
    let mut command = onceward();
    command.args(["serve", "--listen", "127.0.0.1:0", "--api-key", "k", "--cards"]).arg(&cards);
    let ended = run(command.arg("--data").arg(&data), b"").expect(1);
    assert!(ended.err.contains("line 3") && !ended.err.contains("line 1"), "{}", ended.err);
}

#[test]
fn a_hub_that_starts_on_damage_says_so_on_stderr_in_its_readiness_and_in_a_metric() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    let store = data.join("tenants").join("default");
    drop(serve(&data, None));
    let (till, hub) = (dir.path().join("till"), serve(&data, None));
    assert!(get(&hub.url, "/metrics").contains("damaged_ranges{tenant=\"default\"} 0"), "control");
    capture(&till, &lines(3, "in-the-hub")).expect(0);
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", "wede", "--to", &hub.url, "--store"]).arg(&till);
    run(command.env("ONCEWARD_API_KEY", KEY), b"").expect(0);
    drop(hub);
    flip(&store, "\"n\":2,\"is\"");
    let copy = dir.path().join("copy");
    assert!(Command::new("cp").arg("-r").args([&store, &copy]).status().unwrap().success());
    let embedded = onceward::Store::open(&copy, onceward::Config::new()).unwrap();
    assert_eq!(embedded.status().damaged_ranges, 1, "a host that looks at nothing else");
    assert_eq!(onceward::inspect::Inspection::open(&copy).unwrap().status().damaged_ranges, 1);
    let mut command = onceward();
    command.args(["serve", "--listen", "127.0.0.1:0", "--segment-bytes", "1048576", "--data"]);
    command.arg(&data).env("ONCEWARD_API_KEY", KEY).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Guarded(command.spawn().unwrap());
    let url = first_line(child.0.stdout.take().unwrap());
    let url = url.strip_prefix("listening on ").unwrap().trim().to_owned();
    let ready = get(&url, "/readyz");
    let body: Value = serde_json::from_str(ready.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(
        (&body["status"], &body["stores"][0]["tenant"]),
        (&json!("ready"), &json!("default"))
    );
    let damage = &body["stores"][0]["damage"][0];
    assert!(damage["offset"].is_u64() && damage["file"].is_string(), "{body}");
    let metrics = get(&url, "/metrics");
    assert!(metrics.contains("onceward_hub_damaged_ranges{tenant=\"default\"} 1"), "{metrics}");
    assert!(metrics.contains("onceward_hub_disk_full{tenant=\"default\"} 0"), "{metrics}");
    child.0.kill().unwrap();
    let said = child.said();
    let file = damage["file"].as_str().unwrap();
    assert!(
        said.contains("damage in the store of tenant default")
            && said.contains(file)
            && said.contains("onceward verify --store ")
            && said.contains("tenants/default"),
        "{said}"
    );
}

#[test]
fn a_store_and_a_hub_in_memory_are_remarked_on() {
    // Every Linux has one; where it is none, nothing can be shown here.
    let in_memory = rustix::fs::statfs("/dev/shm").expect("/dev/shm must be there").f_type;
    assert_eq!(in_memory, 0x0102_1994, "/dev/shm must be a tmpfs");
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    let captured = capture(&store, "").expect(0);
    assert!(captured.err.contains("in memory (tmpfs"), "{}", captured.err);
    let status = on_store("status", &store).expect(0).last_json();
    assert!(status["file_system"].as_str().unwrap().contains("in memory"), "{status}");
    let mut hub = onceward();
    hub.args(["serve", "--listen", "127.0.0.1:0", "--api-key", "k", "--data"]).arg(&data);
    let mut hub = Guarded(hub.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    first_line(hub.0.stdout.take().unwrap());
    send("-TERM", &hub);
    let said = hub.said();
    assert!(said.contains("in memory (tmpfs"), "{said}");
}

#[test]
fn events_behind_one_that_waits_for_a_person_are_told() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    let line = |n: u32, card: &str| {
        format!(
            "{{\"key\":\"k{n}\",\"lane\":\"till\",\"payload\":{{\"qr_code_data\":\"{card}\",\"location_id\":\"l\",\
             \"staff_user_id\":\"s\",\"purchase_amount\":1}}}}\n"
        )
    };
    capture(&store, &[line(1, "lost"), line(2, "good"), line(3, "good")].concat()).expect(0);
    let cards = dir.path().join("cards");
    fs::write(&cards, "{\"code\":\"good\",\"status\":\"active\",\"card_type\":\"punch\"}\n")
        .unwrap();
    let hub = serve(&dir.path().join("data"), Some(&cards));
    let sync = || {
        let mut command = onceward();
        command.args(["sync", "--once", "--dialect", "forloy", "--to", &hub.url, "--store"]);
        run(command.arg(&store).env("ONCEWARD_API_KEY", KEY), b"").expect(5)
    };
    let words =
        "2 events are still pending (2 of them in their lane behind one that waits for a person)";
    let list = format!("'onceward review list --store {}' shows it", store.display());
    for _ in 0..2 {
        let ended = sync();
        assert!(ended.err.contains(words) && ended.err.contains(&list), "{}", ended.err);
        let summary = ended.last_json();
        assert_eq!((&summary["pending"], &summary["behind"]), (&json!(2), &json!(2)));
    }
    let status = on_store("status", &store).expect(0).last_json();
    assert_eq!((&status["pending"], &status["behind"]), (&json!(2), &json!(2)));
}
