//! `tail` shows every event of a store that another process writes, once, and ends when it is asked to.
//! Method: run it beside captures, damage and replace the store under it, close its pipe, send it signals.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{ChildStderr, ChildStdin, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::tempdir;

use crate::process::{Guarded, capture, first_line, flip, lines, on_store, onceward, terminate};

/// How long a line may take before the test has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// `onceward tail` at work.
struct Tail {
    /// The process.
    child: Guarded,
    /// The lines of `tail`, as they come.
    shown: Receiver<String>,
    /// The stderr of `tail`.
    err: ChildStderr,
}

impl Tail {
    /// Starts it.
    fn start(store: &Path, args: &[&str]) -> Self {
        let mut command = onceward();
        command.arg("tail").arg("--store").arg(store).args(args);
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = Guarded(spawned.unwrap());
        let out = BufReader::new(child.0.stdout.take().unwrap());
        let err = child.0.stderr.take().unwrap();
        let (sender, shown) = mpsc::channel();
        thread::spawn(move || {
            out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { child, shown, err }
    }

    /// The keys of the next lines.
    fn keys(&self, count: usize) -> Vec<String> {
        let next = |_| {
            let line = self.shown.recv_timeout(DEADLINE).unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            event.get("key").and_then(Value::as_str).unwrap().to_owned()
        };
        (0..count).map(next).collect()
    }

    /// How it ended: exit code, lines that nobody asked for, stderr.
    fn ended(mut self) -> (Option<i32>, Vec<String>, String) {
        let mut err = String::new();
        self.err.read_to_string(&mut err).unwrap();
        let code = self.child.0.wait().unwrap().code();
        (code, self.shown.iter().collect(), err)
    }
}

/// A capture that stays open: lines go in and are answered one by one.
struct Capture {
    /// The process.
    _child: Guarded,
    /// Where its lines go.
    stdin: ChildStdin,
    /// The child's answers.
    answers: BufReader<std::process::ChildStdout>,
}

impl Capture {
    /// Starts it.
    fn start(store: &Path) -> Self {
        let mut command = onceward();
        command.arg("capture").arg("--segment-bytes").arg("262144").arg("--store").arg(store);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = Guarded(spawned.unwrap());
        let stdin = child.0.stdin.take().unwrap();
        let answers = BufReader::new(child.0.stdout.take().unwrap());
        Self { _child: child, stdin, answers }
    }

    /// Captures one event.
    fn one(&mut self, key: &str) {
        writeln!(self.stdin, "{{\"key\":\"{key}\",\"payload\":1}}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(answer.contains("\"fresh\""), "{answer}");
    }
}

/// Keys `k1` and so on.
fn numbered(numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|n| format!("k{n}")).collect()
}

#[test]
fn every_event_that_another_process_captures_is_shown_once() {
    let dir = tempdir().unwrap();
    let mut till = Capture::start(dir.path());
    till.one("k1");
    let tail = Tail::start(dir.path(), &["--all"]);
    assert_eq!(tail.keys(1), ["k1"]);
    (2..=40).for_each(|n| till.one(&format!("k{n}")));
    assert_eq!(tail.keys(39), numbered(2..=40), "the last one too, when it is quiet");
    drop(till);
    // Another process goes on, through several segments.
    capture(dir.path(), &lines(6_000, "a"));
    assert_eq!(tail.keys(5_960), numbered(41..=6_000));
    on_store("verify", dir.path()).expect(0);
    terminate(&tail.child);
    assert_eq!(tail.ended(), (Some(0), Vec::new(), String::new()));
}

#[test]
fn its_lines_are_those_of_dump() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(25, "a")).expect(0);
    let dump = on_store("dump", dir.path()).expect(0);
    let dumped: Vec<&str> = dump.out.lines().collect();
    for (args, count) in
        [(&["--all"][..], 25), (&["-n", "100"], 25), (&["--last", "3"], 3), (&[], 10)]
    {
        let tail = Tail::start(dir.path(), args);
        let shown: Vec<String> =
            (0..count).map(|_| tail.shown.recv_timeout(DEADLINE).unwrap()).collect();
        assert_eq!(shown, dumped[25 - count..], "{args:?}");
        terminate(&tail.child);
        assert_eq!(tail.ended(), (Some(0), Vec::new(), String::new()), "{args:?}");
    }
}

#[test]
fn it_ends_when_nobody_reads_any_more_although_nothing_new_comes() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(3, "a")).expect(0);
    let mut command = onceward();
    command.args(["tail", "--all", "--store"]).arg(dir.path());
    let mut child = Guarded(command.stdout(Stdio::piped()).spawn().unwrap());
    // Which closes the pipe.
    first_line(child.0.stdout.take().unwrap());
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_has_had_enough_ends_it_quietly() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(5_000, "a")).expect(0);
    let mut command = onceward();
    command.args(["tail", "--all", "--store"]).arg(dir.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(first_line(child.stdout.take().unwrap()).contains("\"k1\""));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn damage_is_told_and_what_is_around_it_is_shown() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(9, "a")).expect(0);
    flip(dir.path(), "\"n\":5,\"is\"");
    let verify = on_store("verify", dir.path()).expect(3);
    let tail = Tail::start(dir.path(), &["--all"]);
    let shown = tail.keys(8);
    assert!(!shown.contains(&"k5".to_owned()), "{shown:?}");
    on_store("repair --apply", dir.path()).expect(0);
    let mut till = Capture::start(dir.path());
    till.one("k10");
    assert_eq!(tail.keys(1), ["k10"], "it goes on through a repair");
    terminate(&tail.child);
    let (code, more, err) = tail.ended();
    assert_eq!((code, more), (Some(0), Vec::new()));
    assert_eq!(err.matches(verify.out.trim()).count(), 1, "{err}");
}

#[test]
fn an_older_store_in_the_place_of_the_one_that_is_followed_is_noticed() {
    let dir = tempdir().unwrap();
    let (store, backup) = (dir.path().join("store"), dir.path().join("backup"));
    capture(&store, &lines(2, "a")).expect(0);
    let copied = std::process::Command::new("cp").arg("-r").args([&store, &backup]).status();
    assert!(copied.unwrap().success());
    capture(&store, &lines(9, "a")).expect(0);
    let tail = Tail::start(&store, &["--all"]);
    assert_eq!(tail.keys(9), numbered(1..=9));
    fs::rename(&store, dir.path().join("away")).unwrap();
    fs::rename(&backup, &store).unwrap();
    let (code, more, err) = tail.ended();
    assert_eq!((code, more), (Some(1), Vec::new()));
    // Between the two renames there is no store at all.
    assert!(err.contains("replaced") || err.contains("no store"), "{err}");
}
