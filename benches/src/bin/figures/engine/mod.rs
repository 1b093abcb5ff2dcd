//! The figures of the store: captures, draining, opening, asking, and its size.
//!
//! | figure | what is compared | with |
//! |---|---|---|
//! | `one_writer_new`, `one_writer_new_64` | durable captures by one thread, from the first one of a new store on; with segments of 64 MiB | *raw*: one `pwrite` of the frames' bytes and `fdatasync` |
//! | `writers_N`, `writers_8_64` | the same by N threads; with segments of 64 MiB | [`Gathering`](onceward_benches::gathering::Gathering), N threads |
//! | `batches_N_new` | `capture_batch` of N events, a million others waiting, always into new segments | *raw* of N frames |
//! | `deferred` | `capture_deferred`, one thread, a new store, until the last is durable | xxh3, a table that was large enough at once, a checksum, and a write for each MiB, nothing synced |
//! | `drain_million_range`, `drain_million_receipts`, `drain_million_keys` | a million events are read and given their answers, 100 at a time, until all cleaning is done | they are read from a file, checked, and 8 bytes synced for each 100 |
//! | `outcome_1m`, `outcome_10m`, and both `_mapped` | `outcome` by key, every second key known, none settled; the index read by position, or with maps | [`Floor`](onceward_benches::index::floor::Floor) |
//! | `waiting_memory` | anonymous memory of a process that captured a million | the 14 bytes a key that the index may take; beside it, what an index with as many keys says of itself |
//! | `open_million_closed`, `open_million_killed` | from opening to the first capture, a million events waiting, cold cache | the clock |
//! | `ten_million_open`, `ten_million_memory` | the same of ten million, closed; anonymous memory of the process | the clock |
//! | `capture_cost` | one durable capture, a million keys remembered | one durable append of as many bytes to the log alone |
//! | `batches_N` | `capture_batch` of N events, into segments that come free again | *raw* of N frames |
//! | `buffered` | `capture_deferred` of events that were made beforehand | as `deferred` |
//! | `begin_and_complete` | a lease and a record | one durable append |
//! | `cached` | the answer of a call that is done | the clock |
//! | `drain_range`, `drain_receipts` | 5,000 events that were just captured are read and given their answers | as `drain_million_range` |
//! | `open_unsettled` | from opening to the first capture, a million events not settled, cold cache | the clock |
//! | `open_memory` | anonymous memory then, for payloads of 1,000 bytes | the same for 100 bytes |
//! | `small_disk`, `small_memory` | what a store of 1,000 events takes with the default settings | |
//!
//! Events have 36 bytes of key and 200 of payload. Those above `capture_cost` show what a host sees: each event is made
//! in the time that counts, from a key's text and JSON; the limit makes the same bytes. The others take events that
//! were made beforehand. Segments have the default size for writers, draining and up to a million waiting events, and
//! for the small store; otherwise 64 MiB. A quick run has a tenth of the waiting events, and leaves out ten million.
//! Caches are emptied by `posix_fadvise` on every file and, where the system allows it, by `drop_caches`; the detail
//! says which.

mod buffered;
mod captures;
mod drain;
mod hosts;
mod made;
mod opening;
mod outcomes;
mod records;
mod size;

use std::cell::OnceCell;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use onceward_benches::pairing::Plan;

use crate::child::Child;
use crate::figure::{Sheet, sides};
use crate::workplace::Workplace;

pub(crate) use made::filled;
pub(crate) use opening::opened;
pub(crate) use size::grown;

use made::Made;

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
    /// A tenth of most counts.
    is_quick: bool,
    /// Events that wait where it is a million.
    waiting: usize,
    /// Events of a slice that are captured in batches on a new store.
    captures: usize,
    /// Time of a slice on a new store.
    span: Duration,
    /// The store of them, once a figure needed it.
    million: OnceCell<Made>,
}

impl Setting<'_> {
    /// Rounds in which each side is measured once, for long.
    fn once_a_round(&self) -> Plan {
        Plan { slices: 1, rounds: if self.is_quick { 3 } else { self.plan.rounds }, ..self.plan }
    }

    /// A closed store of a million events that wait.
    fn million(&self) -> Result<&Made, Box<dyn Error>> {
        if let Some(made) = self.million.get() {
            return Ok(made);
        }
        let made = Made::by(Child::EngineClosed, self.dir.join("million"), self.waiting)?;
        Ok(self.million.get_or_init(|| made))
    }
}

/// Measures all of them.
pub(crate) fn measure(
    sheet: &mut Sheet,
    (plan, is_quick): (Plan, bool),
    place: &Workplace,
) -> Result<(), Box<dyn Error>> {
    let unsettled = if is_quick { 100_000 } else { 1_000_000 };
    let setting = Setting {
        plan,
        dir: place.path(),
        unsettled,
        is_quick,
        waiting: if is_quick { 100_000 } else { 1_000_000 },
        captures: if is_quick { 20_000 } else { 100_000 },
        span: Duration::from_millis(if is_quick { 150 } else { 500 }),
        million: OnceCell::new(),
    };
    hosts::measure(sheet, &setting)?;
    captures::measure(sheet, &setting)?;
    buffered::measure(sheet, &setting)?;
    drain::measure(sheet, &setting)?;
    records::measure(sheet, &setting)?;
    size::measure(sheet, &setting)?;
    opening::measure(sheet, &setting)?;
    for question in outcomes::OF_1M {
        if sheet.wants(question.asked) {
            outcomes::measure(sheet, &setting, question, setting.million()?)?;
        }
    }
    opening::measure_ten_million(sheet, &setting)
}
