//! The state of a simulated disk: files with two images each, names, space.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::Arc,
};

use super::{
    fault::errno,
    image::{Image, bytes_of},
    medium::Medium,
    names::{DirEntry, EntryPath, FileId, NameChange, Names},
    operations::Operations,
};
use crate::name::{self, Name};

/// The longest file, as with real ones.
pub(super) const FILE_BYTES_MAX: u64 = i64::MAX as u64;

/// Bytes of a block that the disk cannot read.
pub(super) const BAD_BLOCK_BYTES: u64 = 4096;

/// The blocks that bytes touch.
fn blocks(offset: u64, count: u64) -> std::ops::Range<u64> {
    offset / BAD_BLOCK_BYTES..offset.saturating_add(count).div_ceil(BAD_BLOCK_BYTES)
}

/// A change of a file's bytes.
#[derive(Clone, Debug)]
pub(super) enum DataChange {
    /// Bytes written.
    Write {
        /// First byte.
        offset: u64,
        /// The bytes.
        bytes: Arc<[u8]>,
    },
    /// Length set.
    SetLen(u64),
}

impl DataChange {
    /// Applies the change whole.
    pub(super) fn apply(&self, image: &mut Image) {
        match self {
            Self::Write { offset, bytes } => image.write(*offset, bytes),
            Self::SetLen(len) => image.set_len(*len),
        }
    }
}

/// A change that no sync has covered.
#[derive(Clone, Debug)]
pub(super) struct PendingData {
    /// The change's place in the order of all unsynced changes of the disk.
    pub(super) seq: u64,
    /// The change.
    pub(super) change: DataChange,
}

/// One file.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// The bytes that reads see.
    pub(super) live: Image,
    /// The bytes that a power cut leaves for sure.
    pub(super) durable: Image,
    /// Unsynced changes, oldest first. After a failed sync, `live` has more than these.
    pub(super) pending: Vec<PendingData>,
    /// Open handles.
    pub(super) handles: u64,
    /// Living maps, under which nothing may change.
    pub(super) maps: u64,
    /// Blocks that cannot be read until each is written as a whole.
    pub(super) bad: BTreeSet<u64>,
    /// Syncs that failed.
    pub(super) failed_syncs: u64,
}

/// A simulated disk.
#[derive(Debug)]
pub(super) struct DiskState {
    /// The files by number.
    pub(super) files: BTreeMap<FileId, Inode>,
    /// The names.
    pub(super) names: Names,
    /// Number of the next file.
    pub(super) next_file: FileId,
    /// Number of the next unsynced change.
    pub(super) next_seq: u64,
    /// Bytes left, if limited.
    pub(super) free_bytes: Option<u64>,
    /// How long a file may become.
    pub(super) file_bytes_max: u64,
    /// Directories whose locks are held.
    pub(super) locks: BTreeSet<String>,
    /// The sort of disk.
    pub(super) medium: Medium,
    /// Counts, faults and the trace.
    pub(super) operations: Operations,
}

impl DiskState {
    /// An empty disk.
    pub(super) fn new() -> Self {
        Self::with(BTreeMap::new(), Names::new(), None)
    }

    /// A disk as found after a crash: nothing open, locked, counted or planned.
    pub(super) fn with(
        files: BTreeMap<FileId, Inode>,
        names: Names,
        free_bytes: Option<u64>,
    ) -> Self {
        let last_pending = files
            .values()
            .flat_map(|inode| inode.pending.iter().map(|pending| pending.seq))
            .chain(names.pending.iter().map(|pending| pending.seq))
            .max();
        Self {
            next_file: files.keys().next_back().map_or(0, |last| last + 1),
            files,
            names,
            next_seq: last_pending.map_or(0, |last| last + 1),
            free_bytes,
            file_bytes_max: FILE_BYTES_MAX,
            locks: BTreeSet::new(),
            medium: Medium::default(),
            operations: Operations::default(),
        }
    }

    /// The disk as after kill -9: everything live is still there, durable or not.
    pub(super) fn after_kill(&self) -> Self {
        let mut files = self.files.clone();
        for inode in files.values_mut() {
            (inode.handles, inode.maps) = (0, 0);
        }
        let mut disk = Self::with(files, self.names.clone(), self.free_bytes);
        disk.medium = self.medium;
        disk.forget_nameless();
        disk
    }

    /// Checks that `dir` is a directory.
    pub(super) fn check_dir(&self, dir: &str) -> io::Result<()> {
        if self.names.live.dir(dir).is_some() {
            return Ok(());
        }
        let mut at = String::new();
        for part in name::parts(dir) {
            let place = EntryPath { dir: at.clone(), entry: part.to_owned() };
            if let Some(DirEntry::File(_)) = self.names.live.find(&place) {
                return Err(raw(errno::NOT_A_DIRECTORY));
            }
            at = name::join(&at, part);
        }
        Err(raw(errno::NOT_FOUND))
    }

    /// Checks `name` and its directory; returns the place and what is there.
    pub(super) fn find(&self, name: &str) -> io::Result<(EntryPath, Option<DirEntry>)> {
        let Name { dir, entry } = Name::parse(name)?;
        self.check_dir(dir)?;
        let place = EntryPath { dir: dir.to_owned(), entry: entry.to_owned() };
        let found = self.names.live.find(&place);
        Ok((place, found))
    }

    /// The file `name`.
    pub(super) fn find_file(&self, name: &str) -> io::Result<(EntryPath, FileId)> {
        match self.find(name)? {
            (place, Some(DirEntry::File(file))) => Ok((place, file)),
            (_, Some(DirEntry::Dir)) => Err(raw(errno::IS_A_DIRECTORY)),
            (_, None) => Err(raw(errno::NOT_FOUND)),
        }
    }

    /// Makes a change of names.
    pub(super) fn change_names(&mut self, change: NameChange) {
        let seq = self.take_seq();
        self.names.change(seq, change);
    }

    /// Creates an empty file. A full disk takes no new names.
    pub(super) fn create(&mut self, at: EntryPath) -> io::Result<FileId> {
        self.refuse_if_full()?;
        let file = self.next_file;
        self.next_file += 1;
        self.files.insert(file, Inode::default());
        self.change_names(NameChange::Add { at, what: DirEntry::File(file) });
        Ok(file)
    }

    /// An error if not a single byte is left.
    pub(super) fn refuse_if_full(&self) -> io::Result<()> {
        if self.free_bytes == Some(0) { Err(raw(errno::NO_SPACE)) } else { Ok(()) }
    }

    /// The file's inode.
    pub(super) fn inode(&mut self, file: FileId) -> io::Result<&mut Inode> {
        self.files.get_mut(&file).ok_or_else(|| raw(errno::BAD_HANDLE))
    }

    /// Writes to a file as many bytes as there is space for; an error if that is not all.
    pub(super) fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let limit = self.file_bytes_max;
        let end = offset.saturating_add(bytes_of(bytes));
        let end = if offset < limit { end.min(limit) } else { end };
        if end > limit {
            return Err(raw(errno::TOO_BIG));
        }
        let len = self.inode(file)?.live.len();
        let end_max = self.free_bytes.map_or(end, |free| end.min(len.saturating_add(free)));
        let count = usize::try_from(end_max.saturating_sub(offset)).unwrap_or(usize::MAX);
        let kept = bytes.get(..count).unwrap_or(bytes);
        if !kept.is_empty() {
            let change = DataChange::Write { offset, bytes: Arc::from(kept) };
            self.change_data(file, change)?;
        }
        if kept.len() == bytes.len() {
            return Ok(());
        }
        let is_limit = offset.saturating_add(bytes_of(kept)) == limit;
        Err(raw(if is_limit { errno::TOO_BIG } else { errno::NO_SPACE }))
    }

    /// Sets a file's length; an error, and no change, if there is no space for it.
    pub(super) fn set_len(&mut self, file: FileId, len: u64) -> io::Result<()> {
        if len > self.file_bytes_max {
            return Err(raw(errno::TOO_BIG));
        }
        let growth = len.saturating_sub(self.inode(file)?.live.len());
        if self.free_bytes.is_some_and(|free| growth > free) {
            return Err(raw(errno::NO_SPACE));
        }
        self.change_data(file, DataChange::SetLen(len))
    }

    /// Makes a change of bytes, and keeps account of the space.
    fn change_data(&mut self, file: FileId, change: DataChange) -> io::Result<()> {
        let seq = self.take_seq();
        let inode = self.inode(file)?;
        let before = inode.live.len();
        change.apply(&mut inode.live);
        inode.pending.push(PendingData { seq, change });
        let after = inode.live.len();
        self.free_bytes = self.free_bytes.map(|free| (free + before).saturating_sub(after));
        Ok(())
    }

    /// Gives back the space of a file that lost its name.
    pub(super) fn credit(&mut self, file: FileId) {
        let len = self.files.get(&file).map_or(0, |inode| inode.live.len());
        self.free_bytes = self.free_bytes.map(|free| free.saturating_add(len));
    }

    /// Forgets files that nothing can reach any more.
    pub(super) fn forget_nameless(&mut self) {
        let named = self.names.files();
        self.files.retain(|file, inode| inode.handles > 0 || named.contains(file));
    }

    /// See [`SimVfs::fingerprint`](super::SimVfs::fingerprint).
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (tree, live) in [(&self.names.live, true), (&self.names.durable, false)] {
            for (dir, entry, what) in tree.entries() {
                (dir, entry).hash(&mut hasher);
                let DirEntry::File(file) = what else { continue };
                let Some(inode) = self.files.get(&file) else { continue };
                if live { &inode.live } else { &inode.durable }.hash_into(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Number of the next unsynced change.
    fn take_seq(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }
}

impl Inode {
    /// Refuses to read bytes that touch a bad block.
    pub(super) fn readable(&self, offset: u64, count: u64) -> io::Result<()> {
        let mut touched = self.bad.range(blocks(offset, count));
        touched.next().map_or(Ok(()), |_| Err(raw(errno::IO)))
    }

    /// Mends bad blocks that are written as a whole; refuses to write a part of one, which would have to be
    /// read first.
    pub(super) fn mend(&mut self, offset: u64, count: u64) -> io::Result<()> {
        let end = offset.saturating_add(count);
        let is_whole = |block: &u64| {
            let first = block * BAD_BLOCK_BYTES;
            offset <= first && first.saturating_add(BAD_BLOCK_BYTES) <= end
        };
        self.bad.retain(|block| !is_whole(block));
        self.readable(offset, count)
    }

    /// Makes all pending changes durable.
    pub(super) fn sync(&mut self) {
        for pending in self.pending.drain(..) {
            pending.change.apply(&mut self.durable);
        }
    }
}

/// The error that a real disk gives.
pub(super) fn raw(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}
