//! The `meta` file: two slots, written in turn. The bytes here; what to write is the log's to say.

mod file;

use onceward_vfs::{File, Mode, Vfs};

use crate::checksum::{Digest, crc_from};
use crate::error::{Error, ErrorKind};
use crate::fields::FieldDecoder;
use crate::header::{HeaderError, INCOMPAT_KNOWN, SEALED, VERSION};
use crate::identity::Identity;
use crate::limits::{
    DATA_KEY_BYTES, LSN_MAX, RANGES_MAX, RANGES_MAX_SEALED, SEALED_SECRET_BYTES, SECRET_BYTES,
    SEGMENTS_MAX, SLOT_BYTES, SLOT_FIXED_BYTES,
};
use crate::name;
use crate::ranges::Ranges;
use crate::sealing::KeyEnvelope;

pub(crate) use file::MetaFile;

/// First bytes of a slot.
const MAGIC: [u8; 8] = [0x89, b'O', b'W', b'M', 0x0d, 0x0a, 0x1a, 0x0a];
/// The log was closed in order.
const CLEAN: u32 = 1;

/// Where a log that was closed in order ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct CleanEnd {
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) digest: Digest,
}

/// The content of a slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Meta {
    /// Without the secret where that is sealed.
    pub(crate) identity: Identity,
    /// The secret and what it is sealed with, where bodies are sealed.
    pub(crate) envelope: Option<KeyEnvelope>,
    pub(crate) generation: u64,
    pub(crate) run: u32,
    pub(crate) next_number: u64,
    pub(crate) synced: u64,
    pub(crate) next_lsn: u64,
    pub(crate) read_compat: u32,
    pub(crate) clean: Option<CleanEnd>,
    pub(crate) segments: Ranges,
    /// The state was read, and surely is the last one that was written: both slots are whole.
    pub(crate) is_latest: bool,
    /// Offset of the slot that the disk could not read, if there is one.
    pub(crate) unread: Option<u64>,
}

impl Meta {
    /// The first state of a new store.
    pub(crate) fn new(identity: Identity) -> Self {
        Self {
            identity,
            envelope: None,
            generation: 1,
            run: 0,
            next_number: 1,
            synced: 0,
            next_lsn: 1,
            read_compat: 0,
            clean: None,
            segments: Ranges::default(),
            is_latest: false,
            unread: None,
        }
    }

    /// Whether a segment was listed once and is not any more.
    pub(crate) fn has_trimmed(&self, number: u64) -> bool {
        let is_gone = number < self.next_number && !self.segments.contains(number);
        is_gone && !onceward_vfs::planted!("reader-racing-recycling")
    }

    /// The slot's bytes.
    ///
    /// # Errors
    ///
    /// `Full`: more ranges than a slot holds, or more segments than a log has.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let ranges = self.segments.as_slice();
        let most = if self.envelope.is_some() { RANGES_MAX_SEALED } else { RANGES_MAX };
        if ranges.len() > most {
            let message = format!("the segments form {} ranges, meta holds {most}", ranges.len());
            return Err(Error::new(ErrorKind::Full, message));
        }
        if self.segments.count() > SEGMENTS_MAX {
            let message = format!("a log has at most {SEGMENTS_MAX} segments");
            return Err(Error::new(ErrorKind::Full, message));
        }
        let end = self.clean.unwrap_or_default();
        let mut slot =
            Vec::with_capacity(SLOT_FIXED_BYTES + DATA_KEY_BYTES + 16 * ranges.len() + 4);
        slot.extend_from_slice(&MAGIC);
        slot.extend_from_slice(&VERSION.to_le_bytes());
        slot.extend_from_slice(&[0; 6]);
        slot.extend_from_slice(&self.read_compat.to_le_bytes());
        let incompat = if self.envelope.is_some() { SEALED } else { 0 };
        slot.extend_from_slice(&incompat.to_le_bytes());
        slot.extend_from_slice(&self.identity.store);
        slot.extend_from_slice(&self.generation.to_le_bytes());
        slot.extend_from_slice(&self.run.to_le_bytes());
        slot.extend_from_slice(&(if self.clean.is_some() { CLEAN } else { 0 }).to_le_bytes());
        for number in [self.next_number, self.synced, self.next_lsn] {
            slot.extend_from_slice(&number.to_le_bytes());
        }
        for number in [end.number, end.offset, end.digest.get()] {
            slot.extend_from_slice(&number.to_le_bytes());
        }
        match &self.envelope {
            None => slot.extend_from_slice(&self.identity.secret),
            Some(envelope) => {
                slot.extend_from_slice(&envelope.secret);
                slot.extend_from_slice(&[0; SECRET_BYTES - SEALED_SECRET_BYTES]);
            }
        }
        slot.extend_from_slice(&u32::try_from(ranges.len()).unwrap_or(u32::MAX).to_le_bytes());
        slot.extend_from_slice(&[0; 4]);
        debug_assert_eq!(slot.len(), SLOT_FIXED_BYTES, "FORMAT.md says 176");
        if let Some(envelope) = &self.envelope {
            slot.extend_from_slice(&envelope.key);
        }
        for range in ranges {
            slot.extend_from_slice(&range.first.to_le_bytes());
            slot.extend_from_slice(&range.count.to_le_bytes());
        }
        let crc = crc_from(0, &slot);
        slot.extend_from_slice(&crc.to_le_bytes());
        Ok(slot)
    }

    /// Decodes a slot.
    pub(crate) fn decode(slot: &[u8]) -> Result<Self, HeaderError> {
        Self::checked(slot).ok_or(HeaderError::NotAHeader).and_then(|covered| {
            let (version, incompat) = Self::features(covered).ok_or(HeaderError::NotAHeader)?;
            if version != VERSION || incompat & !INCOMPAT_KNOWN != 0 {
                return Err(HeaderError::Newer { version, incompat });
            }
            Self::fields(covered).ok_or(HeaderError::NotAHeader)
        })
    }

    /// The bytes that the checksum covers, if it is right.
    fn checked(slot: &[u8]) -> Option<&[u8]> {
        slot.starts_with(&MAGIC).then_some(())?;
        let count = FieldDecoder(slot.get(168..172)?).u32()?;
        let count = usize::try_from(count).ok().filter(|count| *count <= RANGES_MAX)?;
        let is_sealed = FieldDecoder(slot.get(20..24)?).u32()? & SEALED != 0;
        let fixed = SLOT_FIXED_BYTES + if is_sealed { DATA_KEY_BYTES } else { 0 };
        let (covered, after) = slot.split_at_checked(fixed + 16 * count)?;
        (FieldDecoder(after).u32()? == crc_from(0, covered)).then_some(covered)
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
        fields.reserved::<2>()?;
        fields.u32()?;
        let read_compat = fields.u32()?;
        let is_sealed = fields.u32()? & SEALED != 0;
        let store = fields.bytes()?;
        let generation = fields.u64()?;
        let run = fields.u32()?;
        let flags = fields.u32()?;
        let next_number = fields.u64()?;
        let synced = fields.u64()?;
        let next_lsn = fields.u64()?;
        let end = CleanEnd {
            number: fields.u64()?,
            offset: fields.u64()?,
            digest: Digest::from_u64(fields.u64()?),
        };
        let (secret, sealed) = if is_sealed {
            let sealed = fields.bytes()?;
            fields.reserved::<{ SECRET_BYTES - SEALED_SECRET_BYTES }>()?;
            ([0; SECRET_BYTES], Some(sealed))
        } else {
            (fields.bytes()?, None)
        };
        let identity = Identity { store, secret };
        let count = fields.u32()?;
        fields.reserved::<4>()?;
        let envelope = match sealed {
            Some(secret) => Some(KeyEnvelope { key: fields.bytes()?, secret }),
            None => None,
        };
        let mut segments = Ranges::default();
        for _ in 0..count {
            segments.push(fields.u64()?, fields.u64()?)?;
        }
        let clean = (flags & CLEAN != 0).then_some(end);
        let sane = next_lsn <= LSN_MAX
            && generation < u64::MAX
            && next_number < u64::MAX
            && segments.count() <= SEGMENTS_MAX;
        sane.then_some(Self {
            is_latest: false,
            unread: None,
            identity,
            envelope,
            generation,
            run,
            next_number,
            synced,
            next_lsn,
            read_compat,
            clean,
            segments,
        })
    }
}

/// Reads the current state; `None` if there is no such file, `Some(None)` if no slot is valid.
///
/// A slot that is not valid beside a valid one is what a crash while it was written leaves. One that the disk
/// cannot read is as good as that.
pub(crate) fn read(vfs: &dyn Vfs) -> Result<Option<Option<Meta>>, Error> {
    let io = |source| Error::io(source, "read", name::META);
    if !vfs.exists(name::META).map_err(io)? {
        return Ok(None);
    }
    let file = vfs.open(name::META, Mode::Read).map_err(io)?;
    // A writer at work may have been writing first the one slot and then the other.
    let found = read_slots(&*file)?;
    Ok(Some(if found.is_none() { read_slots(&*file)? } else { found }))
}

/// Reads both slots; `None` if neither is valid.
fn read_slots(file: &dyn File) -> Result<Option<Meta>, Error> {
    let mut current: Option<Meta> = None;
    let mut whole = 0;
    let mut unread = None;
    for slot in [0, 1] {
        let mut bytes = vec![0; SLOT_BYTES];
        match file.read_at(slot_offset(slot), &mut bytes) {
            Ok(count) => bytes.truncate(count),
            Err(_bad_block) => {
                unread = Some(slot_offset(slot));
                continue;
            }
        }
        match Meta::decode(&bytes) {
            Ok(meta) => {
                whole += 1;
                if current.as_ref().is_none_or(|other| other.generation < meta.generation) {
                    current = Some(meta);
                }
            }
            Err(HeaderError::Newer { version, incompat }) => {
                return Err(HeaderError::unsupported(version, incompat, name::META));
            }
            Err(HeaderError::NotAHeader) => {}
        }
    }
    if let Some(meta) = &mut current {
        meta.unread = unread;
        meta.is_latest = whole == 2 || (meta.generation == 1 && unread.is_none());
    }
    Ok(current)
}

/// Offset of a slot.
fn slot_offset(slot: u64) -> u64 {
    slot * 65_536
}

const _: () = assert!(SLOT_BYTES == 65_536, "slot_offset says the same");

#[cfg(test)]
mod tests;
