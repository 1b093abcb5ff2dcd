//! A store goes from a build with files for its catalog to one without, and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use onceward_vfs::OsVfs;

use super::{Answers, Site, answers, open, reject, write};
use crate::base::clock::OsClock;
use crate::review::ReviewFilter;
use crate::testing::{SEGMENT_BYTES, key, sales};
use crate::{Config, Store};
use std::fs;
use std::path::Path;

/// Opens it as a build without the feature `sled` does: with no directories for a catalog.
fn open_without_files(dir: &Path) -> Store {
    let vfs = Arc::new(OsVfs::create(dir).unwrap());
    let config = Config::new().with_segment_bytes(SEGMENT_BYTES);
    Store::open_on(vfs, Arc::new(OsClock::new()), config).unwrap()
}

fn bytes_of(site: &Site) -> BTreeMap<String, Vec<u8>> {
    let named = |path: std::path::PathBuf| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
    };
    site.files().into_iter().map(named).collect()
}

#[test]
fn what_was_written_with_files_opens_without_them_and_they_are_left_alone() {
    let site = Site::new();
    let before = bytes_of(&site);
    assert!(!before.is_empty(), "control");
    let store = open_without_files(site.dir.path());
    assert_eq!(answers(&store), site.answers);
    assert_eq!(store.status().catalog_trouble, None);
    assert_eq!(store.recovery().catalog_rebuilt, None);
    store.close().unwrap();
    assert_eq!(bytes_of(&site), before);
    assert_eq!(site.reopened(), None, "nothing rare came meanwhile: they are as the log says");
}

#[test]
fn files_that_lack_what_came_without_them_are_made_anew() {
    let site = Site::new();
    let before = bytes_of(&site);
    let store = open_without_files(site.dir.path());
    (20..24).for_each(|n| reject(&store, n));
    store.reviews().resolve(&sales(), &key(20), "paid in cash").unwrap();
    let expected: Answers = answers(&store);
    store.close().unwrap();
    assert_eq!(bytes_of(&site), before);
    let site = Site { answers: expected, ..site };
    let why = site.reopened().unwrap();
    assert!(why.contains("it was closed with LSN"), "{why}");
    assert_eq!(site.reopened(), None, "control: once");
}

#[test]
fn what_was_written_without_files_opens_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_without_files(dir.path());
    let answers = write(&store);
    store.close().unwrap();
    assert!(!dir.path().join("catalog").exists());
    let site = Site { dir, answers };
    let why = site.reopened().unwrap();
    assert!(why.contains("missing"), "{why}");
    assert!(site.path("catalog/db").is_file());
    assert_eq!(site.reopened(), None, "control: once");
    let store = open(site.dir.path());
    assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap(), site.answers.pages[0]);
}
