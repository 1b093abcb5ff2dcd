//! What failed is undone and told, costs no more than it must, and does not come back.
//! Method: one planned fault each, or a read that waits; then files, answers and a restart are looked at.

mod hooked;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use onceward_index::{Index, Location, Lookup, Until};
use onceward_vfs::{Fault, FaultKind, FaultOp, SimVfs, Vfs};

use crate::scenery::slot::newest;
use crate::scenery::{
    DIR, content, crashed, from_capture, from_settle, key, location, open, options, scattered,
    secret, take,
};
use hooked::OnRead;

/// Plans one fault of this operation, after `nth` others of it.
fn fault(disk: &SimVfs, op: FaultOp, (name, nth): (&str, u64), kind: FaultKind) {
    let name_contains = name.to_owned();
    disk.plan(Fault { op, name_contains, nth, kind, forever: false });
}

#[test]
fn a_checkpoint_that_finds_the_disk_full_gives_its_space_back() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    for n in 0..2_000 {
        take(&index, scattered(n), n + 1, from_settle(), 0);
    }
    disk.set_free_bytes(Some(20_000));
    index.checkpoint(0, Until::Later).unwrap_err();
    let left = disk.list(DIR).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), Some(20_000), "{left:?}");
}

#[test]
fn files_that_were_discarded_at_the_second_attempt_do_not_count_after_a_crash() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    take(&index, key(1, 1, 1), 1, from_settle(), 0);
    index.checkpoint(0, Until::Close).unwrap();
    drop(index);
    assert_eq!(open(&crashed(&disk)).covered, 1, "they count until they are discarded");
    fault(&disk, FaultOp::SyncDir, ("", 0), FaultKind::Eio);
    onceward_index::discard(&disk, DIR).unwrap_err();
    onceward_index::discard(&disk, DIR).unwrap();
    assert_eq!(open(&crashed(&disk)).covered, 0, "what was discarded counts again");
}

#[test]
fn a_batch_that_fails_leaves_the_verdicts_as_they_were() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    let (good, bad) = (key(1, 1, 1), key(2, 2, 2));
    take(&index, good, 1, from_settle(), 0);
    take(&index, bad, 2, from_capture(), 0);
    index.checkpoint(0, Until::Later).unwrap();
    index.lookup(good, content(1)).unwrap();
    let asked = [(good, content(1)), (bad, content(2))];
    let mut verdicts = vec![Lookup::New];
    let name_contains = "keys-00000002".to_owned();
    let (op, kind) = (FaultOp::Read, FaultKind::Eio);
    disk.plan(Fault { op, name_contains, nth: 0, kind, forever: true });
    index.lookup_batch(&asked, &mut verdicts).unwrap_err();
    assert_eq!(verdicts, [Lookup::New]);
    // What passes is not even noticed.
    disk.forget_faults();
    fault(&disk, op, ("keys-00000002", 0), kind);
    index.lookup_batch(&asked, &mut verdicts).unwrap();
    assert!(verdicts.len() == 3 && !verdicts[1..].contains(&Lookup::New), "{verdicts:?}");
}

#[test]
fn a_read_error_that_passes_does_not_cost_the_files() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    take(&index, key(1, 1, 1), 1, from_settle(), 0);
    index.checkpoint(0, Until::Close).unwrap();
    drop(index);
    fault(&disk, FaultOp::Open, ("manifest", 0), FaultKind::Eio);
    // Whether this fails or not, the files are still there.
    drop(Index::open(location(disk.clone()), &secret(), options()));
    assert_eq!(open(&disk).covered, 1, "one error at opening cost every file");
}

#[test]
fn a_mark_counts_after_ok_though_a_checkpoint_with_another_mark_failed_before() {
    // The sync of the slot; then, as the file is replaced, that of the directory after the renaming.
    for failures in [&[FaultOp::SyncData][..], &[FaultOp::SyncData, FaultOp::SyncDir]] {
        let disk = SimVfs::new();
        let index = open(&disk).index;
        take(&index, key(1, 1, 1), 1, from_settle(), 0);
        index.checkpoint(1, Until::Later).unwrap();
        for op in failures {
            // Before the manifest it is synced for names that may be new: the second one is meant.
            let nth = u64::from(*op == FaultOp::SyncDir);
            fault(&disk, *op, ("", nth), FaultKind::Eio);
            index.checkpoint(2, Until::Later).unwrap_err();
        }
        index.checkpoint(1, Until::Later).unwrap();
        assert_eq!(open(&disk.after_kill()).mark, 1);
        assert_eq!(open(&crashed(&disk)).mark, 1);
    }
}

/// The first lookup of a cold shard reads the entries that wait for it. That read does not return before
/// another thread has its answer, or it gives up.
#[test]
fn a_lookup_does_not_wait_for_the_disk_that_another_one_waits_for() {
    let (disk, on_read) = OnRead::disk();
    let opened = || {
        let location = Location { vfs: Arc::clone(&disk), dir: DIR.to_owned() };
        Index::open(location, &secret(), options()).unwrap().index
    };
    let index = opened();
    let (warm, cold) = (key(1, 1, 1), key(2, 2, 2));
    take(&index, warm, 1, from_settle(), 0);
    index.checkpoint(0, Until::Close).unwrap();
    take(&index, cold, 2, from_settle(), 0);
    index.checkpoint(0, Until::Later).unwrap();
    drop(index);

    let index = Arc::new(opened());
    assert_ne!(index.lookup(warm, content(1)).unwrap(), Lookup::New);
    let (other, (answered, answer)) = (Arc::clone(&index), mpsc::channel());
    let (told, telling) = mpsc::channel();
    on_read.when_a_key_file_is_read(move || {
        std::thread::spawn(move || {
            other.lookup(warm, content(1)).unwrap();
            // Nobody waits for this any more if it came too late.
            answered.send(()).unwrap_or_default();
        });
        told.send(answer.recv_timeout(Duration::from_secs(10)).is_ok()).unwrap();
    });
    assert_ne!(index.lookup(cold, content(2)).unwrap(), Lookup::New);
    assert!(telling.recv().unwrap(), "a lookup of a warm shard waited for the disk");
}

/// The table file was written and could not be published; the places are to go with a later one, not with
/// their slice only.
#[test]
fn places_that_a_table_file_left_out_leave_the_manifest_though_the_first_attempt_failed() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    for n in 0..1_000 {
        take(&index, scattered(n), n + 1, from_settle(), 0);
    }
    index.checkpoint(0, Until::Later).unwrap();
    for n in 0..900 {
        index.release(scattered(n), 2_000 + n).unwrap();
    }
    fault(&disk, FaultOp::SyncData, ("manifest", 0), FaultKind::Eio);
    index.checkpoint(0, Until::Close).unwrap_err();
    for n in 0..3 {
        take(&index, scattered(10_000 + n), 10_000 + n, from_settle(), 0);
        index.checkpoint(0, Until::Close).unwrap();
    }
    let bytes = newest(&disk.bytes("index/manifest").unwrap()).len();
    assert!(bytes < 1_024, "{bytes} bytes of manifest");
}
