//! Fields that nobody wrote, under right checksums: what a decoder must survive.
//!
//! The layouts are in the index's `FORMAT.md`.

use onceward_vfs::SimVfs;

use super::damage::{files, replace};
use crate::input::Input;

/// Bytes of a key file before its first block, and of a block before its entries.
const KEYS_HEADER: usize = 48;
const BLOCK_HEADER: usize = 24;
const ENTRY: usize = 26;
/// Bytes of a table file before its directory, and of the directory.
const TABLE_FIXED: usize = 36;
const DIRECTORY: usize = 4_096 * 8;
const LISTED: usize = 24;
const SLOT: usize = 7;

/// Bytes of a slot of the manifest's file before what the manifest says, the last of them its length.
const SLOT_HEADER: usize = 36;

/// Forges a file. Returns whether there was one.
pub(super) fn forge(disk: &SimVfs, input: &mut Input<'_>) -> bool {
    let files = files(disk);
    let Some(name) = files.get(input.below(files.len())) else { return false };
    let Some(mut content) = disk.bytes(name) else { return false };
    let kind = name.rsplit('/').next().and_then(|name| name.split('-').next());
    for _ in 0..1 + input.byte() % 3 {
        match kind {
            Some("keys") => keys(&mut content, input),
            Some("table") => table(&mut content, input),
            _ => manifest(&mut content, input),
        }
    }
    if input.byte() % 16 == 0 {
        // As long as something says.
        content.extend_from_slice(&[0; 77]);
    }
    replace(disk, name, &content);
    true
}

/// Overwrites a field within a range.
fn field(content: &mut [u8], input: &mut Input<'_>) {
    let offset = input.below(content.len());
    let with = match input.byte() % 8 {
        0 => 0_u64,
        1 => 1,
        2 => u64::from(u32::MAX),
        3 => u64::MAX,
        4 => 1 << 31,
        5 => 0x00ff_ffff,
        6 => u64::MAX - 1,
        _ => u64::from(input.byte()) << (8 * (input.byte() % 8)),
    };
    let count = [1, 2, 4, 8][usize::from(input.byte() % 4)];
    let end = (offset + count).min(content.len());
    let target = &mut content[offset..end];
    target.copy_from_slice(&with.to_le_bytes()[..target.len()]);
}

/// Puts the checksum of all that stands before it at the end.
fn seal_behind(content: &mut [u8]) {
    if let Some((fields, crc)) = content.split_last_chunk_mut::<4>() {
        *crc = crc32fast::hash(fields).to_le_bytes();
    }
}

/// Forges one of the two slots.
fn manifest(content: &mut [u8], input: &mut Input<'_>) {
    let half = content.len() / 2;
    let start = if input.byte() % 2 == 0 { 0 } else { half };
    let Some(slot) = content.get_mut(start..start + half) else { return };
    let length = slot.get(SLOT_HEADER - 4..SLOT_HEADER).and_then(|bytes| bytes.first_chunk());
    let length = length.map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let length = usize::try_from(length).expect("fits");
    let Some(mut manifest) = slot.get(..length).map(<[u8]>::to_vec) else { return };
    let Some(fields) = length.checked_sub(4).filter(|fields| *fields >= SLOT_HEADER) else {
        return;
    };
    match input.byte() % 7 {
        // Anything behind what says what it is and whose.
        6 => {
            manifest.truncate(SLOT_HEADER);
            manifest.extend_from_slice(input.take(300));
            manifest.extend_from_slice(&[0; 4]);
        }
        // A list is longer or shorter than it says.
        0 => manifest.truncate(length - input.below(64).min(fields - SLOT_HEADER)),
        1 => {
            let at = input.below(fields);
            manifest.splice(at..at, [0, 1, 0, 0, 0, 0, 0, 0]);
        }
        _ => field(&mut manifest[..fields], input),
    }
    if input.byte() % 8 != 0 {
        let length = u32::try_from(manifest.len()).expect("fits");
        manifest[SLOT_HEADER - 4..SLOT_HEADER].copy_from_slice(&length.to_le_bytes());
    }
    seal_behind(&mut manifest);
    let length = manifest.len().min(half);
    slot[..length].copy_from_slice(&manifest[..length]);
}

fn keys(content: &mut [u8], input: &mut Input<'_>) {
    if input.byte() % 4 == 0 {
        let Some(header) = content.get_mut(..KEYS_HEADER) else { return };
        field(header, input);
        return seal_behind(header);
    }
    let blocks = blocks(content);
    let Some(start) = blocks.get(input.below(blocks.len())).copied() else { return };
    let header = &mut content[start..start + BLOCK_HEADER];
    let whole = input.byte() % 2 == 0;
    if whole {
        field(&mut header[4..], input);
    }
    let count = usize::from(u16::from_le_bytes([header[12], header[13]]));
    let end = (start + BLOCK_HEADER + count * ENTRY).min(content.len());
    if !whole {
        field(&mut content[start + 4..end], input);
    }
    let crc = crc32fast::hash(&content[start + 4..end]);
    content[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Where each block of a key file begins.
fn blocks(content: &[u8]) -> Vec<usize> {
    let mut blocks = Vec::new();
    let mut at = KEYS_HEADER;
    while let Some(header) = content.get(at..at + BLOCK_HEADER) {
        blocks.push(at);
        at += BLOCK_HEADER + usize::from(u16::from_le_bytes([header[12], header[13]])) * ENTRY;
    }
    blocks
}

fn table(content: &mut [u8], input: &mut Input<'_>) {
    let Some(count) = content.get(32..36).and_then(|bytes| bytes.first_chunk()) else { return };
    let blocks = usize::try_from(u32::from_le_bytes(*count)).expect("fits");
    let list = TABLE_FIXED + DIRECTORY;
    let end = list.saturating_add(blocks.saturating_mul(LISTED));
    if end.saturating_add(4) > content.len() {
        return;
    }
    match input.byte() % 6 {
        0 => field(&mut content[..TABLE_FIXED], input),
        1 => field(&mut content[TABLE_FIXED..list], input),
        2 | 3 if blocks > 0 => {
            let at = list + input.below(blocks) * LISTED;
            field(&mut content[at..at + LISTED], input);
        }
        _ => slots(content, end + 4, input),
    }
    seal_behind(&mut content[..end + 4]);
}

/// Forges a slot of one of the shards that have any.
fn slots(content: &mut [u8], first: usize, input: &mut Input<'_>) {
    let mut at = first;
    let mut shards = Vec::new();
    for shard in 0..DIRECTORY / 8 {
        let directed = TABLE_FIXED + shard * 8;
        let count = content.get(directed..directed + 4).and_then(|bytes| bytes.first_chunk());
        let count = count.map_or(0, |count| u32::from_le_bytes(*count));
        let bytes = usize::try_from(count).expect("fits").saturating_mul(SLOT);
        if bytes > 0 && at.saturating_add(bytes) <= content.len() {
            shards.push((directed, at, bytes));
        }
        at = at.saturating_add(bytes);
    }
    let Some((directed, at, bytes)) = shards.get(input.below(shards.len())).copied() else {
        return;
    };
    field(&mut content[at..at + bytes], input);
    let crc = crc32fast::hash(&content[at..at + bytes]);
    content[directed + 4..directed + 8].copy_from_slice(&crc.to_le_bytes());
}
