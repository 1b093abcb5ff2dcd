//! What is kept in memory of a segment that was read: all that may live in it.

use onceward_wal::Frame;

use super::harvest::{Harvest, SettledHere};
use crate::error::Result;
use crate::frames::event::{self as layout, Carried};
use crate::frames::{KIND_CARRIED, KIND_EFFECT, KIND_EVENT, KIND_KEYS, goes_in_order};
use crate::store::{Inner, from_log};
use crate::view::{Asking, View};

/// What may live in a segment.
#[derive(Default)]
pub(super) struct Contents {
    /// Frames that may only go when every older segment is gone.
    pub(super) in_order: Vec<Kept>,
    /// All others.
    pub(super) others: Vec<Kept>,
}

/// One frame of the segment.
pub(super) enum Kept {
    /// An event that was settled already: without its payload.
    Settled(SettledHere),
    /// Anything else.
    Whole(Whole),
}

/// A copy of a frame.
pub(super) struct Whole {
    frame: Frame<'static>,
    body: Vec<u8>,
}

impl Kept {
    /// Takes what lives of it into the harvest.
    pub(super) fn judge(&self, view: Asking<'_>, harvest: &mut Harvest) -> Result<()> {
        match self {
            Self::Settled(here) => harvest.take_settled(view, here),
            Self::Whole(Whole { frame, body }) => harvest.take(view, &frame.with_body(body)),
        }
    }

    fn whole(frame: &Frame<'_>) -> Self {
        Self::Whole(Whole { frame: frame.without_body(), body: frame.body.to_vec() })
    }
}

/// What was found of the events that the view counts on in a segment.
enum Found {
    /// One of them, of which this is kept, if anything may live.
    Counted(Option<Kept>),
    /// The view has it elsewhere, or not at all.
    Elsewhere,
}

impl Inner {
    /// Reads a finished segment without a lock. `None`: not all is found that the view counts on.
    pub(super) fn read_kept(&self, number: u64) -> Result<Option<Contents>> {
        let mut kept = Contents::default();
        let (mut events, mut key_frames) = (0, 0);
        self.log
            .read_segment(number, &mut |frame| {
                let Some((lsn, body)) = event_in(frame) else {
                    key_frames += usize::from(frame.kind == KIND_KEYS);
                    let is_ordered = goes_in_order(frame.kind);
                    let of = if is_ordered { &mut kept.in_order } else { &mut kept.others };
                    of.push(Kept::whole(frame));
                    return;
                };
                if let Found::Counted(found) = look(&self.view.lock(), frame, lsn, body) {
                    events += 1;
                    kept.others.extend(found);
                }
            })
            .map_err(from_log)?;
        let view = self.view.lock();
        // Only cleaning changes which events stand in a finished segment, so when each was looked at
        // does not matter.
        let counted = view
            .lives
            .get(number)
            .map_or((0, 0), |part| (part.unsettled + part.settled.len(), part.key_frames));
        let is_odd = view.odd.iter().any(|(at, _)| at.place.segment == number);
        Ok((counted == (events, key_frames) && !is_odd).then_some(kept))
    }
}

/// What is known of an event's frame.
fn look(view: &View, frame: &Frame<'_>, lsn: u64, body: &[u8]) -> Found {
    if view.events.get(&lsn).is_some_and(|live| live.at.place == frame.place) {
        return Found::Counted(Some(Kept::whole(frame)));
    }
    if view.settled.get(&lsn).is_none_or(|settled| settled.at.place != frame.place) {
        return Found::Elsewhere;
    }
    if view.outcomes.get(lsn).is_some() {
        return Found::Counted(None);
    }
    match layout::View::decode(frame.flags, body) {
        Some(event) => {
            Found::Counted(Some(Kept::Settled(SettledHere::of(lsn, &view.facts(&event)))))
        }
        None => Found::Elsewhere,
    }
}

/// The number of the event in a frame and the event's bytes, if the frame holds one.
fn event_in<'a>(frame: &Frame<'a>) -> Option<(u64, &'a [u8])> {
    match frame.kind {
        KIND_EVENT => Some((frame.lsn.get(), frame.body)),
        KIND_EFFECT => Some((frame.lsn.get(), layout::split_effect(frame.body)?.1)),
        KIND_CARRIED => {
            let (carried, body) = Carried::decode(frame.lsn.get(), frame.body)?;
            Some((carried.event_lsn, body))
        }
        _ => None,
    }
}
