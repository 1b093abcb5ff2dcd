//! Has the system read several files at a time that opening reads one after another: where they are not in memory, it
//! waits for each.

use std::collections::BTreeSet;

use onceward_vfs::{Mode, Vfs, read_all};
use onceward_wal::SEGMENT_BYTES_MAX;

use super::path;
use crate::base::places::LOG_DIR;

/// Files that are read at once.
const AT_ONCE: usize = 8;
/// Fewer are not worth a thread.
const FILES_MIN: usize = 32;
/// What is read of the beginning of a segment.
const HEAD_BYTES: usize = 8 * 1024;

/// A file that is read beforehand.
enum Wanted {
    /// The summary of a segment.
    Summary(String),
    /// The head of a segment.
    Head(String),
}

/// Reads the summaries of these segments, and the heads of all. What cannot be read is found out by whoever needs it.
pub(in crate::kernel) fn warm(vfs: &dyn Vfs, numbers: &BTreeSet<u64>) {
    if numbers.len() < FILES_MIN {
        return;
    }
    let entries = vfs.list(LOG_DIR).unwrap_or_default().into_iter();
    let heads = entries.map(|entry| Wanted::Head(format!("{LOG_DIR}/{entry}")));
    let summaries = numbers.iter().map(|number| Wanted::Summary(path(*number)));
    let wanted: Vec<Wanted> = summaries.chain(heads).collect();
    let part = wanted.len().div_ceil(AT_ONCE).max(1);
    std::thread::scope(|scope| {
        for some in wanted.chunks(part) {
            let named = std::thread::Builder::new().name("onceward-warm".to_owned());
            // Without a thread, as on a machine that has none left, opening reads them itself.
            drop(named.spawn_scoped(scope, move || some.iter().for_each(|file| read(vfs, file))));
        }
    });
}

fn read(vfs: &dyn Vfs, file: &Wanted) {
    match file {
        Wanted::Summary(path) => drop(read_all(vfs, path, SEGMENT_BYTES_MAX)),
        Wanted::Head(path) => {
            let head = vfs.open(path, Mode::Read);
            drop(head.and_then(|head| head.read_at(0, &mut [0; HEAD_BYTES])));
        }
    }
}
