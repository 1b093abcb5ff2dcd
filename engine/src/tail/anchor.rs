//! Tells whether the frame that was shown last is still there: a store that is restored from a backup has
//! other bytes in its place, or none.

use onceward_vfs::{Mode, Vfs};
use onceward_wal::{Identity, Place};

use crate::segment_name;

/// More than a frame's header, which holds its checksums, and less than any frame.
const HEAD_BYTES: usize = 32;

/// The beginning of a frame, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Anchor {
    file: String,
    offset: u64,
    head: [u8; HEAD_BYTES],
}

impl Anchor {
    /// The frame at `place`; `None` if it cannot be read.
    pub(super) fn drop_at(vfs: &dyn Vfs, identity: &Identity, place: Place) -> Option<Self> {
        Self::read(vfs, segment_name::of(identity, place.segment), u64::from(place.offset))
    }

    /// Whether the same bytes stand there. If not, the segment was trimmed, or the store is another.
    pub(super) fn holds(&self, vfs: &dyn Vfs) -> bool {
        Self::read(vfs, self.file.clone(), self.offset).as_ref() == Some(self)
    }

    fn read(vfs: &dyn Vfs, file: String, offset: u64) -> Option<Self> {
        let mut head = [0; HEAD_BYTES];
        let count = vfs.open(&file, Mode::Read).ok()?.read_at(offset, &mut head).ok()?;
        (count == HEAD_BYTES).then_some(Self { file, offset, head })
    }
}
