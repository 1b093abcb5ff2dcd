//! The `meta` file: two slots, written in turn. The bytes here; what to write is the log's to say.

use std::sync::Arc;

use onceward_vfs::{File, Mode, Vfs, is_full};

use crate::checksum::{Digest, crc_from};
use crate::error::{Error, ErrorKind};
use crate::fields::Fields;
use crate::header::{HeaderError, INCOMPAT_KNOWN, Identity, SEALED, VERSION};
use crate::limits::{
    DATA_KEY_BYTES, LSN_MAX, RANGES_MAX, RANGES_MAX_SEALED, SEALED_SECRET_BYTES, SECRET_BYTES,
    SEGMENTS_MAX, SLOT_BYTES, SLOT_FIXED_BYTES,
};
use crate::name;
use crate::ranges::Ranges;
use crate::sealing::{Envelope, WrappedKey};

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

/// What a slot says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Meta {
    /// Without the secret where that is sealed.
    pub(crate) identity: Identity,
    /// The secret and what it is sealed with, where bodies are sealed.
    pub(crate) envelope: Option<Envelope>,
    pub(crate) generation: u64,
    pub(crate) run: u32,
    pub(crate) next_number: u64,
    pub(crate) synced: u64,
    pub(crate) next_lsn: u64,
    pub(crate) read_compat: u32,
    pub(crate) clean: Option<CleanEnd>,
    pub(crate) segments: Ranges,
    /// It was read, and surely is the last state that was written: both slots are whole.
    pub(crate) is_latest: bool,
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
        }
    }

    /// Whether a segment was listed once and is not any more.
    pub(crate) fn has_trimmed(&self, number: u64) -> bool {
        let is_gone = number < self.next_number && !self.segments.contains(number);
        is_gone && !cfg!(bug = "reader-racing-recycling")
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
        let count = Fields(slot.get(168..172)?).u32()?;
        let count = usize::try_from(count).ok().filter(|count| *count <= RANGES_MAX)?;
        let is_sealed = Fields(slot.get(20..24)?).u32()? & SEALED != 0;
        let fixed = SLOT_FIXED_BYTES + if is_sealed { DATA_KEY_BYTES } else { 0 };
        let (covered, after) = slot.split_at_checked(fixed + 16 * count)?;
        (Fields(after).u32()? == crc_from(0, covered)).then_some(covered)
    }

    /// Version and required features.
    fn features(covered: &[u8]) -> Option<(u16, u32)> {
        let mut fields = Fields(covered.get(MAGIC.len()..)?);
        let version = fields.u16()?;
        fields.bytes::<10>()?;
        Some((version, fields.u32()?))
    }

    /// All fields of version 1.
    fn fields(covered: &[u8]) -> Option<Self> {
        let mut fields = Fields(covered.get(MAGIC.len() + 2..)?);
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
            Some(secret) => Some(Envelope { key: fields.bytes()?, secret }),
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
/// A slot that is not valid beside a valid one is what a crash while it was written leaves.
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
    let io = |source| Error::io(source, "read", name::META);
    let mut current: Option<Meta> = None;
    let mut whole = 0;
    for slot in [0, 1] {
        let mut bytes = vec![0; SLOT_BYTES];
        let count = file.read_at(slot_offset(slot), &mut bytes).map_err(io)?;
        bytes.truncate(count);
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
        meta.is_latest = whole == 2 || meta.generation == 1;
    }
    Ok(current)
}

/// Offset of a slot.
fn slot_offset(slot: u64) -> u64 {
    slot * 65_536
}

const _: () = assert!(SLOT_BYTES == 65_536, "slot_offset says the same");

/// Writes `meta`, slot after slot.
#[derive(Debug)]
pub(crate) struct MetaFile {
    file: Arc<dyn File>,
    pub(crate) current: Meta,
    /// What each slot says of its key.
    slots: [Option<Envelope>; 2],
    /// A write or sync failed: what is on disk is not known.
    failed: bool,
}

impl MetaFile {
    /// Makes the file of a new store.
    pub(crate) fn create(vfs: &dyn Vfs, meta: &Meta) -> Result<(), Error> {
        let mut content = vec![0; 2 * SLOT_BYTES];
        let encoded = meta.encode()?;
        // Generation 1 belongs into slot 1, as `write` would put it.
        if let Some(slot) = content.get_mut(SLOT_BYTES..SLOT_BYTES + encoded.len()) {
            slot.copy_from_slice(&encoded);
        }
        onceward_vfs::replace(vfs, name::META, &content)
            .map_err(|source| Error::io(source, "create", name::META))
    }

    /// Opens the file for writing, `current` being what it says, or what was made of it; makes it where it
    /// is missing.
    ///
    /// It is replaced by a copy first: if the current slot was read from memory after its sync had
    /// failed, overwriting the other slot would leave no valid one after a power cut. On a full disk the
    /// same bytes are written again in place.
    pub(crate) fn open(vfs: &dyn Vfs, current: Meta) -> Result<Self, Error> {
        let open = || {
            vfs.open(name::META, Mode::Write)
                .map_err(|source| Error::io(source, "open", name::META))
        };
        let find = |source| Error::io(source, "find", name::META);
        if !vfs.exists(name::META).map_err(find)? {
            Self::create(vfs, &current)?;
        }
        let mut content = vec![0; 2 * SLOT_BYTES];
        let file = open()?;
        let count = file
            .read_at(0, &mut content)
            .map_err(|source| Error::io(source, "read", name::META))?;
        content.truncate(count);
        let slots = [0, SLOT_BYTES].map(|at| {
            let slot = content.get(at..).unwrap_or_default();
            Meta::decode(slot).ok().and_then(|meta| meta.envelope)
        });
        match onceward_vfs::replace(vfs, name::META, &content) {
            Ok(()) => Ok(Self { file: open()?, current, slots, failed: false }),
            Err(source) if is_full(&source) => {
                let mut it = Self { file, current, slots, failed: false };
                it.put(0, &content)?;
                Ok(it)
            }
            Err(source) => Err(Error::io(source, "replace", name::META)),
        }
    }

    /// Makes `next` the current state, one generation on. Durable when this returns `Ok`; after an
    /// error either state may be found.
    ///
    /// # Errors
    ///
    /// `Full`: nothing changed. `Poisoned`: this write or sync failed, or one before it.
    pub(crate) fn write(&mut self, mut next: Meta) -> Result<(), Error> {
        next.is_latest = true;
        next.generation = self.current.generation + 1;
        next.synced = next.synced.max(self.current.synced);
        next.next_lsn = next.next_lsn.max(self.current.next_lsn);
        let offset = slot_offset(next.generation % 2);
        self.put(offset, &next.encode()?).inspect_err(|error| {
            if error.kind() == ErrorKind::Full {
                // What landed of it must not pass for a state one day. If this fails too, only a
                // checksum that is right by chance could make it one.
                self.file.write_all_at(offset, &[0; 8]).unwrap_or_default();
            }
        })?;
        let [even, odd] = &mut self.slots;
        *(if next.generation.is_multiple_of(2) { even } else { odd }) = next.envelope;
        self.current = next;
        Ok(())
    }

    /// The wrapped keys that stand in it.
    pub(crate) fn wrapped_keys(&self) -> impl Iterator<Item = WrappedKey> + '_ {
        let told = self.slots.iter().flatten().filter(|envelope| envelope.is_known());
        told.map(|envelope| envelope.key)
    }

    /// Whether both slots say the same of the key.
    pub(crate) fn is_rotated(&self) -> bool {
        self.slots.iter().all(|slot| *slot == self.current.envelope)
    }

    /// Writes a slot and syncs.
    fn put(&mut self, offset: u64, encoded: &[u8]) -> Result<(), Error> {
        if self.failed {
            return Err(Error::new(ErrorKind::Poisoned, "an earlier write of meta failed"));
        }
        match self.file.write_all_at(offset, encoded) {
            Ok(()) => {}
            Err(source) if is_full(&source) => return Err(Error::io(source, "write", name::META)),
            Err(source) => return Err(self.fail(source, "write")),
        }
        self.file.sync_data().map_err(|source| self.fail(source, "sync"))
    }

    /// Notes that nothing more is to be written.
    fn fail(&mut self, source: std::io::Error, doing: &str) -> Error {
        self.failed = true;
        Error::poisoning(source, doing, name::META)
    }
}

#[cfg(test)]
mod tests;
