//! Durable captures one by one and in batches, and duplicates, beside what the disk can do.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput};
use onceward::{Config, Event, Key, Payload, Scope, Store, Verdict};
use onceward_benches::bench;
use onceward_benches::raw::RawFile;
use onceward_benches::turns::Turns;
use tempfile::TempDir;

/// Bytes of the measured payload.
const PAYLOAD_BYTES: usize = 200;
/// Bytes that the floor writes for an event: payload, a key of 16 bytes, and 40 for the frame.
const EVENT_BYTES: usize = PAYLOAD_BYTES + 16 + 40;
/// Bytes of the floor's file.
const RAW_BYTES: u64 = 64 << 20;
/// Events that are committed together.
const BATCHES: [usize; 3] = [1, 100, 500];
/// Rounds of the comparison.
const ROUNDS: usize = 9;
/// Keys that are captured again and again.
const DUPLICATES: usize = 1_000;

fn main() {
    if !bench::is_wanted() {
        return;
    }
    println!(
        "capture: events with {PAYLOAD_BYTES} bytes of JSON, made beforehand, durable when answered; a batch is one sync.\n\
         limit: one pwrite of {EVENT_BYTES} bytes for each event of a batch and one fdatasync, into a file of zeros\n\
         that was written before. duplicates: no disk."
    );
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut raw = RawFile::create(&dir.path().join("raw"), RAW_BYTES).unwrap();
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for batch in BATCHES {
        let mut group = criterion.benchmark_group(format!("capture/batch of {batch}"));
        // Every sample is of a store of its own: equal counts make them alike.
        group.sampling_mode(SamplingMode::Flat);
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function("capture", |b| {
            b.iter_custom(|count| captured(dir.path(), usize::try_from(count).unwrap(), batch));
        });
        let bytes = vec![0x5a; batch * EVENT_BYTES];
        group.bench_function("limit", |b| b.iter(|| raw.write_synced(black_box(&bytes)).unwrap()));
        group.finish();
    }
    duplicates(&mut criterion, dir.path());
    for batch in BATCHES {
        in_turn(dir.path(), &mut raw, batch);
    }
}

/// Compares batches of `batch` events with the limit.
fn in_turn(dir: &Path, raw: &mut RawFile, batch: usize) {
    let count: usize = if batch == 1 { 400 } else { 50 };
    let of_one = |took: Duration| took.as_secs_f64() / count as f64;
    let bytes = vec![0x5a; batch * EVENT_BYTES];
    let turns = Turns::take(
        ROUNDS,
        || of_one(captured(dir, count, batch)),
        || {
            let began = Instant::now();
            for _ in 0..count {
                raw.write_synced(black_box(&bytes)).unwrap();
            }
            of_one(began.elapsed())
        },
    )
    .unwrap();
    let events = batch as f64 / turns.thing.median;
    println!(
        "capture, batches of {batch}, in turn, {ROUNDS} times {count}: {turns}; {events:.0} events/s"
    );
}

/// Measures duplicates.
fn duplicates(criterion: &mut Criterion, dir: &Path) {
    let (_held, store) = new_store(dir);
    let events = events(DUPLICATES);
    for batch in events.chunks(500) {
        store.capture_batch(batch).unwrap();
    }
    let mut group = criterion.benchmark_group("capture");
    group.throughput(Throughput::Elements(1));
    let mut again = events.iter().cycle();
    group.bench_function("duplicate", |b| {
        b.iter(|| {
            let verdict = store.capture(black_box(again.next().unwrap())).unwrap();
            assert!(matches!(verdict, Verdict::Duplicate { .. }));
        });
    });
    group.finish();
}

/// Time to capture `count` batches of `batch` events in a new store.
fn captured(dir: &Path, count: usize, batch: usize) -> Duration {
    let (_held, store) = new_store(dir);
    let events = events(count * batch);
    let began = Instant::now();
    if batch == 1 {
        for event in &events {
            black_box(store.capture(event).unwrap());
        }
    } else {
        for batch in events.chunks(batch) {
            black_box(store.capture_batch(batch).unwrap());
        }
    }
    let took = began.elapsed();
    assert_eq!(store.status().pending, events.len() as u64, "all are stored");
    took
}

/// A new store, in a directory that lasts as long as the guard.
fn new_store(dir: &Path) -> (TempDir, Store) {
    let held = tempfile::tempdir_in(dir).unwrap();
    let store = Store::open(held.path(), Config::new()).unwrap();
    (held, store)
}

/// Events with different keys.
fn events(count: usize) -> Vec<Event> {
    (0..count).map(event).collect()
}

/// The event with this number.
fn event(number: usize) -> Event {
    let mut json = format!("{{\"receipt\":\"{number:010}\",\"note\":\"");
    while json.len() < PAYLOAD_BYTES - 2 {
        json.push('x');
    }
    json.push_str("\"}");
    assert_eq!(json.len(), PAYLOAD_BYTES);
    let key = Key::new(&format!("till7-{number:010}")).unwrap();
    Event::new(Scope::default(), key, Payload::json(&json).unwrap())
}
