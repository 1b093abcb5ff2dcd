//! A mapped file of the simulated disk, which watches that nobody changes the file meanwhile.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{disk::DiskState, names::FileId};

/// The bytes of a file as they were, and its place in the count of maps.
pub(super) struct SimMap {
    /// The disk it is on.
    disk: Arc<Mutex<DiskState>>,
    /// Which file.
    file: FileId,
    /// The content. A copy: the file's pages do not lie one after the other in memory.
    bytes: Vec<u8>,
}

impl SimMap {
    /// A map, counted already.
    pub(super) fn new(disk: Arc<Mutex<DiskState>>, file: FileId, bytes: Vec<u8>) -> Self {
        Self { disk, file, bytes }
    }
}

impl AsRef<[u8]> for SimMap {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for SimMap {
    fn drop(&mut self) {
        if let Ok(inode) = self.disk.lock().inode(self.file) {
            inode.maps = inode.maps.saturating_sub(1);
        }
    }
}
