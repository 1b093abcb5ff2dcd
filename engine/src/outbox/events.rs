//! Events as the outbox knows them: what they are, how far they are, and where reading finds them.

use onceward_index::{ContentHash, Entry, Fingerprint, Secret, Window};

use super::table::are_neighbours;
use crate::base::{Located, Moment, State, Wall, WrittenAt};
use crate::event::layout;
use crate::kernel::{Reservation, SliceHold, Windows};

/// How far an event without a final answer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// Waits to be sent.
    Pending,
    /// In this batch.
    InFlight(u64),
    /// Refused for good: waits for a person.
    InReview,
    /// Waits for a person: nobody knows whether the event took effect.
    Uncertain,
}

impl Stage {
    /// The stage's name outside.
    pub(crate) fn state(self) -> State {
        match self {
            Self::Pending => State::Pending,
            Self::InFlight(_) => State::InFlight,
            Self::InReview => State::InReview,
            Self::Uncertain => State::Uncertain,
        }
    }

    /// Whether a person has to decide.
    pub(crate) fn waits_for_a_person(self) -> bool {
        matches!(self, Self::InReview | Self::Uncertain)
    }
}

/// An event without a final answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Live {
    pub(crate) held: SliceHold,
    /// Whether its key moved to a later slice than that of its capture.
    pub(crate) has_moved: bool,
    /// Number of its scope, see `Scopes`.
    pub(crate) scope: usize,
    pub(crate) at: Located,
    /// When it was captured.
    pub(crate) moment: Moment,
    /// The event's amount, in ten-thousandths.
    pub(crate) amount: i64,
    /// Whether the event's frame is an effect: once that is durable the event is settled.
    pub(crate) is_effect: bool,
    /// Whether the event may be dropped to make room.
    pub(crate) is_evictable: bool,
    /// Whether the event was in a batch once, so that the upstream may have it.
    pub(crate) is_attempted: bool,
    /// When the batch was formed with which it was attempted first, if that is known.
    pub(crate) attempted: Option<WrittenAt>,
    /// Whether the event was captured in another store.
    pub(crate) is_imported: bool,
    pub(crate) stage: Stage,
}

impl Live {
    /// An event of this scope as it comes, with nothing special and without an amount: it waits to be sent.
    pub(in crate::outbox) fn plain(
        scope: usize,
        held: SliceHold,
        (at, moment): (Located, Moment),
    ) -> Self {
        Self {
            held,
            has_moved: false,
            scope,
            at,
            moment,
            amount: 0,
            is_effect: false,
            is_evictable: false,
            is_attempted: false,
            attempted: None,
            is_imported: false,
            stage: Stage::Pending,
        }
    }

    /// Whether the upstream is to have it: it is no effect, and waits for no person.
    pub(crate) fn is_to_deliver(&self) -> bool {
        !self.is_effect && !self.stage.waits_for_a_person()
    }

    /// What is counted of it.
    pub(super) fn counted(&self) -> Counted {
        let bytes = u64::from(self.at.bytes);
        Counted { count: 1, bytes, sum: i128::from(self.amount) }
    }
}

/// What is counted of events without a final answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counted {
    /// How many there are.
    pub(in crate::outbox) count: u64,
    /// Bytes of their frames.
    pub(in crate::outbox) bytes: u64,
    /// The sum of their amounts, in ten-thousandths.
    pub(in crate::outbox) sum: i128,
}

/// An event with a final answer whose frame is still in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Settled {
    pub(crate) at: Located,
    /// Number of its scope, see `Scopes`.
    pub(in crate::outbox) scope: usize,
    pub(in crate::outbox) state: State,
    /// Whether the event's key moved to a later slice before the event was settled.
    pub(in crate::outbox) has_moved: bool,
    /// Wall clock at the capture.
    pub(in crate::outbox) wall: Wall,
    /// The frame that holds the answer.
    pub(in crate::outbox) outcome_lsn: u64,
}

/// The place and the stage of an event: what reading it needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    pub(crate) lsn: u64,
    pub(crate) at: Located,
    pub(crate) wall: Wall,
    pub(crate) state: State,
    /// The place of the frame that holds the final answer, if there is one.
    pub(crate) outcome: Option<Located>,
}

/// A final answer, as it is noted for one event or many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FinalAnswer {
    pub(crate) state: State,
    /// LSN of the frame that holds it.
    pub(crate) holder: u64,
    /// When it was given: from then on the key is remembered for its window.
    pub(crate) trusted_ms: u64,
    /// What a receipt takes, about.
    pub(crate) receipt_bytes: usize,
}

/// An event whose key is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TakenEvent<'a> {
    pub(crate) facts: &'a Facts<'a>,
    /// Where its first frame is.
    pub(crate) at: Located,
    /// The slice that holds its key.
    pub(crate) held: SliceHold,
}

impl TakenEvent<'_> {
    /// Whether another is as this one in all that is counted and noted of both together, and stands near it.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let is_simple = |facts: &Facts<'_>| facts.lane.is_none() && !facts.is_evictable;
        are_neighbours(self.at.lsn, other.at.lsn)
            && self.at.place.segment == other.at.place.segment
            && self.held == other.held
            && self.held.slice.is_some()
            && is_simple(self.facts)
            && is_simple(other.facts)
            && self.facts.scope == other.facts.scope
    }
}

/// What the events of a call have in common, as their first frames say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    /// When they were captured.
    pub(crate) moment: Moment,
    /// Whether their frames are effects.
    pub(crate) is_effect: bool,
}

/// What keys, limits and lanes need to know of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) content_hash: ContentHash,
    pub(in crate::outbox) scope: &'a str,
    pub(crate) amount: Option<i64>,
    /// The event's lane, as a fingerprint that is another one for the same lane of another scope.
    pub(in crate::outbox) lane: Option<Fingerprint>,
    /// Whether the event may be dropped to make room.
    pub(crate) is_evictable: bool,
    /// How long its key is remembered.
    pub(crate) window: Window,
}

impl<'a> Facts<'a> {
    /// What the index is asked to reserve for the event `lsn`.
    pub(crate) fn reservation(&self, lsn: u64) -> Reservation {
        let entry = Entry { key: self.fingerprint, content: self.content_hash, lsn };
        Reservation { entry, window: self.window }
    }

    /// The facts of an event, its fingerprints keyed with the store's secret.
    ///
    /// What makes two events with the same key the same: kind, amount and payload, nothing else.
    pub(crate) fn of(secret: &Secret, windows: &Windows, event: &layout::View<'a>) -> Self {
        let amount = event.amount.map(i64::to_le_bytes);
        let amount = amount.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        Self {
            fingerprint: secret.fingerprint(event.scope, event.key.as_bytes()),
            lane: event.lane.map(|lane| secret.fingerprint(event.scope, lane.as_bytes())),
            content_hash: secret.content(&[event.kind.as_bytes(), amount, event.payload]),
            scope: event.scope,
            amount: event.amount,
            is_evictable: event.evictable,
            window: windows.of(event.scope),
        }
    }
}
