//! Body of the frame of keys whose own frames are gone. Field order is the format: never reorder, never reuse.

use bincode::{Decode, Encode};

use crate::base::codec::{self, Control};

/// The key of a settled event whose frame is gone.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct KeyEntry {
    /// The key's fingerprint.
    pub(crate) fingerprint: u128,
    /// LSN of the event's first frame.
    pub(crate) event: u64,
    /// Hash of its content; 0: not known.
    pub(crate) content_hash: u64,
    /// Trusted time at which its slice began.
    pub(crate) slice_begin: u64,
    /// Code of the final [`State`](crate::State).
    pub(crate) state: u8,
    /// The upstream's receipt, empty for none.
    pub(crate) receipt: Vec<u8>,
}

/// KeysFrame of one scope and one slice that move together, and when the slice was last settled.
#[derive(Clone, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub(crate) struct KeysFrame {
    /// The scope: the configuration says its window.
    pub(crate) scope: String,
    /// The keys.
    pub(crate) entries: Vec<KeyEntry>,
    /// Trusted time of the last settlement in their slices.
    pub(crate) settled_ms: u64,
    /// The keys moved to these slices before they were settled: the index's files may have them in
    /// earlier ones.
    pub(crate) has_moved: bool,
}

impl Control for KeysFrame {
    const VERSION: u16 = 2;

    fn decode_older(version: u16, body: &[u8]) -> Option<Self> {
        match version {
            1 => {
                let mut keys: Self = codec::decode_layout(body)?;
                // Its content hashes are of a kind that is not made any more.
                keys.entries.iter_mut().for_each(|key| key.content_hash = 0);
                Some(keys)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::golden::assert_bytes;

    fn keys(content_hash: u64) -> KeysFrame {
        let entry = KeyEntry {
            fingerprint: 1,
            event: 2,
            content_hash,
            slice_begin: 4,
            state: 5,
            receipt: vec![6],
        };
        KeysFrame {
            scope: "s".to_owned(),
            entries: vec![entry.clone(), entry],
            settled_ms: 7,
            has_moved: true,
        }
    }

    #[test]
    fn keys_have_these_bytes() {
        let keys = KeysFrame { entries: keys(3).entries.split_off(1), ..keys(3) };
        assert_bytes(
            &keys,
            "0200 0100000000000000 73 0100000000000000 \
             01000000000000000000000000000000 0200000000000000 \
             0300000000000000 0400000000000000 05 0100000000000000 06 0700000000000000 01",
        );
    }
    #[test]
    fn keys_of_the_first_version_are_those_of_contents_that_are_not_known() {
        let mut bytes = codec::encode(&keys(3));
        assert_eq!(codec::decode(&bytes), Some(keys(3)), "control");
        bytes[0] = 1;
        assert_eq!(codec::decode(&bytes), Some(keys(0)));
        bytes[0] = 0;
        assert_eq!(codec::decode::<KeysFrame>(&bytes), None, "no such version was written");
        bytes[0] = 1;
        assert_eq!(codec::decode::<KeysFrame>(&bytes[..bytes.len() - 1]), None, "cut");
    }
}
