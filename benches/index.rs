//! Looking up a key that is new and one that is known, among a million, beside a plain hash table.

#![forbid(unsafe_code)]

use std::hash::Hasher;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use hashbrown::HashTable;
use onceward_benches::bench;
use onceward_benches::turns::Turns;
use onceward_index::{ContentPrint, Index, Options, Secret, Verdict};
use siphasher::sip128::{Hasher128, SipHasher13};

/// Keys that are remembered.
const KEYS: u64 = 1_000_000;
/// Time over which they came, all of it inside the window.
const WINDOW_MS: u64 = 24 * 60 * 60 * 1_000;
/// Slices that the window is cut into: the floor's one, and the default.
const SLICE_COUNTS: [u32; 2] = [1, 24];
/// Rounds of the comparison.
const ROUNDS: usize = 9;
/// What both key their hashes with.
const SECRET: [u8; 16] = [7; 16];
/// Scope of all keys.
const SCOPE: &str = "default";

/// A key, stored so that reading the next one costs nothing.
type Text = [u8; 16];

/// As large as what the index remembers of a key.
#[derive(Clone, Copy)]
struct Slot {
    print: u128,
    facts: [u64; 4],
}

/// The floor: one table, of which nothing can be forgotten.
struct Floor(HashTable<Slot>);

/// The index, and what keys its prints.
struct Measured {
    secret: Secret,
    index: Index,
    content: ContentPrint,
}

fn main() {
    if !bench::is_wanted() {
        return;
    }
    println!(
        "index: SipHash of a 16-byte key and its lookup among {KEYS} keys, in 1 slice and in 24.\n\
         limit: the same hash and one hashbrown table with slots of the same size, which cannot forget."
    );
    let floor = Floor::with_all_keys();
    // Keys in an order that no table has, and as many that were never seen.
    let hits: Vec<Text> = (0..KEYS).map(|n| text(scattered(n))).collect();
    let misses: Vec<Text> = (0..KEYS).map(|n| text(KEYS + scattered(n))).collect();
    assert!(hits.iter().all(|key| floor.has(key)) && !misses.iter().any(|key| floor.has(key)));

    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for (name, keys) in [("miss", &misses), ("hit", &hits)] {
        let mut group = criterion.benchmark_group(format!("index/{name}"));
        group.throughput(Throughput::Elements(1));
        let mut next = keys.iter().cycle();
        group.bench_function("limit", |b| b.iter(|| floor.has(next.next().unwrap())));
        group.finish();
    }
    for slice_count in SLICE_COUNTS {
        let measured = Measured::with_all_keys(slice_count);
        let slices = measured.index.slices().count();
        for (name, keys) in [("miss", &misses), ("hit", &hits)] {
            let mut group = criterion.benchmark_group(format!("index/{name}"));
            group.throughput(Throughput::Elements(1));
            let mut next = keys.iter().cycle();
            group.bench_function(format!("slice count {slices}"), |b| {
                b.iter(|| measured.has(next.next().unwrap()));
            });
            group.finish();
            let turns = Turns::take(
                ROUNDS,
                || each(keys, |key| measured.has(key)),
                || each(keys, |key| floor.has(key)),
            );
            println!("index, {name}, slice count {slices}, in turn: {}", turns.unwrap());
        }
    }
}

impl Floor {
    /// A table with all keys.
    fn with_all_keys() -> Self {
        let mut table = HashTable::new();
        for number in 0..KEYS {
            let slot = Slot { print: print(&text(number)), facts: [number; 4] };
            table.insert_unique(low(slot.print), slot, |slot| low(slot.print));
        }
        Self(table)
    }

    /// What is measured as the limit.
    fn has(&self, key: &Text) -> bool {
        let wanted = print(black_box(key));
        black_box(self.0.find(low(wanted), |slot| slot.print == wanted))
            .is_some_and(|slot| slot.facts[0] < KEYS)
    }
}

impl Measured {
    /// An index with all keys, evenly over its slices.
    fn with_all_keys(slice_count: u32) -> Self {
        let secret = Secret::from_bytes(SECRET);
        let content = secret.content(&[b"24.50"]);
        let options = Options { slice_count, ..Options::for_window(WINDOW_MS) };
        let mut index = Index::new(options).unwrap();
        for number in 0..KEYS {
            let key = secret.fingerprint(SCOPE, &text(number));
            let now_ms = number * WINDOW_MS / KEYS;
            assert!(index.reserve(key, content, number + 1, now_ms).is_ok());
        }
        Self { secret, index, content }
    }

    /// What is measured.
    fn has(&self, key: &Text) -> bool {
        let key = self.secret.fingerprint(SCOPE, black_box(key));
        !matches!(black_box(self.index.lookup(key, self.content)), Verdict::New)
    }
}

/// Seconds that one key of `keys` takes.
fn each(keys: &[Text], mut has: impl FnMut(&Text) -> bool) -> f64 {
    let began = Instant::now();
    let found = keys.iter().filter(|key| has(key)).count();
    let took = began.elapsed().as_secs_f64();
    assert!(found == 0 || found == keys.len());
    took / keys.len() as f64
}

/// The floor's print of a key: the bytes that the index hashes, by the same hash.
fn print(key: &Text) -> u128 {
    let mut hasher = SipHasher13::new_with_key(&SECRET);
    hasher.write(&[7]);
    hasher.write(SCOPE.as_bytes());
    hasher.write(key);
    hasher.finish128().as_u128()
}

/// The hash under which the floor's table files a print.
fn low(print: u128) -> u64 {
    (print & u128::from(u64::MAX)).try_into().unwrap()
}

/// The key with this number.
fn text(number: u64) -> Text {
    format!("till7-{number:010}").into_bytes().try_into().unwrap()
}

/// Another order of `0..KEYS`: the factor has no divisor in common with it.
fn scattered(number: u64) -> u64 {
    number * 7_368_787 % KEYS
}
