//! The events that are put into the log, and what the floors write for them.

use onceward_wal::{KIND_HOST_MIN, NewFrame, frame_bytes};

/// Bytes of an event.
pub const PAYLOAD_BYTES: usize = 200;
/// Bytes that the log writes for it.
pub const FRAME_BYTES: usize = frame_bytes(PAYLOAD_BYTES);
/// Different events; at least the largest batch.
pub const PAYLOADS: usize = 512;

/// Events with different bytes that no device can make smaller.
#[derive(Debug)]
pub struct Payloads(Vec<[u8; PAYLOAD_BYTES]>);

impl Default for Payloads {
    /// Always the same ones.
    fn default() -> Self {
        // Marsaglia's xorshift: the bytes only have to differ.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        Self((0..PAYLOADS).map(|_| std::array::from_fn(|_| next())).collect())
    }
}

impl Payloads {
    /// The event with this number; they begin again after the last.
    #[must_use]
    pub fn at(&self, number: usize) -> &[u8; PAYLOAD_BYTES] {
        &self.0[number % self.0.len()]
    }

    /// What the floor writes for `count` events: the same bytes, and as many more as frames take.
    #[must_use]
    pub fn for_floor(&self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in 0..count {
            bytes.extend_from_slice(self.at(number));
            bytes.resize((number + 1) * FRAME_BYTES, 0x5a);
        }
        bytes
    }

    /// The bodies of `count` events, for one batch.
    #[must_use]
    pub fn parts(&self, count: usize) -> Vec<[&[u8]; 1]> {
        (0..count).map(|number| [self.at(number).as_slice()]).collect()
    }
}

/// Frames of a batch.
#[must_use]
pub fn frames<'a>(parts: &'a [[&'a [u8]; 1]]) -> Vec<NewFrame<'a>> {
    parts.iter().map(|parts| NewFrame { kind: KIND_HOST_MIN, flags: 0, parts }).collect()
}
