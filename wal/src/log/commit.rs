//! Group commit: whoever waits and finds no writer writes and syncs for all that wait.
//!
//! After a failed sync nothing is known about what is on disk, so the log is poisoned: nothing is
//! written any more until it is reopened and read back. (Rebello et al., "Can Applications Recover
//! from fsync Failures?", USENIX ATC 2020.)

use std::io;

use super::{Chunk, Commit, Log, Prepared, Tail};
use crate::error::{Error, ErrorKind, is_full};
use crate::limits::{FRAME_HEADER_BYTES, HEADER_BLOCK_BYTES};
use crate::lsn::Lsn;

/// How writing a queue ended.
struct Written {
    /// Chunks of the front that are synced.
    synced: usize,
    failure: Option<Failure>,
}

/// Why the chunk after the synced ones is not durable.
enum Failure {
    /// The disk had no room, and the commit was erased: surely absent.
    Absent,
    /// Anything may be on disk.
    Unknown(io::Error, &'static str),
}

/// Poisons the log if the writer panics, so that nobody waits for ever.
struct Leading<'a> {
    log: &'a Log,
    finished: bool,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let mut commit = self.log.commit.lock();
            commit.writing = false;
            commit.poison = Some("the writing thread panicked".to_owned());
            self.log.done.notify_all();
        }
    }
}

impl Log {
    /// Returns once every frame up to `lsn` survives a crash.
    ///
    /// # Errors
    ///
    /// `Full`: the disk had no room; the frame is surely absent and the log stays usable. `Io` or
    /// `Poisoned` with [`Error::in_doubt`]: a write or sync failed; the frame may be found after
    /// reopening.
    ///
    /// # Cost
    ///
    /// One write and one `fdatasync` for all frames that wait together.
    pub fn wait(&self, lsn: Lsn) -> Result<(), Error> {
        let mut commit = self.commit.lock();
        if lsn.get() >= commit.next_lsn {
            return Err(Error::invalid(format!("LSN {lsn} was not given out")));
        }
        loop {
            if let Some(answer) = commit.answer(lsn.get()) {
                return answer;
            }
            if commit.writing {
                self.done.wait(&mut commit);
                continue;
            }
            commit.writing = true;
            let end = commit.tail.clone();
            if let Some(last) = commit.queue.last_mut() {
                last.end = end;
            }
            let emptied = std::mem::take(&mut commit.spare_queue);
            let mut queue = std::mem::replace(&mut commit.queue, emptied);
            drop(commit);
            let mut leading = Leading { log: self, finished: false };
            let written = write_out(&queue);
            commit = self.commit.lock();
            leading.finished = true;
            commit.writing = false;
            let filled = commit.accept(&mut queue, written);
            commit.spare_queue = queue;
            self.note_filled(&commit, &filled);
            self.done.notify_all();
        }
    }

    /// Tells the readers how far the segments are filled, and which were not begun after all.
    fn note_filled(&self, commit: &Commit, filled: &[Filled]) {
        let mut segments = self.segments.write();
        for Filled { number, last_lsn, offset } in filled {
            if let Some(segment) = segments.get_mut(*number) {
                segment.last_lsn = *last_lsn;
                segment.used_bytes = *offset;
            }
        }
        if commit.run_spent {
            for prepared in &commit.prepared {
                segments.remove(prepared.number);
            }
        }
    }
}

/// How far a segment is filled.
struct Filled {
    number: u64,
    last_lsn: u64,
    offset: u64,
}

/// Writes and syncs the chunks in order. A segment is synced before the next one is touched.
fn write_out(queue: &[Chunk]) -> Written {
    for (synced, chunk) in queue.iter().enumerate() {
        let failure = match chunk.file.write_all_at(chunk.offset, &chunk.bytes) {
            Ok(()) => match chunk.file.sync_data() {
                Ok(()) => continue,
                Err(source) => Failure::Unknown(source, "a sync failed"),
            },
            Err(source) if is_full(&source) => erase(chunk, source),
            Err(source) => Failure::Unknown(source, "a write failed"),
        };
        return Written { synced, failure: Some(failure) };
    }
    Written { synced: queue.len(), failure: None }
}

/// Makes a commit that was written in part surely absent: zeros over its first header, synced.
fn erase(chunk: &Chunk, source: io::Error) -> Failure {
    let zeros = [0; HEADER_BLOCK_BYTES + FRAME_HEADER_BYTES];
    // The first commit of a segment begins with the header block.
    let bytes = if chunk.offset == 0 { &zeros[..] } else { &zeros[..FRAME_HEADER_BYTES] };
    let erased = chunk.file.write_all_at(chunk.offset, bytes).and_then(|()| chunk.file.sync_data());
    match erased {
        Ok(()) => Failure::Absent,
        Err(_worse) => Failure::Unknown(source, "a write failed for want of space"),
    }
}

impl Commit {
    /// What is known of a frame; `None`: nothing yet.
    fn answer(&self, lsn: u64) -> Option<Result<(), Error>> {
        if lsn <= self.synced && !self.has_failed(lsn) {
            return Some(Ok(()));
        }
        if self.has_failed(lsn) {
            let message = "the disk is full: the frame was not stored";
            return Some(Err(Error::new(ErrorKind::Full, message)));
        }
        self.refuse_if_poisoned().err().map(|error| Err(error.mark_in_doubt()))
    }

    /// Whether the frame is surely absent.
    fn has_failed(&self, lsn: u64) -> bool {
        self.failed.iter().rev().any(|(first, last)| (*first..=*last).contains(&lsn))
    }

    /// Takes up what a writer did.
    fn accept(&mut self, queue: &mut Vec<Chunk>, written: Written) -> Vec<Filled> {
        let mut filled = Vec::new();
        for chunk in queue.iter_mut().take(written.synced) {
            let Some(end) = chunk.end.take() else { continue };
            self.synced = self.synced.max(end.last_lsn);
            filled.push(Filled { number: end.number, last_lsn: end.last_lsn, offset: end.offset });
            self.synced_tail = Some(end);
        }
        match written.failure {
            None => {}
            Some(Failure::Unknown(source, what)) => {
                self.poison = Some(format!("{what}: {source}"));
            }
            Some(Failure::Absent) => self.take_back(queue),
        }
        for chunk in queue.drain(..) {
            self.reuse(chunk.bytes);
        }
        filled
    }

    /// Takes back everything that is queued or was being written: none of it is stored.
    fn take_back(&mut self, queue: &[Chunk]) {
        let first = self.synced + 1;
        let last = self.next_lsn - 1;
        match self.failed.last_mut() {
            // Nothing was stored since: the same ones again, and more.
            Some(range) if range.1 + 1 >= first => range.1 = last,
            _ => self.failed.push((first, last)),
        }
        let kept = self.synced_tail.as_ref().map_or(0, |tail| tail.number);
        let begun = queue.iter().chain(&self.queue).filter(|c| c.offset == 0 && c.number > kept);
        for chunk in begun.collect::<Vec<_>>().into_iter().rev() {
            let segment_bytes = chunk.file.len().unwrap_or(0);
            self.prepared.push_front(Prepared {
                number: chunk.number,
                file: chunk.file.clone(),
                segment_bytes,
            });
        }
        self.tail.clone_from(&self.synced_tail);
        self.queue.clear();
        self.run_spent = true;
    }

    /// Keeps a buffer for later, unless an unusually large commit made it large.
    fn reuse(&mut self, mut bytes: Vec<u8>) {
        const KEPT_BYTES_MAX: usize = 1024 * 1024;
        const KEPT_COUNT_MAX: usize = 4;
        if bytes.capacity() <= KEPT_BYTES_MAX && self.spare_bytes.len() < KEPT_COUNT_MAX {
            bytes.clear();
            self.spare_bytes.push(bytes);
        }
    }
}

impl Tail {
    /// Offset after its last frame, as a size in memory.
    pub(super) fn end(&self) -> usize {
        usize::try_from(self.offset).unwrap_or(usize::MAX)
    }
}
