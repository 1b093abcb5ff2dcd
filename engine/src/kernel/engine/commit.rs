//! The one protocol by which frames are written.
//!
//! | step | lock | what |
//! |---|---|---|
//! | bring up to now | state | commits whose end is known are applied, slices that are over are forgotten |
//! | judge and queue | the same | frames get their LSNs, their keys are reserved, and the commit is noted |
//! | wait | none | for the disk |
//! | apply | state | whoever comes first applies what became of each commit, in their order |
//!
//! Judging and queueing are one critical section, so that two callers cannot both find a key free. A commit is applied
//! only when it is known to be durable: then what it changes takes place and its keys are confirmed; or its keys are
//! withdrawn. What failed is known to be absent before anything behind it is queued.

use onceward_index::Expired;
use onceward_wal::{Appended, Log, Lsn, NewFrame, Place, Purpose};

use super::{Engine, Share, frame_lsn};
use crate::base::{FrameKind, Located, Moment, Result, observe};
use crate::kernel::{Areas, Kernel, QueuedCommit, Waiter};

/// A frame with its body in one piece.
#[derive(Debug)]
pub(crate) struct FrameBody {
    pub(crate) kind: FrameKind,
    pub(crate) flags: u8,
    pub(crate) body: Vec<u8>,
}

impl FrameBody {
    /// A control frame.
    pub(crate) fn new(kind: FrameKind, body: Vec<u8>) -> Self {
        Self { kind, flags: 0, body }
    }
}

/// How frames are queued.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queueing {
    /// What changes with the commit, see [`QueuedCommit`].
    pub(crate) kind: FrameKind,
    /// How many keys the frames take.
    pub(crate) keys: usize,
    /// When, by the monotonic clock.
    pub(crate) mono_ms: u64,
    /// Which room on the disk they may use.
    pub(crate) purpose: Purpose,
    /// Who hears how the commit ends.
    pub(crate) waiter: Waiter,
}

/// Frames that are durable.
#[derive(Debug)]
pub(crate) struct Written {
    /// The place of each frame.
    pub(crate) placed: Vec<Located>,
    /// When they were written.
    pub(crate) moment: Moment,
}

impl<S: Areas> Engine<S> {
    /// Applies what became of commits, and forgets keys whose window is over.
    pub(crate) fn bring_up_to_now(&self, state: &mut S) {
        self.resolve(state);
        let trusted_ms = self.time.trusted_ms();
        if state.kernel_mut().is_time_to_expire(trusted_ms) && expire(state, trusted_ms) {
            self.checkpointer.ask();
        }
    }

    /// Forgets keys whose window is over, also if that was looked at lately.
    pub(crate) fn expire_now(&self) {
        let trusted_ms = self.time.trusted_ms();
        if expire(&mut *self.state.lock(), trusted_ms) {
            self.checkpointer.ask();
        }
    }

    /// Queues frames as one commit. Returns where each of them is.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: none of them is in the log.
    pub(crate) fn queue(
        &self,
        state: &mut S,
        new: &[NewFrame<'_>],
        how: Queueing,
    ) -> Result<Vec<Located>> {
        let Queueing { kind, keys, mono_ms, purpose, waiter } = how;
        let queued = self.log.append_deferred(new, mono_ms, purpose);
        let queued = queued.map_err(|error| self.log_error(error))?;
        let placed = located(&queued.appended(), new);
        let Some((first, last)) = placed.first().zip(placed.last()) else { return Ok(placed) };
        let bytes = self.count(state.kernel_mut(), new, &placed, (keys, mono_ms));
        observe::appended(placed.len(), bytes);
        let (first, last) = (first.lsn, last.lsn);
        let commit = QueuedCommit { first, last, kind, bytes, mono_ms, waiter };
        if state.kernel_mut().commits.push(commit) {
            self.log.sync_soon();
        }
        Ok(placed)
    }

    /// Waits until a commit that ends with this frame is durable, and applies it, unless somebody did. The caller
    /// does not hold the state.
    ///
    /// # Errors
    ///
    /// As the log says: what is not in doubt is absent.
    pub(crate) fn wait(&self, last: Lsn) -> Result<()> {
        self.wait_then(last, |_| ())
    }

    /// Waits as [`Engine::wait`] does, and then does something before anybody else gets the state.
    ///
    /// # Errors
    ///
    /// As [`Engine::wait`]: then it is not done.
    pub(crate) fn wait_then<T>(&self, last: Lsn, then: impl FnOnce(&mut S) -> T) -> Result<T> {
        let waited = observe::durable_wait(|| self.log.wait(last));
        let mut state = self.state.lock();
        self.resolve(&mut state);
        waited.map_err(|error| self.log_error(error))?;
        Ok(then(&mut state))
    }

    /// Waits for what another call queued; that it failed is the other one's trouble.
    ///
    /// # Errors
    ///
    /// As [`Engine::wait`], but for one that is surely absent.
    pub(crate) fn wait_for_other(&self, last: Lsn) -> Result<()> {
        match self.wait(last) {
            Err(error) if error.kind() == crate::base::ErrorKind::Full => Ok(()),
            done => done,
        }
    }

    /// Writes control frames as one commit, and returns when they are durable; the caller applies them. It holds
    /// `control`, and not the state.
    ///
    /// # Errors
    ///
    /// As [`Engine::queue`] and [`Engine::wait`].
    pub(crate) fn write(&self, frames: &[FrameBody], share: Share) -> Result<Written> {
        self.write_retiring(frames, (share, 0))
    }

    /// Writes as [`Engine::write`] does, frames that retire this batch: the room of its answers is theirs.
    ///
    /// # Errors
    ///
    /// As [`Engine::write`].
    pub(crate) fn write_retiring(
        &self,
        frames: &[FrameBody],
        share: (Share, u64),
    ) -> Result<Written> {
        self.refuse_if_closed()?;
        let parts: Vec<[&[u8]; 1]> = frames.iter().map(|frame| [frame.body.as_slice()]).collect();
        let with_parts = frames.iter().zip(&parts);
        let new: Vec<NewFrame<'_>> = with_parts
            .map(|(frame, parts)| NewFrame { kind: frame.kind.code(), flags: frame.flags, parts })
            .collect();
        let Some(first) = frames.first() else {
            return Ok(Written { placed: Vec::new(), moment: self.time.now() });
        };
        let mono_ms = self.time.mono_ms();
        let placed = {
            let mut state = self.state.lock();
            self.resolve(&mut state);
            let purpose = self.reserve().purpose(&state, share);
            let how =
                Queueing { kind: first.kind, keys: 0, mono_ms, purpose, waiter: Waiter::Call };
            self.queue(&mut state, &new, how)?
        };
        if let Some(last) = placed.last() {
            self.wait(frame_lsn(*last)?)?;
        }
        Ok(Written { placed, moment: self.time.moment(mono_ms) })
    }

    /// Applies what became of commits, as far as that is known.
    pub(crate) fn resolve(&self, state: &mut S) {
        while let Some(oldest) = state.kernel().commits.oldest() {
            match Lsn::from_u64(oldest.last).map(|last| self.log.poll(last)) {
                Some(None) => return,
                Some(Some(Ok(()))) => {
                    self.checkpointer.is_durable();
                    state.confirmed(&oldest);
                    state.kernel_mut().keys.confirm(oldest.lsns());
                }
                Some(Some(Err(_))) | None => state.withdrawn(&oldest),
            }
            state.kernel_mut().commits.pop();
        }
    }

    /// When the oldest commit with a ticket was queued, by the monotonic clock.
    pub(crate) fn deferred_since_ms(&self) -> Option<u64> {
        let mut state = self.state.lock();
        self.resolve(&mut state);
        state.kernel().commits.deferred().map(|(oldest, _)| oldest.mono_ms)
    }

    /// Makes all commits with tickets durable.
    ///
    /// # Errors
    ///
    /// As [`Engine::wait`], of the last of them.
    pub(crate) fn sync_deferred(&self) -> Result<()> {
        let last = self.state.lock().kernel().commits.deferred().map(|(_, last)| last);
        last.and_then(Lsn::from_u64).map_or(Ok(()), |last| self.wait(last))
    }

    /// Notes frames that were queued, and how many keys they take. Returns their bytes.
    fn count(
        &self,
        kernel: &mut Kernel,
        new: &[NewFrame<'_>],
        placed: &[Located],
        (keys, mono_ms): (usize, u64),
    ) -> u64 {
        let bytes = placed.iter().map(|at| u64::from(at.bytes)).sum();
        self.checkpointer.count(bytes, u64::try_from(keys).unwrap_or(u64::MAX));
        self.cleaning.count(bytes);
        self.time.note_written(mono_ms);
        for (frame, at) in new.iter().zip(placed) {
            if let Some(kind) = FrameKind::from_code(frame.kind) {
                kernel.note(kind, *at);
            }
        }
        bytes
    }
}

/// Forgets slices of keys that ended; the few keys of unfinished items that hold one move on. Returns whether any
/// went.
pub(in crate::kernel) fn expire<S: Areas>(state: &mut S, trusted_ms: u64) -> bool {
    let Expired { mut dropped, to_carry } = state.kernel().keys.expire(trusted_ms);
    if !to_carry.is_empty() {
        state.carry_keys(&to_carry, trusted_ms);
        dropped.extend(state.kernel().keys.expire(trusted_ms).dropped);
    }
    if !dropped.is_empty() {
        state.slices_ended();
        let kernel = state.kernel_mut();
        kernel.usage.retain_slices(&kernel.keys.live_slices());
    }
    !dropped.is_empty()
}

/// The place of each frame of an appended batch.
fn located(appended: &Appended, new: &[NewFrame<'_>]) -> Vec<Located> {
    let mut offset = appended.place.offset;
    let mut out = Vec::with_capacity(new.len());
    for (frame, lsn) in new.iter().zip(appended.first.get()..) {
        let bytes = u32::try_from(appended.bytes_of(frame)).unwrap_or(u32::MAX);
        let place = Place { segment: appended.place.segment, offset };
        out.push(Located { place, bytes, lsn });
        offset = offset.saturating_add(bytes);
    }
    out
}

/// Bytes that frames would take.
pub(crate) fn bytes_of(log: &Log, new: &[NewFrame<'_>]) -> u64 {
    let bytes = new.iter().map(|frame| log.bytes_of(frame)).fold(0, usize::saturating_add);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
