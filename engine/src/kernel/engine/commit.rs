//! The one protocol by which frames are written.
//!
//! | step | lock | what |
//! |---|---|---|
//! | bring up to now | state | commits whose end is known are applied, slices that are over are forgotten |
//! | judge and queue | the same | frames get their LSNs, their keys are reserved, and the commit is noted |
//! | wait | none | for the disk |
//! | apply | state, where it was not done yet | whoever comes first applies what became of each commit, in their order |
//!
//! Judging and queueing are one critical section, so that two callers cannot both find a key free. A commit is applied
//! only when it is known to be durable: then what it changes takes place and its keys are confirmed; or its keys are
//! withdrawn. What failed is known to be absent before anything behind it is queued.
//!
//! Of a group that was synced together the first one applies all commits, and notes up to where that was done: the
//! others return without the state. A commit of events changes nothing when it is applied but what a checkpoint of the
//! index may cover, so those who wait for one do not wait for the state either: where somebody else has it, who comes
//! next applies the commit, before anything is judged.

use std::sync::atomic::{AtomicU64, Ordering};

use onceward_index::Expired;
use onceward_wal::{AppendFrame, Appended, Log, Lsn, NewFrame, Placed, Purpose};

use super::{Engine, Share, frame_lsn};
use crate::base::{FrameKind, Located, Moment, Result, observe};
use crate::kernel::{Areas, QueuedCommit, Waiter};

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

/// Up to which frame it is applied what became of commits: told without the state, raised with it.
#[derive(Debug, Default)]
pub(super) struct AppliedUpto(AtomicU64);

impl AppliedUpto {
    fn covers(&self, last: Lsn) -> bool {
        last.get() <= self.0.load(Ordering::Acquire)
    }

    fn raise(&self, last: u64) {
        self.0.store(last, Ordering::Release);
    }
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
    /// Applies what became of commits, and forgets keys whose window is over. Returns what the monotonic clock shows.
    pub(crate) fn bring_up_to_now(&self, state: &mut S) -> u64 {
        self.resolve(state);
        let mono_ms = self.time.mono_ms();
        let trusted_ms = self.time.moment(mono_ms).trusted_ms;
        if state.kernel_mut().is_time_to_expire(trusted_ms) && expire(state, trusted_ms) {
            self.checkpointer.ask();
        }
        mono_ms
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
        let mut placed = Vec::with_capacity(new.len());
        self.queue_each(state, new.iter(), how, |at| placed.push(at))?;
        let kernel = state.kernel_mut();
        for (frame, at) in new.iter().zip(&placed) {
            FrameKind::from_code(frame.kind).into_iter().for_each(|kind| kernel.note(kind, *at));
        }
        Ok(placed)
    }

    /// Queues frames as one commit. `placed` is told where each of them is, in their order; what it was told is void if
    /// this fails. The caller notes with the kernel those whose kind [is noted](FrameKind::is_noted).
    ///
    /// # Errors
    ///
    /// As [`Engine::queue`].
    pub(crate) fn queue_each<F: AppendFrame>(
        &self,
        state: &mut S,
        frames: impl IntoIterator<Item = F, IntoIter: Clone>,
        how: Queueing,
        mut placed: impl FnMut(Located),
    ) -> Result<()> {
        let Queueing { kind, keys, mono_ms, purpose, waiter } = how;
        let (mut count, mut bytes) = (0, 0);
        let located = |Placed { lsn, place, bytes: of_one }| {
            count += 1;
            bytes += u64::from(of_one);
            placed(Located { place, bytes: of_one, lsn: lsn.get() });
        };
        let queued = self.log.append_each(frames, mono_ms, purpose, located);
        let Appended { first, last, .. } =
            queued.map_err(|error| self.log_error(error))?.appended();
        self.checkpointer.count(bytes, u64::try_from(keys).unwrap_or(u64::MAX));
        self.cleaning.count(bytes);
        self.time.note_written(mono_ms);
        observe::appended(count, bytes);
        let (first, last) = (first.get(), last.get());
        let commit = QueuedCommit { first, last, kind, bytes, mono_ms, waiter };
        if state.kernel_mut().commits.push(commit) {
            self.log.sync_soon();
        }
        Ok(())
    }

    /// Waits until a commit that ends with this frame is durable, and applies it, unless somebody did. The caller
    /// does not hold the state.
    ///
    /// # Errors
    ///
    /// As the log says: what is not in doubt is absent.
    pub(crate) fn wait(&self, last: Lsn) -> Result<()> {
        let waited = observe::durable_wait(|| self.log.wait(last));
        if !self.applied_upto.covers(last) {
            self.resolve(&mut self.state.lock());
        }
        waited.map_err(|error| self.log_error(error))
    }

    /// Waits as [`Engine::wait`] does, for a commit of events: one that is durable is applied by who comes next, if
    /// somebody has the state just now.
    ///
    /// # Errors
    ///
    /// As [`Engine::wait`].
    pub(crate) fn wait_for_events(&self, last: Lsn) -> Result<()> {
        let waited = observe::durable_wait(|| self.log.wait(last));
        self.apply_events(last, waited.is_ok());
        waited.map_err(|error| self.log_error(error))
    }

    /// Applies a commit of events of which it is known how it ended, unless somebody did; one that is durable only if
    /// nobody has the state just now.
    pub(crate) fn apply_events(&self, last: Lsn, is_durable: bool) {
        if self.applied_upto.covers(last) {
            return;
        }
        // Who hears that events are absent may count on their keys, and is told so seldom.
        let state = if is_durable { self.state.try_lock() } else { Some(self.state.lock()) };
        if let Some(mut state) = state {
            self.resolve(&mut state);
        }
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
        // Commits of events, one behind the other, are confirmed together.
        let mut events: Option<QueuedCommit> = None;
        let (mut last, mut has_durable) = (None, false);
        let sure = self.log.synced_unless_failed();
        while let Some(oldest) = state.kernel().commits.oldest() {
            let ended = match sure {
                Some(synced) => (oldest.last <= synced).then_some(true),
                None => Lsn::from_u64(oldest.last)
                    .map_or(Some(false), |last| self.log.poll(last).map(|end| end.is_ok())),
            };
            let Some(is_durable) = ended else { break };
            let before = events.filter(|run| run.last.checked_add(1) == Some(oldest.first));
            if is_durable && oldest.kind == FrameKind::Event && before.is_some() == events.is_some()
            {
                let first = before.map_or(oldest.first, |run| run.first);
                events = Some(QueuedCommit { first, ..oldest });
            } else {
                events.take().iter().for_each(|run| confirm(state, run));
                if is_durable {
                    confirm(state, &oldest);
                } else {
                    state.withdrawn(&oldest);
                }
            }
            has_durable |= is_durable;
            last = Some(oldest.last);
            state.kernel_mut().commits.pop();
        }
        events.iter().for_each(|run| confirm(state, run));
        if has_durable {
            self.checkpointer.is_durable();
        }
        if let Some(last) = last {
            self.applied_upto.raise(last);
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
}

/// The frames of a commit, or of several one behind the other, are durable.
fn confirm<S: Areas>(state: &mut S, commit: &QueuedCommit) {
    state.confirmed(commit);
    state.kernel_mut().keys.confirm(commit.lsns());
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

/// Bytes that frames would take.
pub(crate) fn bytes_of(log: &Log, new: &[NewFrame<'_>]) -> u64 {
    let bytes = new.iter().map(|frame| log.bytes_of(frame)).fold(0, usize::saturating_add);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
