//! The catalog in real files: whatever becomes of them, the answers stay the same.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the files are damaged from outside, as no store does it"
)]

mod builds;
mod flipped;
mod running;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::inspect::Inspection;
use crate::review::{Decision, DecisionMade, ReviewFilter, ReviewItem};
use crate::testing::{SEGMENT_BYTES, event, key, sales};
use crate::{Answer, Settlement};
use crate::{Config, Event, Scope, Store};

/// A directory with a store, and what it answered when it was closed.
struct Site {
    dir: TempDir,
    answers: Answers,
}

/// Everything that the catalog is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Answers {
    pages: Vec<Vec<ReviewItem>>,
    decisions: Vec<DecisionMade>,
    on_one: Vec<DecisionMade>,
}

fn open(dir: &Path) -> Store {
    Store::open(dir, Config::new().with_segment_bytes(SEGMENT_BYTES)).unwrap()
}

fn reject(store: &Store, n: u64) {
    let answer = match n % 4 {
        0 => Answer::Uncertain { code: "TOO_OLD".to_owned(), message: format!("m{n}") },
        code => Answer::Rejected {
            code: format!("CODE_{code}"),
            message: format!("m{n}"),
            reply: vec![7; 300],
        },
    };
    let scope = if n.is_multiple_of(2) { sales() } else { Scope::default() };
    store.settle(&[Settlement { scope, key: key(n), answer }]).unwrap();
}

fn answers(store: &Store) -> Answers {
    let all = ReviewFilter::new;
    let first = store.reviews().list(&all().with_max(5)).unwrap();
    let after = all().with_after(first[4].version, first[4].lsn);
    let middle = first[2].since_ms;
    let filters = [
        all(),
        after.clone(),
        after.with_code("CODE_1"),
        all().with_scope(sales()),
        all().with_code("CODE_3"),
        all().with_scope(sales()).with_code("TOO_OLD").with_max(2),
        all().with_since_ms(middle),
        // One more: until is exclusive, and all may have been refused within one millisecond.
        all().with_until_ms(middle + 1).with_scope(sales()),
    ];
    let decisions = store.reviews().decisions(None, 1_000).unwrap();
    let on_one = store.reviews().decisions_on(&sales(), &key(2)).unwrap();
    let pages = filters.iter().map(|filter| store.reviews().list(filter).unwrap()).collect();
    Answers { pages, decisions, on_one }
}

/// Captures, rejects and decides; returns what the store then answers.
fn write(store: &Store) -> Answers {
    let scoped = |n: u64| match n.is_multiple_of(2) {
        true => event(n),
        false => Event { scope: Scope::default(), ..event(n) },
    };
    store.capture_batch(&(0..24).map(scoped).collect::<Vec<_>>()).unwrap();
    (0..20).for_each(|n| reject(store, n));
    let decide = |decision: Decision| store.reviews().decide(&decision).unwrap();
    decide(Decision::retry(sales(), key(2)).with_person("anna").with_note("card was added"));
    reject(store, 2);
    decide(Decision::resolve(sales(), key(4), "refunded").with_person("ben"));
    decide(Decision::retry(Scope::default(), key(5)).with_person("anna"));
    let answers = answers(store);
    assert_eq!(answers.pages[0].len(), 18, "control");
    assert!(answers.pages.iter().all(|page| !page.is_empty()), "control: {answers:?}");
    assert_eq!((answers.decisions.len(), answers.on_one.len()), (3, 1), "control");
    answers
}

impl Site {
    fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(place: &Path) -> Self {
        let dir = tempfile::tempdir_in(place).unwrap();
        let store = open(dir.path());
        let answers = write(&store);
        store.close().unwrap();
        Self { dir, answers }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Opens, asks, closes; tells why the catalog was made anew.
    #[track_caller]
    fn reopened(&self) -> Option<String> {
        let store = open(self.dir.path());
        assert_eq!(answers(&store), self.answers);
        assert_eq!(store.status().catalog_trouble, None);
        let rebuilt = store.recovery().catalog_rebuilt;
        store.close().unwrap();
        rebuilt
    }

    /// The files in the catalog's directory.
    fn files(&self) -> Vec<PathBuf> {
        let entries =
            fs::read_dir(self.path("catalog")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
        files.sort();
        files
    }

    /// A copy of it all, as a killed process leaves it.
    fn copied(&self) -> Self {
        let dir = tempfile::tempdir_in(self.dir.path().parent().unwrap()).unwrap();
        copy(self.dir.path(), dir.path());
        Self { dir, answers: self.answers.clone() }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_healthy_catalog_answers_as_the_log_does_and_is_not_made_anew() {
    let site = Site::new();
    assert_eq!(site.reopened(), None);
    let seen = Inspection::open(site.dir.path()).unwrap().reviews().unwrap();
    assert_eq!(seen, site.answers.pages[0]);
    let leftovers = ["catalog.new", "catalog.old", "catalog.damaged-1"];
    assert!(leftovers.iter().all(|name| !site.path(name).exists()));
}

#[test]
fn a_store_that_is_copied_while_it_is_open_catches_up() {
    let site = Site::new();
    let store = open(site.dir.path());
    for n in 20..24 {
        reject(&store, n);
    }
    store.reviews().resolve(&sales(), &key(20), "x").unwrap();
    let copied = site.copied();
    let copied = Site { answers: answers(&store), ..copied };
    assert_eq!(copied.reopened(), None, "what it lacks comes after what it says it has");
    assert_eq!(copied.reopened(), None, "nor later");
}

#[test]
fn without_its_directory_it_is_made_anew() {
    let site = Site::new();
    fs::remove_dir_all(site.path("catalog")).unwrap();
    let why = site.reopened().unwrap();
    assert!(why.contains("missing"), "{why}");
    assert_eq!(site.reopened(), None, "control: once");
}

#[test]
fn a_file_that_sled_had_begun_is_removed_before_it_is_taken_for_a_finished_one() {
    let site = Site::new();
    let begun = site.path("catalog/snap.00000000000FFFFF.generating");
    fs::write(&begun, b"half").unwrap();
    assert_eq!(site.reopened(), None);
    assert!(!begun.exists());
}

#[test]
fn truncated_files_are_set_aside_and_answers_stay() {
    let site = Site::new();
    let mut rebuilt = 0;
    for (number, file) in site.files().iter().enumerate() {
        for keep in [0, 1, 20, 400, 4_096, 70_000] {
            let copied = site.copied();
            let file = copied.files().remove(number);
            let len = fs::metadata(&file).unwrap().len();
            if keep >= len {
                continue;
            }
            fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(keep).unwrap();
            if copied.reopened().is_some() {
                rebuilt += 1;
                assert!(copied.path("catalog.damaged-1").is_dir(), "{file:?} cut to {keep}");
            }
            assert_eq!(copied.reopened(), None, "{file:?} cut to {keep}");
        }
        assert!(file.exists());
    }
    assert!(rebuilt > 0, "control: some of it matters");
}

#[test]
fn at_most_two_that_were_set_aside_are_kept_the_newest() {
    let site = Site::new();
    for _ in 0..4 {
        let db = fs::OpenOptions::new().write(true).open(site.path("catalog/db")).unwrap();
        db.set_len(400).unwrap();
        drop(db);
        assert!(site.reopened().is_some());
    }
    let kept = (1..=5).filter(|n| site.path(&format!("catalog.damaged-{n}")).exists());
    assert_eq!(kept.collect::<Vec<_>>(), [3, 4]);
}

/// A log that was restored from a backup, or cut, beside a catalog that was not.
#[test]
fn a_catalog_that_is_ahead_of_the_log_is_made_anew() {
    let site = Site::new();
    let restored = site.copied();
    let store = open(site.dir.path());
    for n in 20..24 {
        reject(&store, n);
    }
    store.reviews().resolve(&sales(), &key(2), "later").unwrap();
    store.close().unwrap();
    fs::remove_dir_all(restored.path("catalog")).unwrap();
    copy(&site.path("catalog"), &restored.path("catalog"));
    let why = restored.reopened().unwrap();
    assert!(why.contains("the log ends at"), "{why}");
}

#[test]
fn a_catalog_of_another_store_is_made_anew() {
    let (site, other) = (Site::new(), Site::new());
    fs::remove_dir_all(site.path("catalog")).unwrap();
    copy(&other.path("catalog"), &site.path("catalog"));
    let why = site.reopened().unwrap();
    assert!(why.contains("another store"), "{why}");
}

#[test]
fn a_store_without_rare_things_has_no_catalog_and_what_is_there_is_not_believed() {
    let site = Site::new();
    let plain = tempfile::tempdir().unwrap();
    let store = open(plain.path());
    store.capture_batch(&(0..1_000).map(event).collect::<Vec<_>>()).unwrap();
    assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap(), []);
    assert_eq!(store.reviews().decisions(None, 9).unwrap(), []);
    assert!(store.reviews().retry(&sales(), &key(1)).is_err());
    store.tick().unwrap();
    store.close().unwrap();
    assert!(!plain.path().join("catalog").exists());
    // A leftover of another time.
    copy(&site.path("catalog"), &plain.path().join("catalog"));
    let store = open(plain.path());
    assert_eq!(store.recovery().catalog_rebuilt, None);
    reject(&store, 8);
    let items = store.reviews().list(&ReviewFilter::new()).unwrap();
    assert_eq!((items.len(), items[0].code.as_str()), (1, "TOO_OLD"));
    assert_eq!(store.status().catalog_trouble, None);
}
