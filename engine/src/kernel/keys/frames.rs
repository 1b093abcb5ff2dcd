//! Body of the frame of keys whose own frames are gone. Field order is the format: never reorder, never reuse.

use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::enc::Encoder;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::base::codec::{self, Control};

/// The key of a settled event whose frame is gone.
#[derive(Clone, Debug, Eq, PartialEq)]
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

/// What an entry takes before its receipt.
const HEAD_BYTES: usize = 16 + 8 + 8 + 8 + 1 + 8;

/// What a frame takes besides its scope and its entries.
const FRAME_BYTES: usize = 8 + 8 + 8 + 1;

/// As bincode's derived code would write it, but at once: cleaning writes one for each event.
impl Encode for KeyEntry {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let receipt_bytes = u64::try_from(self.receipt.len()).unwrap_or(u64::MAX);
        let mut head = [0; HEAD_BYTES];
        head[..16].copy_from_slice(&self.fingerprint.to_le_bytes());
        head[16..24].copy_from_slice(&self.event.to_le_bytes());
        head[24..32].copy_from_slice(&self.content_hash.to_le_bytes());
        head[32..40].copy_from_slice(&self.slice_begin.to_le_bytes());
        head[40] = self.state;
        head[41..].copy_from_slice(&receipt_bytes.to_le_bytes());
        encoder.writer().write(&head)?;
        encoder.writer().write(&self.receipt)
    }
}

impl<C> Decode<C> for KeyEntry {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decoder.claim_bytes_read(HEAD_BYTES)?;
        let mut head = [0; HEAD_BYTES];
        decoder.reader().read(&mut head)?;
        let (fingerprint, rest) = head.split_first_chunk::<16>().ok_or(ENDS)?;
        let (event, rest) = rest.split_first_chunk::<8>().ok_or(ENDS)?;
        let (content_hash, rest) = rest.split_first_chunk::<8>().ok_or(ENDS)?;
        let (slice_begin, rest) = rest.split_first_chunk::<8>().ok_or(ENDS)?;
        let (state, receipt_bytes) = rest.split_first().ok_or(ENDS)?;
        let receipt_bytes = u64::from_le_bytes(*receipt_bytes.first_chunk().ok_or(ENDS)?);
        let receipt_bytes =
            usize::try_from(receipt_bytes).map_err(|_beyond| DecodeError::LimitExceeded)?;
        decoder.claim_container_read::<u8>(receipt_bytes)?;
        let mut receipt = vec![0; receipt_bytes];
        decoder.reader().read(&mut receipt)?;
        Ok(Self {
            fingerprint: u128::from_le_bytes(*fingerprint),
            event: u64::from_le_bytes(*event),
            content_hash: u64::from_le_bytes(*content_hash),
            slice_begin: u64::from_le_bytes(*slice_begin),
            state: *state,
            receipt,
        })
    }
}

bincode::impl_borrow_decode!(KeyEntry);

/// Never met: the bytes are counted before.
const ENDS: DecodeError = DecodeError::Other("an entry ends before its fields do");

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

    fn bytes_likely(&self) -> usize {
        let receipts: usize = self.entries.iter().map(|key| key.receipt.len()).sum();
        FRAME_BYTES + self.scope.len() + self.entries.len() * HEAD_BYTES + receipts
    }

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
