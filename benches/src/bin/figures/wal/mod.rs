//! The figures of the log: durable appends of 200-byte events, recovery, and reading beside writers.
//!
//! | figure | what is compared | with |
//! |---|---|---|
//! | `one_writer`, `.._median_latency` | append and wait, one thread | *raw*: one `pwrite` of a frame's bytes and `fdatasync` |
//! | `writers_N` | append and wait, N threads | [`Gathering`], N threads; the detail has it beside *raw* of N frames |
//! | `tickets_64` | 64 events in flight from two threads | *raw* of 64 frames |
//! | `batches_N` | one append of N events and a wait | *raw* of N frames |
//! | `device_bytes` | what the device was asked to write | the events' 200 bytes |
//! | `recovery_scan` | `examine` of a log in the page cache | the clock; the detail has a read and one checksum |
//! | `tail_read` | a reader that is shown the same log | the same |
//! | `tail_wake_us` | a reader that waits at the end | the clock; the detail has a condition variable alone |
//!
//! *raw* writes into a file of 64 MiB of zeros that was written before. The log has segments of 64 MiB
//! that are recycled: when one is full, outside the time that counts, the one before is trimmed and
//! becomes the next.

mod amount;
mod batches;
mod laps;
mod lone;
mod passes;
mod recovery;
mod tail;
mod tickets;
mod writers;

use std::error::Error;
use std::path::Path;

use onceward_benches::device::Device;
use onceward_benches::gathering::Gathering;
use onceward_benches::pairing::Plan;
use onceward_benches::raw::RawFile;
use onceward_benches::wal::SEGMENT_BYTES;
use onceward_benches::wal::events::Payloads;
use onceward_benches::wal::stock::Stock;

use crate::figure::{Sheet, sides};
use crate::workplace::Workplace;

/// Threads of the figures with blocking writers.
const WRITERS: [usize; 3] = [2, 8, 64];

/// What the figures share.
#[derive(Debug)]
struct Setting<'a> {
    plan: Plan,
    /// On the disk that is meant.
    dir: &'a Path,
    device: Option<Device>,
    payloads: &'a Payloads,
    stock: Stock<'a>,
}

/// Measures all of them.
pub(crate) fn measure(
    sheet: &mut Sheet,
    plan: Plan,
    place: &Workplace,
) -> Result<(), Box<dyn Error>> {
    let payloads = &Payloads::default();
    let dir = place.path();
    let raw = &mut RawFile::create(&dir.join("raw"), SEGMENT_BYTES)?;
    let gathering = Gathering::new(RawFile::create(&dir.join("gathering"), SEGMENT_BYTES)?);
    let device = Device::of(dir)?;
    let stock = Stock::create(&dir.join("log"), device, payloads)?;
    let setting = Setting { plan, dir, device, payloads, stock };

    lone::measure(sheet, &setting, raw)?;
    for writers in WRITERS {
        writers::measure(sheet, &setting, (&gathering, raw), writers)?;
    }
    tickets::measure(sheet, &setting, raw)?;
    for count in [100, 500] {
        batches::measure(sheet, &setting, raw, count)?;
    }
    amount::measure(sheet, &setting, raw)?;
    for count in [100, 500] {
        batches::measure_in_small_segments(sheet, &setting, raw, count)?;
    }
    tail::measure_wake(sheet, &setting, raw)?;
    tail::measure_read(sheet, &setting)?;
    recovery::measure(sheet, &setting)
}
