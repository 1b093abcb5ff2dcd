//! The figures of the index: lookups, memory, disk, expiry, growth and opening.
//!
//! | figure | what is compared | with |
//! |---|---|---|
//! | `miss_S`, `hit_S` | from a key's bytes to its verdict, in S slices | [`Floor`](onceward_benches::index::floor::Floor) |
//! | `half_hits` | the same, every second key known | what LMDB was beside another limit |
//! | `half_hits_K_lmdb` | the same | LMDB in this run, with the feature `peers` |
//! | `batch_100_misses` | one `lookup_batch` | as many lookups |
//! | `memory_per_key`, `disk_per_key` | what the process and the directory take | the keys |
//! | `expire_slice` | from `expire` to the end of the checkpoint | one unlink and a sync of the directory |
//! | `capture_p99_9` | durable captures while slices expire | the same while nothing does |
//! | `longest_insert` | the longest of all inserts | the longest gap of an idle loop |
//! | `open_clean`, `open_killed` | from a cold cache to the first verdicts | the clock |
//!
//! Floor: a table of `u128` prints and `u64` LSNs that grew by itself, behind the same SipHash. The index has its
//! files in a directory on the disk, and a checkpoint after every 32,768 keys.

mod batches;
mod captures;
mod expiry;
mod growth;
mod half;
mod lookups;
mod opening;
mod space;

pub(crate) use space::{Grown, grown};

use std::error::Error;
use std::path::Path;

use onceward_benches::index::stock::Flow;
use onceward_benches::pairing::Plan;
use onceward_benches::turns::Turns;

use crate::figure::{Detail, Sheet};
use crate::workplace::Workplace;

/// Slices unless a figure says otherwise.
pub(crate) const SLICES: u32 = 24;

/// How many keys, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Rounds and slices of what is measured in turn.
    pub(crate) plan: Plan,
    /// Keys that are remembered.
    pub(crate) keys: u64,
    /// Keys of an index whose slices expire.
    pub(crate) keys_expiring: u64,
    /// How often an index grows from nothing.
    pub(crate) growths: usize,
    /// How many processes report their memory.
    pub(crate) processes: usize,
}

impl Scale {
    /// What a closing note quotes.
    pub(crate) const FULL: Self = Self {
        plan: Plan::FULL,
        keys: 10_000_000,
        keys_expiring: 5_000_000,
        growths: 5,
        processes: 3,
    };
    /// What a developer runs between two changes: a tenth of the keys, but for memory.
    pub(crate) const QUICK: Self = Self {
        plan: Plan { slices: 2, ..Plan::QUICK },
        keys: 1_000_000,
        keys_expiring: 500_000,
        growths: 2,
        processes: 1,
    };
}

/// What the figures share.
#[derive(Debug)]
struct Setting<'a> {
    scale: Scale,
    /// On the disk that is meant.
    dir: &'a Path,
}

/// Measures all of them.
pub(crate) fn measure(
    sheet: &mut Sheet,
    scale: Scale,
    place: &Workplace,
) -> Result<(), Box<dyn Error>> {
    let setting = Setting { scale, dir: place.path() };
    lookups::measure(sheet, &setting)?;
    space::measure_memory(sheet, &setting)?;
    space::measure_disk(sheet, &setting)?;
    expiry::measure(sheet, &setting)?;
    captures::measure(sheet, &setting)?;
    growth::measure(sheet, &setting)?;
    opening::measure(sheet, &setting)
}

/// Keys that come in one window, so that `slice_count` slices have as many each.
pub(crate) fn flow(slice_count: u32, keys: u64) -> Flow {
    Flow { slice_count, keys_a_window: keys }
}

/// The detail of every ratio: what one key cost on either side.
fn sides(turns: &Turns, keys: u64) -> Detail {
    let noisy = if turns.is_noisy() { 1.0 } else { 0.0 };
    Detail::from([
        ("keys", keys as f64),
        ("thing_ns", turns.thing.median * 1e9),
        ("floor_ns", turns.floor.median * 1e9),
        ("floor_ns_low", turns.floor.low * 1e9),
        ("floor_ns_high", turns.floor.high * 1e9),
        ("floor_varied_by_more_than_2", noisy),
    ])
}
