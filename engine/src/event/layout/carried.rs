//! What a carried event says before the event itself.

use super::take;
use crate::base::{BootId, Moment, Origin, Wall};

/// Size of what a carried frame says before the event.
pub(crate) const CARRIED_BYTES: usize = 5 * 8 + 16 + 1;
const _: () = assert!(CARRIED_BYTES == 57, "FORMAT.md says 57");

/// What a carried frame says before the event's body.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Carried {
    /// LSN of the event's first frame; 0 where this is it: the event was imported.
    pub(crate) event_lsn: u64,
    /// Trusted time of the capture.
    pub(crate) trusted_ms: u64,
    /// Trusted time at which its key's slice began.
    pub(crate) slice_begin: u64,
    /// Wall clock at the capture.
    pub(crate) wall: Wall,
    /// Monotonic clock at the capture, and the machine's boot; zeros where nobody knows.
    pub(crate) origin: Origin,
    /// The event was in a batch once.
    pub(crate) is_attempted: bool,
    /// The event was captured in another store.
    pub(crate) is_imported: bool,
}

/// In the last byte of what a carried frame says: the event was in a batch once.
const ATTEMPTED: u8 = 1;
/// In the same byte: it was captured in another store.
const IMPORTED: u8 = 1 << 1;

impl Carried {
    /// When the event was captured.
    pub(crate) fn moment(self) -> Moment {
        Moment { trusted_ms: self.trusted_ms, wall: self.wall }
    }

    /// The bytes before the event's body.
    pub(crate) fn encode(self) -> [u8; CARRIED_BYTES] {
        let mut out = [0; CARRIED_BYTES];
        let numbers = [
            self.event_lsn.to_le_bytes(),
            self.trusted_ms.to_le_bytes(),
            self.slice_begin.to_le_bytes(),
            self.wall.code().to_le_bytes(),
            self.origin.mono_ms.to_le_bytes(),
        ];
        let fields = numbers.into_iter().flatten().chain(self.origin.boot.0);
        let flags = u8::from(self.is_attempted) | (u8::from(self.is_imported) << 1);
        let fields = fields.chain([flags]);
        out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        out
    }

    /// Reads them from the frame `lsn`; returns the event's body too.
    pub(crate) fn decode(lsn: u64, mut body: &[u8]) -> Option<(Self, &[u8])> {
        let first = u64::from_le_bytes(take(&mut body)?);
        let carried = Self {
            event_lsn: if first == 0 { lsn } else { first },
            trusted_ms: u64::from_le_bytes(take(&mut body)?),
            slice_begin: u64::from_le_bytes(take(&mut body)?),
            wall: Wall::at(i64::from_le_bytes(take(&mut body)?)),
            origin: Origin {
                mono_ms: u64::from_le_bytes(take(&mut body)?),
                boot: BootId(take(&mut body)?),
            },
            ..Self::default()
        };
        let [flags] = take(&mut body)?;
        (flags & !(ATTEMPTED | IMPORTED) == 0).then_some(())?;
        let (is_attempted, is_imported) = (flags & ATTEMPTED != 0, flags & IMPORTED != 0);
        Some((Self { is_attempted, is_imported, ..carried }, body))
    }
}
