//! Draining: what waits is read in order and gets its answers, durably.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use onceward::Receipt;
use onceward_benches::engine::BODY_BYTES;
use onceward_benches::engine::till::{Settling, TOGETHER, Till};
use onceward_benches::pairing::{Plan, Slice, paired};
use onceward_benches::raw::RawFile;
use onceward_benches::spread::Spread;
use onceward_wal::frame_bytes;

use super::{Setting, sides};
use crate::figure::{Asked, Must, Sheet};

/// Answers that cover a range.
const RANGE: Asked =
    Asked { figure: "drain_range", unit: "ratio to raw limit", must: Must::AtLeast(0.95) };
/// Answers with a receipt for each event.
const RECEIPTS: Asked =
    Asked { figure: "drain_receipts", unit: "ratio to raw limit", must: Must::AtLeast(0.80) };
/// The same of a million events, until all cleaning is done.
const MILLION_RANGE: Asked =
    Asked { figure: "drain_million_range", unit: "ratio to raw limit", must: Must::AtLeast(0.80) };
/// The same with receipts.
const MILLION_RECEIPTS: Asked = Asked {
    figure: "drain_million_receipts",
    unit: "ratio to raw limit",
    must: Must::AtLeast(0.65),
};
/// The same with receipts, for a host that has only the keys of what it sent.
const MILLION_KEYS: Asked =
    Asked { figure: "drain_million_keys", unit: "ratio to raw limit", must: Must::BeReported };
/// Events of a slice.
const EVENTS: usize = 5_000;
/// Bytes of a receipt.
const RECEIPT_BYTES: usize = 24;

/// Measures a few events that were just captured, then many.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    measure_few(sheet, setting)?;
    measure_million(sheet, setting)
}

/// A receipt as an upstream gives it.
fn receipt() -> Result<Receipt, onceward::Error> {
    Receipt::new(&[7; RECEIPT_BYTES])
}

/// Drains copies of one store. Neither copying nor opening counts; what is cleaned counts to the end.
fn measure_million(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    let events = setting.waiting;
    let receipt = receipt()?;
    let all = [
        (MILLION_RANGE, Settling::AsRange),
        (MILLION_RECEIPTS, Settling::ByNumber(&receipt)),
        (MILLION_KEYS, Settling::ByKey(&receipt)),
    ];
    for (asked, how) in all {
        if !sheet.wants(asked) {
            continue;
        }
        let made = setting.million()?;
        let dir = setting.dir.join(asked.figure);
        std::fs::create_dir(&dir)?;
        let mut floor = Floor::create(&dir, events)?;
        let mut left = Vec::new();
        let thing = || {
            let till = made.copied(&dir.join("till")).unwrap();
            let began = Instant::now();
            assert_eq!(till.drain(how, usize::MAX).unwrap(), events);
            till.clean_up().unwrap();
            let seconds = began.elapsed().as_secs_f64();
            left.push(till.store.status().bytes as f64 / 1e6);
            std::fs::remove_dir_all(&till.dir).unwrap();
            Slice { seconds, events: events as f64 }
        };
        let turns = paired(setting.once_a_round(), thing, || floor.drain())?;
        let mut detail = sides(&turns);
        detail.insert("events", events as f64);
        detail.insert("log_mb_at_the_end", Spread::of(&left).ok_or("no rounds")?.median);
        sheet.add(asked, turns.share, detail)?;
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

/// Measures both on one store that is filled again and again.
fn measure_few(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    let receipt = receipt()?;
    for (asked, how) in [(RANGE, Settling::AsRange), (RECEIPTS, Settling::ByNumber(&receipt))] {
        if !sheet.wants(asked) {
            continue;
        }
        let dir = setting.dir.join(asked.figure);
        let till = Till::with_keys(&dir.join("till"), 0)?;
        let mut floor = Floor::create(&dir, EVENTS)?;
        let plan = Plan { slices: setting.plan.slices / 2, ..setting.plan };
        let turns = paired(plan, || drained(&till, how), || floor.drain())?;
        sheet.add(asked, turns.share, sides(&turns))?;
        drop(till);
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

/// Reads what waits and settles it, some at a time. Capturing it is not counted.
fn drained(till: &Till, how: Settling<'_>) -> Slice {
    till.fill(EVENTS).unwrap();
    let began = Instant::now();
    assert_eq!(till.drain(how, usize::MAX).unwrap(), EVENTS);
    Slice { seconds: began.elapsed().as_secs_f64(), events: EVENTS as f64 }
}

/// Reads as many bytes from a file, checks them, and syncs 8 bytes for as many events.
struct Floor {
    file: File,
    cursor: RawFile,
    buffer: Vec<u8>,
    events: usize,
}

impl Floor {
    fn create(dir: &Path, events: usize) -> Result<Self, Box<dyn Error>> {
        let path = dir.join("events");
        let bytes = TOGETHER * frame_bytes(BODY_BYTES);
        std::fs::write(&path, vec![0x5a; bytes * (events / TOGETHER)])?;
        let cursor = RawFile::create(&dir.join("cursor"), 1)?;
        Ok(Self { file: File::open(path)?, cursor, buffer: vec![0; bytes], events })
    }

    fn drain(&mut self) -> Slice {
        let began = Instant::now();
        for some in 0..self.events / TOGETHER {
            let offset = some * self.buffer.len();
            self.file.read_exact_at(&mut self.buffer, offset as u64).unwrap();
            for frame in self.buffer.chunks(frame_bytes(BODY_BYTES)) {
                black_box(crc32fast::hash(frame));
            }
            self.cursor.write_synced(&offset.to_le_bytes()).unwrap();
        }
        Slice { seconds: began.elapsed().as_secs_f64(), events: self.events as f64 }
    }
}
