//! Every way to fail has its documented exit code and a word on stderr, and never a panic or a signal.
//! Method: run each command with what it must refuse.

use std::fs;

use tempfile::tempdir;

use crate::process::{ask, capture, flip, lines, on_store, onceward, run};

/// Commands that want a store, and make none.
const STORE_COMMANDS: [&str; 10] = [
    "dump",
    "status",
    "summary",
    "verify",
    "repair",
    "repair --apply",
    "tail",
    "tail --all",
    "review list",
    "review retry --all",
];

#[test]
fn help_and_version_are_answers_and_wrong_arguments_are_not() {
    assert!(ask(&["--help"]).expect(0).out.contains("Exit codes"));
    assert!(ask(&["--version"]).expect(0).out.starts_with("onceward "));
    for wrong in [
        &[][..],
        &["nonsense"],
        &["capture"],
        &["capture", "--store", "x", "--segment-bytes", "7"],
        &["sync", "--store", "x", "--to", "http://127.0.0.1:1", "--dialect", "morse"],
        &["review", "retry", "--store", "x"],
        &["review", "resolve", "--store", "x", "k"],
        &["capture", "--store", "x", "--segment-bytes", "262145"],
        &["capture", "--store", "x", "--header", "no-value"],
        &["capture", "--store", "x", "--header", "Upper=1"],
        &["review", "retry", "--store", "x", "--all", "--of-version", "3"],
        &["export", "--store", "x"],
        &["export", "--store", "x", "--file", "y", "--key-file", "a", "--passphrase-file", "b"],
        &["unfence", "--store", "x", "--bundle", "7"],
        &["serve", "--data", "x", "--listen", "nowhere"],
        &["demo", "--keep", "x", "--check", "y"],
        &["repair", "--store", "x", "--dry-run", "--apply"],
        &["tail", "--store", "x", "--all", "--last", "3"],
    ] {
        assert_eq!(ask(wrong).expect(2).out, "", "{wrong:?}");
    }
}

#[test]
fn a_directory_that_is_not_a_store_is_refused_and_left_as_it_is() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("holiday.jpg"), "not a store").unwrap();
    for command in STORE_COMMANDS {
        let ended = on_store(command, dir.path()).expect(1);
        assert!(ended.err.contains(dir.path().to_str().unwrap()), "{command}: {}", ended.err);
    }
    capture(dir.path(), &lines(1, "a")).expect(1);
    let names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["holiday.jpg"]);
}

#[test]
fn only_capture_makes_a_store_where_there_is_none() {
    let dir = tempdir().unwrap();
    let missing = dir.path().join("missing");
    for command in STORE_COMMANDS {
        on_store(command, &missing).expect(1);
        assert!(!missing.exists(), "{command} created it");
    }
    let to = ["sync", "--to", "http://127.0.0.1:1", "--dialect", "forloy", "--once", "--store"];
    ask(&[&to[..], &[missing.to_str().unwrap()]].concat()).expect(1);
    assert!(!missing.exists());
    assert_eq!(capture(&missing, "").expect(0).out, "");
    on_store("status", &missing).expect(0);
}

#[test]
fn damage_that_was_found_at_opening_counts_before_what_is_left_to_do() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(300, "a")).expect(0);
    flip(dir.path(), "\"n\":150,\"is\"");
    let again = capture(dir.path(), &lines(301, "a")).expect(3);
    assert!(again.err.contains("damage: "), "{}", again.err);
    assert_eq!(again.column("verdict").last().unwrap(), "fresh", "it is stored all the same");
    // Nobody listens there: by itself that is 5.
    let mut command = onceward();
    command.args(["sync", "--once", "--to", "http://127.0.0.1:1", "--dialect", "wede", "--store"]);
    let sync = run(command.arg(dir.path()), b"").expect(3);
    assert!(sync.err.contains("still pending"), "{}", sync.err);
    on_store("repair --apply", dir.path()).expect(0);
    capture(dir.path(), &lines(1, "a")).expect(0);
}

#[test]
fn a_review_item_that_is_not_there_is_a_failure() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(1, "a")).expect(0);
    let store = dir.path().to_str().unwrap();
    for args in [
        &["review", "show", "--store", store, "k1"][..],
        &["review", "retry", "--store", store, "k1"],
        &["review", "resolve", "--store", store, "k1", "--note", "no"],
    ] {
        assert!(ask(args).expect(1).err.contains("k1"), "{args:?}");
    }
}

#[test]
fn a_hub_does_not_start_on_cards_it_cannot_read() {
    let dir = tempdir().unwrap();
    let cards = dir.path().join("cards");
    fs::write(&cards, "{\"code\":1}\n").unwrap();
    let data = dir.path().join("data");
    let args = ["serve", "--listen", "127.0.0.1:0", "--api-key", "k", "--data"];
    let rest = [data.to_str().unwrap(), "--cards", cards.to_str().unwrap()];
    assert!(ask(&[&args[..], &rest].concat()).expect(1).err.contains("cards"));
}
