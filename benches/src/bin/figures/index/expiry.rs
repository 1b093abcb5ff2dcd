//! Forgetting a slice, until its files are gone and that is durable.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use onceward_benches::index::process::dir_bytes;
use onceward_benches::index::stock::{INDEX_DIR, Stock};
use onceward_benches::raw::RawFile;
use onceward_benches::spread::Spread;

use super::{SLICES, Setting, flow};
use crate::figure::{Asked, Detail, Must, Sheet};

/// Slices that are forgotten.
const EXPIRIES: usize = 9;
/// What is asked.
const ASKED: Asked = Asked {
    figure: "expire_slice",
    unit: "ms from expiry of a slice to its files' removal",
    must: Must::AtMost(10.0),
};

/// Measures it beside the removal of one file of the same size.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(ASKED) {
        return Ok(());
    }
    let keys = setting.scale.keys_expiring;
    let dir = setting.dir.join("expiry");
    let stock = Stock::with_keys(&dir, flow(SLICES, keys), keys)?;
    let (mut things, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut dropped_keys, mut files) = (0, 0);
    for number in 0..EXPIRIES {
        let (keys_before, before) = (stock.index.len(), dir_bytes(&dir.join(INDEX_DIR))?);
        let began = Instant::now();
        let dropped = stock.expire(over(keys, number));
        let done = stock.checkpoint()?;
        let thing = began.elapsed().as_secs_f64() * 1e3;
        assert_eq!((dropped, done.removed_files > 0), (1, true), "one slice and its files go");
        dropped_keys += keys_before - stock.index.len();
        files += done.removed_files;
        let bytes = before.saturating_sub(dir_bytes(&dir.join(INDEX_DIR))?);
        let floor = removal(&dir, bytes)? * 1e3;
        things.push(thing);
        floors.push(floor);
        ratios.push(thing / floor);
    }
    let told = |samples: &[f64]| Spread::of(samples).ok_or("no slices");
    let detail = Detail::from([
        ("keys_of_a_slice", dropped_keys as f64 / EXPIRIES as f64),
        ("files_of_a_slice", files as f64 / EXPIRIES as f64),
        ("one_unlink_and_sync_ms", told(&floors)?.median),
        ("ratio_to_one_unlink_and_sync", told(&ratios)?.median),
    ]);
    drop(stock);
    fs::remove_dir_all(&dir)?;
    Ok(sheet.add(ASKED, told(&things)?, detail)?)
}

/// The key at whose time the slices `0..=slice` are over, in a window of `keys` that began at 0.
pub(super) fn over(keys: u64, slice: usize) -> u64 {
    let slices = u64::from(SLICES);
    (keys * (slices + 1 + slice as u64)).div_ceil(slices)
}

/// Seconds that the removal of one file of so many bytes takes, until it is durable.
fn removal(dir: &Path, bytes: u64) -> Result<f64, Box<dyn Error>> {
    let path = dir.join("floor");
    drop(RawFile::create(&path, bytes)?);
    let dir = File::open(dir)?;
    dir.sync_all()?;
    let began = Instant::now();
    fs::remove_file(&path)?;
    dir.sync_all()?;
    Ok(began.elapsed().as_secs_f64())
}
