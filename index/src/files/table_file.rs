//! A table file: slots of many blocks, sorted by shard, written once. Layout in `FORMAT.md`,
//! "Table files".

use std::sync::Arc;

use onceward_vfs::{File, Mode};

use super::{
    fields::{FieldReader, FieldWriter},
    folder::{FileKind, Folder},
    key_file::BlockHeader,
    manifest::TableFileRecord,
};
use crate::{
    entry::{BLOCK_BITS, BLOCKS_MAX},
    error::{Error, Result},
    table::{SHARDS, Slot},
};

/// First bytes of a table file.
const MAGIC: &[u8; 8] = b"OnceTabl";
/// Version of the layout.
const VERSION: u32 = 2;
/// Bytes before the directory.
const FIXED_BYTES: usize = 36;
/// Bytes of the directory for one shard.
const SHARD_BYTES: usize = 8;
/// Bytes of a block in the list of blocks.
const BLOCK_BYTES: usize = 26;
/// A table file may name blocks up to this number, and this many times as many as it has blocks.
const NUMBERS_SPARE: usize = 64 * 1024;
const NUMBERS_PER_BLOCK: usize = 64;
/// Bytes of a slot.
const SLOT_BYTES: usize = 7;
/// Slots that are gathered before they are written.
const PIECE_BYTES: usize = 256 * 1024;

/// A block of which a table file has the slots, and its offset in its key file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ListedBlock {
    pub(crate) header: BlockHeader,
    pub(crate) offset: u32,
    /// Keys of the block that were removed after it was written, and so have no slot.
    pub(crate) removed: u16,
}

/// A finished table file.
#[derive(Debug)]
pub(crate) struct TableFile {
    pub(crate) number: u32,
    /// Length of the file.
    pub(crate) bytes: u64,
    name: String,
    file: Arc<dyn File>,
    /// Bytes of the head, behind which the slots begin.
    head_bytes: u64,
    /// Where the slots of each shard are, and their checksum.
    directory: Box<[DirectoryItem]>,
    /// The blocks, by rising number.
    blocks: Box<[ListedBlock]>,
    /// The file that each block is in, by number of the block; 0 for blocks of others.
    key_files: Box<[u32]>,
}

/// The range of a shard's slots in the file.
#[derive(Clone, Copy, Debug, Default)]
struct DirectoryItem {
    /// Slots of the shards before.
    first: u64,
    count: u32,
    crc: u32,
}

/// The lists in the head of a table file.
struct TableFileHead {
    directory: Box<[DirectoryItem]>,
    blocks: Box<[ListedBlock]>,
}

impl TableFile {
    /// Slots in the file.
    pub(crate) fn slot_count(&self) -> u64 {
        self.directory.last().map_or(0, |last| last.first + u64::from(last.count))
    }

    /// The blocks, by rising number.
    pub(crate) fn blocks(&self) -> &[ListedBlock] {
        &self.blocks
    }

    /// The record of the file in a manifest.
    pub(crate) fn record(&self) -> TableFileRecord {
        TableFileRecord { number: self.number, bytes: self.bytes }
    }

    /// The file's path.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let bytes = size_of_val(&*self.directory) + size_of_val(&*self.blocks);
        u64::try_from(bytes + size_of_val(&*self.key_files)).unwrap_or(u64::MAX)
    }

    /// Opens a file of this length, and reads all of it but the slots.
    ///
    /// # Errors
    ///
    /// `Corrupt`: it is not what was written; `Io`.
    pub(crate) fn open(folder: &Folder, number: u32, bytes: u64) -> Result<Self> {
        let name = folder.path(FileKind::Table, number);
        let file = folder.vfs.open(&name, Mode::Read);
        let file = file.map_err(|error| super::folder::opening(error, &name))?;
        let fixed = read(&*file, &name, 0, FIXED_BYTES)?;
        let wrong = || Error::corrupt(&name, "its head is not what was written");
        let (slot_count, block_count) =
            decode_fixed(&fixed, folder.check, number).ok_or_else(wrong)?;
        let head_bytes = head_bytes(block_count);
        let length = slot_count.checked_mul(SLOT_BYTES as u64).and_then(|slots| {
            u64::try_from(head_bytes).ok()?.checked_add(slots).filter(|length| *length == bytes)
        });
        if length.is_none() || file.len().map_err(|e| Error::io(e, "measure", &name))? != bytes {
            return Err(wrong());
        }
        let head = read(&*file, &name, 0, head_bytes)?;
        let lists = decode_head(&head, slot_count).ok_or_else(wrong)?;
        Ok(Self::new(number, bytes, (name, file), lists))
    }

    fn new(
        number: u32,
        bytes: u64,
        (name, file): (String, Arc<dyn File>),
        TableFileHead { directory, blocks }: TableFileHead,
    ) -> Self {
        let head_bytes = u64::try_from(head_bytes(blocks.len())).unwrap_or(u64::MAX);
        let most = blocks.last().map_or(0, |last| last.header.block + 1);
        let mut key_files = vec![0; usize::try_from(most).unwrap_or(0)];
        for listed in &blocks {
            let at = usize::try_from(listed.header.block).unwrap_or(usize::MAX);
            if let Some(key_file) = key_files.get_mut(at) {
                *key_file = listed.header.key_file;
            }
        }
        let key_files = key_files.into();
        Self { number, bytes, name, file, head_bytes, directory, blocks, key_files }
    }

    /// Slots of a shard.
    pub(crate) fn count(&self, shard: usize) -> u32 {
        self.directory.get(shard).map_or(0, |directed| directed.count)
    }

    /// The slots of a shard, each with the number of the file that its entry is in.
    pub(crate) fn shard(&self, shard: usize) -> Result<Vec<(Slot, u32)>> {
        let Some(directed) = self.directory.get(shard) else { return Ok(Vec::new()) };
        if directed.count == 0 {
            return Ok(Vec::new());
        }
        let bytes = usize::try_from(directed.count).unwrap_or(usize::MAX) * SLOT_BYTES;
        let offset = self.head_bytes + directed.first * SLOT_BYTES as u64;
        let found = read(&*self.file, &self.name, offset, bytes)?;
        if crc32fast::hash(&found) != directed.crc {
            let what = format_args!("shard {shard} at {offset} is not what was written");
            return Err(Error::corrupt(&self.name, what));
        }
        Ok(found.chunks_exact(SLOT_BYTES).filter_map(|bytes| self.slot(bytes)).collect())
    }

    fn slot(&self, bytes: &[u8]) -> Option<(Slot, u32)> {
        let mut reader = FieldReader::new(bytes);
        let slot = Slot { place: reader.u32()?, tag: reader.u16()?, bits: reader.u8()? & 0x7f };
        let block = usize::try_from(slot.place >> BLOCK_BITS).ok()?;
        Some((slot, *self.key_files.get(block)?)).filter(|(_, key_file)| *key_file != 0)
    }
}

/// The slots of one shard, from all table files of one moment.
#[derive(Debug)]
pub(crate) struct StoredShard {
    table_files: Arc<[Arc<TableFile>]>,
    slots: Vec<(Slot, u32)>,
}

impl StoredShard {
    /// Reads them.
    pub(crate) fn read(table_files: Arc<[Arc<TableFile>]>, shard: usize) -> Result<Self> {
        let mut slots = Vec::new();
        for table_file in table_files.iter() {
            slots.extend(table_file.shard(shard)?);
        }
        Ok(Self { table_files, slots })
    }

    /// Whether these are still the table files.
    pub(crate) fn is_of(&self, table_files: &Arc<[Arc<TableFile>]>) -> bool {
        Arc::ptr_eq(&self.table_files, table_files)
    }

    /// The slots, each with the number of the file that its entry is in.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (Slot, u32)> + '_ {
        self.slots.iter().copied()
    }
}

/// Writes a table file, shard by shard.
#[derive(Debug)]
pub(crate) struct TableFileWriter {
    number: u32,
    name: String,
    check: u64,
    file: Arc<dyn File>,
    blocks: Vec<ListedBlock>,
    directory: Vec<DirectoryItem>,
    /// Slots that are not written yet, and where they go.
    piece: Vec<u8>,
    offset: u64,
    slots: u64,
}

impl TableFileWriter {
    /// Begins a file for the slots of these blocks.
    pub(crate) fn create(
        folder: &Folder,
        number: u32,
        mut blocks: Vec<ListedBlock>,
    ) -> Result<Self> {
        blocks.sort_by_key(|listed| listed.header.block);
        let name = folder.path(FileKind::Table, number);
        let file = folder.create(&name)?;
        let offset = u64::try_from(head_bytes(blocks.len())).unwrap_or(u64::MAX);
        let (check, directory) = (folder.check, Vec::with_capacity(SHARDS));
        Ok(Self {
            number,
            name,
            check,
            file,
            blocks,
            directory,
            piece: Vec::new(),
            offset,
            slots: 0,
        })
    }

    /// Adds the slots of the next shard.
    pub(crate) fn push_shard(&mut self, slots: impl Iterator<Item = Slot>) -> Result<()> {
        let start = self.piece.len();
        let mut count = 0;
        for slot in slots {
            self.piece.extend_from_slice(&slot.place.to_le_bytes());
            self.piece.extend_from_slice(&slot.tag.to_le_bytes());
            self.piece.push(slot.bits);
            count += 1;
        }
        let crc = crc32fast::hash(self.piece.get(start..).unwrap_or_default());
        self.directory.push(DirectoryItem { first: self.slots, count, crc });
        self.slots += u64::from(count);
        if self.piece.len() >= PIECE_BYTES { self.write_piece() } else { Ok(()) }
    }

    /// Keys of blocks that were removed since, and have no slot here.
    pub(crate) fn leave_out(&mut self, block: u32) {
        let at = self.blocks.binary_search_by_key(&block, |listed| listed.header.block);
        if let Some(listed) = at.ok().and_then(|at| self.blocks.get_mut(at)) {
            listed.removed = listed.removed.saturating_add(1);
        }
    }

    /// Finishes the file: durable, but for its name.
    pub(crate) fn finish(mut self) -> Result<TableFile> {
        self.write_piece()?;
        let mut writer = FieldWriter::with_capacity(head_bytes(self.blocks.len()));
        writer.bytes(MAGIC);
        writer.u32(VERSION);
        writer.u32(self.number);
        writer.u64(self.check);
        writer.u64(self.slots);
        writer.count(self.blocks.len());
        for directed in &self.directory {
            writer.u32(directed.count);
            writer.u32(directed.crc);
        }
        for listed in &self.blocks {
            listed.header.write(&mut writer);
            writer.u32(listed.offset);
            writer.u16(listed.removed);
        }
        let head = writer.finish_with_crc();
        let fail = |error| Error::io(error, "write", &self.name);
        self.file.write_all_at(0, &head).map_err(fail)?;
        self.file.sync_data().map_err(fail)?;
        let Self { number, name, file, blocks, directory, offset, .. } = self;
        let lists = TableFileHead { directory: directory.into(), blocks: blocks.into() };
        Ok(TableFile::new(number, offset, (name, file), lists))
    }

    fn write_piece(&mut self) -> Result<()> {
        let fail = |error| Error::io(error, "write", &self.name);
        self.file.write_all_at(self.offset, &self.piece).map_err(fail)?;
        self.offset += u64::try_from(self.piece.len()).unwrap_or(u64::MAX);
        self.piece.clear();
        Ok(())
    }
}

/// Bytes before the slots.
fn head_bytes(blocks: usize) -> usize {
    FIXED_BYTES + SHARDS * SHARD_BYTES + blocks.saturating_mul(BLOCK_BYTES) + 4
}

fn decode_fixed(bytes: &[u8], check: u64, number: u32) -> Option<(u64, usize)> {
    let mut reader = FieldReader::new(bytes);
    let is_ours = reader.take(8)? == MAGIC
        && reader.u32()? == VERSION
        && reader.u32()? == number
        && reader.u64()? == check;
    let (slots, blocks) = (reader.u64()?, reader.u32()?);
    let blocks = usize::try_from(blocks).ok().filter(|_| is_ours)?;
    Some((slots, blocks))
}

fn decode_head(bytes: &[u8], slot_count: u64) -> Option<TableFileHead> {
    let mut reader = FieldReader::checked(bytes)?;
    reader.take(FIXED_BYTES)?;
    let mut first = 0;
    let mut directory = Vec::with_capacity(SHARDS);
    for _ in 0..SHARDS {
        let (count, crc) = (reader.u32()?, reader.u32()?);
        directory.push(DirectoryItem { first, count, crc });
        first += u64::from(count);
    }
    let mut blocks = Vec::with_capacity(reader.left() / BLOCK_BYTES);
    while reader.left() > 0 {
        let header = BlockHeader::read(&mut reader)?;
        let listed = ListedBlock { header, offset: reader.u32()?, removed: reader.u16()? };
        blocks.push(listed);
    }
    let is_rising = blocks.is_sorted_by(|a, b| a.header.block < b.header.block);
    // Numbers are given again, so they are not much higher than there are blocks.
    let most = NUMBERS_SPARE.saturating_add(blocks.len().saturating_mul(NUMBERS_PER_BLOCK));
    let is_dense = blocks.last().is_none_or(|last: &ListedBlock| {
        last.header.block < BLOCKS_MAX && usize::try_from(last.header.block).is_ok_and(|n| n < most)
    });
    let is_sound = blocks.iter().all(|listed| listed.header.is_sound());
    (first == slot_count && is_rising && is_dense && is_sound)
        .then(|| TableFileHead { directory: directory.into(), blocks: blocks.into() })
}

fn read(file: &dyn File, name: &str, offset: u64, count: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let read = super::folder::read_at(file, offset, &mut bytes)
        .map_err(|error| super::folder::reading(error, name))?;
    if read < count {
        return Err(Error::corrupt(name, format_args!("ends within {count} bytes at {offset}")));
    }
    Ok(bytes)
}
