//! A key that was printed as fresh is never fresh again, and a key that was never sent is never a duplicate.
//!
//! Method: kill a program that captures, a hundred times with SIGKILL at moments that differ, and hold every line
//! that it printed against all lines before.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// How often the program is killed.
const KILLS: u64 = 100;
/// Keys after which a checkpoint of the index begins by itself: one life gets there.
const CHECKPOINT_KEYS: u64 = 32 * 1024;
/// Batches that the program never gets through.
const FOR_EVER: u64 = 1_000_000;

/// Ends the program when the test fails on the way.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What was printed, and what a key may have been in a batch of which nothing was printed.
#[derive(Default)]
struct Seen {
    /// The LSN under which a key was told to be taken.
    taken: HashMap<String, u64>,
    lines: u64,
    duplicates: u64,
}

impl Seen {
    /// Holds one line against all before. `is_first` says that no earlier batch held the key.
    fn hold(&mut self, line: &str, is_first: bool) {
        let mut fields = line.split(' ');
        let (key, letter) = (fields.next().unwrap(), fields.next().unwrap());
        let lsn: u64 = fields.next().unwrap().parse().unwrap();
        let known = self.taken.insert(key.to_owned(), lsn);
        self.lines += 1;
        match (letter, known) {
            ("f", None) => {}
            ("f", Some(known)) => panic!("{key} was taken as {known} and is fresh again as {lsn}"),
            ("d", Some(known)) => assert_eq!(known, lsn, "{key} has another number"),
            ("d", None) => assert!(!is_first, "{key} was never sent and is a duplicate of {lsn}"),
            (other, _) => panic!("{key}: {other}, of content that never differs"),
        }
        self.duplicates += u64::from(letter == "d");
    }
}

/// How a life of the program ends.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    /// The program is killed after so many lines.
    Kill { lines: u64 },
    /// The program closes the store after so many batches.
    Close { batches: u64 },
}

/// One life of the program, which also ends when its index was rebuilt: reads its lines, and those that it had printed
/// until it was killed.
fn life(dir: &Path, round: u64, end: End, seen: &mut Seen) {
    let (lines, batches) = match end {
        End::Kill { lines } => (lines, FOR_EVER),
        End::Close { batches } => (u64::MAX, batches),
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_capturer"));
    command.arg(dir).arg(round.to_string()).arg(batches.to_string()).stdout(Stdio::piped());
    let mut child = Guarded(command.spawn().unwrap());
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    let mut count = 0;
    // In a batch, new keys and keys that come again take turns; a new one was in no batch before.
    let mut sent = 0;
    loop {
        if count == lines {
            child.0.kill().unwrap();
        }
        line.clear();
        if out.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            let is_closed = child.0.wait().unwrap().success();
            assert_eq!(is_closed, matches!(end, End::Close { .. }), "after {count} lines");
            return;
        }
        if count > 0 {
            let own = format!("{round}-{} ", sent / 2);
            let is_first = sent % 2 == 0;
            assert!(!is_first || line.starts_with(&own), "{line} is not the new key {own}");
            // A key that comes again early in the round may be one that is still to come as new.
            seen.hold(line.trim_end(), is_first && !seen.taken.contains_key(own.trim_end()));
            sent += 1;
        }
        count += 1;
    }
}

#[test]
fn a_hundred_kills_make_no_key_fresh_twice_and_no_unsent_key_a_duplicate() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Seen::default();
    let mut round = 0;
    for kill in 0..KILLS {
        // From right after opening to, near the end, behind a checkpoint.
        let lines = match kill {
            98 => CHECKPOINT_KEYS * 5 / 4,
            _ if kill % 10 == 0 => 1,
            _ => (kill * 7_919) % 900,
        };
        if kill % 8 == 5 {
            life(dir.path(), round, End::Close { batches: kill % 3 }, &mut seen);
            round += 1;
        }
        life(dir.path(), round, End::Kill { lines }, &mut seen);
        round += 1;
        assert_eq!(dir.path().join("index/manifest").exists(), kill >= 5, "after the first close");
    }
    let Seen { taken, lines, duplicates } = seen;
    assert!(duplicates > lines / 10, "{duplicates} of {lines}");
    println!("{KILLS} kills, {lines} lines, {} keys, {duplicates} duplicates", taken.len());
}
