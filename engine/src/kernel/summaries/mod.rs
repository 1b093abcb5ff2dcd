//! Summaries of finished segments: what replay needs of one, in a file of a few hundredths of its size, so that opening
//! need not read the segment.
//!
//! A summary says nothing that its segment does not, and may be gone at any time: one that is missing, damaged, of
//! another version or of another segment means that the segment is read, as without summaries. It is used where the
//! index's files cover the whole segment, so that the keys of its events, which are not in it, are known already;
//! and where the log's head and end are those that it was made from (see [`onceward_wal::examine_known`]).
//!
//! | file | what |
//! |---|---|
//! | `layout` | what the file begins and ends with |
//! | `run` | events in columns |
//! | `writing` | makes a summary from the frames of a segment |
//! | `reading` | reads summaries in the place of segments |
//! | `warming` | has them read several at a time |
//! | `keeping` | writes and removes them, and checks segments that were not read |
//!
//! Those who read a log without its lock, and those who judge it, never use them. There are none of a sealed log: a
//! summary would have to be sealed as well.

mod keeping;
mod layout;
mod reading;
mod run;
mod warming;
mod writing;

use std::collections::BTreeSet;

use onceward_vfs::Vfs;

use crate::base::places::SUMMARIES_DIR;
pub(crate) use keeping::Summaries;
pub(in crate::kernel) use keeping::Unread;
pub(in crate::kernel) use reading::SummarizedLog;
pub(crate) use run::{RunColumns, RunFacts, SummaryRun};
pub(in crate::kernel) use warming::warm;

/// Digits of a file's name.
const NAME_DIGITS: usize = 16;

/// The file of a segment's summary.
fn path(number: u64) -> String {
    format!("{SUMMARIES_DIR}/{number:016x}")
}

/// The segments that have a file here.
pub(in crate::kernel) fn numbers(vfs: &dyn Vfs) -> BTreeSet<u64> {
    let entries = vfs.list(SUMMARIES_DIR).unwrap_or_default();
    entries.iter().filter_map(|entry| number(entry)).collect()
}

/// The segment whose summary has this name; `None`: the file is none.
fn number(entry: &str) -> Option<u64> {
    let number = u64::from_str_radix(entry, 16).ok()?;
    (entry.len() == NAME_DIGITS && path(number).ends_with(entry)).then_some(number)
}

/// Removes all summaries: segments are about to be changed in place.
///
/// # Errors
///
/// `Io`: one cannot be removed.
pub(crate) fn discard(vfs: &dyn Vfs) -> crate::base::Result<()> {
    for number in numbers(vfs) {
        vfs.remove(&path(number))?;
    }
    Ok(())
}
