//! Lookups and reservations, each beside a plain hash table, and hashes of contents: for work on a part of the index.
//!
//! What is promised is measured by the program `figures`, with ten million keys.

#![forbid(unsafe_code)]

use std::hash::Hasher;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use onceward_benches::bench;
use onceward_benches::index::floor::Floor;
use onceward_benches::index::keys::{Key, key};
use onceward_benches::index::samples::{Draws, Wanted};
use onceward_benches::index::secret;
use onceward_benches::index::stock::{BatchRoom, Flow, Stock};
use onceward_index::Reserved;
use siphasher::sip::SipHasher13;
use twox_hash::XxHash3_64;

/// Keys that are remembered.
const SIZES: [(u64, &str); 2] = [(1_000, "1 k keys"), (1_000_000, "1 M keys")];
/// Slices of the window.
const SLICES: u32 = 24;
/// Keys that are asked for between two looks at the clock.
const SAMPLE: usize = 1 << 14;
/// Keys of a batch.
const BATCH: usize = 100;
/// Bytes of payloads of which hashes are made.
const CONTENTS: [usize; 3] = [40, 200, 1_000];
/// Keys that are taken between two checkpoints.
const TAKEN: u64 = 30_000;

fn main() {
    if !bench::is_wanted() {
        return;
    }
    println!(
        "index: from the bytes of a 36-byte key to its verdict, in {SLICES} slices, with files.\n\
         limit: the same SipHash and one hashbrown table in memory, which cannot forget."
    );
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for bytes in CONTENTS {
        hashes(&mut criterion, bytes);
    }
    for (keys, name) in SIZES {
        let flow = Flow { slice_count: SLICES, keys_a_window: keys };
        let stock = Stock::with_keys(&dir.path().join(name), flow, keys).unwrap();
        stock.touch(keys);
        let floor = Floor::with_keys(keys);
        for (wanted, kind) in [(Wanted::Misses, "miss"), (Wanted::Hits, "hit")] {
            let mut group = criterion.benchmark_group(format!("index/{kind}, {name}"));
            lookups(&mut group, &stock, &floor, Draws::new(keys, wanted));
            group.finish();
        }
        let mut group = criterion.benchmark_group(format!("index/take, {name}"));
        takes(&mut group, &stock, keys);
        group.finish();
    }
}

/// What a content's hash costs: as it was before (SipHash), as it is, and of the payload alone XXH3 and the checksum
/// that the log makes of it anyway.
fn hashes(criterion: &mut Criterion, bytes: usize) {
    let mut group = criterion.benchmark_group(format!("index/hash, {bytes} bytes"));
    group.throughput(Throughput::Bytes(bytes as u64));
    let payload = vec![0x5a; bytes];
    let (kind, amount) = (b"sale".as_slice(), 245_000_i64.to_le_bytes());
    group.bench_function("SipHash-1-3", |b| {
        b.iter(|| {
            let mut hasher = SipHasher13::new_with_key(&[7; 16]);
            for part in [kind, &amount, black_box(&payload)] {
                hasher.write(&(part.len() as u64).to_le_bytes());
                hasher.write(part);
            }
            hasher.finish()
        });
    });
    let secret = secret();
    group.bench_function("content", |b| {
        b.iter(|| secret.content(black_box(&[kind, &amount, &payload])));
    });
    let xxh3_secret = [0xa5; 192];
    group.bench_function("XXH3 of the payload", |b| {
        b.iter(|| XxHash3_64::oneshot_with_secret(black_box(&xxh3_secret), black_box(&payload)));
    });
    group.bench_function("CRC-32 of the payload", |b| {
        b.iter(|| crc32fast::hash(black_box(&payload)));
    });
    group.finish();
}

/// One by one, in batches, and of the floor.
fn lookups(
    group: &mut BenchmarkGroup<'_, WallTime>,
    stock: &Stock,
    floor: &Floor,
    mut draws: Draws,
) {
    group.throughput(Throughput::Elements(SAMPLE as u64));
    group.bench_function("limit", |b| {
        b.iter_custom(|count| {
            each(count, || draws.draw(SAMPLE).timed(|key| floor.lsn_of(key)).seconds)
        });
    });
    group.bench_function("single", |b| {
        b.iter_custom(|count| {
            each(count, || draws.draw(SAMPLE).timed(|key| stock.lsn_of(key)).seconds)
        });
    });
    let mut room = BatchRoom::default();
    group.bench_function("batch of 100", |b| {
        b.iter_custom(|count| {
            each(count, || {
                let ask = |keys: &[Key], found: &mut _| stock.judge_batch(keys, &mut room, found);
                draws.draw(SAMPLE).timed_in_batches(BATCH, ask).seconds
            })
        });
    });
}

/// Reservations with their confirmations. The index grows by them, and makes its checkpoints outside the time
/// that counts.
fn takes(group: &mut BenchmarkGroup<'_, WallTime>, stock: &Stock, keys: u64) {
    group.throughput(Throughput::Elements(TAKEN));
    let mut last = keys;
    for (name, batch) in [("single", 1), ("batch of 100", BATCH)] {
        group.bench_function(name, |b| {
            b.iter_custom(|count| {
                each(count, || {
                    let first = last + 1;
                    last += TAKEN;
                    let keys: Vec<Key> = (first..=last).map(key).collect();
                    let began = Instant::now();
                    let taken = take(stock, first, &keys, batch);
                    let seconds = began.elapsed().as_secs_f64();
                    settle(stock, first, &taken);
                    seconds
                })
            });
        });
    }
}

/// Takes keys for the frames from `first` on.
fn take(stock: &Stock, first: u64, keys: &[Key], batch: usize) -> Vec<Reserved> {
    let batches = (first..).step_by(batch).zip(keys.chunks(batch));
    let taken = batches.map(|(first, keys)| match keys {
        [key] => vec![Reserved::Taken(stock.take(first, key).unwrap())],
        keys => stock.take_batch(first, keys).unwrap(),
    });
    taken.flatten().collect()
}

/// Gives every event its answer, forgets what is over, and makes a checkpoint.
fn settle(stock: &Stock, first: u64, taken: &[Reserved]) {
    let mut last = first;
    for (number, reserved) in (first..).zip(taken) {
        let Reserved::Taken(slice) = reserved else { panic!("key {number} was known") };
        stock.settle(number, *slice);
        last = number;
    }
    stock.expire(last);
    stock.checkpoint().unwrap();
}

/// The time that `count` pieces of work say they took.
fn each(count: u64, mut work: impl FnMut() -> f64) -> Duration {
    Duration::from_secs_f64((0..count).map(|_| work()).sum())
}
