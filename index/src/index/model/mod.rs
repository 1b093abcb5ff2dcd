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

mod explore;
mod host;
mod log;
mod truth;

use std::sync::Arc;

use shuttle::{
    rand::{Rng, thread_rng},
    thread::{self, JoinHandle},
};

use crate::{Entry, Index, Options, Reserved, Until, Verdict};
use explore::explore;
use host::{Before, Host, Moment, Taken, WINDOW_MS, content, fingerprint, window};
use truth::Change;

/// Starts a thread with the store.
fn spawn<T: Send + 'static>(
    host: &Host,
    work: impl FnOnce(Host) -> T + Send + 'static,
) -> JoinHandle<T> {
    let host = host.clone();
    thread::spawn(move || work(host))
}

/// Starts a thread that looks these keys up a few times.
fn reader(host: &Host, keys: &'static [u8]) -> JoinHandle<()> {
    spawn(host, move |host| (0..2).for_each(|_| host.read(keys)))
}

/// Starts a thread that takes these keys, and confirms, withdraws, settles and releases them.
fn writer(host: &Host, keys: &'static [u8], now: u64) -> JoinHandle<()> {
    spawn(host, move |host| {
        for key in keys {
            let _left = host.work(*key, now);
        }
    })
}

/// Starts a thread that cuts the power at some moment.
fn power_cut(host: &Host) -> JoinHandle<Moment> {
    spawn(host, |host| host.power_cut())
}

/// Starts a thread that makes checkpoints, and cuts the power after one of them.
fn checkpoints(host: &Host) -> JoinHandle<Moment> {
    spawn(host, |host| {
        let mut moment = None;
        for _ in 0..2 {
            let until = if thread_rng().gen_bool(0.5) { Until::Later } else { Until::Close };
            host.index.checkpoint(0, until).unwrap();
            if moment.is_none() || thread_rng().gen_bool(0.5) {
                moment = Some(host.power_cut());
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
fn settled(host: &Host, key: u8, now: u64) -> Taken {
    let taken = host.take(key, now).unwrap();
    host.confirm(taken);
    host.settle(taken, now);
    taken
}

/// Ends a preparation.
fn closed(host: Host, until: Until, held: Vec<Taken>) -> Before {
    let done = host.index.checkpoint(0, until).unwrap();
    let mut log = host.log().clone();
    log.trim(done.covered);
    Before { disk: host.disk, log, held }
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
        assert_eq!(*verdict, Verdict::Duplicate { lsn: *winner });
        let loser = both.iter().find(|(lsn, ..)| lsn != winner).unwrap();
        assert!(matches!(loser.1, Reserved::Known(found) if found.lsn == *winner), "{both:?}");
        assert_eq!(loser.2, Verdict::Conflict { lsn: *winner });
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
                let new = verdicts.iter().filter(|verdict| **verdict == Verdict::New).count();
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
        let host = Host::in_memory();
        let threads = vec![
            writer(&host, &[0, 2, 0], 0),
            writer(&host, &[2, 0, 1], 0),
            reader(&host, &[0, 2, 1]),
        ];
        join(threads);
        host.log().must_be_known_by(&host.index);
    });
}

/// Some keys in a file of entries, one of which is given up, and one in memory.
fn begun() -> Before {
    let host = Host::open(Before::nothing().disk, Before::nothing().log);
    let taken: Vec<Taken> = (0..3).map(|key| settled(&host, key, 0)).collect();
    host.index.checkpoint(0, Until::Later).unwrap();
    host.release(taken[0]);
    settled(&host, 3, 0);
    closed(host, Until::Later, Vec::new())
}

#[test]
fn readers_and_a_writer_beside_checkpoints_see_what_was_made_true() {
    explore("checkpoints beside a reader and a writer", 2, begun, |before| {
        let host = Host::open(before.disk, before.log);
        let cuts = [power_cut(&host), checkpoints(&host)];
        join(vec![
            writer(&host, &[0, 4, 0, 5], 0),
            writer(&host, &[6, 4], 0),
            reader(&host, &[0, 1, 2, 4]),
        ]);
        cuts.into_iter().for_each(|cut| cut.join().unwrap().must_hold());
        host.must_last();
    });
}

/// Keys with a table file, so that opening leaves their shards cold; one of them was given up since.
fn shelved() -> Before {
    let host = Host::open(Before::nothing().disk, Before::nothing().log);
    let taken: Vec<Taken> = [0, 2].map(|key| settled(&host, key, 0)).into();
    let before = closed(host, Until::Close, Vec::new());
    let host = Host::open(before.disk, before.log);
    host.release(taken[0]);
    settled(&host, 4, 0);
    // Where the log tells no release, opening leaves the shard cold.
    closed(host, Until::Later, Vec::new())
}

#[test]
fn a_shard_that_is_loaded_while_table_files_are_replaced_forgets_and_invents_nothing() {
    explore("cold shards beside checkpoints", 2, shelved, |before| {
        let host = Host::open(before.disk, before.log);
        // Of another shard: what a checkpoint has to write.
        settled(&host, 1, 0);
        let checkpoint = spawn(&host, |host| {
            host.index.checkpoint(0, Until::Close).unwrap();
        });
        join(vec![
            reader(&host, &[0, 2]),
            reader(&host, &[4, 0, 6]),
            writer(&host, &[6, 0], 0),
            checkpoint,
        ]);
        host.must_last();
    });
}

/// A slice that is over, with a key that is settled and one that is not, and a slice that lives.
fn over() -> Before {
    let host = Host::open(Before::nothing().disk, Before::nothing().log);
    settled(&host, 0, 0);
    let held = host.take(2, 0).unwrap();
    host.confirm(held);
    settled(&host, 4, WINDOW_MS);
    closed(host, Until::Close, vec![held])
}

/// A moment at which the first slice is over and the second one is not.
const LATER: u64 = 2 * WINDOW_MS + 1;

/// Forgets what is over, and carries what is held.
fn expire(host: &Host, held: &mut [Taken]) {
    let old = host.log().last(0).unwrap();
    host.log().over.insert(old);
    host.truth.begin(0, Change::Forget(old));
    let first = host.index.expire(LATER);
    assert!(first.dropped.is_empty(), "{first:?}");
    assert_eq!(first.to_carry, [held[0].slice]);
    for taken in held {
        taken.slice =
            host.index.carry(fingerprint(taken.key), taken.slice, LATER).unwrap().unwrap();
    }
    assert_eq!(host.index.expire(LATER).dropped, first.to_carry);
    host.truth.end(0, Change::Forget(old), true);
}

#[test]
fn what_is_carried_while_a_checkpoint_is_written_is_there_after_a_power_cut() {
    explore("expiry beside checkpoints", 2, over, |before| {
        let Before { disk, log, mut held } = before;
        let host = Host::open(disk, log);
        let cuts = [power_cut(&host), checkpoints(&host)];
        let expiring = spawn(&host, move |host| {
            expire(&host, &mut held);
            held
        });
        join(vec![reader(&host, &[2, 4, 0]), writer(&host, &[6, 1], LATER)]);
        let held = expiring.join().unwrap();
        cuts.into_iter().for_each(|cut| cut.join().unwrap().must_hold());
        held.iter().for_each(|taken| host.settle(*taken, LATER));
        host.must_last();
    });
}
