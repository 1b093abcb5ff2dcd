//! Reads every byte of the index's files and compares every checksum. Changes nothing.

use std::sync::Arc;

use onceward_vfs::Vfs;

use crate::{
    error::Result,
    files::{FileDamage, FileKind, Folder, KeyFile, TableFile, manifest_file},
    options::ReadMode,
    table::SHARDS,
};

/// Returns the damage of the files of the index in `dir`.
///
/// # Errors
///
/// The directory, or the length of a file, cannot be read.
pub(crate) fn verify(vfs: Arc<dyn Vfs>, dir: &str) -> Result<Vec<FileDamage>> {
    let reading = ReadMode::Positioned;
    let mut folder = Folder { vfs, dir: dir.to_owned(), reading, check: 0 };
    let mut faults = Vec::new();
    let Some(found) = manifest_file::verify(&folder, &mut faults)? else { return Ok(faults) };
    folder.check = found.check;
    let folder = Arc::new(folder);
    for record in &found.manifest.key_files {
        key_file(&Arc::new(KeyFile::new(&folder, record.number, record.bytes)), &mut faults);
    }
    for record in &found.manifest.table_files {
        table_file(&folder, (record.number, record.bytes), &mut faults);
    }
    Ok(faults)
}

/// A file of entries.
fn key_file(key_file: &Arc<KeyFile>, faults: &mut Vec<FileDamage>) {
    let whole =
        |what: String| FileDamage { file: key_file.name(), offset: 0, bytes: key_file.bytes, what };
    match key_file.blocks() {
        Err(error) => faults.push(whole(error.to_string())),
        Ok(blocks) => faults.extend(blocks.into_iter().filter_map(|(number, block)| {
            let error = block.check(number).err()?;
            let (offset, bytes) = (u64::from(block.offset), block.bytes());
            Some(FileDamage { file: key_file.name(), offset, bytes, what: error.to_string() })
        })),
    }
}

/// A table file.
fn table_file(folder: &Folder, (number, bytes): (u32, u64), faults: &mut Vec<FileDamage>) {
    let file = folder.path(FileKind::Table, number);
    let mut tell = |error: crate::error::Error| {
        let what = error.to_string();
        faults.push(FileDamage { file: file.clone(), offset: 0, bytes, what });
    };
    match TableFile::open(folder, number, bytes) {
        Err(error) => tell(error),
        Ok(file) => {
            (0..SHARDS).for_each(|shard| drop(file.shard(shard).map_err(&mut tell)));
        }
    }
}
