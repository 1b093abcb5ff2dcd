//! A durable append is one `pwrite64` and one `fdatasync`; before the one and after the other it looks
//! whether the log is still where it was opened, and there is no other system call.
//! Method: this program runs itself under `strace`, which notes every call in order. Between two calls
//! that the traced program makes as marks, the thread that appends must make these two in turn.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use onceward_vfs::{Mode, OsVfs, Vfs};
use onceward_wal::{Log, Options, Preparation};

use super::scenario::{OPTIONS, open_with, put};

/// Appends between the marks, unless the variable says otherwise.
const APPENDS: usize = 1000;
/// Set for the program that is traced: who prepares segments, and how many appends.
const TRACED: &str = "ONCEWARD_TRACED";
/// Whether the log's directories and segment are where they were: nothing else of them is asked for. That this is the
/// process that opened it is known without a call.
const LOOK: [&str; 3] = ["statx", "statx", "statx"];
/// Names that the traced program asks for, so that its calls are found.
const MARKS: [&str; 2] = ["appends-begin", "appends-end"];

/// Appends durably: the only use of that interface here.
fn append(log: &Log, count: usize) {
    for _ in 0..count {
        put(log, &[7; 100]).unwrap();
    }
}

/// The calls between the marks.
#[derive(Debug, Default)]
struct Calls {
    /// Of the thread that appends, in order.
    own: Vec<String>,
    /// Of all other threads, counted.
    others: BTreeMap<String, usize>,
}

/// What another process of this program calls while it appends.
fn calls(preparation: &str) -> Calls {
    let dir = tempfile::tempdir().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(dir.path().join("calls"));
    strace.arg(env::current_exe().unwrap());
    strace.args(["--exact", "system_calls::the_program_that_is_traced", "--test-threads=1"]);
    strace.env(TRACED, format!("{preparation} {APPENDS}"));
    let output = strace.output().expect(
        "strace must be installed: scripts/test does it; on Debian: apt-get install strace",
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", String::from_utf8_lossy(&output.stdout));
    let disk = OsVfs::open(dir.path()).unwrap();
    let file = disk.open("calls", Mode::Read).unwrap();
    let mut lines = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(0, &mut lines).unwrap();
    between_marks(&String::from_utf8(lines).unwrap())
}

/// Reads what `strace -f` wrote: `THREAD call(arguments...`, and the end of a call that took long
/// on a line of its own.
fn between_marks(lines: &str) -> Calls {
    let begins = |line: &&str| line.contains(MARKS[0]);
    let ends = |line: &&str| line.contains(MARKS[1]);
    let mut marked = lines.lines().skip_while(|line| !begins(line));
    let thread = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let appender = marked.next().and_then(thread).expect("the first mark was traced");
    assert!(marked.clone().any(|line| ends(&line)), "the second mark was traced");
    let mut calls = Calls::default();
    for line in marked.take_while(|line| !ends(line)) {
        let Some((who, call)) = line.split_once(char::is_whitespace) else { continue };
        let Some((name, _)) = call.trim().split_once('(') else { continue };
        if name.starts_with('<') {
            continue;
        }
        if who == appender {
            // Asked for its times, a file gets an exact one at each write, and each sync takes half as
            // long again.
            assert!(
                name != "statx" || call.contains(" STATX_TYPE|STATX_INO,"),
                "asks for more: {call}"
            );
            calls.own.push(name.to_owned());
        } else {
            *calls.others.entry(name.to_owned()).or_default() += 1;
        }
    }
    calls
}

/// Fails unless the thread that appends looks, writes, syncs and looks in turn and does nothing else.
fn assert_write_and_sync(calls: &Calls) {
    let mut counts = BTreeMap::<_, usize>::new();
    calls.own.iter().for_each(|name| *counts.entry(name.as_str()).or_default() += 1);
    // Before the write one call says that the path leads to the file.
    let turn: Vec<&str> = [&["statx", "pwrite64", "fdatasync"], &LOOK[..]].concat();
    let mut expected = BTreeMap::<_, usize>::new();
    turn.iter().for_each(|name| *expected.entry(*name).or_default() += APPENDS);
    assert_eq!(counts, expected, "calls of {APPENDS} appends");
    assert!(calls.own.chunks(turn.len()).all(|calls| calls == turn), "not in turn");
}

#[test]
fn an_append_is_one_write_and_one_sync_with_a_look_at_the_ground_on_either_side() {
    assert_write_and_sync(&calls("on-demand"));
}

#[test]
fn the_log_s_own_thread_takes_no_part_in_an_append() {
    let mut calls = calls("in-background");
    // On a busy machine it may be put to sleep while it holds a lock, which is for a moment only.
    let is_wait = |name: &String| matches!(name.as_str(), "sched_yield" | "futex");
    let waits = calls.own.iter().filter(|name| is_wait(name)).count();
    assert!(waits <= APPENDS / 100, "{waits} waits for a lock");
    calls.own.retain(|name| !is_wait(name));
    assert_write_and_sync(&calls);
    // It prepares one segment, in 32 synced steps, and may mark the log:
    // with the time, not with the appends.
    let many: Vec<_> = calls.others.iter().filter(|(_, count)| **count > APPENDS / 4).collect();
    assert!(many.is_empty(), "calls of other threads: {many:?}");
}

#[test]
fn the_program_that_is_traced() {
    // Run by itself there is nothing to trace: it appends a little, so that it is known to work.
    let work = env::var(TRACED).unwrap_or_else(|_| "on-demand 3".to_owned());
    let (preparation, count) = work.split_once(' ').unwrap();
    let preparation = match preparation {
        "on-demand" => Preparation::OnDemand,
        "in-background" => Preparation::InBackground,
        other => panic!("who is {other}?"),
    };
    let count = count.parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::open(dir.path()).unwrap());
    // A segment that holds them all.
    let options = Options { segment_bytes: 4 * 1024 * 1024, preparation, ..OPTIONS };
    let (log, ..) = open_with(&vfs, options).unwrap();
    append(&log, 10);
    // One call each, unlike asking through the disk.
    assert!(!Path::new(MARKS[0]).exists());
    append(&log, count);
    assert!(!Path::new(MARKS[1]).exists());
    assert_eq!(log.segments().len(), 1, "control: rolling is another matter");
    let durable = log.synced() - u64::try_from(count).unwrap();
    assert!((11..=21).contains(&durable), "control: 10, a run frame, and perhaps marks");
}
