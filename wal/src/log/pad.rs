//! Where commits end within the blocks of the disk.
//!
//! A commit that ends within a block has the next one write that block again. For a large commit a
//! mark that fills the block costs less than the second writing. And cheap flash may damage the
//! whole block around a cut write: there, every commit has blocks of its own.

use super::Commit;
use super::frames::{MARK_FRAME_BYTES, SEAL_FRAME_BYTES};
use crate::limits;

/// Where commits may end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Alignment {
    /// Anywhere; those of 64 KiB and more fill their last block.
    #[default]
    Frame,
    /// At the end of a block of 4,096 bytes: bytes that were confirmed are not written again, so that a cut
    /// write which damages its whole block costs nothing that was confirmed (`FORMAT.md`, section
    /// Assumptions, has the one exception). Each commit takes at least one block.
    Block,
}

/// [`limits::BLOCK_BYTES`], as a place in a file.
const BLOCK_BYTES: u64 = limits::BLOCK_BYTES as u64;
/// Commits of this size fill their last block in any case.
const LARGE_BYTES: usize = 64 * 1024;

/// Size of the mark behind `offset` that ends at the end of a block; 0 if `offset` does.
fn filling(offset: u64) -> u64 {
    let least = u64::try_from(MARK_FRAME_BYTES).unwrap_or(0);
    match offset.next_multiple_of(BLOCK_BYTES) - offset {
        0 => 0,
        gap if gap >= least => gap,
        gap => gap + BLOCK_BYTES,
    }
}

impl Alignment {
    /// Where a commit ends whose frames end at `offset`.
    pub(super) fn end(self, offset: u64) -> u64 {
        match self {
            Self::Frame => offset,
            Self::Block => offset + filling(offset),
        }
    }

    /// Size of a mark that is a commit by itself, behind `offset`.
    pub(super) fn mark_bytes(self, offset: u64) -> u64 {
        match (self, filling(offset)) {
            (Self::Frame, _) => u64::try_from(MARK_FRAME_BYTES).unwrap_or(0),
            (Self::Block, 0) => BLOCK_BYTES,
            (Self::Block, bytes) => bytes,
        }
    }
}

impl Commit {
    /// Fills the last block of the commit that is queued, if it is to have one of its own.
    pub(super) fn fill_block(&mut self) {
        let (Some(tail), Some(chunk)) = (&self.tail, self.queue.last()) else { return };
        if tail.sealed || chunk.space.number != tail.space.number || chunk.bytes.is_empty() {
            return;
        }
        let bytes = filling(tail.offset);
        let own =
            self.alignment == Alignment::Block && !onceward_vfs::planted!("commits-share-blocks");
        let wanted = own || chunk.bytes.len() >= LARGE_BYTES;
        let seal = u64::try_from(SEAL_FRAME_BYTES).unwrap_or(u64::MAX);
        if wanted && bytes > 0 && tail.offset + bytes + seal <= tail.space.bytes {
            // Fails only where numbers are used up: then nothing follows that could harm the block.
            drop(self.push_mark(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_filled_by_a_frame_of_at_least_the_size_of_a_mark() {
        for offset in (4096..3 * 4096).step_by(8) {
            let bytes = filling(offset);
            assert!((offset + bytes).is_multiple_of(BLOCK_BYTES), "{offset}: {bytes}");
            assert!(bytes == 0 || (40..4096 + 40).contains(&bytes), "{offset}: {bytes}");
            assert_eq!(Alignment::Block.end(offset), offset + bytes);
            assert_eq!(Alignment::Frame.end(offset), offset);
        }
        assert_eq!(Alignment::Block.mark_bytes(8192), 4096);
        assert_eq!(Alignment::Frame.mark_bytes(8192), 40);
    }
}
