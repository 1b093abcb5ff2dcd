//! Cleaning beside those who settle: when its thread is called, and when it lags so far behind that who settles lends a
//! hand. No thread here.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::choose::slack_bytes;
use super::{Cleaner, Cleaning};
use crate::base::Result;
use crate::kernel::Areas;

/// The thread is called once so much of a segment was settled, in parts of one.
const CALLED_AFTER: u64 = 4;
/// Or after so long, if anything was settled.
const CALLED_AFTER_MS: u64 = 1_000;
/// What may lag behind besides the slack: so many segments, or so many bytes if that is more.
const LAG_SEGMENTS: u64 = 4;
const LAG_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// What waits to be cleaned.
#[derive(Debug, Default)]
pub(super) struct Uncleaned {
    /// Bytes of no use in segments that are worth cleaning, when that was looked at last.
    wasted: AtomicU64,
    /// Bytes of frames that were settled since then.
    settled: AtomicU64,
    /// Bytes of frames that were settled since the thread was called.
    uncalled: AtomicU64,
    /// When the thread was called, by the monotonic clock.
    called_ms: AtomicU64,
}

impl Uncleaned {
    /// Somebody looked what is worth cleaning.
    pub(super) fn looked(&self, wasted_bytes: u64) {
        self.wasted.store(wasted_bytes, Relaxed);
        self.settled.store(0, Relaxed);
    }
}

/// What is to be done about cleaning after something was settled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CleaningTurn {
    /// Nothing: little was settled since the thread was called.
    NotYet,
    /// The thread is to be called.
    Call,
    /// The thread lags behind: who settles cleans, too.
    Help,
}

impl<S: Areas> Cleaner<'_, S> {
    /// Counts what was settled since this was called last, and says what is to be done about it.
    pub(crate) fn turn(&self) -> CleaningTurn {
        let engine = self.engine;
        let Cleaning { uncleaned, .. } = &engine.cleaning;
        let bytes = engine.state.lock().kernel_mut().usage.take_freed();
        let settled = uncleaned.settled.fetch_add(bytes, Relaxed).saturating_add(bytes);
        let uncalled = uncleaned.uncalled.fetch_add(bytes, Relaxed).saturating_add(bytes);
        let segment_bytes = engine.settings.segment_bytes;
        let slack = slack_bytes(segment_bytes, engine.settings.slack_segments);
        let lag = LAG_BYTES_MIN.max(segment_bytes.saturating_mul(LAG_SEGMENTS));
        let waits = uncleaned.wasted.load(Relaxed).saturating_add(settled);
        let now_ms = engine.time.mono_ms();
        if waits > slack.saturating_add(lag) {
            return CleaningTurn::Help;
        }
        let since_ms = now_ms.saturating_sub(uncleaned.called_ms.load(Relaxed));
        if uncalled < segment_bytes / CALLED_AFTER && since_ms < CALLED_AFTER_MS {
            return CleaningTurn::NotYet;
        }
        uncleaned.uncalled.store(0, Relaxed);
        uncleaned.called_ms.store(now_ms, Relaxed);
        CleaningTurn::Call
    }

    /// Cleans once nobody else does.
    ///
    /// # Errors
    ///
    /// As [`Cleaner::clean_if_nobody_does`].
    pub(crate) fn clean_too(&self) -> Result<()> {
        if !self.engine.settings.may_trim {
            return Ok(());
        }
        self.clean_some(&mut self.engine.cleaning.notes.lock()).map(drop)
    }
}
