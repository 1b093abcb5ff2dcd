//! Passes over a whole log in the page cache, each beside a read of its files with one checksum.

use std::error::Error;

use onceward_benches::pairing::Plan;
use onceward_benches::spread::Spread;
use onceward_benches::wal::SEGMENT_BYTES;
use onceward_benches::wal::reading::{Pass, SegmentFiles};
use onceward_benches::wal::stock::Stock;

use crate::figure::{Asked, Detail, Sheet};

/// Segments of the log that is read.
pub(super) const SEGMENTS: usize = 3;
/// The unit of these figures.
pub(super) const UNIT: &str = "GB/s of frames on one core, files in the page cache";

/// Measures how fast `pass` reads the log.
pub(super) fn measure(
    sheet: &mut Sheet,
    plan: Plan,
    stock: &Stock<'_>,
    asked: Asked,
    pass: impl Fn() -> Result<Pass, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let files = SegmentFiles::of(&stock.dir, SEGMENT_BYTES)?;
    // Warm.
    let Pass { frames, bytes, .. } = pass()?;
    let of_files = files.read()?.bytes;
    let (mut things, mut floors) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        if round % 2 == 0 {
            things.push(pass()?.gb_per_s());
            floors.push(files.read()?.gb_per_s());
        } else {
            floors.push(files.read()?.gb_per_s());
            things.push(pass()?.gb_per_s());
        }
    }
    let spread = Spread::of(&things).ok_or("no rounds")?;
    let floor = Spread::of(&floors).ok_or("no rounds")?;
    let detail = Detail::from([
        ("frames", frames as f64),
        ("bytes_in_use", bytes as f64),
        ("bytes_of_files", of_files as f64),
        ("ns_for_each_frame", bytes as f64 / spread.median / frames as f64),
        ("read_and_one_checksum_gb_per_s", floor.median),
        ("ratio_to_read_and_one_checksum", spread.median / floor.median),
    ]);
    Ok(sheet.add(asked, spread, detail)?)
}
