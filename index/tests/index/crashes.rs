//! Whatever operation of a checkpoint the power fails at, every key has its right answer afterwards.
//! Method: a cut at each one of them, several survivals of each, the log told again, all keys asked.

use onceward_index::{ContentHash, Entry, ErrorKind, Fingerprint, ReadMode, Reserved, Until};
use onceward_vfs::{SimVfs, Survival, Vfs};

use crate::reference::{Frame, Reference};
use crate::store::{
    DIR, MINUTE_MS, SLICE_MS, Store, capturing, location, options, secret, settling,
};

fn key(number: u64) -> Fingerprint {
    secret().fingerprint("till", &number.to_le_bytes())
}

/// Takes the keys of these numbers, by turns of either window.
fn take(store: &mut Store, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let window = if number.is_multiple_of(3) { capturing() } else { settling() };
        let taken = store.take(key(number), ContentHash::from_u64(number), window).unwrap();
        assert!(matches!(taken, Reserved::Taken(_)), "{number} is known: {taken:?}");
    }
}

fn settle(store: &mut Store, except: &[u64]) {
    let except: Vec<Fingerprint> = except.iter().copied().map(key).collect();
    for lsn in store.held.keys().copied().collect::<Vec<_>>() {
        if !except.contains(&store.key_of(lsn)) {
            store.settle(lsn);
        }
    }
}

fn release(store: &mut Store, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        assert!(store.release(key(number)).unwrap(), "{number} is not known");
    }
}

/// Checkpoints of the history.
const STEPS: usize = 6;

/// Leads a store up to its checkpoint number `step`; returns how it is to be written.
fn lead(store: &mut Store, step: usize) -> Until {
    match step {
        // A first one; a key file of either window, a table file.
        0 => {
            take(store, 0..70);
            settle(store, &[1, 2, 4, 5]);
            Until::Close
        }
        // A key file without a table file, and removed places in files.
        1 => {
            store.now += SLICE_MS;
            release(store, (6..30).step_by(3));
            take(store, 300..330);
            Until::Later
        }
        // Taken again what was released; table files are merged.
        2 => {
            settle(store, &[1, 2, 4, 5]);
            release(store, (303..315).step_by(3));
            take(store, 6..7);
            take(store, 420..440);
            Until::Close
        }
        // Unsettled keys are carried, slices of both windows dropped, files unlinked.
        3 => {
            settle(store, &[1, 2, 4]);
            store.now += MINUTE_MS + 3 * SLICE_MS;
            store.expire().unwrap();
            take(store, 520..540);
            let lsn = store.next_lsn();
            let entry = Entry { key: key(9_999), content: ContentHash::from_u64(0), lsn };
            let reserved = store.index.reserve(entry, settling(), store.now).unwrap();
            assert!(matches!(reserved, Reserved::Taken(_)));
            Until::Close
        }
        // Nothing is new but settlements; what was in flight has failed.
        4 => {
            let lsn = store.append(Frame::Failed);
            assert!(store.index.withdraw(key(9_999), lsn).unwrap());
            settle(store, &[2]);
            Until::Later
        }
        // All of it is over but one key.
        _ => {
            store.now += 3 * MINUTE_MS;
            store.expire().unwrap();
            take(store, 0..1);
            Until::Close
        }
    }
}

/// A store on a new disk that went through the checkpoints before `step`, and is led up to that.
fn led(step: usize, reading: ReadMode) -> (SimVfs, Store, Until) {
    let disk = SimVfs::new();
    let mut store = Store::open(location(disk.clone()), options(reading));
    for before in 0..step {
        let until = lead(&mut store, before);
        store.index.checkpoint(0, until).unwrap();
    }
    let until = lead(&mut store, step);
    (disk, store, until)
}

/// Opens what a crash left, tells it the log, asks for every key, and may use it on.
fn check(disk: SimVfs, before: &Store, (reading, is_used_on): (ReadMode, bool), what: &str) {
    let (mut store, told) = Store::reopened(location(disk.clone()), options(reading), &before.log);
    told.unwrap();
    assert_eq!(store.index.discarded(), None, "{what}: a crash costs no file");
    store.now = before.now;
    store.latest = before.latest;
    let mut reference = Reference::of(&store.log);
    ask(&store, &mut reference, what);
    if !is_used_on {
        return;
    }
    store.append(Frame::Failed);
    store.expire().unwrap();
    take(&mut store, 10_000..10_010);
    for lsn in before.next_lsn()..store.next_lsn() {
        reference.note(&store.log[usize::try_from(lsn).unwrap() - 1], lsn);
    }
    store.index.checkpoint(0, Until::Close).unwrap();
    ask(&store, &mut reference, what);
    let names = disk.list(DIR).unwrap();
    let (log, latest) = (&store.log, store.latest);
    let (mut again, told) = Store::reopened(location(disk), options(reading), log);
    told.unwrap();
    again.latest = latest;
    ask(&again, &mut Reference::of(&again.log), what);
    assert!(names.len() < 20, "{what}: {names:?}");
}

fn ask(store: &Store, reference: &mut Reference, what: &str) {
    let others = (5_000..5_040).map(key).chain([key(9_999)]);
    for key in reference.keys().into_iter().chain(others) {
        let found = store.index.find(key).unwrap();
        if let Some(objection) = reference.objection(key, found, store.latest) {
            panic!("{what}: {objection}");
        }
        if found.is_none() {
            reference.note_gone(key);
        }
    }
}

fn survivals(seed: u64, reading: ReadMode) -> Vec<Survival> {
    let seeded = |seed| Survival::Seeded { seed, sector_bytes: 512 };
    match reading {
        ReadMode::Mapped => {
            vec![Survival::Nothing, Survival::Everything, seeded(seed)]
        }
        // What the disk holds does not depend on how it is read.
        ReadMode::Positioned => vec![seeded(seed + 2_000)],
    }
}

fn cut_everywhere(reading: ReadMode) {
    let mut states = 0_u64;
    for step in 0..STEPS {
        let (disk, store, until) = led(step, reading);
        let first = disk.op_count();
        let done = store.index.checkpoint(0, until).unwrap();
        let changing: Vec<u64> =
            disk.changing_ops().into_iter().filter(|op| *op >= first).collect();
        let last = disk.op_count();
        if step == 3 {
            assert!(done.removed_files >= 3, "{done:?}");
        }
        println!("step {step}: {} operations, {done:?}", changing.len());
        for op in changing.into_iter().chain([last]) {
            let (disk, store, until) = led(step, reading);
            disk.cut_power_at(op);
            if let Err(error) = store.index.checkpoint(0, until) {
                assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            }
            for survival in survivals(op, reading) {
                let what = format!("checkpoint {step}, cut at {}, {survival:?}", op - first);
                let is_used_on = states.is_multiple_of(3);
                check(disk.after_power_cut(&survival), &store, (reading, is_used_on), &what);
                states += 1;
            }
        }
    }
    println!("{reading:?}: {states} states after a power cut");
    assert!(states > 100, "{states} states");
}

#[test]
fn a_power_cut_at_any_operation_of_a_checkpoint_is_survived_with_maps() {
    cut_everywhere(ReadMode::Mapped);
}

#[test]
fn a_power_cut_at_any_operation_of_a_checkpoint_is_survived_without_maps() {
    cut_everywhere(ReadMode::Positioned);
}

/// A checkpoint that writes nothing but the manifest, so that all sets of its sectors can be tried.
#[test]
fn every_set_of_sectors_of_a_manifest_that_was_cut_is_survived() {
    // A manifest of one page: so many sectors are written at a time.
    const SECTORS: usize = 8;
    let (reading, sector_bytes, step) = (ReadMode::Mapped, 512, 4);
    let (disk, store, until) = led(step, reading);
    let first = disk.op_count();
    let done = store.index.checkpoint(0, until).unwrap();
    assert_eq!((done.entries, done.removed_files), (0, 0), "{done:?}");
    let changing = disk.changing_ops().into_iter().filter(|op| *op >= first);
    let mut states = 0_u32;
    for op in changing.chain([disk.op_count()]) {
        let (disk, store, until) = led(step, reading);
        disk.cut_power_at(op);
        drop(store.index.checkpoint(0, until));
        // Names stand before sectors: those of files that the checkpoint before removed.
        let names = disk.piece_count(sector_bytes).saturating_sub(SECTORS);
        assert!(names < 60, "{names} names");
        let some_names = [0, (1_u64 << names) - 1];
        let sectors = (0..1_u64 << SECTORS).map(|sectors| sectors << names);
        for kept in sectors.flat_map(|sectors| some_names.map(|names| sectors | names)) {
            let what = format!("cut at {}, pieces {kept:b}", op - first);
            let left = disk.after_power_cut(&Survival::Pieces { kept, sector_bytes });
            check(left, &store, (reading, states.is_multiple_of(16)), &what);
            states += 1;
        }
    }
    assert!(states > 500, "{states} states");
}
