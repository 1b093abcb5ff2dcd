//! The only door to bincode: control frames to bytes and back.
//!
//! Layout: bincode's `legacy` configuration (fixed-size little-endian integers, `u64` lengths,
//! variants as `u32`), behind a `u16` version that is matched by hand. Field order and variant order
//! are the format: never reorder. Bytes from disk are decoded with a limit, because bincode would
//! otherwise allocate whatever a damaged length asks for.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{Decode, Encode};

/// Most bytes that decoding may claim.
const LIMIT_BYTES: usize = 16 * 1024 * 1024;
/// Size of the version before every body.
const VERSION_BYTES: usize = 2;

/// The one configuration.
const CONFIG: Configuration<LittleEndian, Fixint, Limit<LIMIT_BYTES>> =
    bincode::config::legacy().with_limit::<LIMIT_BYTES>();

/// A control frame's body.
pub(crate) trait Control: Encode + Decode<()> {
    /// The layout that this program writes, and the only one so far.
    const VERSION: u16;
}

/// Encodes a control frame's body.
pub(crate) fn encode<T: Control>(value: &T) -> Vec<u8> {
    let mut out = T::VERSION.to_le_bytes().to_vec();
    // Encoding into memory fails only beyond the limit; an empty rest is then refused by every reader.
    if let Ok(body) = bincode::encode_to_vec(value, CONFIG) {
        out.extend_from_slice(&body);
    }
    out
}

/// Decodes a control frame's body; `None` if it is not exactly one.
pub(crate) fn decode<T: Control>(bytes: &[u8]) -> Option<T> {
    let (version, body) = bytes.split_first_chunk::<VERSION_BYTES>()?;
    (u16::from_le_bytes(*version) == T::VERSION).then_some(())?;
    let (value, used) = bincode::decode_from_slice(body, CONFIG).ok()?;
    (used == body.len() || cfg!(bug = "bytes-behind-a-control-body")).then_some(value)
}
