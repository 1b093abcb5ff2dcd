//! Bytes that wait to be written, in memory that is used again without being cleared.

use std::ops::Deref;

/// Bytes one behind the other.
#[derive(Debug, Default)]
pub(super) struct ChunkBytes {
    /// Behind the first `len` is what was there before: writing zeros there would cost as much as the frames.
    memory: Vec<u8>,
    len: usize,
}

impl ChunkBytes {
    /// Adds as many bytes as it returns, which are to be written.
    pub(super) fn grow(&mut self, bytes: usize) -> &mut [u8] {
        let start = self.len;
        self.len += bytes;
        if self.memory.len() < self.len {
            self.memory.resize(self.len, 0);
        }
        self.memory.get_mut(start..self.len).unwrap_or_default()
    }

    /// Adds these.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.grow(bytes.len()).copy_from_slice(bytes);
    }

    /// Forgets all but the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The bytes that it takes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory.capacity()
    }
}

impl Deref for ChunkBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_added_since_is_there() {
        let mut bytes = ChunkBytes::default();
        bytes.extend(b"first");
        bytes.grow(2).copy_from_slice(b"42");
        assert_eq!(&*bytes, b"first42");
        bytes.truncate(1);
        bytes.truncate(3);
        bytes.extend(b"!");
        assert_eq!(&*bytes, b"f!");
    }
}
