//! Tells whether a frame is still where it was.

use onceward_vfs::{Mode, Vfs};

use crate::frame::Place;
use crate::identity::Identity;
use crate::limits::FRAME_HEADER_BYTES;
use crate::name;

/// The header of a frame, which has its checksums, and where it is: in a log that was restored from a
/// backup other bytes are there, or none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Anchor {
    file: String,
    offset: u64,
    header: [u8; FRAME_HEADER_BYTES],
}

impl Anchor {
    /// The frame at `place`; `None` if it cannot be read.
    #[must_use]
    pub fn drop_at(vfs: &dyn Vfs, identity: &Identity, place: Place) -> Option<Self> {
        let file = name::segment(&identity.store, place.segment);
        Self::read(vfs, file, u64::from(place.offset))
    }

    /// Whether the same bytes are there. If not, the segment was trimmed, or the log is another.
    #[must_use]
    pub fn holds(&self, vfs: &dyn Vfs) -> bool {
        Self::read(vfs, self.file.clone(), self.offset).as_ref() == Some(self)
    }

    /// The bytes that were at `offset` of `file`.
    pub(super) fn of(file: String, offset: u64, header: [u8; FRAME_HEADER_BYTES]) -> Self {
        Self { file, offset, header }
    }

    /// Reads the header at `offset` of `file`; `None` if that cannot be read.
    fn read(vfs: &dyn Vfs, file: String, offset: u64) -> Option<Self> {
        let mut header = [0; FRAME_HEADER_BYTES];
        let count = vfs.open(&file, Mode::Read).ok()?.read_at(offset, &mut header).ok()?;
        (count == FRAME_HEADER_BYTES).then_some(Self { file, offset, header })
    }
}
