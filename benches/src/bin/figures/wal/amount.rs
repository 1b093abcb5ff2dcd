//! How much the device writes for what the caller asked to keep.

use std::error::Error;

use onceward_benches::device::Device;
use onceward_benches::raw::RawFile;
use onceward_benches::spread::Spread;
use onceward_benches::wal::events::{FRAME_BYTES, PAYLOAD_BYTES, frames};
use onceward_wal::{Appended, Purpose};

use super::Setting;
use crate::figure::{Asked, Detail, Must, Sheet};

/// Events of a batch.
const COUNT: usize = 500;
/// Batches between two looks at the device: short, so that others' writes miss most of them.
const BATCHES: usize = 20;
/// Looks in a round.
const LOOKS: usize = 8;
/// The unit in which a buffered write reaches the device.
const PAGE_BYTES: u64 = 4096;

/// What is asked.
const ASKED: Asked = Asked {
    figure: "device_bytes",
    unit: "device bytes for each payload byte",
    must: Must::AtMost(1.20),
};

/// Counts what batches of 500 make the device write; by whole pages where nobody counts.
pub(super) fn measure(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
    raw: &mut RawFile,
) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(ASKED) {
        return Ok(());
    }
    let Setting { plan, device, payloads, stock, .. } = setting;
    let written = || device.and_then(Device::written_bytes);
    let bytes = payloads.for_floor(COUNT);
    let parts = payloads.parts(COUNT);
    let frames = frames(&parts);
    let payload = (BATCHES * COUNT * PAYLOAD_BYTES) as f64;
    let (mut told, mut floor, mut counted) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds * LOOKS {
        stock.make_room()?;
        let before = written();
        let mut pages = 0;
        for _ in 0..BATCHES {
            let appended = stock.log.append_batch(&frames, 0, Purpose::Capture)?;
            pages += pages_of(&appended);
        }
        let between = written();
        for _ in 0..BATCHES {
            raw.write_synced(&bytes)?;
        }
        if let (Some(before), Some(between), Some(after)) = (before, between, written()) {
            told.push((between - before) as f64 / payload);
            floor.push((after - between) as f64 / payload);
        }
        counted.push((pages * PAGE_BYTES) as f64 / payload);
    }
    let counted = Spread::of(&counted).ok_or("no rounds")?;
    let frames_of_payload = FRAME_BYTES as f64 / PAYLOAD_BYTES as f64;
    let mut detail = Detail::from([
        ("by_whole_pages", counted.median),
        ("by_frames", frames_of_payload),
        ("device_is_counted", if told.is_empty() { 0.0 } else { 1.0 }),
    ]);
    if let Some(floor) = Spread::of(&floor) {
        detail.insert("floor_of_as_many_bytes", floor.median);
    }
    if let Some(fill) = stock.first_fill {
        detail.insert("first_zero_fill_for_each_segment_byte", fill);
    }
    // Others write to the device too: the middle of many short looks is what is ours.
    Ok(sheet.add(ASKED, Spread::of(&told).unwrap_or(counted), detail)?)
}

/// Pages that a batch touches.
fn pages_of(appended: &Appended) -> u64 {
    let start = u64::from(appended.place.offset);
    pages(start, start + (COUNT * FRAME_BYTES) as u64)
}

/// Pages that the bytes `start..end` touch.
fn pages(start: u64, end: u64) -> u64 {
    end.div_ceil(PAGE_BYTES) - start / PAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_are_touched_in_part_count_whole() {
        assert_eq!(pages(0, 4096), 1);
        assert_eq!(pages(4095, 4097), 2);
        assert_eq!(pages(4096, 4097), 1);
        assert_eq!(pages(8, 8 + 116_000), 29);
        assert_eq!(pages(4000, 4000 + 116_000), 30);
    }
}
