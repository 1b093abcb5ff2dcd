//! Durable captures, one by one and in batches, while a million keys are remembered.

use std::error::Error;
use std::time::{Duration, Instant};

use onceward_benches::engine::bare::Bare;
use onceward_benches::engine::till::Till;
use onceward_benches::engine::{BODY_BYTES, SEGMENT_BYTES};
use onceward_benches::pairing::{Extent, Plan, Slice, paired};
use onceward_benches::raw::RawFile;
use onceward_wal::frame_bytes;

use super::{LIVE_KEYS, Setting, sides};
use crate::figure::{Asked, Must, Sheet};

/// One by one.
const COST: Asked = Asked {
    figure: "capture_cost",
    unit: "times the bare append of the same bytes",
    must: Must::AtMost(1.05),
};
/// Captures of a slice that are made one by one.
const SINGLES: usize = 200;
/// Events of a slice that are captured in batches: few, so that about a million keys are remembered.
const IN_BATCHES: usize = 10_000;

/// What is asked of batches.
fn asked(count: usize) -> Asked {
    let (figure, least) = if count == 100 { ("batches_100", 0.80) } else { ("batches_500", 0.60) };
    Asked { figure, unit: "ratio to raw limit", must: Must::AtLeast(least) }
}

/// Measures all of them on one store.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if ![COST, asked(100), asked(500)].into_iter().any(|asked| sheet.wants(asked)) {
        return Ok(());
    }
    let mut till = Till::with_keys(&setting.dir.join("till"), LIVE_KEYS)?;
    if sheet.wants(COST) {
        let mut bare = Bare::create(&setting.dir.join("bare"), SINGLES)?;
        let turns = paired(
            setting.plan,
            || captured(&mut till, SINGLES, 1),
            || {
                bare.trim();
                Extent::Times(SINGLES).of(1, |number| bare.append(number, 1))
            },
        )?;
        sheet.add(COST, turns.cost(), sides(&turns))?;
    }
    for count in [100, 500] {
        if sheet.wants(asked(count)) {
            let mut raw = RawFile::create(&setting.dir.join("raw"), SEGMENT_BYTES)?;
            let bytes = vec![0x5a; count * frame_bytes(BODY_BYTES)];
            let plan = Plan { slices: setting.plan.slices / 2, ..setting.plan };
            let times = IN_BATCHES / count;
            let turns = paired(
                plan,
                || captured(&mut till, times, count),
                || Extent::Times(times).of(count, |_| raw.write_synced(&bytes).unwrap()),
            )?;
            sheet.add(asked(count), turns.share, sides(&turns))?;
            std::fs::remove_file(setting.dir.join("raw"))?;
        }
    }
    Ok(())
}

/// Captures `times` batches of `count` events, each made just before it. Making them is not counted, nor is
/// settling what a slice before captured.
fn captured(till: &mut Till, times: usize, count: usize) -> Slice {
    till.settle().unwrap();
    let mut spent = Duration::ZERO;
    for _ in 0..times {
        let events = till.events(count);
        let began = Instant::now();
        till.capture(&events);
        spent += began.elapsed();
    }
    Slice { seconds: spent.as_secs_f64(), events: (times * count) as f64 }
}
