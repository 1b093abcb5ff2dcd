//! One thread that appends many events as one commit.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;

use onceward_benches::pairing::{Extent, Plan, Slice, paired};
use onceward_benches::raw::RawFile;
use onceward_benches::spread::Spread;
use onceward_benches::wal::commits;
use onceward_benches::wal::events::frames;
use onceward_benches::wal::stock::new_log;
use onceward_wal::{Preparation, Purpose, SEGMENT_BYTES_DEFAULT};

use super::{Setting, sides};
use crate::figure::{Asked, Must, Sheet};

/// What is asked of batches of `count` in recycled segments of 64 MiB.
fn asked(count: usize) -> Asked {
    let (figure, least) = if count == 100 { ("batches_100", 0.85) } else { ("batches_500", 0.70) };
    Asked { figure, unit: "ratio to raw limit", must: Must::AtLeast(least) }
}

/// Batches of `count` events, beside one `pwrite` and sync of as many bytes.
pub(super) fn measure(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
    raw: &mut RawFile,
    count: usize,
) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(asked(count)) {
        return Ok(());
    }
    let Setting { dir, payloads, stock, .. } = setting;
    let plan = setting.plan.in_half_slices();
    let extent = Extent::Lasting(plan.slice);
    let bytes = payloads.for_floor(count);
    let parts = payloads.parts(count);
    let frames = frames(&parts);
    let turns = paired(
        plan,
        || commits::batches(stock, &frames, extent),
        || commits::raw(raw, &bytes, count, extent),
    )?;
    let mut detail = sides(&turns);
    let growing = growing(plan, &dir.join("growing"), &bytes, count)?;
    detail.insert("growing_file_of_limit", turns.floor.median / growing);
    Ok(sheet.add(asked(count), turns.share, detail)?)
}

/// Seconds of an event where the file grows with every write: what preparing saves.
fn growing(plan: Plan, path: &Path, bytes: &[u8], count: usize) -> Result<f64, Box<dyn Error>> {
    let mut file: File = OpenOptions::new().create_new(true).append(true).open(path)?;
    let slices: Vec<f64> = (0..plan.rounds)
        .map(|_| {
            let Slice { seconds, events } = Extent::Lasting(plan.slice).of(count, |_| {
                file.write_all(black_box(bytes)).unwrap();
                file.sync_data().unwrap();
            });
            seconds / events
        })
        .collect();
    std::fs::remove_file(path)?;
    Ok(Spread::of(&slices).ok_or("no rounds")?.median)
}

/// The same with segments of the default size, which end within the time that counts: reported, not asked.
///
/// A segment is trimmed once the log goes on behind it, as if everything in it were settled.
pub(super) fn measure_in_small_segments(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
    raw: &mut RawFile,
    count: usize,
) -> Result<(), Box<dyn Error>> {
    let figure =
        if count == 100 { "batches_100_default_segments" } else { "batches_500_default_segments" };
    let asked = Asked { figure, unit: "ratio to raw limit", must: Must::BeReported };
    if !sheet.wants(asked) {
        return Ok(());
    }
    let Setting { plan, payloads, .. } = setting;
    let plan = *plan;
    let extent = Extent::Lasting(plan.slice);
    let dir = setting.dir.join(figure);
    let log = new_log(&dir, SEGMENT_BYTES_DEFAULT, Preparation::InBackground)?;
    let bytes = payloads.for_floor(count);
    let parts = payloads.parts(count);
    let frames = frames(&parts);
    let mut current = 0;
    let thing = || {
        extent.of(count, |_| {
            let appended = log.append_batch(black_box(&frames), 0, Purpose::Capture).unwrap();
            if appended.place.segment != current {
                current = appended.place.segment;
                let old = log.segments().into_iter().filter(|old| old.number < current);
                old.for_each(|old| log.trim(old.number).unwrap());
            }
        })
    };
    let turns = paired(plan, thing, || commits::raw(raw, &bytes, count, extent))?;
    drop(log);
    std::fs::remove_dir_all(&dir)?;
    Ok(sheet.add(asked, turns.share, sides(&turns))?)
}
