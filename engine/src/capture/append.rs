//! Queues the frames of a call and takes their keys.

use onceward_wal::NewFrame;

use super::call::Call;
use super::calls::Captures;
use super::judging::Prepared;
use crate::base::{FrameKind, Located, Result};
use crate::kernel::{Queueing, Waiter};
use crate::outbox::Arrived;
use crate::store::StoreState;

impl Captures<'_> {
    /// Queues the frames of the `fresh` events that are new, takes their keys and notes them. In front of them may be
    /// one with this body, which says what is dropped for them; returns where that is.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: nothing was queued.
    pub(super) fn append(
        &self,
        state: &mut StoreState,
        call: &mut Call<'_, '_>,
        evicted: Option<&[u8]>,
        (fresh, mono_ms, waiter): (usize, u64, Waiter),
    ) -> Result<Option<Located>> {
        let (moment, kind) = (self.inner.time.moment(mono_ms), call.kind);
        let is_effect = kind == FrameKind::Effect;
        // An effect is settled with its own frame: it needs no answer.
        let unanswered = if is_effect { 0 } else { fresh };
        let purpose = self.inner.reserve().capture_purpose(state, unanswered);
        let how = Queueing { kind, keys: fresh, mono_ms, purpose, waiter };
        let evict_at = self.queue_frames(state, (call, evicted), how)?;
        if kind.is_noted() {
            let queued = call.events.iter().filter(|event| event.is_fresh());
            queued.for_each(|event| state.kernel.note(kind, event.at.get()));
        }
        let keys = &mut state.kernel.keys;
        keys.take_each(call.events, moment.trusted_ms, Prepared::reservation, |event| {
            &mut event.held
        });
        let StoreState { kernel, outbox, .. } = state;
        let arrived = Arrived { moment: call.captured(moment), is_effect };
        outbox.add_all(kernel, call.events, Prepared::taken, arrived);
        Ok(evict_at)
    }

    /// Queues the frames, and notes with each event where its own is. Returns where that is of what is dropped.
    fn queue_frames(
        &self,
        state: &mut StoreState,
        (call, evicted): (&Call<'_, '_>, Option<&[u8]>),
        how: Queueing,
    ) -> Result<Option<Located>> {
        let fresh = || call.events.iter().filter(|event| event.is_fresh());
        let events = fresh().map(|event| event.frame(call.kind));
        let mut unplaced = fresh();
        let mut place_next = |at| unplaced.next().into_iter().for_each(|event| event.at.set(at));
        let Some(evicted) = evicted else {
            self.inner.queue_each(state, events, how, place_next)?;
            return Ok(None);
        };
        let mut evict_at = None;
        let (kind, head) = (FrameKind::Evict, [evicted]);
        let evict = NewFrame { kind: kind.code(), flags: 0, parts: &head };
        let all = std::iter::once(evict).chain(events);
        self.inner.queue_each(state, all, how, |at| match evict_at {
            None => evict_at = Some(at),
            Some(_) => place_next(at),
        })?;
        evict_at.into_iter().for_each(|at| state.kernel.note(kind, at));
        Ok(evict_at)
    }
}
