//! A store in which nothing rare ever came stays small, and has no catalog.
//! Method: capture and settle plain events on a real directory, and weigh what is there.

#![expect(clippy::disallowed_methods, reason = "files are weighed from outside")]

use std::fs;
use std::path::Path;

use onceward::review::ReviewFilter;
use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, Store};

/// Bytes of all files below a directory.
fn bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let size = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => bytes(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(size).sum()
}

#[test]
fn a_thousand_plain_events_take_less_than_ten_megabytes_of_disk_and_no_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Config::new()).unwrap();
    let key = |n: u64| Key::new(&format!("k{n}")).unwrap();
    let payload = Payload::json(r#"{"total":24.50,"items":[1,2,3]}"#).unwrap();
    let events: Vec<Event> =
        (0..1_000).map(|n| Event::new(Scope::default(), key(n), payload.clone())).collect();
    store.capture_batch(&events).unwrap();
    let accepted = |n| Settlement {
        scope: Scope::default(),
        key: key(n),
        answer: Answer::Accepted { receipt: None },
    };
    store.settle(&(0..500).map(accepted).collect::<Vec<_>>()).unwrap();
    assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap(), []);
    store.tick().unwrap();
    assert_eq!(store.status().pending, 500, "control");
    store.close().unwrap();
    assert!(bytes(dir.path()) < 10_000_000, "{} bytes", bytes(dir.path()));
    assert!(!dir.path().join("catalog").exists());
}
