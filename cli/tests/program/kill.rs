//! A line that was printed survives SIGKILL at any moment.
//! Method: kill `capture` after ever more printed lines, read the rest of the pipe, and look for each line in the log.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    thread,
};

use serde_json::Value;
use tempfile::tempdir;

use crate::process::{capture, capturing, on_store};

/// Lines in each round; more than a pipe holds, so that the kill comes while there is more to do.
const ROUND_LINES: usize = 2_000;

/// The input of a round.
fn input(round: usize) -> String {
    (0..ROUND_LINES).map(|n| format!("{{\"key\":\"{round}-{n}\",\"payload\":{n}}}\n")).collect()
}

#[test]
fn no_printed_line_is_lost_by_kill_9() {
    let dir = tempdir().unwrap();
    let mut printed: HashMap<String, u64> = HashMap::new();
    let rounds = [0, 1, 3, 17, 100, 333, 700, 1_500];
    for (round, kill_after) in rounds.into_iter().enumerate() {
        let mut child = capturing(dir.path());
        let mut stdin = child.0.stdin.take().unwrap();
        let feeder = thread::spawn(move || stdin.write_all(input(round).as_bytes()).is_ok());
        let mut answers = BufReader::new(child.0.stdout.take().unwrap());
        let mut line = String::new();
        let mut count = 0;
        loop {
            if count == kill_after {
                child.0.kill().unwrap();
            }
            line.clear();
            if answers.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
                break;
            }
            count += 1;
            let answer: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(answer["verdict"], "fresh");
            printed.insert(
                answer["key"].as_str().unwrap().to_owned(),
                answer["lsn"].as_u64().unwrap(),
            );
        }
        child.0.wait().unwrap();
        feeder.join().unwrap();
    }
    assert!(printed.len() >= rounds.iter().sum::<usize>());

    on_store("verify", dir.path()).expect(0);
    let mut held = HashMap::new();
    for event in on_store("dump", dir.path()).expect(0).json_lines() {
        let key = event["key"].as_str().unwrap().to_owned();
        assert_eq!(held.insert(key, event["lsn"].as_u64().unwrap()), None, "once only");
    }
    for (key, lsn) in &printed {
        assert_eq!(held.get(key), Some(lsn), "{key} was printed");
    }

    let again = capture(dir.path(), &input(rounds.len() - 1)).expect(0);
    for answer in again.json_lines() {
        let key = answer["key"].as_str().unwrap();
        let expected = if held.contains_key(key) { "duplicate" } else { "fresh" };
        assert_eq!(answer["verdict"], expected, "{key}");
    }
}
