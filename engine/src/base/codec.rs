//! The only door to bincode: control frames to bytes and back.
//!
//! Layout: bincode's `legacy` configuration (fixed-size little-endian integers, `u64` lengths,
//! variants as `u32`), behind a `u16` version. Field order and variant order are the format: never reorder. Bytes
//! from disk are decoded with a limit, because bincode would otherwise allocate whatever a damaged length asks for.

use std::cmp::Ordering;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use bincode::{Decode, Encode};

/// Most bytes that decoding may claim.
const LIMIT_BYTES: usize = 16 * 1024 * 1024;
/// Size of the version before every body.
const VERSION_BYTES: usize = 2;

/// The one configuration.
const CONFIG: Configuration<LittleEndian, Fixint, Limit<LIMIT_BYTES>> =
    bincode::config::legacy().with_limit::<LIMIT_BYTES>();

/// A control frame's body, as the newest version has it: its fields are that layout.
///
/// A new version gets the next number. The layout before it becomes a type of its own that only decodes, and
/// [`Control::decode_older`] makes what it says into the newest; the rest of the program knows the newest alone.
/// Written is always the newest; a frame that cleaning carries whole stays as it is. What a newer program wrote
/// is no control frame to this one: it is reported, and kept.
pub(crate) trait Control: Encode + Decode<()> {
    /// The newest version, which this program writes.
    const VERSION: u16;

    /// About how many bytes it has, where that may be many.
    fn bytes_likely(&self) -> usize {
        0
    }

    /// What a body of an older version says; `None`: no program wrote that version, or the bytes are not
    /// exactly one body of it.
    fn decode_older(_version: u16, _body: &[u8]) -> Option<Self> {
        None
    }
}

/// What is to be known of a control body to try it without its type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControlBody {
    /// The newest version.
    pub(crate) version: u16,
    /// Decodes bytes, and encodes what they say; `None`: they are no such body.
    pub(crate) rewrite: fn(&[u8]) -> Option<Vec<u8>>,
}

impl ControlBody {
    /// The body of this type.
    pub(crate) fn of<T: Control>() -> Self {
        Self { version: T::VERSION, rewrite: |bytes| Some(encode(&decode::<T>(bytes)?)) }
    }
}

/// Encodes a control frame's body.
pub(crate) fn encode<T: Control>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(VERSION_BYTES + value.bytes_likely());
    out.extend_from_slice(&T::VERSION.to_le_bytes());
    // Encoding into memory fails only beyond the limit; an empty rest is then refused by every reader.
    if bincode::encode_into_writer(value, Behind(&mut out), CONFIG).is_err() {
        out.truncate(VERSION_BYTES);
    }
    out
}

/// Writes behind bytes.
struct Behind<'b>(&'b mut Vec<u8>);

impl Writer for Behind<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Decodes a control frame's body of any version up to the newest; `None` if it is not exactly one.
pub(crate) fn decode<T: Control>(bytes: &[u8]) -> Option<T> {
    let (version, body) = bytes.split_first_chunk::<VERSION_BYTES>()?;
    let version = u16::from_le_bytes(*version);
    match version.cmp(&T::VERSION) {
        Ordering::Less => T::decode_older(version, body),
        Ordering::Equal => decode_layout(body),
        Ordering::Greater => None,
    }
}

/// Decodes one layout, without a version before it; `None` if the bytes are not exactly that.
pub(crate) fn decode_layout<T: Decode<()>>(body: &[u8]) -> Option<T> {
    let (value, used) = bincode::decode_from_slice(body, CONFIG).ok()?;
    (used == body.len() || onceward_vfs::planted!("bytes-behind-a-control-body")).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::golden::assert_bytes;

    /// A frame that had no sum in its first version, and whose second version counted in another unit.
    #[derive(Debug, Decode, Encode, PartialEq)]
    struct Totals {
        count: u32,
        sum: i64,
    }

    #[derive(Decode)]
    struct TotalsV1 {
        count: u16,
    }

    #[derive(Decode)]
    struct TotalsV2 {
        dozens: u16,
        sum: i64,
    }

    impl Control for Totals {
        const VERSION: u16 = 3;

        fn decode_older(version: u16, body: &[u8]) -> Option<Self> {
            match version {
                1 => decode_layout(body)
                    .map(|TotalsV1 { count }| Self { count: count.into(), sum: 0 }),
                2 => decode_layout(body)
                    .map(|TotalsV2 { dozens, sum }| Self { count: u32::from(dozens) * 12, sum }),
                _ => None,
            }
        }
    }

    #[test]
    fn older_versions_are_read_as_the_newest_which_is_what_is_written() {
        let first = decode::<Totals>(&[1, 0, 7, 0]).unwrap();
        assert_eq!(first, Totals { count: 7, sum: 0 });
        assert_eq!(encode(&first), [3, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let second = decode::<Totals>(&[2, 0, 2, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(second, Some(Totals { count: 24, sum: 5 }));
        assert_bytes(&Totals { count: 1, sum: -1 }, "0300 01000000 ffffffffffffffff");
    }

    #[test]
    fn what_is_not_exactly_one_body_of_a_version_that_was_written_is_none() {
        for (what, bytes) in [
            ("version 0", &[0, 0, 7, 0][..]),
            ("a newer one", &[4, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("the first, cut", &[1, 0, 7]),
            ("a byte behind the first", &[1, 0, 7, 0, 0]),
            ("the second with the layout of the first", &[2, 0, 7, 0]),
            ("the third with the layout of the second", &[3, 0, 2, 0, 5, 0, 0, 0, 0, 0, 0, 0]),
            ("half a version", &[1]),
            ("nothing", &[]),
        ] {
            assert_eq!(decode::<Totals>(bytes), None, "{what}");
        }
    }
}
