//! What the file of a summary begins and ends with. See `FORMAT.md`, Summaries.

/// The first bytes of the file.
pub(super) const MAGIC: [u8; 8] = [0x89, b'O', b'W', b'S', 0x0d, 0x0a, 0x1a, 0x0a];
/// The version that this program writes, and the only one that it reads.
pub(super) const VERSION: u32 = 1;
/// Size of the checksum at the end.
const CRC_BYTES: usize = 4;

/// What an item of the file is. The numbers are on disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Tag {
    /// A frame, with as much of its body as replay reads.
    Frame = 1,
    /// A run of events.
    Run = 2,
    /// The name of a scope: it gets the next number.
    Scope = 3,
}

impl Tag {
    /// The number on disk.
    pub(super) const fn code(self) -> u8 {
        // A fieldless enum with `repr(u8)`: the cast is the number written above.
        self as u8
    }

    /// The tag of a number from disk.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::Frame, Self::Run, Self::Scope].into_iter().find(|tag| tag.code() == code)
    }
}

/// Puts the checksum behind all the rest.
pub(super) fn seal(file: &mut Vec<u8>) {
    let crc = crc32fast::hash(file);
    file.extend_from_slice(&crc.to_le_bytes());
}

/// The bytes between what the file begins and ends with; `None`: it is none of this version, or not as it was written.
pub(super) fn unseal(file: &[u8]) -> Option<&[u8]> {
    let (covered, crc) = file.split_last_chunk::<CRC_BYTES>()?;
    let rest = covered.strip_prefix(&MAGIC)?.strip_prefix(&VERSION.to_le_bytes())?;
    (crc32fast::hash(covered) == u32::from_le_bytes(*crc)).then_some(rest)
}

/// The same bytes, of a file that was whole when [`unseal`] looked.
pub(super) fn content(file: &[u8]) -> Option<&[u8]> {
    let (covered, _crc) = file.split_last_chunk::<CRC_BYTES>()?;
    covered.get(MAGIC.len() + VERSION.to_le_bytes().len()..)
}
