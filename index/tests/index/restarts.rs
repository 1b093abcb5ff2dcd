//! What a restart finds is what was there, and nothing more: keys, counts, files.
//! Method: one case each, on a simulated disk, with the whole log told again.

use onceward_index::{ContentHash, Entry, Fingerprint, Index, Options, ReadMode, Reserved, Until};
use onceward_vfs::{Fault, FaultKind, FaultOp, SimVfs, Survival, Vfs};

use crate::store::{DIR, MINUTE_MS, SLICE_MS, Store, location, options, secret, settling};

const CONTENT: ContentHash = ContentHash::from_u64(1);

fn key(number: u64) -> Fingerprint {
    secret().fingerprint("till", &number.to_le_bytes())
}

fn is_known(index: &Index, number: u64) -> bool {
    index.find(key(number)).unwrap().is_some()
}

fn store(disk: &SimVfs) -> Store {
    Store::open(location(disk.clone()), options(ReadMode::Mapped))
}

/// The store after its power was cut, with its whole log told again.
fn reopened(store: &Store, disk: &SimVfs) -> Store {
    let disk = disk.after_power_cut(&Survival::Everything);
    let (again, told) = Store::reopened(location(disk), options(ReadMode::Mapped), &store.log);
    told.unwrap();
    assert_eq!(again.index.discarded(), None);
    again
}

fn entry(number: u64, lsn: u64) -> Entry {
    Entry { key: key(number), content: CONTENT, lsn }
}

fn assert_taken(reserved: Reserved) {
    assert!(matches!(reserved, Reserved::Taken(_)), "{reserved:?}");
}

#[test]
fn a_key_that_was_carried_beside_a_frame_in_flight_is_there_after_a_crash() {
    let disk = SimVfs::new();
    let mut store = store(&disk);
    assert_taken(store.take(key(1), CONTENT, settling()).unwrap());
    store.index.checkpoint(0, Until::Later).unwrap();
    store.now += 10 * MINUTE_MS;
    let in_flight = entry(2, store.next_lsn());
    assert_taken(store.index.reserve(in_flight, settling(), store.now).unwrap());
    store.expire().unwrap();
    assert_eq!(store.index.slices().len(), 1, "the old slice is dropped");
    store.index.checkpoint(0, Until::Later).unwrap();
    let again = reopened(&store, &disk);
    assert!(is_known(&again.index, 1));
    assert!(!is_known(&again.index, 2));
}

#[test]
fn a_restart_counts_the_keys_that_are_remembered_and_not_those_that_were_released() {
    let disk = SimVfs::new();
    let mut store = store(&disk);
    for number in 0..100 {
        let lsn = store.next_lsn();
        assert_taken(store.take(key(number), CONTENT, settling()).unwrap());
        store.settle(lsn);
    }
    store.index.checkpoint(0, Until::Later).unwrap();
    for number in 0..40 {
        assert!(store.release(key(number)).unwrap());
    }
    for until in [Until::Later, Until::Close, Until::Close] {
        store.index.checkpoint(0, until).unwrap();
        assert_eq!(store.index.len(), 60);
        let again = reopened(&store, &disk);
        assert!((0..100).all(|number| is_known(&again.index, number) == (number >= 40)));
        assert_eq!(again.index.len(), 60, "after {until:?}");
    }
}

#[test]
fn checkpoints_that_fail_leave_no_files_behind() {
    let disk = SimVfs::new();
    let mut store = store(&disk);
    assert_taken(store.take(key(1), CONTENT, settling()).unwrap());
    for op in [FaultOp::Write, FaultOp::SyncData, FaultOp::SyncDir, FaultOp::Rename] {
        for nth in 0..8 {
            let (name_contains, kind) = (DIR.to_owned(), FaultKind::Enospc);
            disk.plan(Fault { op, name_contains, nth, kind, forever: false });
            drop(store.index.checkpoint(nth, Until::Close));
            disk.forget_faults();
        }
    }
    assert_taken(store.take(key(2), CONTENT, settling()).unwrap());
    store.index.checkpoint(0, Until::Close).unwrap();
    let names = disk.list(DIR).unwrap();
    assert!(names.len() <= 4, "a manifest, a table file and two key files: {names:?}");
}

#[test]
fn a_restart_with_more_slices_forgets_no_key_before_its_window_is_over() {
    for (window, is_told) in [(settling(), true), (settling(), false)] {
        let disk = SimVfs::new();
        let one = Options { slice_count: 1, ..options(ReadMode::Mapped) };
        let mut store = Store::open(location(disk.clone()), one);
        // Late in its slice, which is as long as the window.
        store.now = 100 * MINUTE_MS + MINUTE_MS - 1;
        let (captured, lsn) = (store.now, store.next_lsn());
        assert_taken(store.take(key(1), CONTENT, window).unwrap());
        store.settle(lsn);
        if !is_told {
            store.index.checkpoint(0, Until::Close).unwrap();
        }
        let many = Options { slice_count: 60, ..one };
        let disk = disk.after_power_cut(&Survival::Everything);
        let (mut again, told) = Store::reopened(location(disk), many, &store.log);
        told.unwrap();
        again.now = captured + MINUTE_MS - 1;
        again.expire().unwrap();
        assert!(is_known(&again.index, 1), "{window:?} is not over");
    }
}

/// Captures go on while a slice is forgotten: whatever the file system puts in its journal, they wait for.
#[test]
fn forgetting_a_slice_is_one_sync_and_changes_no_name_but_of_files_that_go() {
    let disk = SimVfs::new();
    let mut store = store(&disk);
    for number in 0..5 {
        let lsn = store.next_lsn();
        assert_taken(store.take(key(number), CONTENT, settling()).unwrap());
        store.settle(lsn);
        store.index.checkpoint(0, Until::Later).unwrap();
        store.now += SLICE_MS;
    }
    store.now += MINUTE_MS;
    store.expire().unwrap();
    let before = disk.trace().len();
    let done = store.index.checkpoint(0, Until::Later).unwrap();
    assert!(done.removed_files > 0, "{done:?}");
    let mut trace = disk.trace().split_off(before);
    trace.retain(|line| !line.contains("remove index/keys-"));
    let expected = ["open", "write", "sync_data", "write"];
    assert_eq!(trace.len(), expected.len(), "{trace:?}");
    for (line, call) in trace.iter().zip(expected) {
        assert!(line.contains(&format!(" {call} index/manifest")), "{call}: {trace:?}");
    }
    let bytes = disk.bytes("index/manifest").unwrap();
    assert_eq!(bytes.len(), 2 * 4_096, "it has its length already");
}
