//! An index with files: opening, checkpoints, listing, discarding.

use std::sync::Arc;

use onceward_vfs::Vfs;

use super::{Index, SharedState};
use crate::{
    disk::{self, Checkpointed, Discarded, Until},
    entry::Entry,
    error::{Error, ErrorKind, Result},
    files::{self, FileDamage, Folder},
    fingerprint::Secret,
    options::Options,
    slices::SliceId,
    state::Obstacle,
    sync::Mutex,
    table::{ColdShard, SHARDS},
};

/// The disk and the directory in which an index keeps its files.
#[derive(Clone, Debug)]
pub struct Location {
    /// The disk.
    pub vfs: Arc<dyn Vfs>,
    /// The index's own directory; made where it is missing. One index at a time uses it: the caller
    /// holds a lock on the store.
    pub dir: String,
}

/// An index that was opened.
#[derive(Debug)]
pub struct OpenedIndex {
    /// The index.
    pub index: Index,
    /// Frames up to and including this LSN need not be replayed; 0: all must be.
    pub covered: u64,
    /// The mark that the caller gave with the last checkpoint: if its log does not know it, the files belong to
    /// another history, and are to be discarded.
    pub mark: u64,
}

impl Index {
    /// Opens the index in a directory, or begins an empty one.
    ///
    /// Files that are damaged, missing, of another store or of another version are all discarded, and
    /// [`Index::discarded`] says why; then `covered` is 0. What a crash left behind is removed.
    ///
    /// # Errors
    ///
    /// `Invalid`: an option is out of its range. `Io`, `Full`: the directory cannot be made, listed or
    /// cleared.
    ///
    /// # Cost
    ///
    /// Reads the manifest, the heads of the table files (24 bytes for 256 keys), and the entries that
    /// no table file has: after [`Until::Close`] none, after a crash up to 128 thousand and those of
    /// one checkpoint. Slots are read when they are first asked for, a 4,096th of them at a time.
    pub fn open(location: Location, secret: &Secret, options: Options) -> Result<OpenedIndex> {
        options.check().map_err(|refused| Error::new(ErrorKind::Invalid, refused.to_string()))?;
        let Location { vfs, dir } = location;
        let (reading, check) = (options.reading, secret.check());
        let found = disk::open(Folder { vfs, dir, reading, check }, options)?;
        let disk::OpenedFiles { state, files, covered, mark, discarded } = found;
        let index =
            Self { state: SharedState::new(state), files: Some(Mutex::new(files)), discarded };
        Ok(OpenedIndex { index, covered, mark })
    }

    /// The reason why the index began empty although there were files; `None` if it did not.
    #[must_use]
    pub fn discarded(&self) -> Option<&Discarded> {
        self.discarded.as_ref()
    }

    /// Writes the entries that are not written yet, forgets the files of dropped slices, and makes
    /// both count. `mark` is for the caller to know its log by.
    ///
    /// Captures go on meanwhile: the index is locked to take the entries out, 256 at a time by
    /// reference, and to put their places in. An index in memory writes nothing.
    ///
    /// # Durability
    ///
    /// After `Ok`, opening needs the log only from [`Checkpointed::covered`] on. A crash before that
    /// leaves the checkpoint before.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`: nothing is lost, the entries stay in memory; call again. `Corrupt`: a file of the
    /// index is not what was written; see [`discard`].
    pub fn checkpoint(&self, mark: u64, until: Until) -> Result<Checkpointed> {
        match &self.files {
            Some(files) => files.lock().checkpoint(&self.state, mark, until),
            None => Ok(Checkpointed::default()),
        }
    }

    /// Takes back what dropped slices left behind, from this many more of the table's 4,096 shards.
    /// Returns whether more is left.
    ///
    /// For whoever called [`Index::expire`], when there is time: keys that find no room do it, too.
    pub fn purge(&self, shards: usize) -> bool {
        self.state.write().purge(shards)
    }

    /// Loads up to `count` shards that are not in memory yet, so that nobody has to wait for them.
    /// Returns how many are left.
    ///
    /// # Errors
    ///
    /// As [`Index::lookup`].
    pub fn warm(&self, count: usize) -> Result<usize> {
        for shard in (0..SHARDS).filter(|shard| self.state.read().table.is_cold(*shard)).take(count)
        {
            self.state.load(Obstacle::Cold(ColdShard { shard }))?;
        }
        Ok(self.state.read().table.cold_count())
    }

    /// The entries of a slice, in no order, and why others cannot be read: a damaged block costs its own
    /// entries, up to 256. A key that was carried, or taken anew, may have an older one among them:
    /// [`Index::find`] returns the one that counts.
    ///
    /// For whoever must know what the index knows and its log does not.
    ///
    /// # Cost
    ///
    /// Reads every entry of the slice.
    #[must_use]
    pub fn entries(&self, slice: SliceId) -> (Vec<Entry>, Vec<Error>) {
        self.state.read().entries(slice)
    }

    /// Gives the index's files up, so that the next opening begins with an empty index and the log is
    /// replayed: for who got `Corrupt`. What is in memory stays; nothing is written any more.
    ///
    /// # Durability
    ///
    /// As [`discard`].
    ///
    /// # Errors
    ///
    /// As [`discard`].
    pub fn give_up_files(&self) -> Result<()> {
        match &self.files {
            Some(files) => files.lock().give_up(),
            None => Ok(()),
        }
    }
}

/// The damage of the files of an index: reads every byte, and changes nothing. Empty where there is no index.
///
/// # Errors
///
/// `Io`: the directory, or the length of a file, cannot be read.
pub fn verify(location: Location) -> Result<Vec<FileDamage>> {
    disk::verify(location.vfs, &location.dir)
}

/// Removes the files of an index, so that the next opening begins with an empty one and the log
/// is replayed: for who got `Corrupt`, or whose log does not know the mark.
///
/// # Durability
///
/// After `Ok`, and after a crash on the way, no file counts or all do.
///
/// # Errors
///
/// `Io`: what the disk said.
pub fn discard(vfs: &dyn Vfs, dir: &str) -> Result<()> {
    files::discard(vfs, dir)
}
