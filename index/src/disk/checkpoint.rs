//! Writing: entries to key files, their slots to table files, and the manifest that makes them
//! count. Beside captures: the lock of the state is taken only to take blocks out and to put their
//! places in.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    error::{Error, Result},
    files::{
        Folder, KEY_FILE_BLOCKS_MAX, KeyFile, KeyFileRecord, ListedBlock, Manifest, ManifestFile,
        SliceRecord, TableFile, WrittenKeyFile, discard,
    },
    slices::{SliceId, SliceInfo},
    state::{CheckpointPlan, DirtyBlocks, IndexState},
    sync::RwLock,
};

/// Slots that are in no table file from which on one is written. After a crash, opening reads the
/// entries of so many slots and of one checkpoint.
const UNLISTED_MAX: u64 = 128 * 1024;

/// Removed keys that the manifest lists, beside one for 16 others, before the table files are written
/// without them.
pub(super) const VOIDS_MAX: u64 = 4 * 1024;

/// Whether the index is used on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Until {
    /// The index is used on: what is cheap is written.
    Later,
    /// The index is closed: table files are written for what has none, so that opening reads no entries.
    Close,
}

/// The outcome of a checkpoint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Checkpointed {
    /// Frames up to and including this LSN need not be replayed.
    pub covered: u64,
    /// Entries that were written.
    pub entries: u64,
    /// Files of forgotten slices, and table files that others replaced, that were removed.
    pub removed_files: u64,
    /// Bytes that were written, without the manifest.
    pub bytes: u64,
}

/// A key file and what is known of it.
#[derive(Debug)]
pub(crate) struct LiveKeyFile {
    pub(crate) key_file: Arc<KeyFile>,
    pub(crate) slice: SliceId,
    /// Blocks of the file, while no table file has their slots.
    pub(crate) unlisted: Option<Vec<ListedBlock>>,
}

/// The files that count.
#[derive(Debug)]
pub(crate) struct IndexFiles {
    pub(crate) folder: Arc<Folder>,
    pub(crate) key_files: BTreeMap<u32, LiveKeyFile>,
    /// Oldest first.
    pub(crate) table_files: Vec<Arc<TableFile>>,
    pub(crate) next_file: u32,
    /// The manifest that is known to be on the disk; `None` if nobody knows which one is.
    pub(crate) published: Option<Manifest>,
    /// The file of the manifest.
    pub(crate) manifest_file: ManifestFile,
    /// Places that the table files leave out; the manifest that says so is not written yet.
    pub(crate) folded: BTreeSet<u32>,
    /// Files of which the manifest does not speak any more.
    pub(crate) unused: Vec<String>,
    /// Whether the files are given up, so that nothing is written any more.
    pub(crate) is_given_up: bool,
}

impl IndexFiles {
    /// Writes what is not written, and makes it count.
    pub(crate) fn checkpoint(
        &mut self,
        state: &RwLock<IndexState>,
        mark: u64,
        until: Until,
    ) -> Result<Checkpointed> {
        if self.is_given_up {
            return Ok(Checkpointed::default());
        }
        let CheckpointPlan { covered, dirty, slices } = state.write().plan_checkpoint();
        let mut done = Checkpointed { covered, ..Checkpointed::default() };
        for blocks in dirty {
            self.write_key_files(state, blocks, &mut done)?;
        }
        let is_due = self.is_fold_due(&state.read(), until);
        // What was written counts whether or not the table files can be written.
        if !is_due || done.entries > 0 {
            self.publish(state, (covered, mark), &slices, &mut done)?;
        }
        if is_due {
            self.fold(state, &slices, &mut done)?;
            if onceward_vfs::planted!("removed-while-folding-forgotten") {
                state.write().voids.clear();
            }
            self.publish(state, (covered, mark), &slices, &mut done)?;
        }
        self.remove_unused(&mut done);
        Ok(done)
    }

    /// Whether table files are to be written: for entries that are in none, or without keys that were
    /// removed.
    fn is_fold_due(&self, state: &IndexState, until: Until) -> bool {
        let slots = self.unlisted_slots();
        let held: u64 = self.table_files.iter().map(|file| file.slot_count()).sum();
        slots >= UNLISTED_MAX
            || (until == Until::Close && slots > 0)
            || state.voids.len() as u64 > VOIDS_MAX + (held + slots) / 16
    }

    /// Removes the files, and writes none any more.
    pub(crate) fn give_up(&mut self) -> Result<()> {
        self.is_given_up = true;
        self.manifest_file = ManifestFile::default();
        discard(&*self.folder.vfs, &self.folder.dir)
    }

    /// Stops writing until the log was replayed. The files count until the next manifest takes their place, and are
    /// removed then.
    pub(crate) fn begin_anew(&mut self) {
        self.is_given_up = true;
        self.unused
            .extend(std::mem::take(&mut self.key_files).into_values().map(|it| it.key_file.name()));
        self.unused
            .extend(std::mem::take(&mut self.table_files).iter().map(|it| it.name().to_owned()));
        self.published = None;
        self.folded.clear();
    }

    /// Slots that no table file has.
    fn unlisted_slots(&self) -> u64 {
        let listed = self.key_files.values().filter_map(|kept| kept.unlisted.as_deref()).flatten();
        listed.fold(0, |sum, listed| sum + u64::from(listed.header.count))
    }

    /// Writes the blocks of one slice, and lets the state read them from there.
    fn write_key_files(
        &mut self,
        state: &RwLock<IndexState>,
        dirty: DirtyBlocks,
        done: &mut Checkpointed,
    ) -> Result<()> {
        let DirtyBlocks { slice, window, begin, blocks } = dirty;
        for blocks in blocks.chunks(KEY_FILE_BLOCKS_MAX) {
            let number = self.take_number();
            let WrittenKeyFile { key_file, stored } =
                KeyFile::write(&self.folder, number, (window, begin), blocks)?;
            done.bytes += key_file.bytes;
            done.entries += stored.iter().map(|(_, at)| u64::from(at.count)).sum::<u64>();
            let listed = stored
                .iter()
                .map(|(block, at)| {
                    let (header, offset) = (at.header(*block), at.offset);
                    ListedBlock { header, offset, removed: 0 }
                })
                .collect();
            self.key_files.insert(number, LiveKeyFile { key_file, slice, unlisted: Some(listed) });
            state.write().note_written(slice, stored);
        }
        Ok(())
    }

    /// The number of the next file. Of one that could not be written it is not used again.
    pub(super) fn take_number(&mut self) -> u32 {
        let number = self.next_file;
        self.next_file = self.next_file.saturating_add(1);
        number
    }

    /// Replaces the manifest: from now on these files count, and no others. `slices` lived when the
    /// checkpoint began.
    fn publish(
        &mut self,
        state: &RwLock<IndexState>,
        (covered, mark): (u64, u64),
        slices: &BTreeMap<SliceId, SliceInfo>,
        done: &mut Checkpointed,
    ) -> Result<()> {
        let manifest = self.manifest(&state.read(), (covered, mark), slices);
        if self.published.as_ref() != Some(&manifest) {
            let bytes = self.replace(&manifest)?;
            done.bytes += bytes;
            self.published = Some(manifest);
        }
        done.covered = covered;
        {
            let mut state = state.write();
            if !state
                .table_files
                .iter()
                .map(Arc::as_ptr)
                .eq(self.table_files.iter().map(Arc::as_ptr))
            {
                state.table_files = self.table_files.iter().cloned().collect();
            }
            state.voids.retain(|place| !self.folded.contains(place));
        }
        self.folded.clear();
        let dead = self.key_files.extract_if(.., |_, kept| !slices.contains_key(&kept.slice));
        self.unused.extend(dead.map(|(_, kept)| kept.key_file.name()));
        Ok(())
    }

    /// The manifest to be written.
    fn manifest(
        &self,
        state: &IndexState,
        (covered, mark): (u64, u64),
        slices: &BTreeMap<SliceId, SliceInfo>,
    ) -> Manifest {
        let key_files = self.key_files.iter().filter(|(_, kept)| slices.contains_key(&kept.slice));
        let record = |info: &SliceInfo| {
            let now = state.slices.get(info.id).and_then(|slice| slice.last_settled);
            let SliceInfo { id, window, begin, last_settled, .. } = *info;
            SliceRecord { id, window, begin, last_settled: last_settled.max(now) }
        };
        let is_listed = |info: &&SliceInfo| {
            !onceward_vfs::planted!("slice-dropped-since-the-cut-forgotten")
                || state.slices.get(info.id).is_some()
        };
        Manifest {
            covered,
            mark,
            next_file: self.next_file,
            next_slice: state.slices.next,
            slice_count: state.slices.slice_count(),
            slices: slices.values().filter(is_listed).map(record).collect(),
            key_files: key_files.map(|(number, kept)| kept.record(*number)).collect(),
            table_files: self.table_files.iter().map(|file| file.record()).collect(),
            voids: state.voids.difference(&self.folded).copied().collect(),
        }
    }

    /// Writes the manifest; returns how many bytes that took.
    fn replace(&mut self, manifest: &Manifest) -> Result<u64> {
        let Folder { vfs, dir, .. } = &*self.folder;
        // From here on, nobody knows which one is on the disk until it is written.
        let before = self.published.take();
        // The names of new files are durable before the manifest speaks of them.
        if before.is_none_or(|before| before.next_file != manifest.next_file) {
            vfs.sync_dir(dir).map_err(|error| Error::io(error, "sync", dir))?;
        }
        self.manifest_file.write(&self.folder, manifest)
    }

    /// Removes the files that the manifest does not speak of any more.
    ///
    /// One that stays, because the disk refuses or the power fails, is removed at the next opening.
    fn remove_unused(&mut self, done: &mut Checkpointed) {
        for name in std::mem::take(&mut self.unused) {
            done.removed_files += u64::from(self.folder.vfs.remove(&name).is_ok());
        }
    }
}

impl LiveKeyFile {
    fn record(&self, number: u32) -> KeyFileRecord {
        let Self { key_file, slice, unlisted } = self;
        KeyFileRecord { number, slice: *slice, bytes: key_file.bytes, in_table: unlisted.is_none() }
    }
}
