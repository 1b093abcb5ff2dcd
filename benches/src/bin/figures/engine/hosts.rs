//! Captures as a host makes them, from the first one of a new store on, that nobody settles.
//!
//! Every event is made in the time that counts, here and on the side of the limit. A side has its time for itself:
//! what a new store's threads prepare is the store's affair, and must not slow the limit down.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use onceward::Config;
use onceward_benches::engine::events::put_bytes;
use onceward_benches::engine::till::{Till, config};
use onceward_benches::engine::{BODY_BYTES, SEGMENT_BYTES};
use onceward_benches::gathering::Gathering;
use onceward_benches::idle::wait_until_idle;
use onceward_benches::pairing::{Extent, Plan, Slice, paired};
use onceward_benches::raw::RawFile;
use onceward_benches::threads::in_threads;
use onceward_wal::frame_bytes;

use super::{Setting, sides};
use crate::figure::{Asked, Must, Sheet};

/// Threads that capture one event at a time.
#[derive(Clone, Copy, Debug)]
struct Writers {
    figure: &'static str,
    count: usize,
    segments: Segments,
}

/// Which segments a store has.
#[derive(Clone, Copy, Debug)]
enum Segments {
    OfDefaultSize,
    Of64MiB,
}

/// New stores of a round: more of them, and shorter, meet the same disk as the limit.
const STORES_A_ROUND: usize = 2;
/// What is measured.
const WRITERS: [Writers; 6] = [
    Writers { figure: "one_writer_new", count: 1, segments: Segments::OfDefaultSize },
    Writers { figure: "one_writer_new_64", count: 1, segments: Segments::Of64MiB },
    Writers { figure: "writers_2", count: 2, segments: Segments::OfDefaultSize },
    Writers { figure: "writers_8", count: 8, segments: Segments::OfDefaultSize },
    Writers { figure: "writers_64", count: 64, segments: Segments::OfDefaultSize },
    Writers { figure: "writers_8_64", count: 8, segments: Segments::Of64MiB },
];

/// What is asked of batches of `count` events.
fn batches_asked(count: usize) -> Asked {
    let (figure, least) =
        if count == 100 { ("batches_100_new", 0.70) } else { ("batches_500_new", 0.50) };
    Asked { figure, unit: "ratio to raw limit", must: Must::AtLeast(least) }
}

/// Measures all of them.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    WRITERS.iter().try_for_each(|writers| writers.measure(sheet, setting))?;
    [100, 500].into_iter().try_for_each(|count| batches(sheet, setting, count))
}

/// The limit of one thread: makes events' bytes, writes them at once and syncs.
struct Raw {
    file: RawFile,
    bytes: Vec<u8>,
    next: u64,
}

impl Raw {
    fn create(path: &Path) -> Result<Self, Box<dyn Error>> {
        let file = RawFile::create(path, SEGMENT_BYTES)?;
        Ok(Self { file, bytes: Vec::new(), next: 0 })
    }

    fn commit(&mut self, count: usize) {
        self.bytes.clear();
        for _ in 0..count {
            self.next += 1;
            put_bytes(&mut self.bytes, self.next, frame_bytes(BODY_BYTES));
        }
        self.file.write_synced(&self.bytes).unwrap();
    }
}

impl Writers {
    fn asked(self) -> Asked {
        let unit =
            if self.count == 1 { "ratio to raw limit" } else { "ratio to gathering group commit" };
        Asked { figure: self.figure, unit, must: Must::AtLeast(0.95) }
    }

    /// Measures them, each time on a new store.
    fn measure(self, sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
        if !sheet.wants(self.asked()) {
            return Ok(());
        }
        let dir = setting.dir.join(self.figure);
        std::fs::create_dir(&dir)?;
        let extent = Extent::Lasting(setting.span);
        let plan = setting.once_a_round();
        let plan = Plan { slices: if setting.is_quick { 1 } else { STORES_A_ROUND }, ..plan };
        let thing = || self.captured(&dir.join("till"), extent);
        let turns = if self.count == 1 {
            let mut raw = Raw::create(&dir.join("raw"))?;
            paired(plan, thing, || extent.of(1, |_| raw.commit(1)))
        } else {
            let gathering = Gathering::new(RawFile::create(&dir.join("raw"), SEGMENT_BYTES)?);
            paired(plan, thing, || self.gathered(&gathering, extent))
        }?;
        sheet.add(self.asked(), turns.share, sides(&turns))?;
        Ok(std::fs::remove_dir_all(&dir)?)
    }

    /// Makes a store, and captures from then on. What it leaves is removed, so that the disk has peace.
    fn captured(self, dir: &Path, extent: Extent) -> Slice {
        let config = match self.segments {
            Segments::OfDefaultSize => Config::new(),
            Segments::Of64MiB => config(),
        };
        let till = Till::open(dir, config, 0).unwrap();
        let slice = in_threads(self.count, |_| extent.count(|_| till.capture_one()));
        wait_until_idle().unwrap();
        drop(till);
        std::fs::remove_dir_all(dir).unwrap();
        rustix::fs::sync();
        slice
    }

    /// As many threads, each of which makes an event's bytes and commits them.
    fn gathered(self, gathering: &Gathering, extent: Extent) -> Slice {
        let next = AtomicU64::new(0);
        in_threads(self.count, |_| {
            let mut bytes = Vec::new();
            extent.count(|_| {
                bytes.clear();
                let number = next.fetch_add(1, Ordering::Relaxed);
                put_bytes(&mut bytes, number, frame_bytes(BODY_BYTES));
                gathering.commit(&bytes).unwrap();
            })
        })
    }
}

/// Measures batches of `count` on a store that remembers many keys and goes on, always into new segments.
fn batches(sheet: &mut Sheet, setting: &Setting<'_>, count: usize) -> Result<(), Box<dyn Error>> {
    let asked = batches_asked(count);
    if !sheet.wants(asked) {
        return Ok(());
    }
    let dir = setting.dir.join(asked.figure);
    let till = Till::open(&dir.join("till"), config(), 0)?;
    till.fill(setting.waiting)?;
    let mut raw = Raw::create(&dir.join("raw"))?;
    let extent = Extent::Times(setting.captures / count);
    let thing = || {
        let slice = extent.of(count, |_| till.capture_many(count));
        wait_until_idle().unwrap();
        slice
    };
    let turns = paired(setting.once_a_round(), thing, || extent.of(count, |_| raw.commit(count)))?;
    let mut detail = sides(&turns);
    detail.insert("keys_before", setting.waiting as f64);
    detail.insert("making_events_us", made_in_us(&till));
    sheet.add(asked, turns.share, detail)?;
    drop(till);
    Ok(std::fs::remove_dir_all(&dir)?)
}

/// What of a batch's time making the events is, for each of them: the check of JSON most of all.
fn made_in_us(till: &Till) -> f64 {
    let Slice { seconds, events } =
        Extent::Times(200).of(100, |_| drop(black_box(till.events(100))));
    seconds * 1e6 / events
}
