//! The bytes of files, and the limits, are what the format document says.

use std::sync::Arc;

use onceward_vfs::{
    SimVfs, Vfs,
    testing::{assert_golden, golden},
};

use super::{
    folder::Folder,
    key_file::{KEY_FILE_BLOCKS_MAX, KeyFile, WrittenKeyFile},
    manifest::{KeyFileRecord, Manifest, SliceRecord, TableFileRecord},
    manifest_file::{MANIFEST_BYTES_MAX, ManifestFile},
    table_file::{ListedBlock, TableFile, TableFileWriter},
};
use crate::{
    entry::{BLOCK_BITS, BLOCK_ENTRIES, BLOCKS_MAX, ENTRY_BYTES, Entries, Entry, place},
    fingerprint::{ContentHash, Fingerprint, Secret},
    options::{self, ReadMode, Window},
    slices::SliceId,
    table::{SHARDS, Slot},
};

const DOCUMENT: &str = include_str!("../../FORMAT.md");

/// The check of the document's secret, 00 01 .. 0f.
fn check() -> u64 {
    Secret::from_bytes(std::array::from_fn(|at| u8::try_from(at).unwrap())).check()
}

const BEGIN: u64 = 86_400_000;
const LSN: u64 = (1 << 32) + 2;

/// The document's entry, in a block that begins as the document says.
fn entries() -> Entries {
    let key = Fingerprint::from_bytes(std::array::from_fn(|at| u8::try_from(at).unwrap()));
    let content = ContentHash::from_u64(0xa5a4_a3a2_a1a0);
    let mut entries = Entries::new(1 << 32);
    entries.push(Entry { key, content, lsn: LSN });
    entries
}

fn folder() -> (SimVfs, Arc<Folder>) {
    let vfs = SimVfs::new();
    vfs.create_dir("index").unwrap();
    let (dir, reading) = ("index".to_owned(), ReadMode::Positioned);
    let folder = Folder { vfs: Arc::new(vfs.clone()), dir, reading, check: check() };
    (vfs, Arc::new(folder))
}

fn written(folder: &Arc<Folder>) -> WrittenKeyFile {
    KeyFile::write(folder, 4, (Window::default(), BEGIN), &[(2, Arc::new(entries()))]).unwrap()
}

fn table(folder: &Arc<Folder>) -> TableFile {
    let WrittenKeyFile { stored, .. } = written(folder);
    let (block, stored) = &stored[0];
    let listed = ListedBlock { header: stored.header(*block), offset: stored.offset, removed: 0 };
    let mut writer = TableFileWriter::create(folder, 5, vec![listed]).unwrap();
    let key = entries().entry(0).unwrap().key;
    let slot = Slot { place: place(2, 0), tag: key.tag(), bits: key.bits() };
    for shard in 0..SHARDS {
        writer.push_shard((shard == key.shard()).then_some(slot).into_iter()).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn the_check_matches_the_bytes_in_the_format_document() {
    assert_golden(&check().to_le_bytes(), DOCUMENT, "check");
}

#[test]
fn an_entry_matches_the_bytes_in_the_format_document() {
    let entries = entries();
    assert_eq!(entries.base(), 0x8000_0001);
    assert_golden(entries.bytes(), DOCUMENT, "entry");
}

#[test]
fn a_key_file_matches_the_bytes_in_the_format_document() {
    let (vfs, folder) = folder();
    let written = written(&folder);
    let bytes = vfs.bytes("index/keys-00000004").unwrap();
    assert_golden(&bytes, DOCUMENT, "keys");
    assert_eq!(written.key_file.bytes, bytes.len() as u64);
    assert_eq!(written.stored[0].1.offset, 48);
    assert_eq!(written.stored[0].1.entry(0).unwrap(), entries().entry(0));
}

#[test]
fn a_table_file_matches_the_bytes_in_the_format_document() {
    let (vfs, folder) = folder();
    let table_file = table(&folder);
    let bytes = vfs.bytes("index/table-00000005").unwrap();
    assert_eq!(table_file.bytes, bytes.len() as u64);
    let shard = 36 + 8 * 0x0f0;
    let (directory, rest) = bytes.split_at(36 + 32_768);
    let others = directory[36..shard].iter().chain(&directory[shard + 8..]);
    assert!(others.copied().all(|byte| byte == 0));
    let shown = [&directory[..36], &directory[shard..shard + 8], rest].concat();
    assert_golden(&shown, DOCUMENT, "table");
    let found = TableFile::open(&folder, 5, table_file.bytes).unwrap().shard(0x0f0).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].0.place, found[0].1), (2 << BLOCK_BITS, 4));
}

#[test]
fn a_manifest_matches_the_bytes_in_the_format_document() {
    let (vfs, folder) = folder();
    let window = Window::default();
    let part_bytes = written(&folder).key_file.bytes;
    let table_file = table(&folder).record();
    let manifest = Manifest {
        covered: LSN,
        mark: 9,
        next_file: 6,
        next_slice: 2,
        slice_count: 24,
        slices: vec![SliceRecord { id: SliceId(1), window, begin: BEGIN, last_settled: None }],
        key_files: vec![KeyFileRecord {
            number: 4,
            slice: SliceId(1),
            bytes: part_bytes,
            in_table: true,
        }],
        table_files: vec![TableFileRecord { number: 5, bytes: table_file.bytes }],
        voids: vec![place(2, 7)],
    };
    let mut slots = ManifestFile::default();
    slots.write(&folder, &Manifest::default()).unwrap();
    slots.write(&folder, &manifest).unwrap();
    let bytes = vfs.bytes("index/manifest").unwrap();
    let slot = |name: &str| {
        let mut slot = golden(DOCUMENT, name);
        slot.resize(4_096, 0);
        slot
    };
    assert_eq!(bytes, [slot("superseded"), slot("manifest")].concat());
    let (found, _) = ManifestFile::read(&folder).unwrap().unwrap();
    assert_eq!(found, manifest);
}

/// The value of a limit in the document's table.
fn limit(name: &str) -> u64 {
    let row = DOCUMENT.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap();
    row.split('|').nth(2).unwrap().trim().replace(',', "").parse().unwrap()
}

#[test]
fn the_limits_are_those_of_the_format_document() {
    let of = |count: usize| u64::try_from(count).unwrap();
    for (name, value) in [
        ("WINDOW_MS_MIN", options::WINDOW_MS_MIN),
        ("WINDOW_MS_MAX", options::WINDOW_MS_MAX),
        ("SLICE_COUNT_MIN", options::SLICE_COUNT_MIN.into()),
        ("SLICE_COUNT_MAX", options::SLICE_COUNT_MAX.into()),
        ("SLICE_COUNT_DEFAULT", options::SLICE_COUNT_DEFAULT.into()),
        ("CARRY_MAX_DEFAULT", options::CARRY_MAX_DEFAULT),
        ("MEMORY_BYTES_MIN", options::MEMORY_BYTES_MIN),
        ("MEMORY_BYTES_DEFAULT", options::MEMORY_BYTES_DEFAULT),
        ("SHARDS", of(SHARDS)),
        ("BLOCK_ENTRIES", of(BLOCK_ENTRIES)),
        ("BLOCKS_MAX", BLOCKS_MAX.into()),
        ("ENTRY_BYTES", of(ENTRY_BYTES)),
        ("KEY_FILE_BLOCKS_MAX", of(KEY_FILE_BLOCKS_MAX)),
        ("MANIFEST_BYTES_MAX", MANIFEST_BYTES_MAX),
    ] {
        assert_eq!(limit(name), value, "{name}");
    }
    // Those that no other module sees, as their source says.
    for (name, value, source, text) in [
        (
            "UNLISTED_MAX",
            128 * 1024,
            include_str!("../disk/checkpoint.rs"),
            "const UNLISTED_MAX: u64 = 128 * 1024;",
        ),
        (
            "GATHERED_MAX",
            1024 * 1024,
            include_str!("../disk/fold.rs"),
            "const GATHERED_MAX: u64 = 1024 * 1024;",
        ),
        ("GROUP_SLOTS", 16, include_str!("../table/control.rs"), "const GROUP_SLOTS: usize = 16;"),
    ] {
        assert_eq!(limit(name), value, "{name}");
        assert!(source.contains(text), "{name}");
    }
}
