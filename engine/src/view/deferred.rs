//! Captures that were queued and for which nobody may wait: their keys are confirmed, or withdrawn,
//! by whoever comes next. No I/O, no clock, no lock here.
//!
//! Until then the index takes no key of these frames, nor of later ones, into its files: a crash may
//! undo them.

use std::collections::VecDeque;

use super::View;

/// One call's frames.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Queued {
    /// LSNs of its first and last event; all between are events of the call.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) bytes: u64,
    /// When it was queued, by the monotonic clock.
    pub(crate) mono_ms: u64,
}

/// The calls whose frames are not known to be durable, in the order of their LSNs.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    queued: VecDeque<Queued>,
    bytes: u64,
    /// Bytes that were queued since a sync was asked for.
    unasked: u64,
}

/// After so many bytes the log's thread is asked to sync, so that those who capture need not.
const ASKED_BYTES: u64 = 1024 * 1024;

impl Deferred {
    /// A call queued its frames. Returns whether it is time to have them synced.
    pub(crate) fn push(&mut self, queued: Queued) -> bool {
        self.bytes = self.bytes.saturating_add(queued.bytes);
        self.queued.push_back(queued);
        self.unasked = self.unasked.saturating_add(queued.bytes);
        let is_time = self.unasked >= ASKED_BYTES;
        if is_time {
            self.unasked = 0;
        }
        is_time
    }

    /// The oldest call, and the LSN of the last frame of all.
    pub(crate) fn ends(&self) -> Option<(Queued, u64)> {
        Some((*self.queued.front()?, self.queued.back()?.last))
    }

    /// Bytes of all.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the oldest call out.
    pub(crate) fn pop(&mut self) -> Option<Queued> {
        let queued = self.queued.pop_front()?;
        self.bytes = self.bytes.saturating_sub(queued.bytes);
        Some(queued)
    }
}

impl View {
    /// The frames of a call are durable.
    pub(crate) fn confirm_queued(&self, queued: Queued) {
        self.keys.confirm(queued.first..=queued.last);
    }

    /// The frames of a call are surely absent: their keys are free again.
    pub(crate) fn withdraw_queued(&mut self, queued: Queued) {
        for lsn in queued.first..=queued.last {
            if let Some(print) = self.events.get(&lsn).map(|live| live.print) {
                self.withdraw(print, lsn);
            }
        }
    }
}
