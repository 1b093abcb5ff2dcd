//! What a key takes: of memory while the index grew to its size, and of the disk while slices come and go.

use std::error::Error;
use std::fs;
use std::path::Path;

use onceward_benches::index::CHECKPOINT_KEYS;
use onceward_benches::index::growth::grow_beside;
use onceward_benches::index::keys::key;
use onceward_benches::index::process::{anonymous_bytes, dir_bytes};
use onceward_benches::index::stock::{INDEX_DIR, Stock};
use onceward_benches::spread::Spread;
use serde::{Deserialize, Serialize};

use super::{SLICES, Setting, flow};
use crate::child::Child;
use crate::figure::{Asked, Detail, Must, Sheet};

/// Keys of a process: always all, because what an empty index takes is not to be shared among fewer.
const KEYS: u64 = 10_000_000;

/// What is asked of memory.
const MEMORY: Asked = Asked {
    figure: "memory_per_key",
    unit: "bytes of anonymous memory for each key",
    must: Must::AtMost(14.0),
};
/// What is asked of the disk: of the worst moment, so that no median hides it.
const DISK: Asked = Asked {
    figure: "disk_per_key",
    unit: "bytes of files for each live key, the most after any checkpoint",
    must: Must::AtMost(36.0),
};

/// The report of a process about its memory.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Grown {
    /// Of the process before it had an index.
    before_bytes: u64,
    /// After the last checkpoint.
    after_bytes: u64,
    /// What the index says of itself.
    pub(crate) index_bytes: u64,
    /// Keys that it remembers.
    keys: u64,
}

/// Grows an index with `keys` keys, with a thread for checkpoints as a store has it.
pub(crate) fn grown(dir: &Path, keys: u64) -> Result<Grown, Box<dyn Error>> {
    let before_bytes = anonymous_bytes()?;
    let stock = Stock::open(dir, flow(SLICES, keys))?;
    grow_beside(&stock, (1, keys), |_| ())?;
    let (after_bytes, index_bytes) = (anonymous_bytes()?, stock.index.memory_bytes());
    Ok(Grown { before_bytes, after_bytes, index_bytes, keys: stock.index.len() })
}

/// Measures memory.
pub(super) fn measure_memory(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(MEMORY) {
        return Ok(());
    }
    let keys = KEYS;
    let dir = setting.dir.join("memory");
    let (mut measured, mut own) = (Vec::new(), Vec::new());
    for _ in 0..setting.scale.processes {
        let grown: Grown = Child::IndexMemory.have_done("index", &dir, keys)?;
        if grown.keys != keys {
            return Err(format!("{} keys of {keys} are remembered", grown.keys).into());
        }
        measured.push((grown.after_bytes - grown.before_bytes) as f64 / keys as f64);
        own.push(grown.index_bytes as f64 / keys as f64);
        fs::remove_dir_all(&dir)?;
    }
    let own = Spread::of(&own).ok_or("no processes")?;
    let detail = Detail::from([("keys", keys as f64), ("memory_bytes_of_each_key", own.median)]);
    Ok(sheet.add(MEMORY, Spread::of(&measured).ok_or("no processes")?, detail)?)
}

/// Measures the disk: fills a window, and goes on for half of one, with expiry and checkpoints going on.
pub(super) fn measure_disk(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(DISK) {
        return Ok(());
    }
    let keys = setting.scale.keys;
    let dir = setting.dir.join("disk");
    let files = dir.join(INDEX_DIR);
    let stock = Stock::with_keys(&dir, flow(SLICES, keys), keys)?;
    let (mut samples, mut dropped) = (Vec::new(), 0);
    let mut last = keys;
    while last < keys + keys / 2 {
        for number in last + 1..=last + CHECKPOINT_KEYS {
            let slice = stock.take(number, &key(number))?;
            stock.settle(number, slice);
        }
        last += CHECKPOINT_KEYS;
        dropped += stock.expire(last);
        stock.checkpoint()?;
        samples.push(dir_bytes(&files)? as f64 / stock.index.len() as f64);
    }
    let Spread { low, median, high } = Spread::of(&samples).ok_or("no checkpoints")?;
    let detail = Detail::from([
        ("keys", stock.index.len() as f64),
        ("slices_dropped", dropped as f64),
        ("checkpoints", samples.len() as f64),
        ("median", median),
        ("files", fs::read_dir(&files)?.count() as f64),
    ]);
    drop(stock);
    fs::remove_dir_all(&dir)?;
    Ok(sheet.add(DISK, Spread { low, median: high, high }, detail)?)
}
