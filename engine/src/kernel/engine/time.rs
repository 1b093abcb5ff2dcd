//! Trusted time: what the clocks show, as far as they are believed. It goes on by the monotonic clock, and by what
//! was proven of the time that no clock measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onceward_wal::Stamp;

use crate::base::clock::Clock;
use crate::base::{Moment, Wall};

/// The time of an open store.
#[derive(Debug)]
pub(crate) struct TrustedTime {
    clock: Arc<dyn Clock>,
    stamp: Stamp,
    /// Monotonic time at which a frame was written last, as far as is known.
    written_ms: AtomicU64,
    /// Time that no clock measured and that was proven since the store was opened.
    proven_ms: AtomicU64,
}

impl TrustedTime {
    /// Goes on from where opening began; a frame was written last at `written_ms`, by the monotonic clock.
    pub(in crate::kernel) fn new(clock: Arc<dyn Clock>, stamp: Stamp, written_ms: u64) -> Self {
        Self { clock, stamp, written_ms: AtomicU64::new(written_ms), proven_ms: AtomicU64::new(0) }
    }

    /// The clock.
    pub(in crate::kernel) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// When, and by which clock, this opening began.
    pub(crate) fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// The moment of a reading of the monotonic clock.
    pub(crate) fn moment(&self, mono_ms: u64) -> Moment {
        let elapsed = mono_ms.saturating_sub(self.stamp.mono_ms);
        let proven_ms = self.proven_ms.load(Ordering::Relaxed);
        Moment {
            trusted_ms: self.stamp.trusted_ms.saturating_add(elapsed).saturating_add(proven_ms),
            wall: Wall::at(self.stamp.wall_ms.saturating_add_unsigned(elapsed)),
        }
    }

    /// The moment now.
    pub(crate) fn now(&self) -> Moment {
        self.moment(self.mono_ms())
    }

    /// Trusted time, now.
    pub(crate) fn trusted_ms(&self) -> u64 {
        self.now().trusted_ms
    }

    /// The monotonic clock, now.
    pub(crate) fn mono_ms(&self) -> u64 {
        self.clock.mono_ms()
    }

    /// The wall clock, now.
    pub(crate) fn wall_ms(&self) -> i64 {
        self.clock.wall_ms()
    }

    /// How long no frame was written, by the monotonic clock.
    pub(crate) fn unwritten_ms(&self) -> u64 {
        self.mono_ms().saturating_sub(self.written_ms.load(Ordering::Relaxed))
    }

    /// A frame is written at that reading of the monotonic clock.
    pub(super) fn note_written(&self, mono_ms: u64) {
        self.written_ms.fetch_max(mono_ms, Ordering::Relaxed);
    }

    /// Counts time that was proven.
    pub(super) fn advance(&self, ms: u64) {
        self.proven_ms.fetch_add(ms, Ordering::Relaxed);
    }
}
