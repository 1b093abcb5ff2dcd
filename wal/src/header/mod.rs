//! The header of a segment. No I/O here.

use crate::checksum::{Digest, crc_from, salt};
use crate::error::{Error, ErrorKind};
use crate::fields::FieldDecoder;
use crate::identity::Identity;
use crate::limits::{
    DATA_KEY_BYTES, HEADER_BLOCK_BYTES, HEADER_BYTES, LSN_MAX, SEALED_SECRET_BYTES, SECRET_BYTES,
};
use crate::sealing::KeyEnvelope;

/// First bytes of every segment in use.
pub(crate) const MAGIC: [u8; 8] = [0x89, b'O', b'W', b'L', 0x0d, 0x0a, 0x1a, 0x0a];
/// The version that this program writes.
pub(crate) const VERSION: u16 = 1;
/// Feature bit without which nothing can be read: the bodies of the host's frames are sealed.
pub(crate) const SEALED: u32 = 1;
/// All such bits that this program knows.
pub(crate) const INCOMPAT_KNOWN: u32 = SEALED;
/// Feature bits with which an old program may read but not write; this program knows none.
pub(crate) const READ_COMPAT_KNOWN: u32 = 0;
/// Bit of `compat`: behind the frames are bytes of an earlier segment, not zeros.
const RECYCLED: u32 = 1;

/// The bytes behind the fields of a header.
const ZERO_REST: [u8; HEADER_BLOCK_BYTES - HEADER_BYTES] = [0; HEADER_BLOCK_BYTES - HEADER_BYTES];

/// A segment's header whose checksum was right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SegmentHeader {
    /// Without the secret where that is sealed.
    pub(crate) identity: Identity,
    /// The segment's key and the secret, where bodies are sealed.
    pub(crate) envelope: Option<KeyEnvelope>,
    pub(crate) number: u64,
    pub(crate) first_lsn: u64,
    pub(crate) run: u32,
    pub(crate) segment_bytes: u64,
    pub(crate) before: u64,
    pub(crate) before_end: u64,
    pub(crate) digest: Digest,
    pub(crate) read_compat: u32,
    /// Behind its frames are bytes of an earlier segment.
    pub(crate) recycled: bool,
}

/// Why bytes are not a segment's header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HeaderError {
    /// Not what was written, or nothing was.
    NotAHeader,
    /// Of a newer program.
    Newer { version: u16, incompat: u32 },
}

impl HeaderError {
    /// The error of a whole file.
    pub(crate) fn unsupported(version: u16, incompat: u32, file: &str) -> Error {
        let message = format!(
            "the format is version {version} with required features {incompat:#x}, this program \
             reads version {VERSION} with {INCOMPAT_KNOWN:#x}"
        );
        Error::new(ErrorKind::Unsupported, message).at(file, 8)
    }
}

impl SegmentHeader {
    /// The whole header block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(HEADER_BLOCK_BYTES);
        block.extend_from_slice(&MAGIC);
        block.extend_from_slice(&VERSION.to_le_bytes());
        block.extend_from_slice(&256_u16.to_le_bytes());
        block.extend_from_slice(&(if self.recycled { RECYCLED } else { 0 }).to_le_bytes());
        block.extend_from_slice(&self.read_compat.to_le_bytes());
        let incompat = if self.envelope.is_some() { SEALED } else { 0 };
        block.extend_from_slice(&incompat.to_le_bytes());
        block.extend_from_slice(&self.identity.store);
        block.extend_from_slice(&self.number.to_le_bytes());
        block.extend_from_slice(&self.first_lsn.to_le_bytes());
        block.extend_from_slice(&salt(&self.identity.store, self.number).to_le_bytes());
        block.extend_from_slice(&self.run.to_le_bytes());
        block.extend_from_slice(&self.segment_bytes.to_le_bytes());
        block.extend_from_slice(&self.before.to_le_bytes());
        block.extend_from_slice(&self.before_end.to_le_bytes());
        block.extend_from_slice(&self.digest.get().to_le_bytes());
        match &self.envelope {
            None => {
                block.extend_from_slice(&self.identity.secret);
                block.extend_from_slice(&[0; DATA_KEY_BYTES]);
            }
            Some(envelope) => {
                block.extend_from_slice(&envelope.secret);
                block.extend_from_slice(&[0; SECRET_BYTES - SEALED_SECRET_BYTES]);
                block.extend_from_slice(&envelope.key);
            }
        }
        block.extend_from_slice(&[0; 4]);
        let crc = crc_from(0, &block);
        block.extend_from_slice(&crc.to_le_bytes());
        debug_assert_eq!(block.len(), HEADER_BYTES, "FORMAT.md says 256");
        block.resize(HEADER_BLOCK_BYTES, 0);
        block
    }

    /// Decodes and checks a header by itself; whether it fits its file's name is the caller's to ask.
    pub(crate) fn decode(block: &[u8]) -> Result<Self, HeaderError> {
        let header = block.get(..HEADER_BYTES).ok_or(HeaderError::NotAHeader)?;
        let (covered, stored) = header.split_at(HEADER_BYTES - 4);
        let stored = FieldDecoder(stored).u32().ok_or(HeaderError::NotAHeader)?;
        if !header.starts_with(&MAGIC) || crc_from(0, covered) != stored {
            return Err(HeaderError::NotAHeader);
        }
        let (version, incompat) = Self::features(covered).ok_or(HeaderError::NotAHeader)?;
        if version != VERSION || incompat & !INCOMPAT_KNOWN != 0 {
            return Err(HeaderError::Newer { version, incompat });
        }
        let decoded = Self::fields(covered).ok_or(HeaderError::NotAHeader)?;
        let end = block.len().min(HEADER_BLOCK_BYTES);
        let rest = block.get(HEADER_BYTES..end).unwrap_or_default();
        let sane = decoded.number != 0
            && (1..=LSN_MAX).contains(&decoded.first_lsn)
            && decoded.run != 0
            && ZERO_REST.starts_with(rest);
        if sane { Ok(decoded) } else { Err(HeaderError::NotAHeader) }
    }

    /// Version and required features.
    fn features(covered: &[u8]) -> Option<(u16, u32)> {
        let mut fields = FieldDecoder(covered.get(MAGIC.len()..)?);
        let version = fields.u16()?;
        fields.bytes::<10>()?;
        Some((version, fields.u32()?))
    }

    /// All fields of version 1.
    fn fields(covered: &[u8]) -> Option<Self> {
        let mut fields = FieldDecoder(covered.get(MAGIC.len() + 2..)?);
        (usize::from(fields.u16()?) == HEADER_BYTES).then_some(())?;
        let recycled = fields.u32()? & RECYCLED != 0;
        let read_compat = fields.u32()?;
        let incompat = fields.u32()?;
        let store = fields.bytes()?;
        let number = fields.u64()?;
        let first_lsn = fields.u64()?;
        (fields.u32()? == salt(&store, number)).then_some(())?;
        let run = fields.u32()?;
        let segment_bytes = fields.u64()?;
        let before = fields.u64()?;
        let before_end = fields.u64()?;
        let digest = Digest::from_u64(fields.u64()?);
        let (secret, envelope) = if incompat & SEALED == 0 {
            let secret = fields.bytes()?;
            fields.reserved::<DATA_KEY_BYTES>()?;
            (secret, None)
        } else {
            let secret = fields.bytes()?;
            fields.reserved::<{ SECRET_BYTES - SEALED_SECRET_BYTES }>()?;
            ([0; SECRET_BYTES], Some(KeyEnvelope { key: fields.bytes()?, secret }))
        };
        fields.reserved::<4>()?;
        let identity = Identity { store, secret };
        Some(Self {
            identity,
            envelope,
            number,
            first_lsn,
            run,
            segment_bytes,
            before,
            before_end,
            digest,
            read_compat,
            recycled,
        })
    }
}

#[cfg(test)]
mod tests;
