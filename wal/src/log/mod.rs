//! The log that is written: appending, group commit, segments, closing.
//!
//! | file | what |
//! |---|---|
//! | `start` | repairs what a crash left and begins a run |
//! | `append` | gives LSNs and queues bytes, in memory |
//! | `commit` | writes and syncs what is queued: one leader for all that wait |
//! | `space` | prepares segments ahead and trims settled ones |

mod append;
mod commit;
mod space;
mod start;

use std::collections::VecDeque;
use std::sync::Arc;

use onceward_vfs::{File, LockError, LockGuard, Vfs};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::checksum::Digest;
use crate::error::{Error, ErrorKind};
use crate::frame::{Frame, Place};
use crate::header::Identity;
use crate::lsn::Lsn;
use crate::meta::{CleanEnd, Meta, MetaFile};
use crate::name;
use crate::run::Stamp;
use crate::segment::{self, FrameBuf, SegmentInfo, Segments};

pub use append::{Appended, NewFrame, Purpose};

/// How a log behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Size of a new segment; see [`check_segment_bytes`](crate::check_segment_bytes).
    pub segment_bytes: u64,
    /// Prepared segments that only [`Purpose::Settle`] may use, so that settling and cleaning work
    /// on a full disk.
    pub reserve: usize,
}

/// The right to write a log: held by one process at a time, through one handle.
#[derive(Debug)]
pub struct Lock {
    _guard: Box<dyn LockGuard>,
}

/// Takes the lock of the log in `vfs`.
///
/// # Errors
///
/// `Locked`: somebody holds it; the message names the process if it is known. `Io`.
pub fn lock(vfs: &dyn Vfs) -> Result<Lock, Error> {
    match vfs.lock(name::LOCK) {
        Ok(guard) => Ok(Lock { _guard: guard }),
        Err(LockError::Held { pid }) => {
            let who = pid.map_or_else(String::new, |pid| format!(" by process {pid}"));
            Err(Error::new(ErrorKind::Locked, format!("the store is open elsewhere{who}")))
        }
        Err(LockError::Io(source)) => Err(Error::io(source, "lock", name::LOCK)),
    }
}

/// Makes an empty log.
///
/// # Durability
///
/// When this returns `Ok` the log survives a crash; after an error there is a log or none.
///
/// # Errors
///
/// `Full`, `Io`: the disk refused.
pub fn create(vfs: &dyn Vfs, _lock: &Lock, identity: Identity) -> Result<(), Error> {
    MetaFile::create(vfs, &Meta::new(identity))
}

/// An open log.
#[derive(Debug)]
pub struct Log {
    vfs: Arc<dyn Vfs>,
    identity: Identity,
    options: Options,
    commit: Mutex<Commit>,
    /// Woken after each commit.
    done: Condvar,
    meta: Mutex<MetaFile>,
    segments: RwLock<Segments>,
    _lock: Lock,
}

/// What appending and committing share.
#[derive(Debug)]
struct Commit {
    /// Where the next frame goes; `None`: into a new segment.
    tail: Option<Tail>,
    /// The tail as of the last sync.
    synced_tail: Option<Tail>,
    /// Running digest and last LSN where there is no tail.
    digest: Digest,
    last_lsn: u64,
    next_lsn: u64,
    synced: u64,
    run: u32,
    stamp: Stamp,
    /// The first frame of this run was queued.
    run_begun: bool,
    /// An append failed: the next one begins a run.
    run_spent: bool,
    queue: Vec<Chunk>,
    /// Memory to use again.
    spare_queue: Vec<Chunk>,
    spare_bytes: Vec<Vec<u8>>,
    prepared: VecDeque<Prepared>,
    writing: bool,
    poison: Option<String>,
    /// LSNs that were surely not stored: first and last, ascending.
    failed: Vec<(u64, u64)>,
}

/// The segment that is written, up to its last queued frame.
#[derive(Clone, Debug)]
struct Tail {
    number: u64,
    file: Arc<dyn File>,
    first_lsn: u64,
    last_lsn: u64,
    salt: u32,
    offset: u64,
    segment_bytes: u64,
    count: u32,
    digest: Digest,
    sealed: bool,
}

/// Consecutive bytes for one segment.
#[derive(Debug)]
struct Chunk {
    file: Arc<dyn File>,
    number: u64,
    offset: u64,
    bytes: Vec<u8>,
    /// The tail after these bytes; set when the chunk is complete.
    end: Option<Tail>,
}

/// A segment of zeros that is listed in `meta`.
#[derive(Debug)]
struct Prepared {
    number: u64,
    file: Arc<dyn File>,
    segment_bytes: u64,
}

impl Log {
    /// Who the store is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The highest LSN that survives a crash; 0 for none.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.commit.lock().synced
    }

    /// The run in which this handle writes.
    #[must_use]
    pub fn run(&self) -> u32 {
        self.commit.lock().run
    }

    /// Reads the frame `lsn` of `bytes` bytes at `place`. It must have been synced.
    ///
    /// # Errors
    ///
    /// `Corrupt`: the bytes there are not that frame, or its segment was trimmed. `Io`.
    pub fn read(&self, place: Place, bytes: u32, lsn: Lsn) -> Result<FrameBuf, Error> {
        let segment = self.segments.read().get(place.segment).cloned();
        segment::read_frame(&self.identity, segment, place, bytes, lsn)
    }

    /// Shows every frame of a finished segment to `visit`, in order, and skips what is damaged.
    ///
    /// # Errors
    ///
    /// `Corrupt`: no such segment. `Io`: it cannot be read.
    pub fn read_segment(
        &self,
        number: u64,
        visit: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<(), Error> {
        let segment = self.segments.read().get(number).cloned();
        let Some(segment) = segment else {
            let path = name::segment(&self.identity.store, number);
            return Err(Error::corrupt("no such segment").at(&path, 0));
        };
        segment::read_whole(&self.identity, &segment, visit)
    }

    /// The segments that hold frames, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.segments.read().infos().collect()
    }

    /// Bytes of all segment files, prepared ones included.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        let begun: u64 = self.segments.read().infos().map(|info| info.file_bytes).sum();
        let prepared = self.commit.lock().prepared.iter().map(|p| p.segment_bytes).sum::<u64>();
        begun + prepared
    }

    /// Makes everything durable and notes that the log ends here, so that anything missing is
    /// noticed at the next opening.
    ///
    /// # Durability
    ///
    /// After `Ok` everything appended survives. After an error, what [`Log::wait`] confirmed does.
    ///
    /// # Errors
    ///
    /// As [`Log::wait`].
    pub fn close(self) -> Result<(), Error> {
        let marked = self.append_mark()?;
        if let Some(lsn) = marked {
            self.wait(lsn)?;
        }
        let (end, synced, next_lsn) = {
            let commit = self.commit.lock();
            commit.refuse_if_poisoned()?;
            let none = CleanEnd::default();
            let end = commit.tail.as_ref().map_or(none, |tail| CleanEnd {
                number: tail.number,
                offset: tail.offset,
                digest: tail.digest,
            });
            (end, commit.synced, commit.next_lsn)
        };
        // A log whose last segment ends in damage has no end that could be vouched for.
        let vouched = end.number != 0 || self.segments.read().infos().next().is_none();
        let mut meta = self.meta.lock();
        let mut next = meta.current.clone();
        next.clean = vouched.then_some(end);
        next.synced = synced;
        next.next_lsn = next_lsn;
        meta.write(next)
    }
}
