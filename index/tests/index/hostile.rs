//! Files whose checksums are right and whose fields are absurd are refused, not believed.
//! Method: real files, one field changed, the checksum made right again; unchanged, they are believed.

use onceward_index::Until;
use onceward_vfs::{Mode, SimVfs, Survival, Vfs};

use crate::scenery::slot::{newest, seal};
use crate::scenery::{from_capture, from_settle, key, open, take};

const MANIFEST: &str = "index/manifest";
const KEYS: &str = "index/keys-00000001";
/// Bytes of a table file before its list of blocks.
const BEFORE_BLOCKS: usize = 36 + 4_096 * 8;

/// Writes a whole file anew.
fn put(disk: &SimVfs, name: &str, bytes: &[u8]) {
    let file = disk.open(name, Mode::Write).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(0, bytes).unwrap();
    file.sync_data().unwrap();
}

/// Changes the newest manifest, and makes its checksum right again.
fn forge(disk: &SimVfs, change: impl FnOnce(&mut [u8])) {
    let mut file = disk.bytes(MANIFEST).unwrap();
    let range = newest(&file);
    change(&mut file[range.clone()]);
    seal(&mut file[range]);
    put(disk, MANIFEST, &file);
}

/// One settled key, in a key file or in a table file too.
fn closed(until: Until) -> SimVfs {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    let slice = take(&index, key(3, 3, 1), 1, from_settle(), 1_000_000);
    index.settle(slice, 1_000_000);
    index.checkpoint(0, until).unwrap();
    disk
}

/// Gives the one block in the table file another number.
fn with_block_number(number: u32) -> SimVfs {
    let disk = closed(Until::Close);
    let name = "index/table-00000002";
    let mut bytes = disk.bytes(name).unwrap();
    let head = BEFORE_BLOCKS + 26 + 4;
    bytes[BEFORE_BLOCKS + 4..BEFORE_BLOCKS + 8].copy_from_slice(&number.to_le_bytes());
    seal(&mut bytes[..head]);
    put(&disk, name, &bytes);
    disk
}

/// A key file with one block of so many entries.
fn with_entries(count: u16) -> SimVfs {
    let disk = closed(Until::Later);
    let mut file = disk.bytes(KEYS).unwrap();
    let (head, entry) = (file[48..72].to_vec(), file[72..98].to_vec());
    let mut block = head;
    block[12..14].copy_from_slice(&count.to_le_bytes());
    for n in 0..u64::from(count) {
        let mut entry = entry.clone();
        entry[..16].copy_from_slice(&key(3, 3, n + 1).to_bytes());
        block.extend(entry);
    }
    let crc = crc32fast::hash(&block[4..]);
    block[..4].copy_from_slice(&crc.to_le_bytes());
    file.truncate(48);
    file.extend(block);
    put(&disk, KEYS, &file);
    forge(&disk, |manifest| {
        manifest[112..120].copy_from_slice(&(file.len() as u64).to_le_bytes());
    });
    disk
}

/// Two slices in two key files.
fn two_slices() -> SimVfs {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    take(&index, key(3, 3, 1), 1, from_settle(), 1_000_000);
    take(&index, key(3, 3, 2), 2, from_capture(), 1_000_000);
    index.checkpoint(0, Until::Later).unwrap();
    disk
}

/// Gives the block in the second key file another number.
fn with_second_number(number: u32) -> SimVfs {
    let disk = two_slices();
    let name = "index/keys-00000002";
    let mut file = disk.bytes(name).unwrap();
    file[56..60].copy_from_slice(&number.to_le_bytes());
    let crc = crc32fast::hash(&file[52..]);
    file[48..52].copy_from_slice(&crc.to_le_bytes());
    put(&disk, name, &file);
    disk
}

#[test]
fn the_same_files_are_believed_as_long_as_nothing_is_changed() {
    for (disk, count) in [(closed(Until::Later), 1), (closed(Until::Close), 1), (two_slices(), 2)] {
        let manifest = disk.bytes(MANIFEST).unwrap();
        forge(&disk, |_| ());
        assert_eq!(disk.bytes(MANIFEST).unwrap(), manifest);
        let index = open(&disk.after_power_cut(&Survival::Everything)).index;
        assert_eq!((index.discarded(), index.len()), (None, count));
    }
}

#[test]
fn files_that_were_changed_within_bounds_are_believed() {
    for disk in
        [with_block_number(0), with_block_number(7), with_entries(256), with_second_number(1)]
    {
        assert_eq!(open(&disk).index.discarded(), None);
    }
}

#[test]
fn a_table_file_that_lists_the_highest_block_number_is_refused_without_a_panic() {
    let disk = with_block_number(u32::MAX);
    let index = open(&disk).index;
    assert!(index.discarded().is_some());
}

#[test]
fn a_small_table_file_does_not_make_opening_allocate_for_millions_of_blocks() {
    let disk = with_block_number(4_000_000);
    let index = open(&disk).index;
    assert!(index.discarded().is_some());
    let mib = index.memory_bytes() >> 20;
    assert!(mib < 16, "{mib} MiB for one key");
}

#[test]
fn a_key_file_with_a_block_of_more_than_256_entries_is_refused() {
    let disk = with_entries(257);
    let index = open(&disk).index;
    assert!(index.discarded().is_some(), "{} keys are believed", index.len());
}

#[test]
fn two_key_files_with_a_block_of_the_same_number_are_refused() {
    let disk = with_second_number(0);
    let index = open(&disk).index;
    assert!(index.discarded().is_some(), "{} keys are believed", index.len());
}

#[test]
fn a_manifest_with_two_slices_of_one_number_is_refused() {
    let disk = two_slices();
    forge(&disk, |manifest| {
        let first = manifest[68..72].to_vec();
        manifest[100..104].copy_from_slice(&first);
        // The slice of the second key file too, or that alone would be wrong.
        manifest[157..161].copy_from_slice(&first);
    });
    let index = open(&disk).index;
    assert!(index.discarded().is_some(), "{:?}", index.slices());
}

#[test]
fn a_manifest_with_a_key_file_of_no_slice_is_refused() {
    let disk = closed(Until::Later);
    forge(&disk, |manifest| manifest[108..112].copy_from_slice(&77_u32.to_le_bytes()));
    let opened = open(&disk);
    let index = opened.index;
    assert!(index.discarded().is_some(), "{} frames are covered", opened.covered);
}
