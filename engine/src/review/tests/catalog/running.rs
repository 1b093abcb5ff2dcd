//! What becomes of the catalog while the store runs.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use super::{Site, answers, open, reject};
use crate::outbox::frames::Rejection;
use crate::review::catalog::{Catalog, Change, Fact, ReviewRow, Trouble, Visit};
use crate::review::{Decision, ReviewFilter};
use crate::testing::{key, sales};
use crate::{Answer, Settlement};

/// A catalog that fails whenever it is asked.
#[derive(Debug)]
struct Failing(Trouble);

impl Failing {
    fn files() -> Box<Self> {
        Box::new(Self(Trouble::Files("a block cannot be read".to_owned())))
    }
}

impl Catalog for Failing {
    fn value(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        Err(self.0.clone())
    }
    fn scan(&self, from: &[u8], visit: Visit<'_>) -> Result<(), Trouble> {
        match from {
            // Being put in the place of the files.
            [] => match visit(b"x", b"") {
                ControlFlow::Continue(()) | ControlFlow::Break(()) => Ok(()),
            },
            _ => self.value(from).map(|_| ()),
        }
    }
    fn write(&mut self, _changes: &[Change]) -> Result<(), Trouble> {
        self.value(&[]).map(|_| ())
    }
    fn flush(&mut self) -> Result<(), Trouble> {
        self.value(&[]).map(|_| ())
    }
    fn disk_bytes(&self) -> Result<u64, Trouble> {
        self.value(&[]).map(|_| 0)
    }
}

#[test]
fn files_that_fail_while_the_store_runs_are_set_aside_and_answers_go_on() {
    let site = Site::new();
    let store = open(site.dir.path());
    assert_eq!(store.status().catalog_trouble, None, "control");
    for turn in 1..=3 {
        store.inner.kept_catalog.replace(Failing::files());
        assert_eq!(answers(&store), site.answers, "turn {turn}");
        let trouble = store.status().catalog_trouble.unwrap();
        assert!(trouble.contains("cannot be read"), "{trouble}");
        assert!(site.path(&format!("catalog.damaged-{turn}")).is_dir());
    }
    // From then on in memory, and a change is still answered.
    assert!(!site.path("catalog").exists());
    reject(&store, 20);
    store.reviews().retry(&sales(), &key(20)).unwrap();
    reject(&store, 22);
    let now = answers(&store);
    assert_eq!((now.pages[0].len(), now.decisions.len()), (19, 4));
    store.close().unwrap();
    let site = Site { answers: now, ..site };
    assert!(site.reopened().unwrap().contains("missing"));
}

#[test]
fn where_the_machine_gives_no_thread_the_files_stay_and_are_not_tried_before_the_next_opening() {
    let site = Site::new();
    let store = open(site.dir.path());
    let why = "no thread can be started".to_owned();
    store.inner.kept_catalog.replace(Box::new(Failing(Trouble::Machine(why.clone()))));
    assert_eq!(answers(&store), site.answers);
    assert_eq!(store.status().catalog_trouble, Some(why));
    assert!(site.path("catalog").is_dir() && !site.path("catalog.damaged-1").exists());
    reject(&store, 22);
    let now = answers(&store);
    assert_eq!(now.pages[0].len(), 19);
    drop(store);
    // As after a crash: the files know less than the log, and catch up.
    let site = Site { answers: now, ..site };
    assert_eq!(site.reopened(), None);
}

#[test]
fn files_in_which_little_lives_are_made_anew_smaller() {
    let site = Site::new();
    let store = open(site.dir.path());
    let lsn = store.inner.log.synced();
    let row = |n: u64| {
        let (code, message) = ("C".to_owned(), "m".repeat(512));
        let reply = (0..1_024_u64).map(|at| (at * n % 251).to_le_bytes()[0]).collect();
        let (event, version, since_ms, state) = (1_000_000 + n, lsn, 0, 6);
        let reason = Rejection { event, version, code, message, reply, since_ms, state };
        ReviewRow { scope: "sales".to_owned(), reason }
    };
    let bytes = || {
        let files = site.files();
        files.iter().map(|file| fs::metadata(file).unwrap().len()).sum::<u64>()
    };
    let numbers: Vec<u64> = (0..6_000).collect();
    for some in numbers.chunks(100) {
        let facts: Vec<Fact> = some.iter().map(|n| Fact::Arrived(row(*n))).collect();
        store.inner.catalog().keep(&facts, lsn);
    }
    let gone =
        |n: &u64| Fact::Gone(crate::review::catalog::RowId { version: lsn, event: 1_000_000 + n });
    for some in numbers.chunks(100) {
        store.inner.catalog().keep(&some.iter().map(gone).collect::<Vec<_>>(), lsn);
    }
    let most = bytes();
    assert!(most > 5 * 1024 * 1024, "control: {most}");
    store.tick().unwrap();
    assert!(bytes() < most / 3, "{} bytes after, {most} before", bytes());
    assert_eq!(answers(&store), site.answers);
    store.close().unwrap();
    assert_eq!(site.reopened(), None);
    assert!(!site.path("catalog.new").exists() && !site.path("catalog.old").exists());
}

/// P4: a reason that the disk lost while the store ran costs neither its item nor its neighbours.
#[test]
fn an_item_whose_reason_cannot_be_read_any_more_says_so_and_still_waits() {
    let site = Site::new();
    let store = open(site.dir.path());
    let (code, message) = ("MINE".to_owned(), "a reason of its own".to_owned());
    let answer = Answer::Rejected { code, message: message.clone(), reply: vec![] };
    store.settle(&[Settlement { scope: sales(), key: key(20), answer }]).unwrap();
    let version = store.reviews().get(&sales(), &key(20)).unwrap().version;
    let segments = fs::read_dir(site.path("log")).unwrap().map(|entry| entry.unwrap().path());
    for path in segments.filter(|path| path.is_file()) {
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(message.len()).position(|it| it == message.as_bytes());
        if let Some(at) = at {
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    assert_eq!(
        store.reviews().get(&sales(), &key(20)).unwrap().code,
        "MINE",
        "control: the catalog has it"
    );
    store.inner.kept_catalog.replace(Failing::files());
    let items = store.reviews().list(&ReviewFilter::new()).unwrap();
    let (last, others) = items.split_last().unwrap();
    assert_eq!(others, site.answers.pages[0]);
    assert_eq!((last.code.as_str(), last.version), ("UNREADABLE", version));
    store.reviews().decide(&Decision::retry(sales(), key(20)).with_version(version)).unwrap();
}

/// Puts something in the place of what stands there, which is moved elsewhere.
fn usurp(kind: &str, place: &Path, elsewhere: &Path) {
    fs::rename(place, elsewhere).unwrap();
    match kind {
        "link" => std::os::unix::fs::symlink(elsewhere, place).unwrap(),
        "pipe" => {
            assert!(Command::new("mkfifo").arg(place).status().unwrap().success());
        }
        _directory => fs::create_dir(place).unwrap(),
    }
}

#[test]
fn a_catalog_in_which_something_stands_in_a_files_place_is_set_aside_and_made_anew() {
    for place in ["catalog/db", "catalog/conf"] {
        for kind in ["link", "pipe", "directory"] {
            for repairs in [false, true] {
                let case = format!("a {kind} for {place}, repaired: {repairs}");
                let (site, outside) = (Site::new(), tempfile::tempdir().unwrap());
                let elsewhere = outside.path().join("elsewhere");
                usurp(kind, &site.path(place), &elsewhere);
                let before = fs::read(&elsewhere).unwrap();
                let told = crate::inspect::verify(site.dir.path()).unwrap().damage;
                assert!(told.iter().any(|it| it.file == place), "{case}: {told:?}");
                if repairs {
                    let done = crate::repair::repair(site.dir.path()).unwrap();
                    assert_eq!(done.left, [], "{case}");
                }
                assert!(site.reopened().is_some(), "{case}");
                assert_eq!(fs::read(&elsewhere).unwrap(), before, "{case}: not followed");
            }
        }
    }
}

#[test]
fn a_link_or_a_pipe_in_the_place_of_the_catalogs_directory_is_set_aside() {
    for kind in ["link", "pipe"] {
        let (site, outside) = (Site::new(), tempfile::tempdir().unwrap());
        usurp(kind, &site.path("catalog"), &outside.path().join("elsewhere"));
        assert!(site.reopened().is_some(), "{kind}");
        assert!(outside.path().join("elsewhere/db").is_file(), "{kind}");
        assert!(site.path("catalog.damaged-1").symlink_metadata().is_ok(), "{kind}");
    }
}

/// A call that was under way when another thread closed the store.
#[test]
fn a_store_that_was_closed_opens_the_files_no_more_which_are_those_of_the_next_handle() {
    let site = Site::new();
    let path = site.dir.path();
    let closed = open(path);
    closed.reviews().list(&ReviewFilter::new()).unwrap();
    assert!(closed.inner.kept_catalog.is_in_files(), "control");
    closed.close().unwrap();
    let next = open(path);
    closed.inner.catalog().ask(|shelf| shelf.flush());
    assert!(!closed.inner.kept_catalog.is_in_files());
    assert_eq!(next.recovery().catalog_rebuilt, None);
    assert_eq!(answers(&next), site.answers);
    assert_eq!((next.status().catalog_trouble, closed.status().catalog_trouble), (None, None));
    next.close().unwrap();
    assert_eq!(site.reopened(), None, "nobody set it aside");
}
