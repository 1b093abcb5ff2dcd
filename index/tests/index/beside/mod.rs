//! What happens beside a checkpoint is neither lost with the power cut after it nor answered wrongly.
//! Method: at each call that changes the disk, keys are carried, released, taken; then all are asked.

mod hooked;

use std::sync::{Arc, Mutex};

use onceward_index::{ContentHash, Fingerprint, Location, ReadMode, Reserved, Until};
use onceward_vfs::{SimVfs, Survival, Vfs};

use crate::reference::Reference;
use crate::store::{
    DIR, MINUTE_MS, SLICE_MS, Store, capturing, location, options, secret, settling,
};
use hooked::Between;

fn key(number: u64) -> Fingerprint {
    secret().fingerprint("till", &number.to_le_bytes())
}

fn take(store: &mut Store, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let window = if number.is_multiple_of(3) { capturing() } else { settling() };
        let taken = store.take(key(number), ContentHash::from_u64(number), window).unwrap();
        assert!(matches!(taken, Reserved::Taken(_)), "{number} is known: {taken:?}");
    }
}

/// A change that happens beside the checkpoint.
#[derive(Clone, Copy, Debug)]
enum Beside {
    CarryAndExpire,
    ReleaseAndTake,
    SettleAndTake,
}

fn happen(store: &mut Store, beside: Beside) {
    match beside {
        Beside::CarryAndExpire => {
            store.now += 2 * MINUTE_MS;
            store.expire().unwrap();
            take(store, 200..205);
        }
        Beside::ReleaseAndTake => {
            for number in 10..40 {
                store.release(key(number)).unwrap();
            }
            take(store, 20..30);
        }
        Beside::SettleAndTake => {
            for lsn in store.held.keys().copied().collect::<Vec<_>>() {
                store.settle(lsn);
            }
            store.now += SLICE_MS;
            take(store, 300..320);
        }
    }
}

/// A store with two unsettled keys and some settled ones, in files and not.
fn prepared(vfs: Arc<dyn Vfs>, listed: Until) -> Store {
    let location = Location { vfs, dir: DIR.to_owned() };
    let mut store = Store::open(location, options(ReadMode::Mapped));
    take(&mut store, 0..60);
    for lsn in 3..=60 {
        store.settle(lsn);
    }
    store.index.checkpoint(0, listed).unwrap();
    store.now += SLICE_MS;
    take(&mut store, 60..90);
    for lsn in store.held.keys().copied().filter(|lsn| *lsn > 2).collect::<Vec<_>>() {
        store.settle(lsn);
    }
    store
}

/// Returns whether the checkpoint made so many calls.
fn interrupted(beside: Beside, until: (Until, Until), calls: u64) -> bool {
    let disk = SimVfs::new();
    let (vfs, between) = Between::over(&disk);
    let store = Arc::new(Mutex::new(prepared(vfs, until.0)));
    let other = Arc::clone(&store);
    between.after(calls, Box::new(move || happen(&mut other.lock().unwrap(), beside)));
    // Nobody holds the store while the checkpoint is written: the hook wants it.
    let index = Arc::clone(&store.lock().unwrap().index);
    index.checkpoint(0, until.1).unwrap();
    let happened = !between.is_set();
    let store = store.lock().unwrap();
    let what = format!("{beside:?} before call {calls} of {until:?}");
    ask(&store, &what);
    let disk = disk.after_power_cut(&Survival::Everything);
    let (mut again, told) = Store::reopened(location(disk), options(ReadMode::Mapped), &store.log);
    told.unwrap_or_else(|error| panic!("{what}: {error}"));
    again.latest = store.latest;
    ask(&again, &what);
    happened
}

fn ask(store: &Store, what: &str) {
    let reference = Reference::of(&store.log);
    for key in reference.keys().into_iter().chain((10..40).chain(900..920).map(key)) {
        let found = store.index.find(key).unwrap();
        if let Some(objection) = reference.objection(key, found, store.latest) {
            panic!("{what}: {objection}");
        }
    }
}

fn everywhere(beside: Beside) {
    for listed in [Until::Later, Until::Close] {
        for until in [Until::Later, Until::Close] {
            let calls = (0..).find(|calls| !interrupted(beside, (listed, until), *calls)).unwrap();
            assert!(calls >= 5, "{calls} calls");
        }
    }
}

#[test]
fn a_key_that_is_carried_while_a_checkpoint_is_written_is_there_after_a_crash() {
    everywhere(Beside::CarryAndExpire);
}

#[test]
fn keys_that_are_released_and_taken_while_a_checkpoint_is_written_are_right_after_a_crash() {
    everywhere(Beside::ReleaseAndTake);
}

#[test]
fn keys_that_are_settled_and_taken_while_a_checkpoint_is_written_are_right_after_a_crash() {
    everywhere(Beside::SettleAndTake);
}
