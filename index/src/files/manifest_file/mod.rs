//! The manifest's file: two slots, written in turn, so that replacing a manifest changes no metadata.
//! Layout in `FORMAT.md`, "Manifest".
//!
//! | the slots hold | what it is | done |
//! |---|---|---|
//! | manifest `s`, "superseded by `s`" | what every checkpoint leaves | `s` is used |
//! | manifest `s`, bytes with another checksum | a crash while the next one was written | `s` is used |
//! | manifests `s` and `s - 1` | a crash right after `s` was written | `s` is used, once that lasts |
//! | anything else | the newest one was damaged | `Corrupt` |
//!
//! The manifest before the newest is never used once the newest is known to have lasted: the log may
//! have let go meanwhile of what only the newest one has. So each that lasted is noted in the other
//! slot.

use std::io;

use onceward_vfs::Mode;

use super::{
    damage::FileDamage,
    fields::{FieldReader, FieldWriter},
    folder::Folder,
    manifest::Manifest,
};
use crate::error::{Error, ErrorKind, Result};

/// First bytes of a slot.
const MAGIC: &[u8; 8] = b"OnceMani";
/// Version of the layout.
const VERSION: u32 = 2;
/// Bytes of a slot before what the manifest says.
const HEADER_BYTES: usize = 36;
/// Bytes of the checksum.
const CRC_BYTES: usize = 4;
/// A slot is a multiple of this, and so is what is written: whole pages, which need not be read first.
const PAGE_BYTES: usize = 4_096;
/// Longest manifest, with header and checksum: some hundred thousand files.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest file.
const FILE_BYTES_MAX: u64 = 2 * MANIFEST_BYTES_MAX;

/// The file of the manifest, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct ManifestFile {
    /// Length of a slot; `None` if nobody knows what is in the file, or there is none: then it is
    /// replaced as a whole.
    slot_bytes: Option<usize>,
    /// The highest number that was given to a manifest; 0: none was.
    sequence: u64,
}

/// The content of a slot.
#[derive(Debug)]
enum ManifestSlot {
    /// A manifest and its number.
    Manifest(u64, Manifest),
    /// A note that the manifest of this number superseded the one that was here, and lasted.
    Superseded(u64),
    /// Bytes that are no whole slot.
    Torn,
}

/// The reason why a file cannot be used although a checksum is right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unusable {
    /// The file is not what was written.
    Damaged,
    /// The file was written under another secret: it belongs to another store.
    Foreign,
    /// The file is of a version that this program does not read.
    Version(u32),
}

impl ManifestFile {
    /// Reads the newest manifest; `None` if there is no file.
    ///
    /// # Durability
    ///
    /// After `Ok`, what was read is durable, and so are the names of the directory.
    ///
    /// # Errors
    ///
    /// `Corrupt`: it is not what was written, of another store, or of another version; `Io`.
    pub(crate) fn read(folder: &Folder) -> Result<Option<(Manifest, Self)>> {
        let name = folder.manifest();
        let Some((bytes, unread)) = read(folder, &name)? else { return Ok(None) };
        let newest = newest(&bytes, folder.check).map_err(|why| match why {
            Unusable::Damaged => Error::corrupt(&name, "is not what was written"),
            Unusable::Foreign => Error::corrupt(&name, "belongs to another store"),
            Unusable::Version(version) => {
                let what =
                    format_args!("is of version {version}, which this program does not read");
                Error::corrupt(&name, what)
            }
        })?;
        let NewestManifest { sequence, manifest, is_noted } = newest;
        let slot_bytes = bytes.len() / 2;
        // Whoever replaced the file may have been killed before its name was durable.
        folder.vfs.sync_dir(&folder.dir).map_err(|error| Error::io(error, "sync", &folder.dir))?;
        if !is_noted && unread.is_empty() {
            // Whoever wrote it may have been killed before it was durable, or the sync may have failed:
            // then only writing it again makes it last.
            overwrite(folder, slot_bytes, sequence, &manifest.encode())?;
        }
        // A file with a bad block is replaced as a whole.
        let slot_bytes = Some(slot_bytes).filter(|_| unread.is_empty());
        let mut file = Self { slot_bytes, sequence };
        if !unread.is_empty() {
            file.write(folder, &manifest)?;
        }
        Ok(Some((manifest, file)))
    }

    /// Replaces the manifest, durably; returns how many bytes were written.
    ///
    /// # Durability
    ///
    /// After `Err`, a crash leaves this manifest or the one before.
    ///
    /// # Errors
    ///
    /// `Full`: it is longer than [`MANIFEST_BYTES_MAX`], or the disk is full; `Io`.
    pub(crate) fn write(&mut self, folder: &Folder, manifest: &Manifest) -> Result<u64> {
        // Of one that could not be written the number is not used again.
        let step = if onceward_vfs::planted!("current-slot-overwritten") { 2 } else { 1 };
        self.sequence = self.sequence.saturating_add(step);
        // From here on, nobody knows what is in the file until it is written.
        let before = self.slot_bytes.take();
        let body = manifest.encode();
        let needed = HEADER_BYTES + body.len() + CRC_BYTES;
        let (slot_bytes, written) = match before {
            Some(slot_bytes) if needed <= slot_bytes => {
                (slot_bytes, overwrite(folder, slot_bytes, self.sequence, &body)?)
            }
            Some(_) | None => replace(folder, needed, self.sequence, &body)?,
        };
        self.slot_bytes = Some(slot_bytes);
        Ok(written)
    }
}

/// A manifest that was looked at only.
#[derive(Debug)]
pub(crate) struct InspectedManifest {
    pub(crate) manifest: Manifest,
    /// The check that every file of the index has.
    pub(crate) check: u64,
}

/// Looks at the manifest of an index of whatever store; `None` if there is none that can be used.
///
/// # Errors
///
/// The length of the file cannot be read.
pub(crate) fn verify(
    folder: &Folder,
    faults: &mut Vec<FileDamage>,
) -> Result<Option<InspectedManifest>> {
    let file = folder.manifest();
    let Some((bytes, unread)) = read(folder, &file)? else { return Ok(None) };
    let half = u64::try_from(bytes.len() / 2).unwrap_or(u64::MAX);
    faults.extend(unread.into_iter().map(|offset| {
        let what = "the disk cannot read this slot".to_owned();
        FileDamage { file: file.clone(), offset, bytes: half, what }
    }));
    let slots = bytes.split_at_checked(bytes.len() / 2).map(|(one, two)| [one, two]);
    let checks = slots.into_iter().flatten().filter_map(|slot| {
        let mut reader = checked(slot)?;
        reader.take(MAGIC.len())?;
        reader.u32()?;
        reader.u64()
    });
    let check = checks.reduce(u64::max).unwrap_or(0);
    match newest(&bytes, check) {
        Ok(newest) => Ok(Some(InspectedManifest { manifest: newest.manifest, check })),
        // As an earlier program left it. The next opening builds it anew.
        Err(Unusable::Version(version)) if version < VERSION => Ok(None),
        Err(why) => {
            let what = format!("no slot can be used: {why:?}");
            faults.push(FileDamage { file, offset: 0, bytes: 2 * half, what });
            Ok(None)
        }
    }
}

/// The bytes of both slots, and the offsets of those that the disk cannot read; `None` if there is no file.
/// Such a slot is zeros: as torn as any, so that the other one is used if it may be.
fn read(folder: &Folder, name: &str) -> Result<Option<(Vec<u8>, Vec<u64>)>> {
    let fail = |error| Error::io(error, "read", name);
    let file = match folder.vfs.open(name, Mode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| super::folder::opening(error, name))?,
    };
    let len = file.len().map_err(fail)?;
    if len > FILE_BYTES_MAX {
        let what = format_args!("has {len} bytes, at most {FILE_BYTES_MAX}");
        return Err(Error::corrupt(name, what));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let (first, second) = bytes.split_at_mut(usize::try_from(len / 2).unwrap_or(0));
    let mut unread = Vec::new();
    for (offset, slot) in [(0, first), (len / 2, second)] {
        if super::folder::read_at(&*file, offset, slot).is_err() {
            slot.fill(0);
            unread.push(offset);
        }
    }
    Ok(Some((bytes, unread)))
}

/// Writes a manifest into its slot, and then, that it lasts, into the other one.
fn overwrite(folder: &Folder, slot_bytes: usize, sequence: u64, body: &[u8]) -> Result<u64> {
    let name = folder.manifest();
    let at = |slot: usize| u64::try_from(slot * slot_bytes).unwrap_or(u64::MAX);
    let this = paged(encode(folder.check, (sequence, slot_bytes), body));
    let other = paged(encode(folder.check, (sequence, slot_bytes), &[]));
    let write = || {
        let file = folder.vfs.open(&name, Mode::Write)?;
        file.write_all_at(at(slot_of(sequence)), &this)?;
        file.sync_data()?;
        if !onceward_vfs::planted!("newest-manifest-not-told") {
            // Not synced: until it lasts, the manifest before is there, which a crash a moment ago would
            // have left too.
            file.write_all_at(at(1 - slot_of(sequence)), &other)?;
        }
        Ok(u64::try_from(this.len()).unwrap_or(u64::MAX))
    };
    write().map_err(|error| Error::io(error, "write", &name))
}

/// Replaces the file by one whose slots have room for twice as much; returns their length, and how many
/// bytes were written.
fn replace(folder: &Folder, needed: usize, sequence: u64, body: &[u8]) -> Result<(usize, u64)> {
    let name = folder.manifest();
    let longest = usize::try_from(MANIFEST_BYTES_MAX).unwrap_or(usize::MAX);
    if needed > longest {
        let what = format!("{name} would have {needed} bytes, at most {MANIFEST_BYTES_MAX}");
        return Err(Error::new(ErrorKind::Full, what));
    }
    let slot_bytes = needed.saturating_mul(2).next_multiple_of(PAGE_BYTES).min(longest);
    let mut slots = [body, &[]].map(|body| encode(folder.check, (sequence, slot_bytes), body));
    slots.rotate_right(slot_of(sequence));
    // Zeros, and not a hole: later writes are to find their space.
    slots.iter_mut().for_each(|slot| slot.resize(slot_bytes, 0));
    let bytes = slots.concat();
    onceward_vfs::replace(&*folder.vfs, &name, &bytes)
        .map_err(|error| Error::io(error, "replace", &name))?;
    Ok((slot_bytes, u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
}

/// The slot of a number: odd ones are in the first.
fn slot_of(sequence: u64) -> usize {
    usize::from(sequence.is_multiple_of(2))
}

/// The bytes of a slot: what a manifest says; or nothing, and so that the one of this number took the
/// place.
fn encode(check: u64, (sequence, slot_bytes): (u64, usize), body: &[u8]) -> Vec<u8> {
    let length = HEADER_BYTES + body.len() + CRC_BYTES;
    let mut writer = FieldWriter::with_capacity(length);
    writer.bytes(MAGIC);
    writer.u32(VERSION);
    writer.u64(check);
    writer.u64(sequence);
    writer.count(slot_bytes);
    writer.count(length);
    writer.bytes(body);
    writer.finish_with_crc()
}

/// Bytes up to the end of a page.
fn paged(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(PAGE_BYTES), 0);
    bytes
}

/// The newest manifest of a file.
#[derive(Debug, Eq, PartialEq)]
struct NewestManifest {
    sequence: u64,
    manifest: Manifest,
    /// Whether the one before is gone from the other slot.
    is_noted: bool,
}

/// Judges both slots: see the table above.
fn newest(bytes: &[u8], check: u64) -> std::result::Result<NewestManifest, Unusable> {
    if !bytes.len().is_multiple_of(2 * PAGE_BYTES) {
        return Err(Unusable::Damaged);
    }
    let (first, second) = bytes.split_at_checked(bytes.len() / 2).ok_or(Unusable::Damaged)?;
    let newest = |sequence, manifest, is_noted| Ok(NewestManifest { sequence, manifest, is_noted });
    match (decode(first, 0, check)?, decode(second, 1, check)?) {
        (ManifestSlot::Manifest(one, _), ManifestSlot::Manifest(two, newer)) if one < two => {
            newest(two, newer, false)
        }
        (ManifestSlot::Manifest(one, newer), ManifestSlot::Manifest(..)) => {
            newest(one, newer, false)
        }
        (ManifestSlot::Manifest(sequence, manifest), ManifestSlot::Superseded(by))
        | (ManifestSlot::Superseded(by), ManifestSlot::Manifest(sequence, manifest))
            if by == sequence =>
        {
            newest(sequence, manifest, true)
        }
        (ManifestSlot::Manifest(sequence, manifest), ManifestSlot::Torn)
        | (ManifestSlot::Torn, ManifestSlot::Manifest(sequence, manifest)) => {
            newest(sequence, manifest, true)
        }
        (ManifestSlot::Superseded(_) | ManifestSlot::Torn, _)
        | (ManifestSlot::Manifest(..), ManifestSlot::Superseded(_)) => Err(Unusable::Damaged),
    }
}

/// Reads the slot at a position, 0 or 1. A crash leaves bytes whose checksum is wrong, never a right
/// checksum over what this program would not write.
fn decode(slot: &[u8], position: usize, check: u64) -> std::result::Result<ManifestSlot, Unusable> {
    let Some(mut reader) = checked(slot) else { return Ok(ManifestSlot::Torn) };
    let (magic, version) = (reader.take(MAGIC.len()), reader.u32());
    match version {
        Some(VERSION) if magic == Some(MAGIC) => {}
        Some(other) if magic == Some(MAGIC) => return Err(Unusable::Version(other)),
        Some(_) | None => return Err(Unusable::Damaged),
    }
    let mut field = || reader.u64().ok_or(Unusable::Damaged);
    let (theirs, sequence) = (field()?, field()?);
    if theirs != check {
        return Err(Unusable::Foreign);
    }
    // After the last number there is none: it was never given.
    let is_number = (1..u64::MAX).contains(&sequence);
    let slot_bytes = reader.u32().and_then(|bytes| usize::try_from(bytes).ok());
    if !is_number || slot_bytes != Some(slot.len()) || reader.u32().is_none() {
        return Err(Unusable::Damaged);
    }
    let is_manifest = reader.left() > 0;
    if is_manifest != (slot_of(sequence) == position) {
        return Err(Unusable::Damaged);
    }
    if !is_manifest {
        return Ok(ManifestSlot::Superseded(sequence));
    }
    let manifest = Manifest::decode(reader).ok_or(Unusable::Damaged)?;
    Ok(ManifestSlot::Manifest(sequence, manifest))
}

/// The bytes before the checksum of a slot; `None` if the checksum is wrong.
fn checked(slot: &[u8]) -> Option<FieldReader<'_>> {
    let mut length = FieldReader::new(slot.get(HEADER_BYTES - 4..)?);
    let length = usize::try_from(length.u32()?).ok()?;
    FieldReader::checked(slot.get(..length)?).filter(|_| length >= HEADER_BYTES + CRC_BYTES)
}

#[cfg(test)]
mod tests;
