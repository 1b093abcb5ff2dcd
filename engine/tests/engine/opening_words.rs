//! A place that can hold no store is refused with words, and a printed store says where it is and what it holds.
//!
//! Method: open files, places below files and directories of others; print a store of many events.

#![expect(clippy::disallowed_methods, reason = "plays what is in the place of a store")]

use std::fs;

use onceward::inspect::{Inspection, Since, Tail, verify};
use onceward::repair::{plan_repair, repair};
use onceward::{Config, ErrorKind, Event, Key, Payload, Scope, Store};

#[test]
fn a_file_in_the_place_of_a_store_or_on_the_way_to_it_is_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "not a store").unwrap();
    for place in [file.clone(), file.join("store"), file.join("a/b")] {
        let error = Store::open(&place, Config::new()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "NOT_A_DIRECTORY"));
        let said = error.to_string();
        assert!(said.contains("a store is a directory"), "{said}");
        assert!(said.contains(&place.display().to_string()), "{said}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "not a store");
}

#[test]
fn a_place_where_nothing_can_be_made_is_told_in_words() {
    // Nobody makes a directory there, not even root.
    let error = Store::open("/proc/store", Config::new()).unwrap_err();
    let expected = "cannot open /proc/store: nothing can be made there";
    assert!(error.to_string().starts_with(expected), "{error}");
    let missing = tempfile::tempdir().unwrap().path().join("missing");
    let never = Config::new().with_create(onceward::config::Create::Never);
    let error = Store::open(&missing, never).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "NO_STORE"));
    assert!(error.to_string().contains("no such directory"), "{error}");
}

#[test]
fn whatever_is_refused_about_a_place_names_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let (empty, foreign, store) =
        (dir.path().join("empty"), dir.path().join("foreign"), dir.path().join("store"));
    fs::create_dir(&empty).unwrap();
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("holiday.jpg"), "").unwrap();
    let _open = Store::open(&store, Config::new()).unwrap();
    let never = || Config::new().with_create(onceward::config::Create::Never);
    let already = "the store is open already, by this process";
    for (place, refused, words) in [
        (&foreign, Store::open(&foreign, Config::new()).err(), "it holds \"holiday.jpg\""),
        (&store, Store::open(&store, Config::new()).err(), already),
        (&empty, Store::open(&empty, never()).err(), "there is no store in this directory"),
        (&empty, Inspection::open(&empty).err(), "there is no store in this directory"),
        (&empty, Tail::open(&empty, Since::Beginning).err(), "there is no store in this directory"),
        (&empty, verify(&empty).err(), "there is no store in this directory"),
        (&empty, plan_repair(&empty).err(), "there is no store in this directory"),
        (&empty, repair(&empty).err(), "there is no store in this directory"),
        (&store, repair(&store).err(), already),
    ] {
        let error = refused.unwrap();
        let said = format!("{}: {error}", error.code());
        assert!(said.contains(words), "{said}");
        assert_eq!(said.matches(&place.display().to_string()).count(), 1, "{said}");
        assert!(std::error::Error::source(&error).is_none(), "{error:?}");
    }
}

#[test]
fn an_empty_path_is_told_in_words() {
    let never = Config::new().with_create(onceward::config::Create::Never);
    for refused in [
        Store::open("", Config::new()).err(),
        Store::open("", never).err(),
        Inspection::open("").err(),
        repair("").err(),
    ] {
        let error = refused.unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "NOT_A_DIRECTORY"));
        assert_eq!(error.to_string(), "the path of the store is empty");
    }
}

#[test]
fn a_store_prints_its_directory_and_counts_however_many_events_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store"), Config::new()).unwrap();
    let sale = |n: u32| {
        let key = Key::new(&format!("secret-key-{n}")).unwrap();
        Event::new(Scope::default(), key, Payload::json("{}").unwrap())
    };
    for first in (0..2_000).step_by(500) {
        store.capture_batch(&(first..first + 500).map(sale).collect::<Vec<_>>()).unwrap();
    }
    let ticket = store.capture_deferred(&sale(2_000)).unwrap();
    let printed = [
        format!("{store:?}"),
        format!("{:?}", store.reviews()),
        format!("{:?}", store.inbox()),
        format!("{ticket:?}"),
    ];
    for printed in printed {
        assert!(printed.len() < 2_000, "{} bytes", printed.len());
        assert!(printed.contains(&dir.path().join("store").display().to_string()), "{printed}");
        assert!(printed.contains("pending: 2001"), "{printed}");
        assert!(!printed.contains("secret-key"), "{printed}");
    }
    ticket.wait().unwrap();
}
