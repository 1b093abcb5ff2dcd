//! Leases, records and the ends of leases. Field order is the format: never reorder, never reuse.
//!
//! The body of a record is not copied into a control structure: it is behind it, so that it is
//! written from where the caller has it.

use std::fmt;

use bincode::{Decode, Encode};

use crate::base::codec::{self, Control};

/// Bytes of the number before a record's head.
const LENGTH_BYTES: usize = 4;
/// The body is JSON; 0: it is any bytes.
pub(crate) const FORM_JSON: u8 = 1;

/// The secret of whoever holds a lease. `Debug` shows none of it.
#[derive(Clone, Copy, Decode, Encode)]
pub(crate) struct Token([u8; 16]);

/// A key is leased: the first frame of its item, a takeover of it, or either of them carried.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct LeaseFrame {
    /// LSN of the frame that took the key; 0: this one.
    pub(in crate::records) item: u64,
    /// The lease's fencing number; 0: the LSN of this frame. Another when the frame was carried.
    pub(in crate::records) fence: u64,
    /// The caller's scope.
    pub(in crate::records) scope: String,
    /// The key.
    pub(in crate::records) key: String,
    /// The token of the lease's holder.
    pub(in crate::records) token: Token,
    /// Content hash of the request that took the key; 0: none, or not known.
    pub(in crate::records) content_hash: u64,
    /// Trusted time at which the key's slice began; 0 in the first frame, whose own time is it.
    pub(in crate::records) slice_begin: u64,
    /// Wall clock when the lease was given, Unix milliseconds.
    pub(in crate::records) since_ms: i64,
}

/// What a completed record's frame says before the body.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct RecordHead {
    /// LSN of the frame that took the key.
    pub(in crate::records) item: u64,
    /// Fencing number of the lease that completed it.
    pub(in crate::records) fence: u64,
    /// The caller's scope.
    pub(in crate::records) scope: String,
    /// The key.
    pub(in crate::records) key: String,
    /// Content hash of the request that took the key; 0: none, or not known.
    pub(in crate::records) content_hash: u64,
    /// Trusted time at which the key's slice began.
    pub(in crate::records) slice_begin: u64,
    /// Trusted time of the completion: the record's life counts from it.
    pub(in crate::records) settled_ms: u64,
    /// Wall clock at the completion, Unix milliseconds.
    pub(in crate::records) completed_at_ms: i64,
    /// 0: the body is any bytes; 1: it is JSON.
    pub(in crate::records) form: u8,
}

/// A lease was given back: its key is free.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct LeaseEndFrame {
    /// LSN of the frame that took the key.
    pub(in crate::records) item: u64,
    /// Fencing number of the lease.
    pub(in crate::records) fence: u64,
    /// The key's fingerprint.
    pub(in crate::records) fingerprint: u128,
}

// Content hashes of the first versions are of a kind that is not made any more.
impl Control for LeaseFrame {
    const VERSION: u16 = 2;

    fn decode_older(version: u16, body: &[u8]) -> Option<Self> {
        match version {
            1 => codec::decode_layout(body).map(|lease: Self| Self { content_hash: 0, ..lease }),
            _ => None,
        }
    }
}
impl Control for RecordHead {
    const VERSION: u16 = 2;

    fn decode_older(version: u16, body: &[u8]) -> Option<Self> {
        match version {
            1 => codec::decode_layout(body).map(|head: Self| Self { content_hash: 0, ..head }),
            _ => None,
        }
    }
}
impl Control for LeaseEndFrame {
    const VERSION: u16 = 1;
}

impl Token {
    /// Wraps 16 random bytes.
    pub(crate) const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the one who holds the lease.
    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl PartialEq for Token {
    /// Looks at all bytes, whichever differ: how long it takes reveals nothing of them.
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |differ, (one, two)| differ | (one ^ two)) == 0
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl RecordHead {
    /// Whether the body is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.form == FORM_JSON
    }

    /// The bytes before the record's body: their length, then the fields.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let fields = codec::encode(self);
        let length = u32::try_from(fields.len()).unwrap_or(u32::MAX);
        [length.to_le_bytes().as_slice(), &fields].concat()
    }

    /// Reads them; returns the record's body too.
    pub(crate) fn decode(frame: &[u8]) -> Option<(Self, &[u8])> {
        let (length, rest) = frame.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (fields, body) = rest.split_at_checked(length)?;
        let head: Self = codec::decode(fields)?;
        (head.form <= FORM_JSON).then_some((head, body))
    }
}

#[cfg(test)]
mod tests;
