//! `dump`, `status`, `verify` and `review list` look without a lock and never write.
//! Method: run them beside a capture that holds the store, on damaged stores, and into pipes that close.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use tempfile::tempdir;

use crate::process::{capture, capturing, content, first_line, flip, lines, on_store, onceward};

#[test]
fn looking_changes_no_byte() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(50, "a")).expect(0);
    let before = content(dir.path());
    assert!(!before.is_empty());
    for command in ["dump", "status", "verify", "review list"] {
        on_store(command, dir.path()).expect(0);
        assert!(before == content(dir.path()), "{command} wrote");
    }
}

#[test]
fn a_store_can_be_looked_at_while_another_process_captures_and_not_written() {
    let dir = tempdir().unwrap();
    let mut child = capturing(dir.path());
    let mut stdin = child.0.stdin.take().unwrap();
    writeln!(stdin, "{{\"key\":\"a\",\"payload\":1,\"amount\":2.5}}").unwrap();
    let mut answers = BufReader::new(child.0.stdout.take().unwrap());
    answers.read_line(&mut String::new()).unwrap();

    assert_eq!(on_store("dump", dir.path()).expect(0).column("key"), ["a"]);
    let status = on_store("status", dir.path()).expect(0).last_json();
    assert_eq!((&status["pending"], &status["amount_pending"]), (&1.into(), &"2.50".into()));
    assert!(status["recovery"].is_object());
    on_store("verify", dir.path()).expect(0);
    assert_eq!(on_store("review list", dir.path()).expect(0).out, "");

    let refused = capture(dir.path(), "{\"key\":\"b\",\"payload\":1}\n").expect(4);
    assert_eq!(refused.out, "");
    on_store("review retry --all", dir.path()).expect(4);
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(5_000, "a")).expect(0);
    let mut command = onceward();
    command.arg("dump").arg("--store").arg(dir.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(first_line(child.stdout.take().unwrap()).contains("\"k1\""));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_damaged_byte_is_named_and_costs_only_its_own_event() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(300, "a")).expect(0);
    assert_eq!(on_store("verify", dir.path()).expect(0).out, "", "control: undamaged");

    flip(dir.path(), "\"n\":150,\"is\"");

    let verify = on_store("verify", dir.path()).expect(3);
    let words: Vec<&str> = verify.out.lines().next().unwrap().split(' ').collect();
    assert!(dir.path().join(words[0]).is_file(), "{}", verify.out);
    assert!(words[1].parse::<u64>().is_ok() && words[2].parse::<u64>().is_ok(), "{}", verify.out);
    assert!(words.len() > 3, "{}", verify.out);

    let dump = on_store("dump", dir.path()).expect(3);
    let keys = dump.column("key");
    assert_eq!(keys.len(), 299);
    assert!(!keys.contains(&"k150".to_owned()));
    on_store("status", dir.path()).expect(3);
}

#[test]
fn verify_names_what_stands_in_a_directorys_place_and_repair_sets_it_aside() {
    for name in ["log", "index", "quarantine", "decisions", "catalog"] {
        let dir = tempdir().unwrap();
        capture(dir.path(), &lines(3, "a")).expect(0);
        let (place, elsewhere) = (dir.path().join(name), dir.path().join("elsewhere"));
        if place.exists() {
            fs::rename(&place, &elsewhere).unwrap();
        }
        fs::write(&place, "precious").unwrap();
        let verify = on_store("verify", dir.path()).expect(3);
        let words = "a file is in the place of the directory";
        let told = format!("{name} 0 0 {words}");
        assert!(verify.out.lines().any(|line| line.starts_with(&told)), "{}", verify.out);
        let repaired = on_store("repair --apply", dir.path()).expect(0);
        assert!(repaired.out.contains(&told), "{}", repaired.out);
        assert_eq!(on_store("verify", dir.path()).expect(0).out, "", "{name}");
    }
}
