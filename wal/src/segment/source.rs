//! Where the frames of one segment are read.

use std::sync::Arc;

use onceward_vfs::File;

use crate::header::SegmentHeader;
use crate::limits::HEADER_BLOCK_BYTES;
use crate::sealing::SegmentBodies;

/// Where a segment's frames are read. As long as somebody holds one, its file is not used again.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn File>,
    pub(crate) salt: u32,
    pub(crate) first_lsn: u64,
    pub(crate) bodies: SegmentBodies,
}

impl Source {
    /// Whether the file holds another segment by now.
    pub(super) fn is_used_again(&self) -> bool {
        let mut block = vec![0; HEADER_BLOCK_BYTES];
        let read = self.file.read_at(0, &mut block);
        let header = read.ok().and_then(|_| SegmentHeader::decode(&block).ok());
        header.is_some_and(|header| header.number != self.number)
    }
}
