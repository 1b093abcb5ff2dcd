//! A file of entries: some blocks of one slice, written once. Layout in `FORMAT.md`, "Key files".

use std::sync::{Arc, OnceLock};

use super::{
    fields::{FieldReader, FieldWriter},
    folder::{FileContent, FileKind, Folder},
};
use crate::{
    entry::{self, BLOCK_ENTRIES, BLOCKS_MAX, ENTRY_BYTES, Entries, Entry, place},
    error::{Error, Result},
    fingerprint::Fingerprint,
    options::{ReadMode, Window},
};

/// First bytes of a file of entries.
const MAGIC: &[u8; 8] = b"OnceKeys";
/// Version of the layout.
const VERSION: u32 = 2;
/// Bytes before the first block.
const HEADER_BYTES: usize = 48;
/// Bytes of a block before its entries.
const BLOCK_HEADER_BYTES: usize = 24;
/// Blocks in one file at most, so that an offset fits 32 bits with room to spare.
pub(crate) const KEY_FILE_BLOCKS_MAX: usize = 65_536;

/// A file of entries.
#[derive(Debug)]
pub(crate) struct KeyFile {
    folder: Arc<Folder>,
    pub(crate) number: u32,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Opened when it is first asked for.
    content: OnceLock<FileContent>,
}

/// A key file that was written, and the offset of each block in it.
#[derive(Debug)]
pub(crate) struct WrittenKeyFile {
    pub(crate) key_file: Arc<KeyFile>,
    pub(crate) stored: Vec<(u32, StoredBlock)>,
}

/// A block in a file.
#[derive(Debug)]
pub(crate) struct StoredBlock {
    pub(crate) key_file: Arc<KeyFile>,
    pub(crate) offset: u32,
    pub(crate) count: u16,
    /// Entries that were made none before the block was written.
    pub(crate) voided: u16,
    /// The LSN from which the entries' differences count.
    pub(crate) base: u64,
}

impl StoredBlock {
    /// A block of which nothing was read yet.
    pub(crate) fn new(key_file: Arc<KeyFile>, offset: u32, header: BlockHeader) -> Self {
        let BlockHeader { count, voided, base, .. } = header;
        Self { key_file, offset, count, voided, base }
    }

    /// Bytes of the block in its file.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.count) * ENTRY_BYTES as u64 + BLOCK_HEADER_BYTES as u64
    }

    /// The header of the block.
    pub(crate) fn header(&self, block: u32) -> BlockHeader {
        let Self { count, voided, base, .. } = *self;
        BlockHeader { key_file: self.key_file.number, block, count, voided, base }
    }

    /// Compares the checksum of the block of this number.
    ///
    /// # Errors
    ///
    /// `Corrupt`: the block is not what was written; `Io`.
    pub(crate) fn check(&self, block: u32) -> Result<()> {
        self.with_block(block, |_| ())
    }

    /// The entry at a position; `None` if it is voided or beyond the last. The caller checked the
    /// block.
    pub(crate) fn entry(&self, position: usize) -> Result<Option<Entry>> {
        if position >= usize::from(self.count) {
            return Ok(None);
        }
        let at = BLOCK_HEADER_BYTES + position * ENTRY_BYTES;
        let offset = u64::from(self.offset).saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
        let content = self.key_file.content()?;
        let entry = content.with(
            || self.key_file.name(),
            offset,
            ENTRY_BYTES,
            |bytes| bytes.first_chunk().and_then(|bytes| entry::decode(bytes, self.base)),
        )?;
        Ok(entry.flatten())
    }

    /// All entries that are not voided, with their places.
    pub(crate) fn entries(&self, block: u32) -> Result<Vec<(u32, Entry)>> {
        let mut all = Vec::with_capacity(usize::from(self.count));
        self.show(block, |place, entry| all.push((place, entry)))?;
        Ok(all)
    }

    /// Shows all entries that are not voided, with their places.
    pub(crate) fn show(&self, block: u32, mut show: impl FnMut(u32, Entry)) -> Result<()> {
        self.with_block(block, |bytes| {
            let entries = bytes.get(BLOCK_HEADER_BYTES..).unwrap_or_default();
            for (at, bytes) in entries.as_chunks::<ENTRY_BYTES>().0.iter().enumerate() {
                if let Some(entry) = entry::decode(bytes, self.base) {
                    show(place(block, at), entry);
                }
            }
        })
    }

    /// Reads the whole block and compares its checksum.
    fn with_block<T>(&self, block: u32, use_it: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let content = self.key_file.content()?;
        let bytes = BLOCK_HEADER_BYTES + usize::from(self.count) * ENTRY_BYTES;
        let offset = u64::from(self.offset);
        let expected = self.header(block);
        let checked = content.with(
            || self.key_file.name(),
            offset,
            bytes,
            |bytes| (BlockHeader::decode(bytes)? == expected).then(|| use_it(bytes)),
        )?;
        checked.flatten().ok_or_else(|| {
            let what = format_args!("block {block} at {offset} is not what was written");
            Error::corrupt(&self.key_file.name(), what)
        })
    }
}

impl KeyFile {
    /// A file of this length, which is not looked at yet.
    pub(crate) fn new(folder: &Arc<Folder>, number: u32, bytes: u64) -> Self {
        Self { folder: Arc::clone(folder), number, bytes, content: OnceLock::new() }
    }

    /// The file's path.
    pub(crate) fn name(&self) -> String {
        self.folder.path(FileKind::Keys, self.number)
    }

    /// Whether the file is mapped where that can be.
    pub(crate) fn is_mapped(&self) -> bool {
        self.folder.reading == ReadMode::Mapped
    }

    /// The key at a position of a block, if the file is mapped. Nothing is checked.
    pub(crate) fn key_at(&self, block_offset: u32, position: usize) -> Option<Fingerprint> {
        let Some(FileContent::Mapped(map)) = self.content.get() else { return None };
        let block = usize::try_from(block_offset).ok()?;
        let entry = map.get(block + BLOCK_HEADER_BYTES + position * ENTRY_BYTES..)?;
        entry.first_chunk().copied().map(Fingerprint::from_bytes)
    }

    /// Writes the blocks of a slice into a new file; returns the offset of each.
    pub(crate) fn write(
        folder: &Arc<Folder>,
        number: u32,
        slice: (Window, u64),
        blocks: &[(u32, Arc<Entries>)],
    ) -> Result<WrittenKeyFile> {
        let name = folder.path(FileKind::Keys, number);
        let header = encode_header(folder.check, number, slice);
        let pieces = blocks.iter().map(|(block, entries)| encode_block(number, *block, entries));
        let bytes = folder.write(&name, std::iter::once(header).chain(pieces))?;
        let key_file = Arc::new(Self::new(folder, number, bytes));
        let mut offset = HEADER_BYTES;
        let mut stored = Vec::with_capacity(blocks.len());
        for (block, entries) in blocks {
            let at = u32::try_from(offset).unwrap_or(u32::MAX);
            let header = BlockHeader::of(number, *block, entries);
            stored.push((*block, StoredBlock::new(Arc::clone(&key_file), at, header)));
            offset += BLOCK_HEADER_BYTES + entries.bytes().len();
        }
        Ok(WrittenKeyFile { key_file, stored })
    }

    /// Finds the blocks of a file that no table file lists, by their headers.
    pub(crate) fn blocks(self: &Arc<Self>) -> Result<Vec<(u32, StoredBlock)>> {
        let content = self.content()?;
        let mut found = Vec::new();
        let mut offset = u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
        while offset < self.bytes {
            let header =
                content.with(|| self.name(), offset, BLOCK_HEADER_BYTES, BlockHeader::fields)?;
            let header = header.flatten().filter(|it| it.is_sound() && it.key_file == self.number);
            let (Some(header), Ok(at)) = (header, u32::try_from(offset)) else {
                return Err(Error::corrupt(&self.name(), format_args!("no block at {offset}")));
            };
            found.push((header.block, StoredBlock::new(Arc::clone(self), at, header)));
            offset += u64::from(header.count) * ENTRY_BYTES as u64 + BLOCK_HEADER_BYTES as u64;
        }
        Ok(found)
    }

    fn content(&self) -> Result<&FileContent> {
        if let Some(content) = self.content.get() {
            return Ok(content);
        }
        let name = self.name();
        let content = self.folder.open(&name, self.bytes)?;
        let header = content.with(
            || name.clone(),
            0,
            HEADER_BYTES,
            |header| check_header(header, self.folder.check, self.number),
        )?;
        if header != Some(true) {
            return Err(Error::corrupt(&name, "its header is not what was written"));
        }
        // Who comes second has opened it for nothing.
        Ok(self.content.get_or_init(|| content))
    }
}

/// The header of a block, before its entries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BlockHeader {
    /// Number of the file.
    pub(crate) key_file: u32,
    /// Number of the block.
    pub(crate) block: u32,
    pub(crate) count: u16,
    pub(crate) voided: u16,
    pub(crate) base: u64,
}

impl BlockHeader {
    fn of(key_file: u32, block: u32, entries: &Entries) -> Self {
        let count = u16::try_from(entries.len()).unwrap_or(u16::MAX);
        Self { key_file, block, count, voided: entries.voided(), base: entries.base() }
    }

    /// Whether a block can be so.
    pub(crate) fn is_sound(&self) -> bool {
        self.block < BLOCKS_MAX
            && usize::from(self.count) <= BLOCK_ENTRIES
            && self.voided <= self.count
    }

    /// The fields, not checked.
    fn fields(bytes: &[u8]) -> Option<Self> {
        Self::read(&mut FieldReader::new(bytes.get(4..)?))
    }

    /// Reads the fields, in the order that they have after the checksum here and in a list of blocks.
    pub(crate) fn read(reader: &mut FieldReader<'_>) -> Option<Self> {
        Some(Self {
            key_file: reader.u32()?,
            block: reader.u32()?,
            count: reader.u16()?,
            voided: reader.u16()?,
            base: reader.u64()?,
        })
    }

    /// Writes the fields.
    pub(crate) fn write(&self, writer: &mut FieldWriter) {
        writer.u32(self.key_file);
        writer.u32(self.block);
        writer.u16(self.count);
        writer.u16(self.voided);
        writer.u64(self.base);
    }

    /// The fields of a block whose checksum, over all that follows it, is right.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (crc, rest) = bytes.split_first_chunk::<4>()?;
        let is_right = crc32fast::hash(rest) == u32::from_le_bytes(*crc)
            || onceward_vfs::planted!("block-checksum-not-compared");
        is_right.then(|| Self::fields(bytes))?
    }
}

fn encode_block(number: u32, block: u32, entries: &Entries) -> Vec<u8> {
    let mut writer = FieldWriter::with_capacity(BLOCK_HEADER_BYTES + entries.bytes().len());
    writer.u32(0);
    BlockHeader::of(number, block, entries).write(&mut writer);
    writer.bytes(entries.bytes());
    writer.finish_with_crc_first()
}

fn encode_header(check: u64, number: u32, (window, begin): (Window, u64)) -> Vec<u8> {
    let mut writer = FieldWriter::with_capacity(HEADER_BYTES);
    writer.bytes(MAGIC);
    writer.u32(VERSION);
    writer.u32(number);
    writer.u64(check);
    writer.u64(window.length_ms());
    writer.u64(begin);
    writer.u32(window.start().code());
    writer.finish_with_crc()
}

fn check_header(header: &[u8], check: u64, number: u32) -> bool {
    let Some(mut reader) = FieldReader::checked(header) else { return false };
    reader.take(8) == Some(MAGIC)
        && reader.u32() == Some(VERSION)
        && reader.u32() == Some(number)
        && reader.u64() == Some(check)
}
