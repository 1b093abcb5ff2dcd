//! Commits whose frames are queued and not known to be durable, in the order of their LSNs. No I/O here.
//!
//! Whoever comes next applies what became of them (see `commit.rs`): what they change takes place, or their
//! keys are withdrawn. Until then the index takes no key of these frames, nor of later ones, into its files: a
//! crash may undo them.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::base::FrameKind;

/// Who hears how a commit ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Waiter {
    /// The call that queued it, which waits.
    Call,
    /// The holder of a ticket, if anybody ever asks.
    Ticket,
}

/// The frames of one commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct QueuedCommit {
    /// LSN of the first frame.
    pub(in crate::kernel) first: u64,
    /// LSN of the last frame.
    pub(crate) last: u64,
    /// What changes with the commit: the kind of the frames that took keys.
    pub(crate) kind: FrameKind,
    /// Bytes of the frames.
    pub(in crate::kernel) bytes: u64,
    /// When the commit was queued, by the monotonic clock.
    pub(in crate::kernel) mono_ms: u64,
    /// Who hears how the commit ends.
    pub(in crate::kernel) waiter: Waiter,
}

impl QueuedCommit {
    /// The numbers of the frames.
    pub(crate) fn lsns(&self) -> RangeInclusive<u64> {
        self.first..=self.last
    }
}

/// Commits that are queued.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    queued: VecDeque<QueuedCommit>,
    /// Bytes of those with tickets.
    deferred_bytes: u64,
    /// Bytes of those with tickets that were queued since a sync was asked for.
    unasked_bytes: u64,
}

/// After so many bytes the log's thread is asked to sync, so that those who capture need not.
const ASKED_BYTES: u64 = 1024 * 1024;

impl Commits {
    /// Notes a commit that was queued. Returns whether it is time to have those with tickets synced.
    pub(super) fn push(&mut self, commit: QueuedCommit) -> bool {
        self.queued.push_back(commit);
        if commit.waiter == Waiter::Call {
            return false;
        }
        self.deferred_bytes = self.deferred_bytes.saturating_add(commit.bytes);
        self.unasked_bytes = self.unasked_bytes.saturating_add(commit.bytes);
        let is_time = self.unasked_bytes >= ASKED_BYTES;
        if is_time {
            self.unasked_bytes = 0;
        }
        is_time
    }

    /// The oldest commit.
    pub(crate) fn oldest(&self) -> Option<QueuedCommit> {
        self.queued.front().copied()
    }

    /// Takes the oldest commit out.
    pub(super) fn pop(&mut self) {
        if let Some(commit) = self.queued.pop_front()
            && commit.waiter == Waiter::Ticket
        {
            self.deferred_bytes = self.deferred_bytes.saturating_sub(commit.bytes);
        }
    }

    /// Whether it is known that a frame that took a key is durable. What was absent has no key any more, as soon as its
    /// commit was applied.
    pub(crate) fn is_durable(&self, lsn: u64) -> bool {
        self.queued.front().is_none_or(|oldest| lsn < oldest.first)
    }

    /// Bytes of commits with tickets.
    pub(crate) fn deferred_bytes(&self) -> u64 {
        self.deferred_bytes
    }

    /// The oldest commit with a ticket, and the LSN of the last frame of all with tickets.
    pub(super) fn deferred(&self) -> Option<(QueuedCommit, u64)> {
        let mut deferred = self.queued.iter().filter(|commit| commit.waiter == Waiter::Ticket);
        let oldest = *deferred.next()?;
        Some((oldest, deferred.next_back().unwrap_or(&oldest).last))
    }
}
