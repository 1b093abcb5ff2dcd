//! Group commit: whoever waits and finds no writer writes and syncs for all that wait.
//!
//! Groups take turns. While one is written, those who append form the next one. When it ends, all
//! of its members are woken and one of the next, who leads. A leader yields briefly, until as many
//! have joined as were under way when the last group ended: those just woken would otherwise miss
//! the next group and share a sync only with half of the others. Alone, nobody waits for anybody.
//!
//! Each write looks first whether the log is still where it was opened, and each sync afterwards: a group
//! that fails the first is absent, one that fails the second is somewhere else.
//!
//! After a failed sync nothing is known about what is on disk, so the log is poisoned: nothing is
//! written any more until it is reopened and read back. (Rebello et al., "Can Applications Recover
//! from fsync Failures?", USENIX ATC 2020.)

use std::sync::Arc;
use std::time::Duration;

use super::buffer::ChunkBytes;
use super::spares::PreparedSegment;
use super::write_out::{WriteFailure, WriteOutcome, write, write_out};
use super::{ActiveSegment, Commit, Core, Log, Preparation, QueuedChunk};
use crate::error::{Error, ErrorKind};
use crate::lsn::Lsn;
use crate::segment::Segments;
use crate::sync::atomic::Ordering;
use crate::sync::{MutexGuard, Stopwatch, thread};

/// Longest time that a leader waits for others to join.
const GATHER: Duration = Duration::from_micros(40);

/// Poisons the log if the writer panics, so that nobody waits for ever.
struct Leading<'a> {
    core: &'a Core,
    finished: bool,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let mut commit = self.core.commit.lock();
            commit.writing = false;
            commit.poison(&Error::new(ErrorKind::Poisoned, "the writing thread panicked"));
            drop(commit);
            self.core.tailing.announce();
            self.core.gates.call_leaders();
        }
    }
}

impl Log {
    /// Returns once every frame up to `lsn` survives a crash.
    ///
    /// # Errors
    ///
    /// `Invalid`: no such number was given out, or it was cut when the log was opened. `Full`: the disk had
    /// no room; the frame is surely absent and the log stays usable. `Poisoned`: a write or sync failed, or
    /// the log is not where it was opened ([`GROUND_MOVED`](crate::GROUND_MOVED)). With
    /// [`Error::in_doubt`] the frame may be found after reopening, without it is surely absent.
    ///
    /// # Cost
    ///
    /// One write and one `fdatasync` for all frames that wait together.
    pub fn wait(&self, lsn: Lsn) -> Result<(), Error> {
        self.core.wait(lsn)
    }

    /// Has the log's own thread sync what is queued, while the caller does something else before it waits.
    ///
    /// Worth it where that takes longer than waking a thread, some 50 us. Without a thread, or while it
    /// is busy with a segment, nothing happens: whoever waits syncs.
    pub fn sync_soon(&self) {
        if self.core.options.preparation == Preparation::InBackground {
            self.core.spares.ask_sync();
        }
    }

    /// The answer for a frame without waiting: `Some(Ok)` once it survives a crash, `Some(Err)` as
    /// [`Log::wait`] would fail, `None` as long as nobody synced it.
    ///
    /// Frames that nobody waits for are synced with those of others, or by [`Log::wait`].
    #[must_use]
    pub fn poll(&self, lsn: Lsn) -> Option<Result<(), Error>> {
        if let Err(error) = self.core.refuse_if_forked() {
            return Some(Err(error.mark_in_doubt()));
        }
        let commit = self.core.commit.lock();
        commit
            .refuse_unknown(lsn)
            .map_or_else(|error| Some(Err(error)), |()| commit.answer(lsn.get()))
    }

    /// Why nothing is written until the log is reopened; `None`: it goes on.
    #[must_use]
    pub fn poisoned(&self) -> Option<Error> {
        let refused = self.core.refuse_if_forked();
        refused.and_then(|()| self.core.commit.lock().refuse_if_poisoned()).err()
    }

    /// Writes a mark behind the last synced frame, without a sync of its own, if there is none yet.
    ///
    /// A mark says that what is before it was synced: should those bytes rot, they are known to
    /// be damaged instead of torn. The log's own thread does this when the log is idle.
    ///
    /// # Errors
    ///
    /// `Poisoned`: the write failed, or one before it.
    pub fn mark(&self) -> Result<(), Error> {
        self.core.mark()
    }
}

impl Core {
    /// See [`Log::wait`].
    pub(super) fn wait(&self, lsn: Lsn) -> Result<(), Error> {
        // The parent may write it.
        self.refuse_if_forked().map_err(Error::mark_in_doubt)?;
        let mut called = false;
        loop {
            let commit = self.commit.lock();
            commit.refuse_unknown(lsn)?;
            if let Some(answer) = commit.answer(lsn.get()) {
                if (answer.is_err() || called) && !onceward_vfs::planted!("poison-wakes-one") {
                    // Who was chosen to lead and does not, passes that on: the log may be poisoned
                    // from elsewhere, with nobody writing who would wake the others.
                    self.gates.call_leaders();
                }
                return answer;
            }
            if !commit.writing {
                if let Some(answer) = self.lead(commit, lsn) {
                    return answer;
                }
                continue;
            }
            let being_written = lsn.get() <= commit.taken;
            let group = commit.forming - u64::from(being_written);
            drop(commit);
            called = self.gates.of(group).wait(group);
            // Without the lock that those who append want: almost always the group is durable now.
            if lsn.get() <= self.durable.load(Ordering::Acquire)
                && !self.has_failures.load(Ordering::Acquire)
            {
                if called && !onceward_vfs::planted!("call-not-passed-on") {
                    // The group's leader has not come to waking it yet, and the leader after it called
                    // one of the next group of this gate.
                    self.gates.of(group).call_leader();
                }
                return Ok(());
            }
        }
    }

    /// Gathers, writes and syncs one group; nobody else writes. Returns what is then known of `lsn`.
    fn lead(&self, mut commit: MutexGuard<'_, Commit>, lsn: Lsn) -> Option<Result<(), Error>> {
        commit.writing = true;
        let mut leading = Leading { core: self, finished: false };
        let expected = commit.expected;
        drop(commit);
        self.gather(expected);
        let mut commit = self.commit.lock();
        if commit.poison.is_some() {
            // By somebody else, meanwhile.
            leading.finished = true;
            commit.writing = false;
            drop(commit);
            self.gates.call_leaders();
            return None;
        }
        let took_part = self.joined.swap(0, Ordering::Relaxed);
        commit.queue_sync_of_mark();
        commit.fill_block();
        let bytes = u64::try_from(commit.queued_bytes).unwrap_or(u64::MAX);
        let is_fill_due = commit.is_fill_due(bytes);
        let mut queue = commit.take_group();
        drop(commit);
        if is_fill_due {
            self.spares.ask_fill();
        }
        let written = write_out(self, &queue);
        let mut commit = self.commit.lock();
        commit.writing = false;
        let failed = written.failure.is_some();
        commit.accept(&mut queue, written, self);
        leading.finished = true;
        commit.spare_queue = queue;
        // Those who are woken now come back; those who joined meanwhile wait already.
        commit.expected = took_part.saturating_add(self.joined.load(Ordering::Relaxed));
        if failed {
            // Whoever joined meanwhile has an answer too; what comes now is another group.
            commit.forming += 1;
        }
        let finished = commit.forming - 1;
        let answer = commit.answer(lsn.get());
        drop(commit);
        self.tailing.announce();
        if failed && !onceward_vfs::planted!("poison-wakes-one") {
            self.gates.finish_all(finished);
        } else {
            self.gates.of(finished).finish(finished);
            self.gates.of(finished + 1).call_leader();
        }
        answer
    }

    /// Lets others join, if others are about.
    fn gather(&self, expected: u32) {
        let joined = || self.joined.load(Ordering::Relaxed);
        if expected <= 1 || joined() >= expected {
            return;
        }
        let began = Stopwatch::start();
        while joined() < expected && began.elapsed() < GATHER {
            thread::yield_now();
        }
    }

    /// See [`Log::mark`].
    pub(super) fn mark(&self) -> Result<(), Error> {
        self.refuse_if_forked()?;
        let mut commit = self.commit.lock();
        commit.refuse_if_poisoned()?;
        if commit.writing || !commit.is_worth_a_mark() {
            return Ok(());
        }
        commit.push_mark_alone()?;
        commit.writing = true;
        let mut leading = Leading { core: self, finished: false };
        let mut queue = commit.take_group();
        drop(commit);
        let failure = queue.iter().find_map(|chunk| write(self, chunk).err());
        let mut commit = self.commit.lock();
        commit.writing = false;
        // Written, and not synced: nothing to apply but a failure.
        commit.accept(&mut queue, WriteOutcome { synced: 0, failure }, self);
        commit.spare_queue = queue;
        leading.finished = true;
        let finished = commit.forming - 1;
        let told = commit.refuse_if_poisoned();
        drop(commit);
        self.tailing.announce();
        // Who appended meanwhile waits for a leader.
        self.gates.of(finished).finish(finished);
        self.gates.call_leaders();
        told
    }
}

impl Commit {
    /// Refuses a number that no frame has.
    fn refuse_unknown(&self, lsn: Lsn) -> Result<(), Error> {
        if lsn.get() < self.next_lsn {
            return Ok(());
        }
        Err(Error::invalid(format!("LSN {lsn} was not given out")))
    }

    /// The answer for a frame; `None`: there is none yet.
    fn answer(&self, lsn: u64) -> Option<Result<(), Error>> {
        let (kept, first) = self.opened_between;
        if kept < lsn && lsn < first {
            let message =
                format!("LSN {lsn} is not in the log: it was cut when the log was opened");
            return Some(Err(Error::invalid(message)));
        }
        if lsn <= self.synced && !self.has_failed(lsn) {
            return Some(Ok(()));
        }
        if self.has_failed(lsn) {
            let message = "the disk is full: the frame was not stored";
            return Some(Err(Error::new(ErrorKind::Full, message)));
        }
        self.refuse_frame_if_poisoned(lsn).err().map(Err)
    }

    /// Whether the frame is surely absent.
    fn has_failed(&self, lsn: u64) -> bool {
        self.failed.iter().rev().any(|(first, last)| (*first..=*last).contains(&lsn))
    }

    /// Whether everything is synced and no mark says so.
    pub(super) fn is_worth_a_mark(&self) -> bool {
        let synced = self.tail.as_ref().is_some_and(|tail| tail.last_lsn == self.synced);
        // After a failed append only the run frame of another run may follow: it declares the gap.
        self.run_begun
            && (!self.run_spent || onceward_vfs::planted!("mark-after-a-failed-append"))
            && !self.marked
            && synced
            && self.queue.is_empty()
            && self.has_room_for_mark()
    }

    /// Queues a sync alone if only a mark is not synced: somebody waits for its LSN.
    fn queue_sync_of_mark(&mut self) {
        let unsynced = self.tail.as_ref().filter(|tail| tail.last_lsn > self.synced);
        if let (Some(tail), true) = (unsynced, self.queue.is_empty()) {
            let (space, offset) = (Arc::clone(&tail.space), tail.offset);
            self.queue.push(QueuedChunk { space, offset, bytes: ChunkBytes::default(), end: None });
        }
    }

    /// Takes the group that formed; another one forms from here on.
    fn take_group(&mut self) -> Vec<QueuedChunk> {
        if let Some(last) = self.queue.last_mut() {
            last.end.clone_from(&self.tail);
        }
        self.forming += 1;
        self.taken = self.next_lsn - 1;
        self.queued_bytes = 0;
        let emptied = std::mem::take(&mut self.spare_queue);
        std::mem::replace(&mut self.queue, emptied)
    }

    /// Applies what a writer did.
    fn accept(&mut self, queue: &mut Vec<QueuedChunk>, written: WriteOutcome, core: &Core) {
        let mut segments = core.segments.write();
        for chunk in queue.iter_mut().take(written.synced) {
            let Some(end) = chunk.end.take() else { continue };
            self.synced = self.synced.max(end.last_lsn);
            if let Some(segment) = segments.get_mut(end.space.number) {
                segment.last_lsn = end.last_lsn;
                segment.used_bytes = end.offset;
            }
            self.synced_tail = Some(end);
        }
        let synced = self.synced;
        for (index, lsn, place) in self.passed.extract_if(.., |(_, lsn, _)| *lsn <= synced) {
            if let Some(segment) = segments.get_mut(place.segment) {
                segment.waypoints.pass(index, lsn, place.offset);
            }
        }
        match written.failure {
            None => {}
            Some(WriteFailure::Refused(source, what)) => {
                self.poison_from(self.synced + 1, &Error::failed(source, what));
            }
            Some(WriteFailure::Unknown(source, what)) => self.poison(&Error::failed(source, what)),
            Some(WriteFailure::Absent) => self.take_back(queue, core, &mut segments),
        }
        core.durable.store(self.synced, Ordering::SeqCst);
        core.spares.note(self.synced, self.next_lsn);
        for chunk in queue.drain(..) {
            self.reuse(chunk.bytes);
        }
    }

    /// Takes back everything that is queued or was being written: none of it is stored.
    fn take_back(&mut self, queue: &[QueuedChunk], core: &Core, segments: &mut Segments) {
        let first = self.synced + 1;
        let last = self.next_lsn - 1;
        match self.failed.last_mut() {
            // Nothing was stored since: the same ones again, and more.
            Some(range) if range.1 + 1 >= first => range.1 = last,
            _ => self.failed.push((first, last)),
        }
        let kept = self.synced_tail.as_ref().map_or(0, |tail| tail.space.number);
        let begun = queue.iter().chain(&self.queue);
        let begun = begun.filter(|chunk| chunk.offset == 0 && chunk.space.number > kept);
        for chunk in begun.collect::<Vec<_>>().into_iter().rev() {
            segments.remove(chunk.space.number);
            // What was written of it is stale now.
            let space = Arc::clone(&chunk.space);
            core.spares.put_back(PreparedSegment { space, recycled: true });
        }
        self.tail.clone_from(&self.synced_tail);
        self.queue.clear();
        self.queued_bytes = 0;
        self.passed.clear();
        core.joined.store(0, Ordering::Relaxed);
        self.has_failures.store(true, Ordering::Release);
        self.run_spent = true;
    }

    /// Keeps a buffer for later, unless an unusually large commit made it large.
    fn reuse(&mut self, mut bytes: ChunkBytes) {
        const KEPT_BYTES_MAX: usize = 1024 * 1024;
        const KEPT_COUNT_MAX: usize = 4;
        if bytes.memory_bytes() <= KEPT_BYTES_MAX && self.spare_bytes.len() < KEPT_COUNT_MAX {
            bytes.truncate(0);
            self.spare_bytes.push(bytes);
        }
    }
}

impl ActiveSegment {
    /// Offset after its last frame, as a size in memory.
    pub(super) fn end(&self) -> usize {
        usize::try_from(self.offset).unwrap_or(usize::MAX)
    }
}

#[cfg(not(shuttle))]
#[cfg(test)]
mod tests;
