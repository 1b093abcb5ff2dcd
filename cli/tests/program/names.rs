//! Every key that a store takes can be named on the command line, and none does anything to a terminal.
//! Method: items under keys with control characters are shown, retried and resolved by each way to name them, with and
//! without a terminal.

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::{
    process::{ask, on_store, reviewed},
    rescue::at_a_terminal,
};

const KEYS: [&str; 7] =
    ["nul\0", "line\nend", "\u{1b}[31mred", "-dash", "\u{202e}bidi", "\u{9b}31mC1", "--note"];

/// The item of a key, as `show` prints it.
fn item_of(store: &str, how: &[&str]) -> Value {
    ask(&[&["review", "show", "--store", store], how].concat()).expect(0).last_json()
}

#[test]
fn every_key_can_be_named_as_json_and_every_item_by_its_number() {
    let dir = tempdir().unwrap();
    let store = reviewed(dir.path(), &KEYS);
    let store = store.to_str().unwrap();
    for key in KEYS {
        let json = serde_json::to_string(key).unwrap();
        let item = item_of(store, &["--key-json", &json]);
        assert_eq!(item["key"], key);
        let lsn = item["lsn"].to_string();
        assert_eq!(item_of(store, &["--lsn", &lsn])["key"], key);
        if !key.contains('\0') {
            assert_eq!(item_of(store, &["--", key])["key"], key);
        }
        let retry = ["review", "retry", "--store", store, "--key-json", &json];
        assert_eq!(ask(&retry).expect(0).last_json()["key"], key);
        let gone = ["review", "retry", "--store", store, "--lsn", &lsn];
        assert!(ask(&gone).expect(1).err.contains(&lsn));
    }
    let resolved = reviewed(dir.path().join("other").as_path(), &KEYS[..1]);
    let resolved = resolved.to_str().unwrap();
    let lsn = item_of(resolved, &["--key-json", "\"nul\\u0000\""])["lsn"].to_string();
    let resolve = ["review", "resolve", "--note", "x", "--store", resolved, "--lsn", &lsn];
    assert_eq!(ask(&resolve).expect(0).last_json()["key"], json!("nul\0"));
    for wrong in
        [&["--key-json", "7"][..], &["--lsn", "1", "k"], &[], &["--lsn", "1", "--scope", "s"]]
    {
        ask(&[&["review", "show", "--store", resolved], wrong].concat()).expect(2);
    }
}

#[test]
fn what_comes_from_outside_is_escaped_at_a_terminal_and_on_stderr_and_exact_in_pipes() {
    let dir = tempdir().unwrap();
    let store = reviewed(dir.path(), &KEYS);
    let program = env!("CARGO_BIN_EXE_onceward");
    let shown = store.display();
    for command in ["review list --store", "review list --json --store", "dump --store"] {
        let (code, seen) = at_a_terminal(&format!("{program} {command} {shown}"), &[]);
        assert_eq!(code, Some(0), "{seen}");
        let seen = seen.replace("\r\n", "\n");
        assert!(seen.contains("red") && seen.contains("bidi"), "control: {seen}");
        let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!seen.contains(obeyed), "{command}: {seen:?}");
        assert!(!seen.contains("line\nend"), "{command}: {seen:?}");
    }
    // What `--lsn` wants is in the listing.
    let (_, seen) = at_a_terminal(&format!("{program} review list --store {shown}"), &[]);
    for lsn in on_store("review list", &store).expect(0).column("lsn") {
        assert!(seen.lines().any(|line| line.split_whitespace().next() == Some(&lsn)), "{seen}");
    }
    let keys = on_store("review list", &store).expect(0).column("key");
    assert_eq!(keys, KEYS);
    let store = store.to_str().unwrap();
    for evil in ["\u{1b}[2Jgone", "two\nlines", "\u{202e}x"] {
        let ended = ask(&["review", "show", "--store", store, evil]).expect(1);
        assert_eq!(ended.err.lines().count(), 1, "{:?}", ended.err);
        assert!(!ended.err.contains(['\u{1b}', '\u{202e}']), "{:?}", ended.err);
        let ended = ask(&["status", "--store", &format!("{store}/{evil}")]).expect(1);
        assert_eq!(ended.err.lines().count(), 1, "{:?}", ended.err);
        assert!(!ended.err.contains(['\u{1b}', '\u{202e}']), "{:?}", ended.err);
    }
}
