//! The events of one call: one list, which each step fills in its place.
//!
//! A call of one event has its list, and the bytes before its key, in place: it allocates nothing, unless those bytes
//! are unusually many. A call of many allocates the list, those bytes, and the list of frames that the log takes,
//! whatever their number is.

use super::AnyEffect;
use super::calls::Captures;
use super::judging::{Judged, Prepared, Unsendable, judged, lost_verdict};
use crate::base::bounds::BATCH_EVENTS_MAX;
use crate::base::{Error, FrameKind, Moment, Result};
use crate::event::layout::{EventHead, View};
use crate::event::{AnyEvent, Receipt};
use crate::outbox::Facts;
use crate::store::Shared;

/// Bytes before the key of a single event that need no memory of their own: scope, kind and lane of common lengths.
const HEAD_BYTES_IN_PLACE: usize = 128;

/// The events of one call.
pub(super) struct Call<'c, 'e> {
    /// All that is known of them.
    pub(super) events: &'c mut [Prepared<'e>],
    pub(super) kind: FrameKind,
    /// Those that must not be captured.
    pub(super) unsendable: Vec<Unsendable>,
    /// How far the wall clock is from what the run's beginning says.
    wall_offset_ms: i64,
}

impl Call<'_, '_> {
    /// What was found of the key of its only event.
    pub(super) fn judged_one(&self) -> Result<Judged> {
        judged(self.events, self.events.first().ok_or_else(lost_verdict)?)
    }

    /// What was found of the keys of its events, in their order, as this.
    pub(super) fn judged<T>(&self, as_this: impl Fn(Judged) -> T) -> Result<Vec<T>> {
        let mut all = Vec::with_capacity(self.events.len());
        for event in self.events.iter() {
            all.push(as_this(judged(self.events, event)?));
        }
        Ok(all)
    }

    /// The moment of its events, by that of their frames.
    pub(super) fn captured(&self, moment: Moment) -> Moment {
        Moment { wall: moment.wall.moved(self.wall_offset_ms), ..moment }
    }
}

impl Captures<'_> {
    /// Checks events and lays out their frames, and does something with all of them.
    pub(super) fn with_events<T, E: AnyEvent>(
        &self,
        events: &[E],
        then: impl FnOnce(&mut Call<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        let laying = self.lay_out(FrameKind::Event, events.len())?;
        let then = |call: &mut Call<'_, '_>| {
            call.unsendable = self.unsendable(events);
            then(call)
        };
        if let [event] = events {
            return laying.one(&event.view(), None, then);
        }
        let mut laid = laying.many(events.len());
        for event in events {
            laid.add(&event.view(), None)?;
        }
        laid.end(then)
    }

    /// Does the same with effects.
    pub(super) fn with_effects<T, E: AnyEffect>(
        &self,
        effects: &[E],
        then: impl FnOnce(&mut Call<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        // A receiver's effects are sent nowhere, and refused by no check.
        let laying = self.lay_out(FrameKind::Effect, effects.len())?;
        if let [effect] = effects {
            return laying.one(&effect.view(), Some(effect.receipt()), then);
        }
        let mut laid = laying.many(effects.len());
        for effect in effects {
            laid.add(&effect.view(), Some(effect.receipt()))?;
        }
        laid.end(then)
    }

    /// Begins a call of so many events.
    fn lay_out(&self, kind: FrameKind, count: usize) -> Result<Laying<'_>> {
        if count == 0 || count > BATCH_EVENTS_MAX {
            return Err(Error::invalid(
                "BATCH_SIZE",
                format!("a batch has {count} events, must have 1 to {BATCH_EVENTS_MAX}"),
            ));
        }
        let wall_offset_ms = self.inner.timekeeping().wall_offset_ms();
        Ok(Laying { inner: self.inner, kind, wall_offset_ms })
    }

    /// Those of the events that the host's check refuses.
    fn unsendable<E: AnyEvent>(&self, events: &[E]) -> Vec<Unsendable> {
        let Some(check) = &self.inner.config.sendable else { return Vec::new() };
        let refused = |event: &E| check.refusal(&event.event(), self.inner.time.wall_ms());
        let all = events.iter().enumerate();
        all.filter_map(|(at, event)| Some((at, refused(event)?))).collect()
    }
}

/// Lays out the events of a call.
#[derive(Clone, Copy)]
struct Laying<'s> {
    inner: &'s Shared,
    kind: FrameKind,
    wall_offset_ms: i64,
}

impl<'s> Laying<'s> {
    /// Lays out the only event of a call, and does something with it.
    fn one<T>(
        &self,
        event: &View<'_>,
        receipt: Option<&Receipt>,
        then: impl FnOnce(&mut Call<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        let head = EventHead::new(event, receipt, self.wall_offset_ms);
        let (mut few, mut many) = ([0; HEAD_BYTES_IN_PLACE], Vec::new());
        let mut bytes = if let Some(enough) = few.get_mut(..head.bytes) {
            head.write(enough);
            &*enough
        } else {
            head.append(&mut many);
            &many
        };
        self.inner.refuse_if_long("payload", event.payload)?;
        let mut event = self.prepare(event, (head.flags, bytes.len()));
        event.take_head(&mut bytes);
        then(&mut self.call(std::slice::from_mut(&mut event)))
    }

    /// Begins to lay out so many events.
    fn many<'e>(&self, count: usize) -> Laid<'s, 'e> {
        let (heads, events) = (Vec::with_capacity(count), Vec::with_capacity(count));
        Laid { laying: *self, heads, events }
    }

    /// What keys, limits and lanes need of an event.
    #[inline]
    fn prepare<'e>(&self, event: &View<'e>, (flags, head_bytes): (u8, usize)) -> Prepared<'e> {
        let facts = Facts::of(self.inner.secret(), self.inner.windows(), event);
        let body = [&[], event.key.as_bytes(), event.payload];
        Prepared::new(flags, (head_bytes, body), facts)
    }

    fn call<'c, 'e>(&self, events: &'c mut [Prepared<'e>]) -> Call<'c, 'e> {
        let Self { kind, wall_offset_ms, .. } = *self;
        Call { events, kind, unsendable: Vec::new(), wall_offset_ms }
    }
}

/// The events of a call of many, as far as they are laid out.
struct Laid<'s, 'e> {
    laying: Laying<'s>,
    /// What stands before their keys, one behind the other.
    heads: Vec<u8>,
    events: Vec<Prepared<'e>>,
}

impl<'e> Laid<'_, 'e> {
    /// Lays out the next event.
    fn add(&mut self, event: &View<'e>, receipt: Option<&Receipt>) -> Result<()> {
        let Self { laying, heads, events } = self;
        laying.inner.refuse_if_long("payload", event.payload)?;
        let head = EventHead::new(event, receipt, laying.wall_offset_ms);
        if heads.capacity() - heads.len() < head.bytes {
            // The others are most likely like this one: room for all of them at once.
            heads.reserve(head.bytes * (events.capacity() - events.len()));
        }
        head.append(heads);
        events.push(laying.prepare(event, (head.flags, head.bytes)));
        Ok(())
    }

    /// Does something with all of them.
    fn end<T>(self, then: impl FnOnce(&mut Call<'_, '_>) -> Result<T>) -> Result<T> {
        let Self { laying, heads, events } = self;
        let mut events: Vec<Prepared<'_>> = events;
        let mut heads = heads.as_slice();
        events.iter_mut().for_each(|event| event.take_head(&mut heads));
        then(&mut laying.call(&mut events))
    }
}
