//! Writing and syncing what is queued. What a failure means is said here; what follows, elsewhere.

use std::io;

use onceward_vfs::{GroundMoved, is_full};

use super::{Core, QueuedChunk};
use crate::limits::{FRAME_HEADER_BYTES, HEADER_BLOCK_BYTES};

/// How writing a queue ended.
pub(super) struct WriteOutcome {
    /// Chunks of the front that are synced.
    pub(super) synced: usize,
    pub(super) failure: Option<WriteFailure>,
}

/// Why the chunk after the synced ones is not durable.
pub(super) enum WriteFailure {
    /// The disk had no room, and the commit was erased: surely absent.
    Absent,
    /// Nothing of the chunk was written: the log is not where it was opened, or its blocks could not be filled.
    Refused(io::Error, &'static str),
    /// Anything may be on disk.
    Unknown(io::Error, &'static str),
}

impl WriteFailure {
    /// A refusal of what has to be done before the chunk is written.
    pub(super) fn before_frames(source: io::Error) -> Self {
        if is_full(&source) { Self::Absent } else { Self::Refused(source, "a write was refused") }
    }
}

/// Writes and syncs the chunks in order. A segment is synced before the next one is touched.
pub(super) fn write_out(core: &Core, queue: &[QueuedChunk]) -> WriteOutcome {
    for (synced, chunk) in queue.iter().enumerate() {
        let failure = match write(core, chunk) {
            Ok(()) if onceward_vfs::planted!("no-sync") => continue,
            Ok(()) => match sync(chunk) {
                Ok(()) => continue,
                Err(source) => WriteFailure::Unknown(source, "a sync failed"),
            },
            Err(failure) => failure,
        };
        return WriteOutcome { synced, failure: Some(failure) };
    }
    WriteOutcome { synced: queue.len(), failure: None }
}

/// Syncs one chunk.
fn sync(chunk: &QueuedChunk) -> io::Result<()> {
    let file = &chunk.space.file;
    let synced = file.sync_data();
    if onceward_vfs::planted!("sync-retried") {
        synced.or_else(|_| file.sync_data())
    } else {
        synced
    }
}

/// Writes one chunk.
pub(super) fn write(core: &Core, chunk: &QueuedChunk) -> Result<(), WriteFailure> {
    if chunk.bytes.is_empty() {
        return Ok(());
    }
    let end = chunk.offset.saturating_add(u64::try_from(chunk.bytes.len()).unwrap_or(u64::MAX));
    core.fill_before(&chunk.space, end)?;
    chunk.space.file.write_all_at(chunk.offset, &chunk.bytes).map_err(|source| {
        if is_full(&source) {
            erase(chunk, source)
        } else if GroundMoved::of(&source).is_some() {
            WriteFailure::Refused(source, "a write was refused")
        } else {
            WriteFailure::Unknown(source, "a write failed")
        }
    })
}

/// Makes a commit that was written in part surely absent: zeros over its first header, synced.
///
/// And over the rest, as far as the disk takes them: should damage ever take what will be written over
/// it, nothing of it is found there.
fn erase(chunk: &QueuedChunk, source: io::Error) -> WriteFailure {
    let zeros = [0; HEADER_BLOCK_BYTES + FRAME_HEADER_BYTES];
    // The first commit of a segment begins with the header block.
    let bytes = if chunk.offset == 0 { &zeros[..] } else { &zeros[..FRAME_HEADER_BYTES] };
    let file = &chunk.space.file;
    let written = match file.write_all_at(chunk.offset, bytes) {
        // As far as the file may be written, which is as far as the commit could be.
        Err(limit) if limit.kind() == io::ErrorKind::FileTooLarge => is_gone(chunk),
        written => written,
    };
    let erased = written.and_then(|()| {
        let rest = vec![0; chunk.bytes.len().saturating_sub(bytes.len())];
        let behind = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        file.write_all_at(chunk.offset + behind, &rest).unwrap_or_default();
        file.sync_data()
    });
    match erased {
        Ok(()) => WriteFailure::Absent,
        Err(_worse) => WriteFailure::Unknown(source, "a write failed for want of space"),
    }
}

/// Sees to it that the header of a commit, which could not be erased as a whole, is not there as a whole.
fn is_gone(chunk: &QueuedChunk) -> io::Result<()> {
    let first = if chunk.offset == 0 { HEADER_BLOCK_BYTES } else { FRAME_HEADER_BYTES };
    let wanted = chunk.bytes.get(..first).unwrap_or(&chunk.bytes);
    let mut found = vec![0; wanted.len()];
    let count = chunk.space.file.read_at(chunk.offset, &mut found)?;
    if found.get(..count) == Some(wanted) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(())
}
