//! The index under a scheduler that chooses who goes on at every lock.
//!
//! Each model is a few threads that ask and change, beside a checkpoint or without one. In every
//! schedule each answer must be one that somebody made true, and what a power cut leaves must, with
//! the log, give the answers that the log gives. `scripts/model` runs them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure is a panic"
)]

mod log;
mod store;
mod truth;

use std::sync::Arc;

use onceward_vfs::testing;
use shuttle::{
    rand::{Rng, thread_rng},
    thread::{self, JoinHandle},
};

use crate::{Entry, Index, Lookup, Options, Reserved, Until};
use store::{Before, ModelStore, PowerCut, Taken, WINDOW_MS, content, fingerprint, window};
use truth::KeyChange;

/// Runs `model` under many schedules, each after what `prepare` did.
fn explore(name: &'static str, cost: u64, prepare: fn() -> Before, model: fn(Before)) {
    testing::explore(name, cost, prepare, Before::copy, model);
}

/// Starts a thread with the store.
fn spawn<T: Send + 'static>(
    store: &ModelStore,
    work: impl FnOnce(ModelStore) -> T + Send + 'static,
) -> JoinHandle<T> {
    let store = store.clone();
    thread::spawn(move || work(store))
}

/// Starts a thread that looks these keys up a few times.
fn reader(store: &ModelStore, keys: &'static [u8]) -> JoinHandle<()> {
    spawn(store, move |store| (0..2).for_each(|_| store.read(keys)))
}

/// Starts a thread that takes these keys, and confirms, withdraws, settles and releases them.
fn writer(store: &ModelStore, keys: &'static [u8], now: u64) -> JoinHandle<()> {
    spawn(store, move |store| {
        for key in keys {
            let _left = store.work(*key, now);
        }
    })
}

/// Starts a thread that cuts the power at some moment.
fn power_cut(store: &ModelStore) -> JoinHandle<PowerCut> {
    spawn(store, |store| store.power_cut())
}

/// Starts a thread that makes checkpoints, and cuts the power after one of them.
fn checkpoints(store: &ModelStore) -> JoinHandle<PowerCut> {
    spawn(store, |store| {
        let mut moment = None;
        for _ in 0..2 {
            let until = if thread_rng().gen_bool(0.5) { Until::Later } else { Until::Close };
            store.index.checkpoint(0, until).unwrap();
            if moment.is_none() || thread_rng().gen_bool(0.5) {
                moment = Some(store.power_cut());
            }
        }
        moment.unwrap()
    })
}

/// Waits for all of them.
fn join(threads: Vec<JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Takes a key, stores its frame, and settles it.
fn settled(store: &ModelStore, key: u8, now: u64) -> Taken {
    let taken = store.take(key, now).unwrap();
    store.confirm(taken);
    store.settle(taken, now);
    taken
}

/// Ends a preparation.
fn closed(store: ModelStore, until: Until, held: Vec<Taken>) -> Before {
    let done = store.index.checkpoint(0, until).unwrap();
    let mut log = store.log().clone();
    log.trim(done.covered);
    Before { disk: store.disk, log, held }
}

#[test]
fn of_two_that_reserve_one_key_exactly_one_takes_it() {
    explore("two reserve one key", 1, Before::nothing, |_| {
        let index = Arc::new(Index::new(Options::default()).unwrap());
        let threads: Vec<_> = (1..=2)
            .map(|lsn| {
                let index = Arc::clone(&index);
                thread::spawn(move || {
                    let entry = Entry { key: fingerprint(2), content: content(2, lsn), lsn };
                    let reserved = index.reserve(entry, window(), 0).unwrap();
                    let verdict = index.lookup(entry.key, entry.content).unwrap();
                    (lsn, reserved, verdict)
                })
            })
            .collect();
        let both: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let is_taken = |reserved: &Reserved| matches!(reserved, Reserved::Taken(_));
        let winners: Vec<_> = both.iter().filter(|(_, reserved, _)| is_taken(reserved)).collect();
        let [(winner, _, verdict)] = winners[..] else { panic!("{both:?}") };
        assert_eq!(*verdict, Lookup::Duplicate { lsn: *winner });
        let loser = both.iter().find(|(lsn, ..)| lsn != winner).unwrap();
        assert!(matches!(loser.1, Reserved::Known(found) if found.lsn == *winner), "{both:?}");
        assert_eq!(loser.2, Lookup::Conflict { lsn: *winner });
    });
}

#[test]
fn nobody_sees_a_batch_half_taken() {
    explore("a batch beside a reader", 1, Before::nothing, |_| {
        let index = Arc::new(Index::new(Options::default()).unwrap());
        let entries: Vec<Entry> = (0..4)
            .map(|key| Entry {
                key: fingerprint(key),
                content: content(key, 1),
                lsn: u64::from(key) + 1,
            })
            .collect();
        let (of_reader, keys) = (Arc::clone(&index), entries.clone());
        let reader = thread::spawn(move || {
            let asked: Vec<_> = keys.iter().map(|entry| (entry.key, entry.content)).collect();
            for _ in 0..3 {
                let mut verdicts = Vec::new();
                of_reader.lookup_batch(&asked, &mut verdicts).unwrap();
                let new = verdicts.iter().filter(|verdict| **verdict == Lookup::New).count();
                assert!(new == 0 || new == asked.len(), "{verdicts:?}");
            }
        });
        let mut reserved = Vec::new();
        index.insert_batch(&entries, window(), 0, &mut reserved).unwrap();
        assert!(reserved.iter().all(|reserved| matches!(reserved, Reserved::Taken(_))));
        index.confirm_batch(1..=4);
        reader.join().unwrap();
    });
}

#[test]
fn readers_see_what_writers_made_true() {
    explore("readers and writers in memory", 1, Before::nothing, |_| {
        let store = ModelStore::in_memory();
        let threads = vec![
            writer(&store, &[0, 2, 0], 0),
            writer(&store, &[2, 0, 1], 0),
            reader(&store, &[0, 2, 1]),
        ];
        join(threads);
        store.log().must_be_known_by(&store.index);
    });
}

/// Some keys in a file of entries, one of which is given up, and one in memory.
fn begun() -> Before {
    let store = ModelStore::open(Before::nothing().disk, Before::nothing().log);
    let taken: Vec<Taken> = (0..3).map(|key| settled(&store, key, 0)).collect();
    store.index.checkpoint(0, Until::Later).unwrap();
    store.release(taken[0]);
    settled(&store, 3, 0);
    closed(store, Until::Later, Vec::new())
}

#[test]
fn readers_and_a_writer_beside_checkpoints_see_what_was_made_true() {
    explore("checkpoints beside a reader and a writer", 2, begun, |before| {
        let store = ModelStore::open(before.disk, before.log);
        let cuts = [power_cut(&store), checkpoints(&store)];
        join(vec![
            writer(&store, &[0, 4, 0, 5], 0),
            writer(&store, &[6, 4], 0),
            reader(&store, &[0, 1, 2, 4]),
        ]);
        cuts.into_iter().for_each(|cut| cut.join().unwrap().must_hold());
        store.must_last();
    });
}

/// Keys with a table file, so that opening leaves their shards cold; one of them was given up since.
fn cold() -> Before {
    let store = ModelStore::open(Before::nothing().disk, Before::nothing().log);
    let taken: Vec<Taken> = [0, 2].map(|key| settled(&store, key, 0)).into();
    let before = closed(store, Until::Close, Vec::new());
    let store = ModelStore::open(before.disk, before.log);
    store.release(taken[0]);
    settled(&store, 4, 0);
    // Where the log tells no release, opening leaves the shard cold.
    closed(store, Until::Later, Vec::new())
}

#[test]
fn a_shard_that_is_loaded_while_table_files_are_replaced_forgets_and_invents_nothing() {
    explore("cold shards beside checkpoints", 2, cold, |before| {
        let store = ModelStore::open(before.disk, before.log);
        // Of another shard: what a checkpoint has to write.
        settled(&store, 1, 0);
        let checkpoint = spawn(&store, |store| {
            store.index.checkpoint(0, Until::Close).unwrap();
        });
        join(vec![
            reader(&store, &[0, 2]),
            reader(&store, &[4, 0, 6]),
            writer(&store, &[6, 0], 0),
            checkpoint,
        ]);
        store.must_last();
    });
}

/// A slice that is over, with a key that is settled and one that is not, and a slice that lives.
fn over() -> Before {
    let store = ModelStore::open(Before::nothing().disk, Before::nothing().log);
    settled(&store, 0, 0);
    let held = store.take(2, 0).unwrap();
    store.confirm(held);
    settled(&store, 4, WINDOW_MS);
    closed(store, Until::Close, vec![held])
}

/// A moment at which the first slice is over and the second one is not.
const LATER: u64 = 2 * WINDOW_MS + 1;

/// Forgets what is over, and carries what is held.
fn expire(store: &ModelStore, held: &mut [Taken]) {
    let old = store.log().last(0).unwrap();
    store.log().over.insert(old);
    store.truth.begin(0, KeyChange::Forget(old));
    let first = store.index.expire(LATER);
    assert!(first.dropped.is_empty(), "{first:?}");
    assert_eq!(first.to_carry, [held[0].slice]);
    for taken in held {
        taken.slice =
            store.index.carry(fingerprint(taken.key), taken.slice, LATER).unwrap().unwrap();
    }
    assert_eq!(store.index.expire(LATER).dropped, first.to_carry);
    store.truth.end(0, KeyChange::Forget(old), true);
}

#[test]
fn what_is_carried_while_a_checkpoint_is_written_is_there_after_a_power_cut() {
    explore("expiry beside checkpoints", 2, over, |before| {
        let Before { disk, log, mut held } = before;
        let store = ModelStore::open(disk, log);
        let cuts = [power_cut(&store), checkpoints(&store)];
        let expiring = spawn(&store, move |store| {
            expire(&store, &mut held);
            held
        });
        join(vec![reader(&store, &[2, 4, 0]), writer(&store, &[6, 1], LATER)]);
        let held = expiring.join().unwrap();
        cuts.into_iter().for_each(|cut| cut.join().unwrap().must_hold());
        held.iter().for_each(|taken| store.settle(*taken, LATER));
        store.must_last();
    });
}
