//! Whether new events find room, and what would be answered of one.

use onceward_wal::NewFrame;

use super::calls::Captures;
use super::judging::{Judged, Plan, Prepared, fresh_frames, lost_verdict, plan};
use super::verdict::WouldAccept;
use crate::base::{FrameKind, Result};
use crate::event::Event;
use crate::kernel::bytes_of;
use crate::limits::{Demand, Room};
use crate::store::{Store, StoreState};

impl Store {
    /// What [`Store::capture`] would answer now. Writes nothing and reserves nothing: another capture
    /// may come between.
    ///
    /// A duplicate or conflict may be answered for an event that is not durable yet.
    ///
    /// # Errors
    ///
    /// As [`Store::capture`], but for limits, which are an answer here, and for the disk, which is not asked: it
    /// may be full, or fail. `Poisoned`: it failed before. `Full` with the code `INDEX_FULL`: no memory for a further
    /// key.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    /// use onceward::capture::WouldAccept;
    /// use onceward::limits::{Limit, Limits};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new().with_limits(Limits::new().with_count(1)))?;
    /// let event = |key| Ok::<_, onceward::Error>(
    ///     Event::new(Scope::default(), Key::new(key)?, Payload::json("{}")?));
    /// assert_eq!(store.would_accept(&event("k1")?)?, WouldAccept::Fresh);
    /// store.capture(&event("k1")?)?;
    /// assert!(matches!(store.would_accept(&event("k1")?)?, WouldAccept::Duplicate { .. }));
    /// let refused = WouldAccept::Refused { limit: Limit::Count };
    /// assert_eq!(store.would_accept(&event("k2")?)?, refused);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn would_accept(&self, event: &Event) -> Result<WouldAccept> {
        let inner = &self.inner;
        let prepared = inner.captures().prepare(std::iter::once((event, None)), 1)?;
        inner.refuse_if_closed()?;
        let mut state = inner.state.lock();
        inner.bring_up_to_now(&mut state);
        let plans = inner.asking(&mut state, |state, keys| {
            plan((&state.kernel, state.outbox.events()), keys, &prepared)
        })?;
        let parts: Vec<[&[u8]; 4]> = prepared.iter().map(Prepared::parts).collect();
        let frames = fresh_frames(&plans, &prepared, &parts, FrameKind::Event);
        match plans.first().ok_or_else(lost_verdict)? {
            Plan::Known(Judged::Conflict { lsn }) | Plan::Lost(Judged::Conflict { lsn }) => {
                Ok(WouldAccept::Conflict { lsn: *lsn })
            }
            Plan::Known(known) | Plan::Lost(known) => {
                let state = state.outbox.events().state_of(known.lsn().get());
                Ok(WouldAccept::Duplicate { lsn: known.lsn(), state })
            }
            Plan::Fresh | Plan::Again { .. } => {
                state.rescue.refuse_if_fenced()?;
                inner.refuse_if_in_doubt()?;
                let demand = inner.captures().demand(&plans, &prepared, &frames);
                match inner.admission().judge(&state.outbox, &demand) {
                    Ok(_) => Ok(WouldAccept::Fresh),
                    Err(refused) => Ok(WouldAccept::Refused { limit: refused.limit }),
                }
            }
        }
    }
}

impl Captures<'_> {
    /// Whether the fresh events of a call find room. The caller holds the state.
    ///
    /// # Errors
    ///
    /// `Full`, with the limit's code.
    pub(super) fn room_for(
        &self,
        state: &StoreState,
        plans: &[Plan],
        prepared: &[Prepared<'_>],
        frames: &[NewFrame<'_>],
    ) -> Result<Room> {
        let is_limited = self.inner.config.limits.is_any();
        // An effect is settled with its own frame: it waits for nothing.
        if !is_limited || frames.first().is_none_or(|frame| frame.kind != FrameKind::Event.code()) {
            return Ok(Room::Enough);
        }
        let demand = self.demand(plans, prepared, frames);
        Ok(self.inner.admission().judge(&state.outbox, &demand)?)
    }

    /// What the fresh events of a call ask for, whose frames these are.
    fn demand(&self, plans: &[Plan], prepared: &[Prepared<'_>], frames: &[NewFrame<'_>]) -> Demand {
        let fresh = plans.iter().zip(prepared).filter(|(plan, _)| matches!(plan, Plan::Fresh));
        let amounts = fresh.filter_map(|(_, event)| event.facts.amount);
        Demand::of(frames.len(), bytes_of(&self.inner.log, frames), amounts)
    }
}
