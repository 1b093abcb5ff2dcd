//! What is not a file and is in a file's place, or no directory and is in a directory's, is reported by name,
//! and a repair sets it aside.
//! Method: each kind of such things is put in the place of each kind of a store's files and of each of its
//! directories, on real directories.

#![expect(
    clippy::disallowed_methods,
    reason = "plays what others do to a directory; a failure of the disk is one of the test"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use onceward::config::Create;
use onceward::inspect::verify;
use onceward::repair::{plan_repair, repair};
use onceward::{Config, Event, Key, Payload, Scope, Store, Verdict};
use tempfile::TempDir;

/// What is put in the place of a file or a directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    File,
    Directory,
    Link,
    Pipe,
    Socket,
}

/// In the place of a file.
const KINDS: [Kind; 4] = [Kind::Directory, Kind::Link, Kind::Pipe, Kind::Socket];
/// In the place of a directory.
const NO_DIRECTORIES: [Kind; 4] = [Kind::File, Kind::Link, Kind::Pipe, Kind::Socket];

impl Kind {
    /// Puts it in the place of what is there; that itself is where a link leads.
    fn usurp(self, place: &Path, elsewhere: &Path) {
        if place.exists() {
            fs::rename(place, elsewhere).unwrap();
        }
        match self {
            Self::File => fs::write(place, "precious").unwrap(),
            Self::Directory => {
                fs::create_dir(place).unwrap();
                fs::write(place.join("precious"), "precious").unwrap();
            }
            Self::Link => symlink(elsewhere, place).unwrap(),
            Self::Pipe => assert!(Command::new("mkfifo").arg(place).status().unwrap().success()),
            Self::Socket => {
                // By a short path: those of sockets are limited.
                let short = tempfile::tempdir().unwrap();
                drop(UnixListener::bind(short.path().join("s")).unwrap());
                fs::rename(short.path().join("s"), place).unwrap();
            }
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::File => "a file is in the place",
            Self::Directory => "a directory is in the place",
            Self::Link => "a symbolic link is in the place",
            Self::Pipe => "a pipe is in the place",
            Self::Socket => "a device or socket is in the place",
        }
    }
}

/// The first segment, one that is prepared for what comes next, and two that are held back for a full disk.
const LOG_FILES: usize = 4;

/// Segments that are soon made.
fn config() -> Config {
    Config::new().with_segment_bytes(256 * 1024).with_payload_bytes_max(60_000)
}

fn sale(key: &str) -> Event {
    Event::new(Scope::default(), Key::new(key).unwrap(), Payload::json("{}").unwrap())
}

/// Whether the event was taken just now.
fn is_fresh(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fresh { .. })
}

/// A store of one event with every kind of file.
fn store_in(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("store");
    let store = Store::open(&path, config()).unwrap();
    store.capture(&sale("kept")).unwrap();
    // A thread prepares segments ahead of need: all of them are to be there.
    let begun = Instant::now();
    while files(&path, "log", "").len() < LOG_FILES {
        assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", files(&path, "log", ""));
        thread::yield_now();
    }
    store.close().unwrap();
    for missing in ["meta.tmp", "index/unchecked", "quarantine/copy.bytes"] {
        fs::write(path.join(missing), "").unwrap();
    }
    path
}

/// A copy of a store: how many files the index has differs from store to store, as its thread ran.
fn copy_of(pattern: &Path, dir: &TempDir) -> PathBuf {
    let path = dir.path().join("store");
    assert!(Command::new("cp").arg("-a").args([pattern, &path]).status().unwrap().success());
    path
}

/// The files of a directory of the store whose names begin so, ascending.
fn files(path: &Path, dir: &str, begin: &str) -> Vec<String> {
    let entries = fs::read_dir(path.join(dir)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<String> = names.filter(|name| name.starts_with(begin)).collect();
    found.sort();
    found.into_iter().map(|name| format!("{dir}/{name}")).collect()
}

/// Every file of the store but the first segment, in which the event is.
fn others(path: &Path) -> Vec<String> {
    let mut all: Vec<String> =
        ["lock", "meta", "meta.tmp", "quarantine/copy.bytes"].map(str::to_owned).into();
    all.extend(files(path, "log", "").into_iter().skip(1));
    all.extend(files(path, "index", ""));
    all
}

#[test]
fn what_stands_in_a_files_place_is_told_by_name_and_set_aside_and_the_store_goes_on() {
    let made_in = tempfile::tempdir().unwrap();
    let pattern = store_in(&made_in);
    let files = others(&pattern);
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        for kind in KINDS {
            let dir = tempfile::tempdir().unwrap();
            let path = copy_of(&pattern, &dir);
            let elsewhere = dir.path().join("elsewhere");
            kind.usurp(&path.join(&file), &elsewhere);
            let case = format!("{kind:?} for {file}");
            let before = fs::read(&elsewhere).unwrap();

            let told = |damage: &[onceward::inspect::Damage]| {
                damage.iter().any(|it| it.file == file && it.what.contains(kind.words()))
            };
            let seen = verify(&path).unwrap().damage;
            assert!(told(&seen), "{case}: {seen:?}");
            assert!(told(&plan_repair(&path).unwrap().left), "{case}");

            let done = repair(&path).unwrap();
            assert!(told(&done.damage) && !told(&done.left), "{case}: {done:?}");
            let kept = path.join(&done.kept[0]);
            let found = fs::symlink_metadata(&kept).unwrap();
            assert_eq!(found.is_dir(), kind == Kind::Directory, "{case}");
            if kind == Kind::Directory {
                assert_eq!(fs::read(kept.join("precious")).unwrap(), b"precious", "{case}");
            }
            assert_eq!(fs::read(&elsewhere).unwrap(), before, "{case}: nothing was followed");

            let store = Store::open(&path, config().with_create(Create::Never)).unwrap();
            let verdict = store.capture(&sale("kept")).unwrap();
            assert!(!is_fresh(&verdict), "{case}: {verdict:?}");
            assert!(is_fresh(&store.capture(&sale("new")).unwrap()), "{case}");
            store.close().unwrap();
            assert_eq!(verify(&path).unwrap().damage, [], "{case}");
        }
    }
}

#[test]
fn what_stands_in_the_place_of_a_file_that_counts_is_named_when_the_store_is_opened() {
    for file in ["lock", "meta", "log"] {
        for kind in KINDS {
            let dir = tempfile::tempdir().unwrap();
            let path = store_in(&dir);
            let file = if file == "log" { files(&path, "log", "").remove(0) } else { file.into() };
            kind.usurp(&path.join(&file), &dir.path().join("elsewhere"));
            let error = Store::open(&path, config()).unwrap_err().to_string();
            assert!(error.contains(kind.words()) && error.contains(&file), "{file}: {error}");
        }
    }
}

#[test]
fn what_stands_in_the_place_of_an_index_file_is_set_aside_when_the_store_is_opened() {
    let made_in = tempfile::tempdir().unwrap();
    let pattern = store_in(&made_in);
    for file in files(&pattern, "index", "") {
        for kind in KINDS {
            let dir = tempfile::tempdir().unwrap();
            let path = copy_of(&pattern, &dir);
            kind.usurp(&path.join(&file), &dir.path().join("elsewhere"));
            let store = Store::open(&path, config()).unwrap();
            assert!(!is_fresh(&store.capture(&sale("kept")).unwrap()), "{kind:?} for {file}");
            store.close().unwrap();
            assert_eq!(verify(&path).unwrap().damage, [], "{kind:?} for {file}");
            assert_eq!(files(&path, "quarantine", "index-").len(), 1, "{kind:?} for {file}");
        }
    }
}

#[test]
fn the_segment_whose_place_was_taken_is_told_as_lost_and_the_store_goes_on() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let path = store_in(&dir);
        let file = files(&path, "log", "").remove(0);
        kind.usurp(&path.join(&file), &dir.path().join("elsewhere"));
        let done = repair(&path).unwrap();
        assert!(done.damage.len() > 1, "{kind:?}: {:?}", done.damage);
        assert_eq!(done.left, [], "{kind:?}");
        let store = Store::open(&path, config()).unwrap();
        // The index still knows the key: it is not free.
        assert!(!is_fresh(&store.capture(&sale("kept")).unwrap()), "{kind:?}");
        store.close().unwrap();
    }
}

/// A store with every directory that a store may have.
fn store_with_directories(dir: &TempDir) -> PathBuf {
    let path = store_in(dir);
    for missing in ["decisions", "catalog", "catalog/blobs"] {
        fs::create_dir(path.join(missing)).unwrap();
    }
    path
}

/// What is below a directory, names and bytes.
fn below(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn what_stands_in_a_directorys_place_is_told_by_name_and_set_aside_and_the_store_goes_on() {
    for name in ["log", "index", "quarantine", "decisions", "catalog", "catalog/blobs"] {
        for kind in NO_DIRECTORIES {
            let dir = tempfile::tempdir().unwrap();
            let path = store_with_directories(&dir);
            let elsewhere = dir.path().join("elsewhere");
            kind.usurp(&path.join(name), &elsewhere);
            let case = format!("{kind:?} for {name}");
            let before = below(&elsewhere);

            let words = format!("{} of the directory", kind.words());
            let told = |damage: &[onceward::inspect::Damage]| {
                damage.iter().any(|it| it.file == name && it.what.contains(&words))
            };
            let seen = verify(&path).unwrap().damage;
            assert!(told(&seen), "{case}: {seen:?}");
            assert!(told(&plan_repair(&path).unwrap().left), "{case}");

            let done = repair(&path).unwrap();
            assert!(told(&done.damage) && done.left.is_empty(), "{case}: {done:?}");
            let aside = path.join(&done.kept[0]);
            let aside = if name == "catalog/blobs" { aside.join("blobs") } else { aside };
            let kept = fs::symlink_metadata(&aside).unwrap();
            assert!(aside.starts_with(path.join("quarantine")) && !kept.is_dir(), "{case}");
            if kind == Kind::File {
                assert_eq!(fs::read(aside).unwrap(), b"precious", "{case}");
            }
            assert_eq!(below(&elsewhere), before, "{case}: nothing was followed");

            let store = Store::open(&path, config().with_create(Create::Never)).unwrap();
            // Without its log, the index still knows the key: it is not free.
            let verdict = store.capture(&sale("kept")).unwrap();
            assert!(!is_fresh(&verdict), "{case}: {verdict:?}");
            assert!(is_fresh(&store.capture(&sale("new")).unwrap()), "{case}");
            store.tick().unwrap();
            store.close().unwrap();
            assert_eq!(verify(&path).unwrap().damage, [], "{case}");
        }
    }
}

#[test]
fn what_stands_in_the_place_of_a_directory_that_counts_is_named_when_the_store_is_opened() {
    for name in ["log", "quarantine"] {
        for kind in NO_DIRECTORIES {
            let dir = tempfile::tempdir().unwrap();
            let path = store_with_directories(&dir);
            kind.usurp(&path.join(name), &dir.path().join("elsewhere"));
            let error = Store::open(&path, config()).unwrap_err().to_string();
            let words = format!("{} of the directory", kind.words());
            assert!(error.contains(&words) && error.contains(name), "{name}: {error}");
        }
    }
}

#[test]
fn what_stands_in_the_place_of_the_indexs_directory_is_set_aside_when_the_store_is_opened() {
    for kind in NO_DIRECTORIES {
        let dir = tempfile::tempdir().unwrap();
        let path = store_with_directories(&dir);
        kind.usurp(&path.join("index"), &dir.path().join("elsewhere"));
        let store = Store::open(&path, config()).unwrap();
        assert!(!is_fresh(&store.capture(&sale("kept")).unwrap()), "{kind:?}");
        store.close().unwrap();
        assert_eq!(verify(&path).unwrap().damage, [], "{kind:?}");
        assert_eq!(files(&path, "quarantine", "index.").len(), 1, "{kind:?}");
    }
}

#[test]
fn in_a_directory_that_is_no_store_nothing_is_moved() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("meta")).unwrap();
    fs::create_dir(dir.path().join("lock")).unwrap();
    repair(dir.path()).unwrap_err();
    assert!(dir.path().join("meta").is_dir() && dir.path().join("lock").is_dir());
}
