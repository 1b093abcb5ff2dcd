//! An index whose files turn out to be damaged is told anew while it is used: nothing that can be read is lost for
//! that, and the files count until others took their place.
//! Method: 300 keys in one file, which is damaged or given up; the index is told anew, and killed before and after it
//! is written.

use std::sync::Arc;

use onceward_index::{
    ContentHash, Entry, ErrorKind, Fingerprint, Index, Location, Options, Reserved, Secret, Until,
    Window, WindowStart,
};
use onceward_vfs::{SimVfs, Vfs};

const DIR: &str = "index";
/// Shard, tag and bits that all keys share, so that who looks for one looks at all.
const HIGH: u128 = 0xabc_1234_u128 << 100 | 0x55 << 93;

fn open(disk: &SimVfs) -> Index {
    let location = Location { vfs: Arc::new(disk.clone()), dir: DIR.to_owned() };
    Index::open(location, &Secret::from_bytes([7; 16]), Options::default()).unwrap().index
}

fn window() -> Window {
    Window::new(60_000, WindowStart::FromSettle).unwrap()
}

fn entry(lsn: u64) -> Entry {
    let key = Fingerprint::from_u128(HIGH | u128::from(lsn));
    Entry { key, content: ContentHash::from_u64(lsn), lsn }
}

fn reserve(index: &Index, lsn: u64) {
    assert!(matches!(index.reserve(entry(lsn), window(), 0).unwrap(), Reserved::Taken(_)));
}

fn key_files(disk: &SimVfs) -> Vec<String> {
    let names = disk.list(DIR).unwrap().into_iter().filter(|name| name.starts_with("keys-"));
    names.map(|name| format!("{DIR}/{name}")).collect()
}

/// 300 keys in two blocks of one file.
fn written() -> (SimVfs, Index) {
    let disk = SimVfs::new();
    let index = open(&disk);
    (1..=300).for_each(|lsn| reserve(&index, lsn));
    index.confirm_batch(1..=300);
    index.checkpoint(1, Until::Close).unwrap();
    (disk, index)
}

fn knows(index: &Index, lsn: u64) -> bool {
    index.find(entry(lsn).key).unwrap().is_some_and(|found| found.lsn == lsn)
}

#[test]
fn a_damaged_block_costs_its_own_entries() {
    let (disk, index) = written();
    drop(index);
    disk.flip_bit(&key_files(&disk)[0], 80, 1);
    let index = open(&disk);
    let slice = index.slices()[0].id;
    let (entries, unreadable) = index.entries(slice);
    let mut lsns: Vec<u64> = entries.iter().map(|entry| entry.lsn).collect();
    lsns.sort_unstable();
    assert_eq!(lsns, (257..=300).collect::<Vec<_>>());
    assert_eq!(unreadable.iter().map(|it| it.kind()).collect::<Vec<_>>(), [ErrorKind::Corrupt]);
}

#[test]
fn files_count_until_what_was_told_anew_is_written() {
    let (disk, index) = written();
    let before = key_files(&disk);
    index.begin_anew();
    assert!(!knows(&index, 7), "what was in files only");
    assert_eq!(index.checkpoint(1, Until::Later).unwrap().entries, 0, "not before it was told");
    let slice = index.slice(window(), 0);
    (1..=300).for_each(|lsn| index.restore(slice, entry(lsn), 0).unwrap());
    index.end_anew();
    assert_eq!(key_files(&disk), before);
    let crashed = open(&disk.after_kill());
    assert!((1..=300).all(|lsn| knows(&crashed, lsn)), "before it is written");
    index.checkpoint(1, Until::Later).unwrap();
    let now = key_files(&disk);
    assert!(now.len() == 1 && now != before, "{now:?}");
    let crashed = open(&disk.after_kill());
    assert!((1..=300).all(|lsn| knows(&crashed, lsn)), "after");
    assert_eq!(crashed.len(), 300);
}

#[test]
fn nothing_is_written_of_an_index_that_could_not_be_told_before_it_was_told_anew() {
    let (disk, index) = written();
    reserve(&index, 301);
    index.stop_writing();
    index.confirm(301);
    index.checkpoint(1, Until::Later).unwrap();
    assert!(!knows(&open(&disk.after_kill()), 301));
    index.end_anew();
    index.checkpoint(1, Until::Later).unwrap();
    assert!(knows(&open(&disk.after_kill()), 301));
}

#[test]
fn a_key_is_taken_back_whatever_became_of_the_files() {
    let (disk, index) = written();
    reserve(&index, 301);
    disk.spoil_block(&key_files(&disk)[0], 0);
    let kind = |lsn: u64| index.find(entry(lsn).key).unwrap_err().kind();
    assert_eq!(kind(1), ErrorKind::Corrupt, "control");
    assert!(index.withdraw(entry(301).key, 301).unwrap());
    assert!(!index.withdraw(entry(301).key, 301).unwrap(), "once");
    assert_eq!(index.len(), 300);
}
