//! Many threads at once: exactly one of those who capture a key is fresh, and reading never fails.
//! Method: threads race on a real directory; afterwards the store is opened again and asked for all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use onceward::capture::{Applied, Effect};
use onceward::inspect::Inspection;
use onceward::{
    Answer, Config, Event, Key, Payload, Receipt, Scope, Settlement, State, Store, Verdict,
};

const THREADS: u64 = 8;
/// The same, as a count.
const THREAD_COUNT: usize = 8;

fn open(dir: &Path) -> Store {
    Store::open(dir, Config::new().with_segment_bytes(256 * 1024)).unwrap()
}

fn key(n: u64) -> Key {
    Key::new(&format!("k{n}")).unwrap()
}

fn event(n: u64, bytes: usize) -> Event {
    let text = format!(r#"{{"n":{n},"x":"{}"}}"#, "x".repeat(bytes));
    Event::new(Scope::default(), key(n), Payload::json(&text).unwrap())
}

fn receipt(n: u64) -> Receipt {
    Receipt::new(format!("receipt-{n}").as_bytes()).unwrap()
}

fn accepted(n: u64) -> Settlement {
    let answer = Answer::Accepted { receipt: Some(receipt(n)) };
    Settlement { scope: Scope::default(), key: key(n), answer }
}

/// T33.
#[test]
fn of_eight_threads_that_capture_the_same_keys_one_is_fresh_for_each() {
    const KEYS: u64 = 300;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let fresh: Mutex<BTreeMap<u64, Vec<u64>>> = Mutex::new(BTreeMap::new());
    let told: Mutex<BTreeMap<u64, BTreeSet<u64>>> = Mutex::new(BTreeMap::new());
    let barrier = Barrier::new(THREAD_COUNT);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, fresh, told, barrier) = (&store, &fresh, &told, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for round in 0..KEYS / 3 {
                    // Odd threads go the other way, so that batches cross; every batch has three keys.
                    let at = if thread % 2 == 0 { round } else { KEYS / 3 - 1 - round };
                    let mut keys = [3 * at, 3 * at + 1, (3 * at + 2 + thread) % KEYS];
                    if thread % 2 == 1 {
                        keys.reverse();
                    }
                    let batch: Vec<Event> = keys.iter().map(|n| event(*n, 40)).collect();
                    let verdicts = store.capture_batch(&batch).unwrap();
                    for (n, verdict) in keys.iter().zip(verdicts) {
                        let lsn = verdict.lsn().get();
                        told.lock().unwrap().entry(*n).or_default().insert(lsn);
                        match verdict {
                            Verdict::Fresh { .. } => {
                                fresh.lock().unwrap().entry(*n).or_default().push(lsn);
                            }
                            Verdict::Duplicate { .. } => {}
                            other => panic!("{n}: {other:?}"),
                        }
                        // Whoever was answered finds it.
                        let found = store.find(&Scope::default(), &key(*n)).unwrap().unwrap();
                        assert_eq!((found.lsn.get(), found.event), (lsn, event(*n, 40)));
                    }
                }
            });
        }
    });
    let fresh = fresh.into_inner().unwrap();
    assert_eq!(fresh.len() as u64, KEYS);
    assert!(fresh.values().all(|lsns| lsns.len() == 1), "{fresh:?}");
    for (n, lsns) in told.into_inner().unwrap() {
        assert_eq!(lsns, BTreeSet::from([fresh[&n][0]]), "one number for key {n}");
    }
    drop(store);
    let store = open(dir.path());
    let pending = store.pending(&Scope::default(), None, usize::MAX).unwrap();
    assert_eq!(pending.len() as u64, KEYS);
    for stored in pending {
        let n: u64 = stored.event.key.as_str()[1..].parse().unwrap();
        assert_eq!((stored.lsn.get(), stored.event), (fresh[&n][0], event(n, 40)));
    }
}

#[test]
fn every_repetition_of_an_effect_gets_the_receipt_of_the_one_that_was_applied() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for round in 0..150 {
        let barrier = Barrier::new(THREAD_COUNT);
        let answers: Vec<(u64, Applied)> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (store, barrier) = (&store, &barrier);
                    scope.spawn(move || {
                        let offered = Effect { event: event(round, 10), receipt: receipt(thread) };
                        barrier.wait();
                        (thread, store.apply_batch(&[offered]).unwrap().remove(0))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let fresh: Vec<u64> = answers
            .iter()
            .filter(|(_, applied)| matches!(applied, Applied::Fresh { .. }))
            .map(|(thread, _)| *thread)
            .collect();
        assert_eq!(fresh.len(), 1, "round {round}: {answers:?}");
        for (_, applied) in &answers {
            if let Applied::Duplicate { receipt: original, .. } = applied {
                assert_eq!(*original, Some(receipt(fresh[0])), "round {round}");
            }
        }
    }
    assert_eq!((store.status().settled, store.status().pending), (150, 0));
}

/// Captures, settles, cleaning and reading at the same time; then everything is there.
#[test]
fn captures_go_on_while_events_are_settled_cleaned_and_read() {
    const EACH: u64 = 900;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || {
                    for n in (0..EACH).step_by(10) {
                        let first = thread * EACH + n;
                        let batch: Vec<Event> =
                            (first..first + 10).map(|n| event(n, 1_500)).collect();
                        store.capture_batch(&batch).unwrap();
                        // One in ten stays.
                        let answers: Vec<Settlement> =
                            (first + 1..first + 10).map(accepted).collect();
                        store.settle(&answers).unwrap();
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..3)
            .map(|reader| {
                let (store, stop, dir) = (&store, &stop, dir.path());
                scope.spawn(move || {
                    let mut n = reader;
                    while !stop.load(Ordering::Relaxed) {
                        n = (n * 7 + 11) % (3 * EACH);
                        read(store, n, reader);
                        if reader == 2 {
                            let seen = Inspection::open(dir).unwrap();
                            assert_eq!(seen.recovery().damage, []);
                            let gone = seen.events().filter(Result::is_err).count();
                            assert_eq!(gone, 0, "what was there is shown");
                        }
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    let oldest = store.find(&Scope::default(), &key(1)).unwrap();
    assert_eq!(oldest, None, "control: the first segment was trimmed");
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.recovery().damage, []);
    for n in 0..3 * EACH {
        let outcome = store.outcome(&Scope::default(), &key(n)).unwrap();
        if n % 10 == 0 {
            assert_eq!(outcome.state, State::Pending, "{n}");
            let found = store.find(&Scope::default(), &key(n)).unwrap().unwrap();
            assert_eq!(found.event, event(n, 1_500));
        } else {
            assert_eq!((outcome.state, outcome.receipt), (State::Accepted, Some(receipt(n))));
        }
    }
    assert_eq!(store.status().pending, 3 * EACH / 10);
}

/// Reads in every way that a host can; none may fail because a segment went meanwhile.
fn read(store: &Store, n: u64, reader: u64) {
    if let Some(found) = store.find(&Scope::default(), &key(n)).unwrap() {
        assert_eq!(found.event, event(n, 1_500));
    }
    let outcome = store.outcome(&Scope::default(), &key(n)).unwrap();
    if outcome.state == State::Accepted {
        assert_eq!(outcome.receipt, Some(receipt(n)), "{n}");
    }
    if reader == 0 {
        let pending = store.pending(&Scope::default(), None, 50).unwrap();
        assert!(pending.windows(2).all(|w| w[0].lsn < w[1].lsn));
    }
}

/// Whoever captures, settles or ticks while the store is closed gets an answer that holds, or is refused; and the
/// store that is opened at once has an end that was written in order.
#[test]
fn closing_beside_work_in_other_threads_ends_in_order_and_loses_nothing_that_was_answered() {
    for round in 0..15 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let config = || Config::new().with_segment_bytes(256 * 1024).with_payload_bytes_max(60_000);
        let store = Store::open(&path, config()).unwrap();
        let answered = Mutex::new(Vec::new());
        let is_refused = |error: &onceward::Error| {
            assert_eq!((error.code(), error.in_doubt()), ("CLOSED", false), "{error}");
        };
        thread::scope(|scope| {
            for worker in 0..4_u64 {
                let (store, answered) = (store.clone(), &answered);
                scope.spawn(move || {
                    for n in 0.. {
                        let id = worker * 1_000_000 + n;
                        match store.capture(&event(id, 2_000)) {
                            Ok(_) => answered.lock().unwrap().push(id),
                            Err(error) => return is_refused(&error),
                        }
                        let (scope, key) = (Scope::default(), key(id));
                        let answer = Answer::Accepted { receipt: None };
                        let settled = store.settle(&[Settlement { scope, key, answer }]);
                        if let Err(error) = settled.and_then(|()| store.tick()) {
                            return is_refused(&error);
                        }
                    }
                });
            }
            while answered.lock().unwrap().len() < 20 + round {
                thread::yield_now();
            }
            store.close().unwrap();
            let again = Store::open(&path, config()).unwrap();
            assert!(again.recovery().clean, "round {round}: {:?}", again.recovery());
            assert_eq!(again.recovery().damage, []);
            again.capture(&event(9_000_000, 10)).unwrap();
            again.close().unwrap();
        });
        let again = Store::open(&path, config()).unwrap();
        assert!(again.recovery().clean, "round {round}");
        for id in answered.into_inner().unwrap() {
            let outcome = again.outcome(&Scope::default(), &key(id)).unwrap();
            assert!(outcome.lsn.is_some(), "round {round}: {id} was answered and is not there");
        }
    }
}
