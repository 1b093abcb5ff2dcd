//! What a host calls from a timer: makes durable what nobody waits for, carries out what others left, gives space back.

use super::{Shared, Store};
use crate::base::Result;
use crate::base::bounds::LINGER_MS;
use crate::base::observe::{self, HeldCounts};
use crate::kernel::CleaningTurn;
use crate::timekeeping::Note;

impl Store {
    /// Makes deferred captures durable for which nobody waited for a fifth of a second, carries out
    /// decisions that other processes dropped into the directory (see
    /// [`write_decision`](crate::review::write_decision)), forgets keys whose window is over and trims
    /// segments that are mostly settled.
    ///
    /// A host calls this from a timer, every second or so. After events were settled the store's own thread does all
    /// of it but the decisions. Without ticks these wait, and as long as nothing is settled, keys and space are kept.
    /// Deferred captures become durable without a tick too, by the store's own thread.
    ///
    /// ```
    /// use onceward::{Config, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// // From a timer of the host, every second or so.
    /// store.tick()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Full`: no room. `Poisoned`, `Io`: as for [`Store::capture`]. Nothing is lost.
    ///
    /// # Cost
    ///
    /// Writes at most half of what was appended since the last call, or 512 KiB if that is more.
    pub fn tick(&self) -> Result<()> {
        self.inner.refuse_if_closed()?;
        // On a full disk, cleaning may make room for what could not be decided.
        let carried_out = self.inner.dropped().carry_out();
        self.inner.clean_up()?;
        carried_out
    }

    /// The part of [`Store::tick`] that settling does: beside the caller, where the store has threads.
    pub(crate) fn clean_up(&self) -> Result<()> {
        let inner = &self.inner;
        if !self.keeper.has_threads() {
            return inner.clean_up();
        }
        let cleaned = match inner.cleaner().turn() {
            CleaningTurn::NotYet => Ok(()),
            CleaningTurn::Call if self.keeper.call(inner)? => Ok(()),
            CleaningTurn::Call => return inner.clean_up(),
            CleaningTurn::Help => inner.cleaner().clean_too(),
        };
        inner.report_held();
        cleaned
    }
}

impl Shared {
    /// Makes durable what nobody waits for any more, forgets keys whose window is over, and gives space back.
    ///
    /// # Errors
    ///
    /// As [`Store::tick`].
    pub(super) fn clean_up(&self) -> Result<()> {
        self.refuse_if_closed()?;
        let since_ms = self.deferred_since_ms();
        if since_ms.is_some_and(|ms| self.time.mono_ms().saturating_sub(ms) >= LINGER_MS) {
            self.sync_deferred()?;
        }
        self.expire_now();
        self.tick_checkpointer();
        let ended = self.inbox().end_windows();
        let ended = self.timekeeping().note_time(Note::WhenLongAgo).and(ended);
        self.catalog().tidy();
        self.cleaner().clean_if_nobody_does()?;
        self.report_held();
        ended
    }

    /// Reports what the store holds now, if somebody listens.
    pub(super) fn report_held(&self) {
        observe::held(|| {
            let counts = self.state.lock().outbox.events().tallies().all();
            HeldCounts {
                pending: counts.pending.count,
                in_flight: counts.in_flight.count,
                in_review: counts.in_review.count,
                uncertain: counts.uncertain.count,
                log_bytes: self.log.file_bytes(),
            }
        });
    }
}
