//! Queues the frames of a call and takes their keys.

use onceward_wal::NewFrame;

use super::call::Call;
use super::calls::Captures;
use super::judging::{Prepared, lost_verdict};
use crate::base::{FrameKind, Located, Result};
use crate::kernel::{PlacedFrames, Queueing, Waiter};
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
        let (mut placed, evict_at) = match (&*call.events, evicted) {
            ([only], None) => (self.inner.queue_placed(state, &[only.frame(kind)], how)?, None),
            _ => self.queue_many(state, (call, evicted), how)?,
        };
        for event in call.events.iter_mut().filter(|event| event.is_fresh()) {
            event.at = placed.next(&event.parts);
        }
        let keys = &mut state.kernel.keys;
        keys.take_each(call.events, moment.trusted_ms, Prepared::reservation, |event, held| {
            event.held = Some(held);
        });
        let captured = call.captured(moment);
        let StoreState { kernel, outbox, .. } = state;
        for event in call.events.iter().filter(|event| event.is_queued()) {
            let held = event.held.ok_or_else(lost_verdict)?;
            let arrived = Arrived { moment: captured, is_effect, held };
            outbox.add(kernel, event.at.lsn, &event.facts, (event.at, arrived));
        }
        Ok(evict_at)
    }

    fn queue_many(
        &self,
        state: &mut StoreState,
        (call, evicted): (&Call<'_, '_>, Option<&[u8]>),
        how: Queueing,
    ) -> Result<(PlacedFrames, Option<Located>)> {
        let head = [evicted.unwrap_or_default()];
        let evict = NewFrame { kind: FrameKind::Evict.code(), flags: 0, parts: &head };
        let mut frames = Vec::with_capacity(how.keys + usize::from(evicted.is_some()));
        frames.extend(evicted.map(|_| evict));
        let fresh = call.events.iter().filter(|event| event.is_fresh());
        frames.extend(fresh.map(|event| event.frame(call.kind)));
        let mut placed = self.inner.queue_placed(state, &frames, how)?;
        let evict_at = evicted.map(|_| placed.next(&head));
        Ok((placed, evict_at))
    }
}
