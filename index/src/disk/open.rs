//! Opening: the manifest, the heads of the table files, and the key files that no table file has.
//!
//! Nothing here is worth more than a rebuild from the log: what is not as it was written is
//! discarded, all of it, and said so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::checkpoint::{IndexFiles, LiveKeyFile};
use crate::{
    error::{Error, ErrorKind, Result},
    files::{
        FileKind, Folder, KeyFile, ListedBlock, MANIFEST, Manifest, ManifestFile, StoredBlock,
        TableFile, discard, is_ours,
    },
    options::Options,
    state::IndexState,
};

/// The reason why an index is empty although it had files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discarded {
    /// The damage that was found, with the name of the file.
    pub why: String,
}

/// An index as opening found it.
#[derive(Debug)]
pub(crate) struct OpenedFiles {
    pub(crate) state: IndexState,
    pub(crate) files: IndexFiles,
    /// Frames up to and including this LSN need not be replayed.
    pub(crate) covered: u64,
    /// The mark that the caller gave with the last checkpoint.
    pub(crate) mark: u64,
    pub(crate) discarded: Option<Discarded>,
}

/// Opens the index in a directory, which is made where it is missing.
///
/// # Errors
///
/// The directory cannot be made, listed or cleared, or the disk cannot read its files.
pub(crate) fn open(folder: Folder, options: Options) -> Result<OpenedFiles> {
    let dir = folder.dir.clone();
    let folder = Arc::new(folder);
    folder.vfs.create_dir(&dir).map_err(|error| Error::io(error, "create", &dir))?;
    match read(&folder, options) {
        Ok(Some(found)) => {
            clear(&folder, &found.files)?;
            Ok(found)
        }
        Ok(None) => {
            let found = empty(&folder, options, None);
            clear(&folder, &found.files)?;
            Ok(found)
        }
        // A disk that does not answer now may do so later: nothing is lost for that.
        Err(error) if error.kind() != ErrorKind::Corrupt => Err(error),
        Err(error) => {
            discard(&*folder.vfs, &dir)?;
            Ok(empty(&folder, options, Some(Discarded { why: error.to_string() })))
        }
    }
}

/// An index without keys.
fn empty(folder: &Arc<Folder>, options: Options, discarded: Option<Discarded>) -> OpenedFiles {
    let files = IndexFiles {
        folder: Arc::clone(folder),
        key_files: BTreeMap::new(),
        table_files: Vec::new(),
        next_file: 1,
        published: None,
        manifest_file: ManifestFile::default(),
        folded: BTreeSet::new(),
        unused: Vec::new(),
        is_given_up: false,
    };
    OpenedFiles { state: IndexState::new(options), files, covered: 0, mark: 0, discarded }
}

/// Reads what the manifest speaks of; `None` if there is none.
fn read(folder: &Arc<Folder>, options: Options) -> Result<Option<OpenedFiles>> {
    let Some((manifest, manifest_file)) = ManifestFile::read(folder)? else { return Ok(None) };
    if manifest.slice_count != options.slice_count {
        let what = format_args!("cuts windows into {} slices", manifest.slice_count);
        return Err(Error::corrupt(&folder.manifest(), what));
    }
    let names = folder.vfs.list(&folder.dir).map_err(|e| Error::io(e, "list", &folder.dir))?;
    let mut state = IndexState::new(options);
    state.applied = manifest.covered;
    state.voids = manifest.voids.iter().copied().collect();
    state.slices.next = manifest.next_slice;
    for slice in &manifest.slices {
        state.slices.put(slice.id, slice.window, slice.begin, slice.last_settled);
        if let Some(slice) = state.slices.get_mut(slice.id) {
            slice.is_from_files = true;
        }
    }
    let mut files = empty(folder, options, None).files;
    files.next_file = manifest.next_file;
    files.manifest_file = manifest_file;
    for record in &manifest.key_files {
        // Names only: looking at each file would cost a disk access for each.
        if names.binary_search(&FileKind::Keys.name(record.number)).is_err() {
            return Err(Error::corrupt(&folder.path(FileKind::Keys, record.number), "is missing"));
        }
        let key_file = Arc::new(KeyFile::new(folder, record.number, record.bytes));
        let unlisted = (!record.in_table).then(Vec::new);
        files
            .key_files
            .insert(record.number, LiveKeyFile { key_file, slice: record.slice, unlisted });
    }
    for record in &manifest.table_files {
        let table_file = Arc::new(TableFile::open(folder, record.number, record.bytes)?);
        for listed in table_file.blocks() {
            put_block(&mut state, &files, *listed)
                .ok_or_else(|| Error::corrupt(table_file.name(), "has a block of another file"))?;
        }
        files.table_files.push(table_file);
    }
    state.table_files = files.table_files.iter().cloned().collect();
    state.cool();
    state.count_voids();
    read_unlisted(&mut state, &mut files)?;
    let blocks = &state.blocks;
    state.voids.retain(|place| blocks.is_live(*place));
    state.blocks.free_all_unused();
    let Manifest { covered, mark, .. } = manifest;
    files.published = Some(manifest);
    Ok(Some(OpenedFiles { state, files, covered, mark, discarded: None }))
}

/// Tells the state of a block, if its file counts. `None`: there is another one of its number.
fn put_block(state: &mut IndexState, files: &IndexFiles, listed: ListedBlock) -> Option<()> {
    let Some(kept) = files.key_files.get(&listed.header.key_file) else { return Some(()) };
    let stored = StoredBlock::new(Arc::clone(&kept.key_file), listed.offset, listed.header);
    state.put_block(listed.header.block, kept.slice, stored, listed.removed).then_some(())
}

/// Reads the entries of which no table file has the slots.
fn read_unlisted(state: &mut IndexState, files: &mut IndexFiles) -> Result<()> {
    for kept in files.key_files.values_mut() {
        let Some(unlisted) = &mut kept.unlisted else { continue };
        for (block, stored) in kept.key_file.blocks()? {
            let (header, offset) = (stored.header(block), stored.offset);
            let entries = stored.entries(block)?;
            let gone = entries.iter().filter(|(place, _)| state.voids.contains(place)).count();
            let gone = u16::try_from(gone).unwrap_or(u16::MAX);
            if !state.put_block(block, kept.slice, stored, gone) {
                return Err(Error::corrupt(&kept.key_file.name(), "has a block of another file"));
            }
            unlisted.push(ListedBlock { header, offset, removed: 0 });
            for (place, entry) in entries {
                state.put_unlisted(place, entry);
            }
        }
    }
    Ok(())
}

/// Removes the files that the manifest does not speak of: a checkpoint was cut off.
fn clear(folder: &Folder, files: &IndexFiles) -> Result<()> {
    let fail = |error| Error::io(error, "clear", &folder.dir);
    let kept: BTreeSet<String> = files
        .key_files
        .keys()
        .map(|number| FileKind::Keys.name(*number))
        .chain(files.table_files.iter().map(|table_file| FileKind::Table.name(table_file.number)))
        .chain([MANIFEST.to_owned()])
        .collect();
    for name in folder.vfs.list(&folder.dir).map_err(fail)? {
        if is_ours(&name) && !kept.contains(&name) {
            folder.vfs.remove(&format!("{}/{name}", folder.dir)).map_err(fail)?;
        }
    }
    Ok(())
}
