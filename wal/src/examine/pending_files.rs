//! The files that are there and not judged yet. Few of them are open, however many there are.

use std::collections::BTreeMap;

use onceward_vfs::Vfs;

use super::segment_file::SegmentFile;
use crate::error::Error;

/// Files that stay open until they are judged. A log of no more segments is read as it was when they were
/// opened, also if a writer trims it meanwhile; of a longer one it is the oldest, which are trimmed first.
const OPEN_MAX: usize = 16;

/// Files by number of the segment; `None` for one that is not open.
#[derive(Debug, Default)]
pub(super) struct PendingFiles(BTreeMap<u64, Option<SegmentFile>>);

impl PendingFiles {
    /// Adds a file whose head was read.
    pub(super) fn add(&mut self, file: SegmentFile) {
        let stays_open = self.0.len() < OPEN_MAX;
        self.0.insert(file.number, stays_open.then_some(file));
    }

    /// Forgets the file of a segment that is not judged by it.
    pub(super) fn forget(&mut self, number: u64) {
        self.0.remove(&number);
    }

    /// Takes the file of a segment; `None` if it was not there, or a writer at work trimmed it since.
    pub(super) fn take(
        &mut self,
        vfs: &dyn Vfs,
        number: u64,
        store: [u8; 16],
    ) -> Result<Option<SegmentFile>, Error> {
        match self.0.remove(&number) {
            Some(None) => SegmentFile::open(vfs, number, store),
            there => Ok(there.flatten()),
        }
    }
}
