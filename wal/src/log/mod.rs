//! The log that is written: appending, group commit, segments, closing.
//!
//! | file | what |
//! |---|---|
//! | `create` | takes the lock, and makes an empty log |
//! | `start` | repairs what a crash left and begins a run |
//! | `doubtful` | keeps the whole frames of a torn tail |
//! | `append` | gives LSNs: single frames, batches, tickets |
//! | `new_frame` | what is appended |
//! | `frames` | queues the bytes of frames, in memory |
//! | `buffer` | that memory |
//! | `pad` | where commits end within the blocks of the disk |
//! | `roll` | begins runs and segments |
//! | `filling` | writes zeros ahead of the frames |
//! | `commit` | writes and syncs what is queued: one leader for all that wait |
//! | `write_out` | the write and the sync themselves |
//! | `poison` | why nothing is written any more |
//! | `gate` | where the members of a group wait |
//! | `closing` | the end of a log that is closed in order |
//! | `reader` | reads forward from any LSN, and waits at the end |
//! | `finished` | what is known of finished segments, and whether they are as they were written |
//! | `room` | the reserve, and for what it is kept |
//! | `space` | prepares segments ahead, trims and recycles settled ones |
//! | `spares` | those that are ready |
//! | `worker` | the thread that prepares ahead and marks an idle log |
//!
//! Locks, in the order in which they are taken: `commit`, `spares.making`, `meta`, `spares.filling`, `segments`,
//! `spares.list`. That of the open files within `segments` is last. No frame is written under a lock, and nobody waits
//! for a bell under one.

mod append;
mod buffer;
mod closing;
mod commit;
mod create;
mod doubtful;
mod filling;
mod finished;
mod frames;
mod gate;
#[cfg(all(test, shuttle))]
mod model;
mod new_frame;
mod pad;
mod poison;
mod reader;
mod roll;
mod room;
mod space;
mod spares;
mod start;
mod worker;
mod write_out;

use std::ops::Range;
use std::sync::Arc;

use onceward_vfs::{OpenedBy, Vfs};

use crate::checksum::{Digest, Salted};
use crate::error::Error;
use crate::frame::{Frame, Place};
use crate::identity::Identity;
use crate::lsn::Lsn;
use crate::meta::MetaFile;
use crate::name;
use crate::run::Stamp;
use crate::sealing::{Sealing, SegmentKey, WrappedKey};
use crate::segment::span::{self, FrameSpan, SpareBytes};
use crate::segment::{self, FrameBuf, SegmentInfo, Segments, Source};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, RwLock};

pub use append::{AppendTicket, Appended, Purpose};
use buffer::ChunkBytes;
pub use create::{Lock, create, create_sealed, lock};
use filling::SegmentSpace;
pub use finished::FinishedSegments;
use gate::Gates;
pub use new_frame::{AppendFrame, NewFrame, Placed};
pub use pad::Alignment;
pub use poison::CLOSED;
use poison::Poison;
use reader::Tailing;
pub use reader::{FrameSlice, Reader};
use spares::Spares;
use worker::Worker;

/// How a log behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Size of a new segment; see [`check_segment_bytes`](crate::check_segment_bytes).
    pub segment_bytes: u64,
    /// Prepared segments that only [`Purpose::Settle`] may use, so that settling and cleaning work
    /// on a full disk.
    pub reserve: usize,
    /// The thread that prepares segments.
    pub preparation: Preparation,
    /// Where commits end.
    pub alignment: Alignment,
}

/// The thread that prepares segments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Preparation {
    /// A thread of the log, ahead of need; it also marks the log when it is idle.
    InBackground,
    /// The caller who needs one: no thread, the same operations in the same order for the same calls.
    OnDemand,
}

/// An open log.
#[derive(Debug)]
pub struct Log {
    core: Arc<Core>,
    /// Ends with the log, or when it is closed.
    worker: Mutex<Option<Worker>>,
    /// The last to go. Not shared with the thread: a forked process has none that would let go of it.
    lock: Mutex<Option<Lock>>,
}

/// The state that the handle and its thread share.
#[derive(Debug)]
struct Core {
    vfs: Arc<dyn Vfs>,
    identity: Identity,
    /// The sealing, or its key, for the bodies of the host's frames.
    sealing: Option<Arc<dyn Sealing>>,
    options: Options,
    commit: Mutex<Commit>,
    /// Where the group that is written waits, and the one that forms.
    gates: Gates,
    /// Appends that joined the group that forms.
    joined: AtomicU32,
    /// The highest LSN that is synced, for those who do not hold `commit`.
    durable: AtomicU64,
    /// Readers at the end of the log.
    tailing: Tailing,
    /// Something was not stored, or nothing more is, also because the log was closed: only `commit` knows what became
    /// of which frame. It raises this, for as long as the log is open.
    has_failures: Arc<AtomicBool>,
    meta: Mutex<MetaFile>,
    segments: RwLock<Segments>,
    spares: Spares,
    /// Memory for what is read next.
    span_bytes: Arc<SpareBytes>,
    /// The process that opened the log: a fork of it has these bytes, and none of the rights and threads.
    opener: OpenedBy,
}

/// The state that appending and committing share.
#[derive(Debug)]
struct Commit {
    /// Where the next frame goes; `None`: into a new segment.
    tail: Option<ActiveSegment>,
    /// The tail as of the last sync.
    synced_tail: Option<ActiveSegment>,
    /// Running digest and last LSN where there is no tail.
    digest: Digest,
    last_lsn: u64,
    next_lsn: u64,
    synced: u64,
    /// The last LSN that the opening kept, and the first one that it gave out.
    opened_between: (u64, u64),
    run: u32,
    stamp: Stamp,
    alignment: Alignment,
    /// The first frame of this run was queued.
    run_begun: bool,
    /// The runs that were begun, and what their first frames say.
    begun: Vec<(u32, Stamp)>,
    /// An append failed: the next one begins a run.
    run_spent: bool,
    queue: Vec<QueuedChunk>,
    queued_bytes: usize,
    /// Frames that are not synced, to be found by their LSN; not all: count before it in its
    /// segment, LSN and place.
    passed: Vec<(u32, u64, Place)>,
    /// Memory to use again.
    spare_queue: Vec<QueuedChunk>,
    spare_bytes: Vec<ChunkBytes>,
    /// Somebody gathers, writes or syncs.
    writing: bool,
    /// Number of the group that forms; the one before it is being written, or was.
    forming: u64,
    /// Last LSN of the groups before the one that forms.
    taken: u64,
    /// Appends that the group that forms may expect: as many as were under way when the last ended.
    expected: u32,
    /// The last frame is a mark.
    marked: bool,
    poison: Option<Poison>,
    /// For those who do not hold this: see [`Core::has_failures`].
    has_failures: Arc<AtomicBool>,
    /// LSNs that were surely not stored: first and last, ascending.
    failed: Vec<(u64, u64)>,
    /// Once so many bytes were appended the log's thread is to fill further ones with zeros. `None`: it needs nobody
    /// to tell it.
    fill_due: Option<u64>,
}

/// The segment that is written, up to its last queued frame.
#[derive(Clone, Debug)]
struct ActiveSegment {
    space: Arc<SegmentSpace>,
    first_lsn: u64,
    last_lsn: u64,
    salted: Salted,
    offset: u64,
    count: u32,
    digest: Digest,
    sealed: bool,
    /// Only its seal may follow: its key is an earlier opening's, or it is also `unread`, not wholly read.
    closed: bool,
    unread: bool,
    /// The sealing, or its key, for the bodies of the host's frames.
    key: Option<Arc<SegmentKey>>,
}

/// Consecutive bytes for one segment.
#[derive(Debug)]
struct QueuedChunk {
    space: Arc<SegmentSpace>,
    offset: u64,
    bytes: ChunkBytes,
    /// The tail after these bytes; set when the chunk is complete.
    end: Option<ActiveSegment>,
}

impl Core {
    /// Where the frames of a segment are read; its file is not used again while somebody holds that. `None`:
    /// there is no such segment.
    fn source(&self, number: u64) -> Result<Option<Source>, Error> {
        let open = {
            let segments = self.segments.read();
            if segments.get(number).is_none() {
                return Ok(None);
            }
            segments.source(number)
        };
        if open.is_some() {
            return Ok(open);
        }
        // Commits need not wait for that.
        let opened = segment::open_file(&*self.vfs, &self.identity, number);
        // Only now is it known that this is still the segment: it is removed before its file is touched, and
        // whoever got the file before that is seen then.
        let segments = self.segments.read();
        match opened {
            _ if segments.get(number).is_none() => Ok(None),
            Ok(file) => Ok(segments.source_in(number, file)),
            Err(source) => {
                Err(Error::io(source, "open", &name::segment(&self.identity.store, number)))
            }
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.is_forked() {
            // That thread is the parent's, and so is all the rest: also a lock that it held.
            std::mem::forget(std::mem::take(self.worker.get_mut()));
        } else if let Some(worker) = self.worker.get_mut().take() {
            worker.stop(&self.core);
        }
    }
}

impl Log {
    /// Whether this process is a fork of the one that opened the log. It may not use it: whatever writes or
    /// waits is refused with [`GROUND_MOVED`](crate::GROUND_MOVED), and dropping it does nothing to the
    /// parent's.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        !self.core.opener.is_this_process()
    }

    /// The identity of the store.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.core.identity
    }

    /// The highest LSN that survives a crash; 0 for none.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.core.durable.load(Ordering::Acquire)
    }

    /// The highest LSN that survives a crash, as long as no append or sync has failed: [`Log::poll`] says `Some(Ok)` of
    /// what was queued up to it, and said `None` a moment ago of what is behind it. Asks for no lock, nor whether this
    /// process is a fork.
    #[must_use]
    pub fn synced_unless_failed(&self) -> Option<u64> {
        // In this order: who raises the first after a failure said so before.
        let durable = self.core.durable.load(Ordering::Acquire);
        (!self.core.has_failures.load(Ordering::Acquire)).then_some(durable)
    }

    /// The run in which this handle writes.
    #[must_use]
    pub fn run(&self) -> u32 {
        self.core.commit.lock().run
    }

    /// The runs that this handle began, and what their first frames say.
    #[must_use]
    pub fn runs_begun(&self) -> Vec<(u32, Stamp)> {
        self.core.commit.lock().begun.clone()
    }

    /// Reads the frame `lsn` of `bytes` bytes at `place`. It must have been synced.
    ///
    /// # Errors
    ///
    /// `Corrupt`: the bytes there are not that frame, or its segment was trimmed. `Io`.
    pub fn read(&self, place: Place, bytes: u32, lsn: Lsn) -> Result<FrameBuf, Error> {
        let source = self.core.source(place.segment)?;
        segment::read_frame(&self.core.identity, source, place, bytes, lsn)
    }

    /// Reads a stretch of a segment: for frames that are next to each other, with one call for all.
    /// They must have been synced.
    ///
    /// # Errors
    ///
    /// `Corrupt`: the segment was trimmed. `Io`.
    pub fn read_span(&self, segment: u64, offsets: Range<u32>) -> Result<FrameSpan, Error> {
        let source = self.core.source(segment)?;
        span::read(&self.core.identity, source, (segment, offsets), Some(&self.core.span_bytes))
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
        let path = || name::segment(&self.core.identity.store, number);
        let none = || Error::corrupt("no such segment").at(&path(), 0);
        let used_bytes = self.core.segments.read().get(number).map(|segment| segment.used_bytes);
        let used_bytes = used_bytes.ok_or_else(none)?;
        let source = self.core.source(number)?.ok_or_else(none)?;
        segment::read_whole(&self.core.identity, &source, used_bytes, visit)
    }

    /// Moves trusted time on by `ms`, from the next frame on, which begins another run if this one has
    /// frames: a run's frames count from when it began.
    ///
    /// # Durability
    ///
    /// As that of the next frame.
    pub fn advance_trusted(&self, ms: u64) {
        let mut commit = self.core.commit.lock();
        commit.stamp.trusted_ms = commit.stamp.trusted_ms.saturating_add(ms);
        commit.run_spent |= commit.run_begun;
    }

    /// The wrapped keys that are in the segments in use and in `meta`, each once.
    #[must_use]
    pub fn wrapped_keys(&self) -> Vec<WrappedKey> {
        let mut keys: Vec<WrappedKey> = self.core.meta.lock().wrapped_keys().collect();
        keys.extend(self.core.segments.read().envelopes().map(|envelope| envelope.key));
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The segments that hold frames, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.core.segments.read().infos().collect()
    }

    /// Bytes of all segment files, prepared ones included.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        let begun: u64 = self.core.segments.read().infos().map(|info| info.file_bytes).sum();
        begun + self.core.spares.bytes()
    }
}
