//! The manifest: which files count, and how much of the log they hold. Reading and writing it is the business of
//! `manifest_file`. Layout in `FORMAT.md`, "Manifest".

use std::collections::BTreeSet;

use super::fields::{FieldReader, FieldWriter};
use crate::{
    options::{Window, WindowStart},
    slices::SliceId,
};

/// Bytes of each list's items.
const SLICE_BYTES: usize = 32;
const KEY_FILE_BYTES: usize = 17;
const TABLE_FILE_BYTES: usize = 12;

/// The content of a manifest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Manifest {
    /// Every entry of a frame up to and including this LSN is in the files.
    pub(crate) covered: u64,
    /// The mark by which the caller knows its log.
    pub(crate) mark: u64,
    /// Number of the next file.
    pub(crate) next_file: u32,
    /// Number of the next slice.
    pub(crate) next_slice: u32,
    /// Slices that each window is cut into.
    pub(crate) slice_count: u32,
    pub(crate) slices: Vec<SliceRecord>,
    pub(crate) key_files: Vec<KeyFileRecord>,
    pub(crate) table_files: Vec<TableFileRecord>,
    /// Places whose key was removed.
    pub(crate) voids: Vec<u32>,
}

/// A live slice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SliceRecord {
    pub(crate) id: SliceId,
    pub(crate) window: Window,
    pub(crate) begin: u64,
    pub(crate) last_settled: Option<u64>,
}

/// A key file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct KeyFileRecord {
    pub(crate) number: u32,
    pub(crate) slice: SliceId,
    pub(crate) bytes: u64,
    /// Whether a table file has its slots.
    pub(crate) in_table: bool,
}

/// A table file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TableFileRecord {
    pub(crate) number: u32,
    pub(crate) bytes: u64,
}

impl Manifest {
    /// Encodes the manifest.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = FieldWriter::default();
        writer.u64(self.covered);
        writer.u64(self.mark);
        writer.u32(self.next_file);
        writer.u32(self.next_slice);
        writer.u32(self.slice_count);
        writer.count(self.slices.len());
        for slice in &self.slices {
            writer.u32(slice.id.0);
            writer.u32(slice.window.start().code());
            writer.u64(slice.window.length_ms());
            writer.u64(slice.begin);
            writer.u64(slice.last_settled.unwrap_or(NEVER));
        }
        writer.count(self.key_files.len());
        for key_file in &self.key_files {
            writer.u32(key_file.number);
            writer.u32(key_file.slice.0);
            writer.u64(key_file.bytes);
            writer.u8(u8::from(key_file.in_table));
        }
        writer.count(self.table_files.len());
        for table_file in &self.table_files {
            writer.u32(table_file.number);
            writer.u64(table_file.bytes);
        }
        writer.count(self.voids.len());
        for place in &self.voids {
            writer.u32(*place);
        }
        writer.finish()
    }

    /// Decodes a manifest, to the end of the bytes; `None` if nothing that was ever written is so.
    pub(crate) fn decode(mut reader: FieldReader<'_>) -> Option<Self> {
        let manifest = Self::fields(&mut reader)?;
        (reader.left() == 0 && manifest.is_sound()).then_some(manifest)
    }

    /// Whether every number names one thing, and every key file has a slice.
    fn is_sound(&self) -> bool {
        let ids: BTreeSet<u32> = self.slices.iter().map(|slice| slice.id.0).collect();
        let begins: BTreeSet<_> = self.slices.iter().map(|it| (it.window, it.begin)).collect();
        let key_files: BTreeSet<u32> = self.key_files.iter().map(|file| file.number).collect();
        let table_files: BTreeSet<u32> = self.table_files.iter().map(|file| file.number).collect();
        ids.len() == self.slices.len()
            && begins.len() == self.slices.len()
            && key_files.len() == self.key_files.len()
            && table_files.len() == self.table_files.len()
            && self.key_files.iter().all(|key_file| ids.contains(&key_file.slice.0))
    }

    fn fields(reader: &mut FieldReader<'_>) -> Option<Self> {
        Some(Self {
            covered: reader.u64()?,
            mark: reader.u64()?,
            next_file: reader.u32()?,
            next_slice: reader.u32()?,
            slice_count: reader.u32()?,
            slices: reader.list(SLICE_BYTES, slice)?,
            key_files: reader.list(KEY_FILE_BYTES, key_file)?,
            table_files: reader.list(TABLE_FILE_BYTES, |reader| {
                Some(TableFileRecord { number: reader.u32()?, bytes: reader.u64()? })
            })?,
            voids: reader.list(4, FieldReader::u32)?,
        })
    }
}

/// The last settlement of a slice in which nothing was settled.
const NEVER: u64 = u64::MAX;

fn slice(reader: &mut FieldReader<'_>) -> Option<SliceRecord> {
    let id = SliceId(reader.u32()?);
    let start = WindowStart::from_code(reader.u32()?)?;
    let window = Window::new(reader.u64()?, start).ok()?;
    let (begin, settled) = (reader.u64()?, reader.u64()?);
    Some(SliceRecord { id, window, begin, last_settled: (settled != NEVER).then_some(settled) })
}

fn key_file(reader: &mut FieldReader<'_>) -> Option<KeyFileRecord> {
    Some(KeyFileRecord {
        number: reader.u32()?,
        slice: SliceId(reader.u32()?),
        bytes: reader.u64()?,
        in_table: match reader.u8()? {
            0 => false,
            1 => true,
            _ => return None,
        },
    })
}
