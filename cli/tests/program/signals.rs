//! A signal ends the program in order and within a second, whatever its reader does, and never with a code of the
//! shell's.
//! Method: send signals to the built program with pipes that nobody reads, and look how its store was closed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::tempdir;

use crate::process::{
    Guarded, KEY, capture, capturing, lines, on_store, onceward, run, send, serve,
};

/// Whether its handler is there: before that a signal ends it as any program.
fn handles_term(child: &Guarded) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.0.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
    // SIGTERM is number 15.
    u64::from_str_radix(caught, 16).unwrap() >> 14 & 1 == 1
}

#[test]
fn capture_whose_reader_stopped_ends_in_order_and_says_what_is_stored() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let dir = tempdir().unwrap();
        let mut child = capturing(dir.path());
        let mut stdin = child.0.stdin.take().unwrap();
        let input = lines(20_000, "a");
        let feeder = thread::spawn(move || stdin.write_all(input.as_bytes()));
        let mut answers = BufReader::new(child.0.stdout.take().unwrap());
        answers.read_line(&mut String::new()).unwrap();
        // More answers than the pipe holds: it waits for a reader, and takes nothing more.
        let (began, mut before) = (Instant::now(), 0);
        loop {
            let status = on_store("status", dir.path()).expect(0).last_json();
            let pending = status["pending"].as_u64().unwrap();
            if pending >= 500 && pending == before {
                break;
            }
            before = pending;
            assert!(began.elapsed() < Duration::from_secs(60), "it takes no end: {pending}");
        }
        send(signal, &child);
        let status = child.0.wait().unwrap();
        assert_eq!(status.code(), Some(1), "{signal}: {status}");
        let said = child.said();
        assert!(said.contains("stopped by a signal") && said.contains("stored now"), "{said}");
        let status = on_store("status", dir.path()).expect(0).last_json();
        assert_eq!(status["recovery"]["clean"], true, "{signal}");
        drop((answers, feeder.join()));
    }
}

#[test]
fn every_command_that_runs_long_ends_in_order_on_each_signal() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    capture(&store, &lines(3, "a")).expect(0);
    for signal in ["-HUP", "-INT", "-TERM"] {
        let mut hub = serve(&data, None);
        let mut tail = onceward();
        tail.args(["tail", "--all", "--store"]).arg(&store).stdout(Stdio::piped());
        let mut tail = Guarded(tail.spawn().unwrap());
        let mut shown = BufReader::new(tail.0.stdout.take().unwrap());
        shown.read_line(&mut String::new()).unwrap();
        send(signal, &tail);
        assert_eq!(tail.0.wait().unwrap().code(), Some(0), "tail {signal}");
        send(signal, &hub.child);
        assert_eq!(hub.child.0.wait().unwrap().code(), Some(0), "serve {signal}");
    }
    let tenant = data.join("tenants").join("default");
    assert_eq!(on_store("status", &tenant).expect(0).last_json()["recovery"]["clean"], true);
}

#[test]
fn a_hub_with_a_request_that_does_not_end_ends_all_the_same() {
    let dir = tempdir().unwrap();
    let mut hub = serve(&dir.path().join("data"), None);
    let address = hub.url.strip_prefix("http://").unwrap();
    let mut line = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /v1/sync/batch HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {KEY}\r\ncontent-type: \
         application/json\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n"
    );
    line.write_all(head.as_bytes()).unwrap();
    // It asks for the body: the request is being worked on.
    BufReader::new(line.try_clone().unwrap()).read_line(&mut String::new()).unwrap();
    send("-TERM", &hub.child);
    assert_eq!(hub.child.0.wait().unwrap().code(), Some(0));
}

#[test]
fn the_end_of_sync_by_a_signal_is_told_as_that_and_not_as_the_lines_fault() {
    for (once, code) in [(true, 5), (false, 0)] {
        let dir = tempdir().unwrap();
        capture(dir.path(), &lines(3, "a")).expect(0);
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", mute.local_addr().unwrap());
        let mut command = onceward();
        command.args(["sync", "--dialect", "wede", "--to", &url, "--store"]).arg(dir.path());
        command.args(once.then_some("--once")).env("ONCEWARD_API_KEY", KEY);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Guarded(command.spawn().unwrap());
        let (mut request, _) = mute.accept().unwrap();
        request.read_exact(&mut [0; 4]).unwrap();
        send("-TERM", &child);
        assert_eq!(child.0.wait().unwrap().code(), Some(code));
        let said = child.said();
        assert!(said.contains("stopped by a signal, 3 events are still pending"), "{said}");
        assert!(!said.contains("connection"), "{said}");
    }
}

#[test]
fn a_command_that_waits_for_standard_input_ends_with_a_word() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(1, "a")).expect(0);
    let outside = tempdir().unwrap();
    let file = outside.path().join("bundle");
    let mut command = onceward();
    command.arg("export").arg("--store").arg(dir.path()).arg("--file").arg(&file);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Guarded(command.spawn().unwrap());
    let stdin = child.0.stdin.take();
    while !handles_term(&child) {}
    send("-TERM", &child);
    assert_eq!(child.0.wait().unwrap().code(), Some(1));
    let said = child.said();
    assert!(said.contains("stopped by a signal"), "{said:?}");
    drop(stdin);
}

#[test]
fn a_file_size_limit_is_an_error_of_the_write_and_no_signal() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    let program = env!("CARGO_BIN_EXE_onceward");
    let mut command = Command::new("sh");
    let script = format!("ulimit -f 64; exec {program} capture --store \"$0\"");
    command.args(["-c", &script]).arg(&store);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines(5, "a").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), None, "{}", output.status);
    assert!(matches!(output.status.code(), Some(1 | 7)), "{}", output.status);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("onceward: ") && !said.contains("panicked"), "{said}");
}

#[test]
fn a_hangup_is_left_alone_where_it_is_ignored_from_the_start() {
    let dir = tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_onceward");
    let mut command = Command::new("sh");
    let script = format!("trap '' HUP; exec {program} capture --store \"$0\"");
    command.args(["-c", &script]).arg(dir.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Guarded(command.spawn().unwrap());
    let mut stdin = child.0.stdin.take().unwrap();
    let mut answers = BufReader::new(child.0.stdout.take().unwrap());
    for n in 1..=2 {
        writeln!(stdin, "{{\"key\":\"{n}\",\"payload\":{n}}}").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert!(answer.contains("fresh"), "{answer}");
        send("-HUP", &child);
    }
    drop(stdin);
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_leaves_is_told_what_is_stored() {
    let dir = tempdir().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "\"$1\" capture --store \"$0\" | head -1"])
        .arg(dir.path())
        .arg(env!("CARGO_BIN_EXE_onceward"));
    let ended = run(&mut command, lines(5_000, "a").as_bytes());
    let held = on_store("status", dir.path()).expect(0).last_json()["pending"].to_string();
    assert!(ended.err.contains(&format!("{held} stored now")), "{held}: {}", ended.err);
}
