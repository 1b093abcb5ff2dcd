//! The work of the store that is measured, and its floors.

pub mod bare;
pub mod buffered;
pub mod counted;
pub mod events;
pub mod till;

use crate::index::keys::Key;

/// Bytes of an event's payload.
pub const PAYLOAD_BYTES: usize = 200;
/// Bytes of the body of an event's frame: the key and its length, and the payload.
pub const BODY_BYTES: usize = 1 + size_of::<Key>() + PAYLOAD_BYTES;
/// Bytes of a segment of store and floor.
pub const SEGMENT_BYTES: u64 = 64 << 20;
