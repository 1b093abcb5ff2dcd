//! The figures of the store: captures with a million keys remembered, draining, opening, and its size.
//!
//! | figure | what is compared | with |
//! |---|---|---|
//! | `capture_cost` | one durable capture | one durable append of as many bytes to the log alone |
//! | `batches_N` | `capture_batch` of N events | *raw*: one `pwrite` of the frames' bytes and `fdatasync` |
//! | `buffered` | captures that nobody waits for, one thread, until the last is durable | xxh3, a table that was large enough at once, a checksum, and a write for each MiB, nothing synced |
//! | `begin_and_complete` | a lease and a record | one durable append |
//! | `cached` | the answer of a call that is done | the clock |
//! | `drain_range`, `drain_receipts` | events are read and given their answers | they are read from their files, checked, and 8 bytes synced |
//! | `open_unsettled` | from opening to the first capture, a million events not settled, cold cache | the clock |
//! | `open_memory` | anonymous memory then, for payloads of 1,000 bytes | the same for 100 bytes |
//! | `small_disk`, `small_memory` | what a store of 1,000 events takes with the default settings | |
//!
//! Events have 36 bytes of key and 200 of payload. Segments have 64 MiB, but for the small store.

mod buffered;
mod captures;
mod drain;
mod records;
mod size;

use std::error::Error;
use std::path::Path;

use onceward_benches::pairing::Plan;

use crate::figure::{Sheet, sides};
use crate::workplace::Workplace;

pub(crate) use size::grown;

/// Keys that are remembered while captures are measured.
const LIVE_KEYS: usize = 1_000_000;

/// What the figures share.
#[derive(Debug)]
struct Setting<'a> {
    plan: Plan,
    /// On the disk that is meant.
    dir: &'a Path,
    /// Events of the store that is opened.
    unsettled: u64,
}

/// Measures all of them.
pub(crate) fn measure(
    sheet: &mut Sheet,
    (plan, is_quick): (Plan, bool),
    place: &Workplace,
) -> Result<(), Box<dyn Error>> {
    let unsettled = if is_quick { 100_000 } else { 1_000_000 };
    let setting = Setting { plan, dir: place.path(), unsettled };
    captures::measure(sheet, &setting)?;
    buffered::measure(sheet, &setting)?;
    drain::measure(sheet, &setting)?;
    records::measure(sheet, &setting)?;
    size::measure(sheet, &setting)
}
