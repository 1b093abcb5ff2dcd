//! Draining: what waits is read in order and gets its answers, durably.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use onceward::{Answer, Receipt, Scope};
use onceward_benches::engine::BODY_BYTES;
use onceward_benches::engine::till::{Till, accepted};
use onceward_benches::pairing::{Plan, Slice, paired};
use onceward_benches::raw::RawFile;
use onceward_wal::frame_bytes;

use super::{Setting, sides};
use crate::figure::{Asked, Must, Sheet};

/// Answers that cover a range.
const RANGE: Asked =
    Asked { figure: "drain_range", unit: "ratio to raw limit", must: Must::AtLeast(0.95) };
/// Answers with a receipt for each event.
const RECEIPTS: Asked =
    Asked { figure: "drain_receipts", unit: "ratio to raw limit", must: Must::AtLeast(0.80) };
/// Events that are answered together.
const TOGETHER: usize = 100;
/// Events of a slice.
const EVENTS: usize = 5_000;
/// Bytes of a receipt.
const RECEIPT_BYTES: usize = 24;

/// Measures both.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    for (asked, receipt) in [(RANGE, None), (RECEIPTS, Some(Receipt::new(&[7; RECEIPT_BYTES])?))] {
        if !sheet.wants(asked) {
            continue;
        }
        let dir = setting.dir.join(asked.figure);
        let mut till = Till::with_keys(&dir.join("till"), 0)?;
        let mut floor = Floor::create(&dir)?;
        let plan = Plan { slices: setting.plan.slices / 2, ..setting.plan };
        let turns = paired(plan, || drained(&mut till, receipt.as_ref()), || floor.drain())?;
        sheet.add(asked, turns.share, sides(&turns))?;
        drop(till);
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

/// Reads what waits and settles it, some at a time. Capturing it is not counted.
fn drained(till: &mut Till, receipt: Option<&Receipt>) -> Slice {
    till.fill(EVENTS, false).unwrap();
    till.forget_open();
    let scope = Scope::default();
    let mut events = 0;
    let began = Instant::now();
    loop {
        let pending = till.store.pending(&scope, None, TOGETHER).unwrap();
        if pending.is_empty() {
            break;
        }
        events += pending.len();
        match (receipt, pending.first().zip(pending.last())) {
            (None, Some((first, last))) => {
                let answer = Answer::Accepted { receipt: None };
                till.store.settle_range(&scope, first.lsn, last.lsn, &answer).unwrap();
            }
            _ => {
                let keys = pending.into_iter().map(|stored| stored.event.key);
                let answers: Vec<_> = keys.map(|key| accepted(key, receipt.cloned())).collect();
                till.store.settle(&answers).unwrap();
            }
        }
    }
    assert_eq!(events, EVENTS);
    Slice { seconds: began.elapsed().as_secs_f64(), events: events as f64 }
}

/// Reads as many bytes from a file, checks them, and syncs 8 bytes for as many events.
struct Floor {
    file: File,
    cursor: RawFile,
    buffer: Vec<u8>,
}

impl Floor {
    fn create(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let path = dir.join("events");
        let bytes = TOGETHER * frame_bytes(BODY_BYTES);
        std::fs::write(&path, vec![0x5a; bytes * (EVENTS / TOGETHER)])?;
        let cursor = RawFile::create(&dir.join("cursor"), 1)?;
        Ok(Self { file: File::open(path)?, cursor, buffer: vec![0; bytes] })
    }

    fn drain(&mut self) -> Slice {
        let began = Instant::now();
        for some in 0..EVENTS / TOGETHER {
            let offset = some * self.buffer.len();
            self.file.read_exact_at(&mut self.buffer, offset as u64).unwrap();
            for frame in self.buffer.chunks(frame_bytes(BODY_BYTES)) {
                black_box(crc32fast::hash(frame));
            }
            self.cursor.write_synced(&offset.to_le_bytes()).unwrap();
        }
        Slice { seconds: began.elapsed().as_secs_f64(), events: EVENTS as f64 }
    }
}
