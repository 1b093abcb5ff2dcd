//! Whether new events find room, and what would be answered of one.

use super::call::Call;
use super::calls::Captures;
use super::judging::{Judged, Plan, lost_verdict, plan};
use super::verdict::WouldAccept;
use crate::base::{FrameKind, Result};
use crate::event::AnyEvent;
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
    pub fn would_accept(&self, event: &impl AnyEvent) -> Result<WouldAccept> {
        let captures = self.inner.captures();
        captures.with_events(std::slice::from_ref(event), |call| captures.would_accept(call))
    }
}

impl Captures<'_> {
    /// What a call of one event would be answered now.
    fn would_accept(&self, call: &mut Call<'_, '_>) -> Result<WouldAccept> {
        let inner = self.inner;
        inner.refuse_if_closed()?;
        let mut state = inner.state.lock();
        inner.bring_up_to_now(&mut state);
        let fresh = inner.asking(&mut state, |state, keys| {
            let known = (&state.kernel, state.outbox.events());
            plan(known, keys, (call.events, &call.unsendable))
        })?;
        match call.events.first().ok_or_else(lost_verdict)?.plan {
            Plan::Known(judged) | Plan::Lost(judged) => Ok(match judged {
                Judged::Conflict { lsn } => WouldAccept::Conflict { lsn },
                Judged::Duplicate { lsn, state } => WouldAccept::Duplicate { lsn, state },
                Judged::Fresh { .. } => return Err(lost_verdict()),
            }),
            Plan::Fresh | Plan::Again { .. } => {
                state.rescue.refuse_if_fenced()?;
                inner.refuse_if_in_doubt()?;
                match inner.admission().judge(&state.outbox, &self.demand(call, fresh)) {
                    Ok(_) => Ok(WouldAccept::Fresh),
                    Err(refused) => Ok(WouldAccept::Refused { limit: refused.limit }),
                }
            }
        }
    }

    /// Whether the fresh events of a call, so many, find room. The caller holds the state.
    ///
    /// # Errors
    ///
    /// `Full`, with the limit's code.
    pub(super) fn room_for(
        &self,
        state: &StoreState,
        call: &Call<'_, '_>,
        fresh: usize,
    ) -> Result<Room> {
        // An effect is settled with its own frame: it waits for nothing.
        if call.kind != FrameKind::Event || !self.inner.config.limits.is_any() {
            return Ok(Room::Enough);
        }
        Ok(self.inner.admission().judge(&state.outbox, &self.demand(call, fresh))?)
    }

    /// What the fresh events of a call, so many, ask for.
    fn demand(&self, call: &Call<'_, '_>, fresh: usize) -> Demand {
        let new = || call.events.iter().filter(|event| event.is_fresh());
        let bytes: usize =
            new().map(|event| self.inner.log.bytes_of(&event.frame(call.kind))).sum();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        Demand::of(fresh, bytes, new().filter_map(|event| event.facts.amount))
    }
}
