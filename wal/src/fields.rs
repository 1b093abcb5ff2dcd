//! Reads fixed-size fields from bytes of unknown origin. Never panics.

/// Takes little-endian fields from the front of a slice.
pub(crate) struct FieldDecoder<'a>(pub(crate) &'a [u8]);

impl FieldDecoder<'_> {
    /// The next `N` bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    /// The next byte.
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    /// The next two bytes as a number.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_le_bytes)
    }

    /// The next four bytes as a number.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    /// The next eight bytes as a number.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    /// The next eight bytes as a signed number.
    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.bytes().map(i64::from_le_bytes)
    }

    /// Skips `N` reserved bytes; `None` unless they are zero.
    pub(crate) fn reserved<const N: usize>(&mut self) -> Option<()> {
        (self.bytes::<N>()? == [0; N]).then_some(())
    }
}
