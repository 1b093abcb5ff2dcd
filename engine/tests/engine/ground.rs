//! What is answered is in the store's directory, whatever happens to that while the store is open.
//! Method: real directories are moved, removed and replaced beneath an open store; then everything that
//! writes is tried.

#![expect(
    clippy::disallowed_methods,
    reason = "plays what others do to a directory; a failure of the disk is one of the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use onceward::config::Create;
use onceward::inspect::verify;
use onceward::{
    Answer, Config, Error, ErrorKind, Event, Key, Payload, Scope, Settlement, State, Store, Verdict,
};
use tempfile::TempDir;

fn sale(key: &str) -> Event {
    let payload = Payload::json("{}").unwrap();
    Event::new(Scope::default(), Key::new(key).unwrap(), payload)
}

/// Kind, code, and whether it may be found.
fn told(error: &Error) -> (ErrorKind, &'static str, bool) {
    (error.kind(), error.code(), error.in_doubt())
}

/// A store with one event.
fn store_in(dir: &TempDir) -> (PathBuf, Store) {
    let path = dir.path().join("store");
    let store = Store::open(&path, Config::new()).unwrap();
    store.capture(&sale("kept")).unwrap();
    (path, store)
}

/// The files of the log.
fn segments(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(path.join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// What writes.
fn writes(store: &Store) -> Vec<(&'static str, Result<(), Error>)> {
    let (scope, key) = (Scope::default(), Key::new("kept").unwrap());
    let answer = Answer::Accepted { receipt: None };
    let settled = Settlement { scope: scope.clone(), key: key.clone(), answer };
    vec![
        ("capture", store.capture(&sale("new")).map(drop)),
        (
            "deferred",
            store.capture_deferred(&sale("late")).and_then(onceward::Ticket::wait).map(drop),
        ),
        ("settle", store.settle(&[settled])),
        ("cancel", store.cancel(&scope, &key).map(drop)),
        ("capture again", store.capture(&sale("new")).map(drop)),
    ]
}

type Change = fn(&Path, &Path);

#[test]
fn nothing_is_fresh_in_a_store_that_was_moved_removed_or_replaced() {
    let changes: [(&str, Change); 7] = [
        ("moved", |path, beside| fs::rename(path, beside).unwrap()),
        ("removed", |path, _| fs::remove_dir_all(path).unwrap()),
        ("made anew", |path, _| {
            fs::remove_dir_all(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("another store in its place", |path, beside| {
            fs::rename(path, beside).unwrap();
            Store::open(path, Config::new()).unwrap().close().unwrap();
        }),
        ("active segment removed", |path, _| fs::remove_file(&segments(path)[0]).unwrap()),
        ("all segments removed", |path, _| {
            segments(path).iter().for_each(|file| fs::remove_file(file).unwrap());
        }),
        ("log moved", |path, beside| fs::rename(path.join("log"), beside).unwrap()),
    ];
    for (what, change) in changes {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = store_in(&dir);
        change(&path, &dir.path().join("beside"));
        for (call, answer) in writes(&store) {
            let error = answer.unwrap_err();
            let expected = (ErrorKind::Poisoned, "GROUND_MOVED", false);
            assert_eq!(told(&error), expected, "{what}, {call}: {error}");
        }
        let outcome = store.outcome(&Scope::default(), &Key::new("kept").unwrap()).unwrap();
        assert_eq!(outcome.state, State::Pending, "{what}: reading goes on");
        assert_eq!(store.close().unwrap_err().code(), "GROUND_MOVED", "{what}");
    }
}

#[test]
fn a_store_that_was_moved_opens_where_it_is_with_all_that_was_fresh() {
    let dir = tempfile::tempdir().unwrap();
    let (path, store) = store_in(&dir);
    let moved = dir.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    assert!(store.capture(&sale("lost")).is_err());
    drop(store);
    assert!(!path.exists(), "nothing was made at the old path");
    let store = Store::open(&moved, Config::new().with_create(Create::Never)).unwrap();
    assert!(matches!(store.capture(&sale("kept")).unwrap(), Verdict::Duplicate { .. }));
    assert!(matches!(store.capture(&sale("lost")).unwrap(), Verdict::Fresh { .. }));
}

#[test]
fn what_takes_the_place_of_a_store_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (path, store) = store_in(&dir);
    fs::rename(&path, dir.path().join("moved")).unwrap();
    fs::create_dir_all(path.join("catalog")).unwrap();
    fs::write(path.join("catalog/theirs"), b"theirs").unwrap();
    let answer =
        Answer::Rejected { code: "NO".to_owned(), message: "no".to_owned(), reply: Vec::new() };
    let (scope, key) = (Scope::default(), Key::new("kept").unwrap());
    assert!(store.settle(&[Settlement { scope, key, answer }]).is_err());
    store.tick().unwrap_or_default();
    drop(store);
    assert_eq!(fs::read(path.join("catalog/theirs")).unwrap(), b"theirs");
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
}

#[test]
fn removing_the_lock_file_lets_nobody_else_in() {
    let dir = tempfile::tempdir().unwrap();
    let (path, store) = store_in(&dir);
    for _ in 0..2 {
        fs::remove_file(path.join("lock")).unwrap_or_default();
        let refused = Store::open(&path, Config::new()).unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::Locked, "LOCKED"), "{refused}");
        store.capture(&sale("later")).unwrap();
    }
    store.close().unwrap();
    assert!(verify(&path).unwrap().damage.is_empty());
    let store = Store::open(&path, Config::new()).unwrap();
    assert!(matches!(store.capture(&sale("later")).unwrap(), Verdict::Duplicate { .. }));
}

#[test]
fn every_file_of_a_store_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (path, store) = store_in(&dir);
    let answer =
        Answer::Rejected { code: "NO".to_owned(), message: "no".to_owned(), reply: Vec::new() };
    let (scope, key) = (Scope::default(), Key::new("kept").unwrap());
    store.settle(&[Settlement { scope, key, answer }]).unwrap();
    store.close().unwrap();
    let in_files = cfg!(feature = "sled");
    assert_eq!(path.join("catalog/db").exists(), in_files, "control: something rare came");
    let (mut left, mut files) = (vec![path], 0);
    while let Some(path) = left.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        let expected = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.permissions().mode() & 0o777, expected, "{}", path.display());
        if found.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files += 1;
        }
    }
    assert!(files >= 6, "{files}");
}

/// A known key is looked for in the files of the index, and no map of one is made: a block that cannot be
/// read would end the process.
#[test]
fn a_store_maps_none_of_its_files_unless_it_is_told_to() {
    use onceward::config::IndexReading;
    let maps = |path: &Path| {
        let all = fs::read_to_string("/proc/self/maps").unwrap();
        all.lines().filter(|line| line.contains(path.to_str().unwrap())).count()
    };
    for (config, mapped) in
        [(Config::new(), false), (Config::new().with_index_reading(IndexReading::Mapped), true)]
    {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = store_in(&dir);
        store.close().unwrap();
        let store = Store::open(&path, config).unwrap();
        assert!(matches!(store.capture(&sale("kept")).unwrap(), Verdict::Duplicate { .. }));
        assert_eq!(maps(&path) > 0, mapped);
    }
}
