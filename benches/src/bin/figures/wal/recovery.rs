//! How fast a log is read and judged.

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use onceward_benches::spread::Spread;
use onceward_vfs::OsVfs;

use super::stock::Stock;
use super::{SEGMENT_BYTES, Setting};
use crate::figure::{Asked, Detail, Must, Sheet};
use crate::pairing::Plan;

/// Segments of the log that is read.
const SEGMENTS: usize = 3;
/// Bytes that the floor reads at once.
const READ_BYTES: usize = 1 << 20;

/// The unit of both.
const UNIT: &str = "GB/s of frames on one core, files in the page cache";
/// What is asked of a log whose last segment is full as well.
const FULL: Asked = Asked { figure: "recovery_scan", unit: UNIT, must: Must::AtLeast(2.0) };
/// Told: the last segment was just begun, so that its stale rest is searched in vain.
const BEGUN: Asked =
    Asked { figure: "recovery_scan_after_a_new_segment", unit: UNIT, must: Must::BeTold };

/// Examines a log as a crash leaves it, and reads the same files with one checksum over each piece.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(FULL) && !sheet.wants(BEGUN) {
        return Ok(());
    }
    let Setting { plan, stock, .. } = setting;
    for _ in 1..SEGMENTS {
        stock.fill()?;
    }
    stock.fill_nearly()?;
    scan(sheet, *plan, stock, FULL)?;
    stock.fill()?;
    scan(sheet, *plan, stock, BEGUN)
}

/// Examines the files of a log that nobody writes just now; it was not closed.
fn scan(
    sheet: &mut Sheet,
    plan: Plan,
    stock: &Stock<'_>,
    asked: Asked,
) -> Result<(), Box<dyn Error>> {
    let used: u64 = stock.log.segments().iter().map(|segment| segment.used_bytes).sum();
    let vfs = OsVfs::open(&stock.dir)?;
    let mut frames = 0_u64;
    let mut examine = || -> Result<f64, Box<dyn Error>> {
        frames = 0;
        let began = Instant::now();
        let examined = onceward_wal::examine(&vfs, &mut |frame| {
            frames += 1;
            black_box(frame);
        })?;
        let took = began.elapsed().as_secs_f64();
        let examined = examined.ok_or("the log is missing")?;
        if !examined.report().damage.is_empty() {
            return Err(format!("damage: {:?}", examined.report().damage).into());
        }
        Ok(took)
    };
    let (mut things, mut floors) = (Vec::new(), Vec::new());
    let files = segment_files(&stock.dir)?;
    // Warm.
    examine()?;
    read(&files)?;
    for _ in 0..plan.rounds {
        things.push(used as f64 / 1e9 / examine()?);
        floors.push(read(&files)?);
    }
    let spread = Spread::of(&things).ok_or("no rounds")?;
    let floor = Spread::of(&floors).ok_or("no rounds")?;
    let detail = Detail::from([
        ("frames", frames as f64),
        ("bytes_in_use", used as f64),
        ("bytes_of_files", files.len() as f64 * SEGMENT_BYTES as f64),
        ("ns_for_each_frame", used as f64 / spread.median / frames as f64),
        ("read_and_one_checksum_gb_per_s", floor.median),
    ]);
    Ok(sheet.add(asked, spread, detail)?)
}

/// The log's segments, prepared ones too.
fn segment_files(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir.join("log"))? {
        let entry = entry?;
        if entry.metadata()?.len() == SEGMENT_BYTES {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// GB/s of reading the files from the page cache, with a checksum over every piece.
fn read(files: &[PathBuf]) -> Result<f64, Box<dyn Error>> {
    let mut buffer = vec![0; READ_BYTES];
    let mut bytes = 0;
    let began = Instant::now();
    for path in files {
        let file = File::open(path)?;
        let mut offset = 0;
        loop {
            let count = file.read_at(&mut buffer, offset)?;
            if count == 0 {
                break;
            }
            black_box(crc32fast::hash(&buffer[..count]));
            offset += count as u64;
        }
        bytes += offset;
    }
    Ok(bytes as f64 / 1e9 / began.elapsed().as_secs_f64())
}
