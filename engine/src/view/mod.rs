//! What the log says, in memory: the one state machine behind opening, running and inspecting.
//!
//! Replaying the log and serving live calls go through the same functions, in the order of the
//! frames, so that what a restart rebuilds is what was there before. No I/O, no clock, no lock here.

mod apply;
mod asking;
mod by_lsn;
mod deferred;
mod front;
mod heard;
mod inbox;
mod lanes;
mod leaving;
mod limits;
mod lives;
pub(crate) mod looked;
mod lost;
mod needs;
mod outcomes;
pub(crate) mod records;
mod remembered;
mod replay;
mod reviews;
mod time;
mod upstreams;
pub(crate) mod windows;

use std::collections::BTreeMap;

use onceward_index::Fingerprint;
use onceward_wal::{Frame, Place};

use crate::event::{Amount, Scope};
use crate::report::Status;
use crate::verdict::State;

pub(crate) use apply::Added;
pub(crate) use asking::Asking;
use by_lsn::ByLsn;
use deferred::Deferred;
pub(crate) use deferred::Queued;
use front::Front;
pub(crate) use inbox::{
    DeliveryKey, Ending, Finished, HeldKey, Inbox, NewDelivery, Open, delivery_keys, next_step,
};
use lanes::Lanes;
pub(crate) use leaving::Leaving;
use limits::Room;
pub(crate) use lives::{KEY_ENTRY_BYTES, Lives, Rest};
pub(crate) use needs::Holder;
use needs::{ClosedBatch, OpenBatch, Reviewed};
use outcomes::Outcomes;
pub(crate) use remembered::{Held, LostKeys, Remembered, Taking, options};
pub(crate) use replay::Facts;
pub(crate) use reviews::Reviews;
pub(crate) use time::{Moment, Origin, Since, Times, Wall};
pub(crate) use windows::Windows;

/// Where a frame stands and how long it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Located {
    pub(crate) place: Place,
    pub(crate) bytes: u32,
    /// The frame's own LSN.
    pub(crate) lsn: u64,
}

impl Located {
    /// The place of a frame that was read.
    pub(crate) fn of(frame: &Frame<'_>) -> Self {
        Self {
            place: frame.place,
            bytes: u32::try_from(frame.bytes()).unwrap_or(u32::MAX),
            lsn: frame.lsn.get(),
        }
    }
}

/// How far an event without a final answer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// Waits to be sent.
    Pending,
    /// In this batch.
    InFlight(u64),
    /// Refused for good: waits for a person.
    InReview,
    /// Nobody knows whether it took effect: waits for a person.
    Uncertain,
}

impl Stage {
    /// What it is called outside.
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
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) print: Fingerprint,
    pub(crate) held: Held,
    /// Number of its scope in [`View::scopes`].
    pub(crate) scope: usize,
    pub(crate) at: Located,
    /// When it was captured.
    pub(crate) moment: Moment,
    /// In ten-thousandths.
    pub(crate) amount: i64,
    /// Its frame is an effect: once that is durable it is settled.
    pub(crate) at_once: bool,
    /// It may be dropped to make room.
    pub(crate) is_evictable: bool,
    /// It was in a batch once, so the upstream may have it.
    pub(crate) is_attempted: bool,
    /// When the batch was formed with which it was attempted first, if that is known.
    pub(crate) attempted: Option<Since>,
    /// It was captured in another store.
    pub(crate) is_imported: bool,
    pub(crate) stage: Stage,
}

impl Live {
    /// Whether the upstream is to have it: it is no effect, and waits for no person.
    pub(crate) fn is_to_deliver(&self) -> bool {
        !self.at_once && !self.stage.waits_for_a_person()
    }
}

/// An event with a final answer whose frame is still in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    pub(crate) at: Located,
    pub(crate) state: State,
    /// Its key moved to a later slice before it was settled.
    pub(crate) has_moved: bool,
    /// Wall clock at the capture.
    pub(crate) wall: Wall,
    /// The frame that holds the answer.
    pub(crate) outcome_lsn: u64,
}

/// Where an event stands and how far it is: what reading it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) lsn: u64,
    pub(crate) at: Located,
    pub(crate) wall: Wall,
    pub(crate) state: State,
    /// Where the frame that holds the final answer stands, if there is one.
    pub(crate) outcome: Option<Located>,
}

/// What the log says.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) secret: onceward_index::Secret,
    pub(crate) keys: Remembered,
    /// When the shortest slice began in which expiry was last looked at.
    turned_in: Option<u64>,
    /// Events without a final answer, by LSN.
    pub(crate) events: ByLsn<Live>,
    lanes: Lanes,
    /// Those of them that are to be sent next.
    front: Front,
    pub(crate) batches: BTreeMap<u64, OpenBatch>,
    /// What waits for a person, and what was decided.
    pub(crate) reviews: Reviews,
    /// Scopes that events have, in order of their first appearance.
    scopes: Vec<Scope>,
    /// Settled events that are still in the log, by LSN.
    pub(crate) settled: ByLsn<Settled>,
    /// Answers for settled events whose keys were carried, by LSN. Those of keys that expired stay
    /// until their holder is trimmed: nobody asks for them, because a number is never used again.
    pub(crate) outcomes: Outcomes,
    /// Frames that hold outcomes or close batches, and decisions, by their LSN.
    pub(crate) holders: BTreeMap<u64, Holder>,
    /// Older frames of events that were carried, which still stand.
    copies: BTreeMap<u64, Vec<Located>>,
    /// Batches that are closed and have a frame in the log.
    closed: BTreeMap<u64, ClosedBatch>,
    /// By the LSN of an event that is or was in review.
    reviewed: BTreeMap<u64, Reviewed>,
    /// What lives in each segment.
    pub(crate) lives: Lives,
    /// Events whose key another one had that was not settled as far as the log was read.
    contested: Vec<(u64, u64, String)>,
    /// Leases and records.
    pub(crate) records: records::Records,
    /// What the upstream delivered.
    pub(crate) inbox: Inbox,
    pub(crate) time: Times,
    /// Whether the store is left, and whose bundles it took up.
    pub(crate) leaving: Leaving,
    /// What is kept by upstream.
    pub(crate) upstreams: upstreams::Upstreams,
    /// Sum of the amounts of all events without a final answer.
    amount_unsettled: i128,
    /// What limits need to know.
    pub(crate) room: Room,
    /// Captures for which nobody may wait.
    pub(crate) deferred: Deferred,
    /// Frames whose checksum is right and that do not fit the log: where, and why.
    pub(crate) odd: Vec<(Located, String)>,
}

impl View {
    /// What an empty log says.
    pub(crate) fn new(secret: onceward_index::Secret, keys: Remembered) -> Self {
        Self {
            secret,
            keys,
            turned_in: None,
            events: ByLsn::default(),
            lanes: Lanes::default(),
            front: Front::default(),
            batches: BTreeMap::new(),
            reviews: Reviews::default(),
            scopes: Vec::new(),
            settled: ByLsn::default(),
            outcomes: Outcomes::default(),
            holders: BTreeMap::new(),
            copies: BTreeMap::new(),
            closed: BTreeMap::new(),
            reviewed: BTreeMap::new(),
            lives: Lives::default(),
            contested: Vec::new(),
            records: records::Records::default(),
            inbox: Inbox::default(),
            time: Times::default(),
            leaving: Leaving::default(),
            upstreams: upstreams::Upstreams::default(),
            amount_unsettled: 0,
            room: Room::default(),
            deferred: Deferred::default(),
            odd: Vec::new(),
        }
    }

    /// The log was read: events whose keys were carried hold the slices that have them now.
    pub(crate) fn end_replay(&mut self) {
        for live in self.events.values_mut().filter(|live| live.held.slice.is_none()) {
            self.keys.hold_carried(live.print, &mut live.held);
        }
        self.end_records_replay();
        self.hold_delivery_keys();
        self.keys.end_replay();
        self.settle_contested();
        // What is said of events that are gone, or settled by a frame that came before.
        let events = &self.events;
        for review in self.reviews.remove_unless(|event| events.contains_key(event)) {
            self.lives.end_need(review.at.place.segment, review.bytes());
        }
        self.reviewed.retain(|event, _| events.contains_key(event));
        self.lives.retain_slices(&self.keys.live_slices());
    }

    /// Of two events with one key the first was settled before the second came, or the second should
    /// never have been written. The frame that settled the first may have been carried behind both.
    fn settle_contested(&mut self) {
        for (first, second, why) in std::mem::take(&mut self.contested) {
            if self.events.contains_key(&first)
                && let Some(live) = self.drop_event(second)
            {
                self.odd.push((live.at, why));
            }
        }
    }

    /// The scope of an event.
    pub(crate) fn scope(&self, number: usize) -> Option<&Scope> {
        self.scopes.get(number)
    }

    /// The number of a scope, if any event has it.
    pub(crate) fn scope_number(&self, scope: &str) -> Option<usize> {
        self.scopes.iter().position(|known| known.as_str() == scope)
    }

    /// Where an event stands; `None` if its frame is gone.
    pub(crate) fn standing(&self, lsn: u64) -> Option<Standing> {
        if let Some(live) = self.events.get(&lsn) {
            let state = live.stage.state();
            let wall = live.moment.wall;
            return Some(Standing { lsn, at: live.at, wall, state, outcome: None });
        }
        let settled = self.settled.get(&lsn)?;
        let Settled { at, state, wall, .. } = *settled;
        let outcome = self.outcome_at(lsn);
        Some(Standing { lsn, at, wall, state, outcome })
    }

    /// Where the frame stands that holds the final answer for an event.
    pub(crate) fn outcome_at(&self, lsn: u64) -> Option<Located> {
        let holder = match self.settled.get(&lsn) {
            // An effect's own frame holds its receipt.
            Some(settled) if settled.outcome_lsn == lsn => return Some(settled.at),
            Some(settled) => settled.outcome_lsn,
            None => self.outcomes.get(lsn)?.holder,
        };
        self.holders.get(&holder).map(|holder| holder.at)
    }

    /// The state of an event whose key is known; of one of which the log has nothing, nobody can tell.
    pub(crate) fn state_of(&self, lsn: u64) -> State {
        let stage = || self.events.get(&lsn).map(|live| live.stage.state());
        let settled = || self.settled.get(&lsn).map(|settled| settled.state);
        let carried = || self.outcomes.get(lsn).map(|outcome| outcome.state);
        stage().or_else(settled).or_else(carried).unwrap_or(State::OutcomeUnknown)
    }

    /// Sum of the amounts of all events without a final answer, in ten-thousandths.
    pub(crate) fn amount_unsettled(&self) -> i128 {
        self.amount_unsettled
    }

    /// Counts and sums; `bytes` is for the caller to fill in.
    pub(crate) fn status(&self, trusted_ms: u64) -> Status {
        let count = |wanted: fn(Stage) -> bool| {
            u64::try_from(self.events.values().filter(|live| wanted(live.stage)).count())
                .unwrap_or(u64::MAX)
        };
        let oldest = self.events.values().map(|live| live.moment.trusted_ms).min();
        let (amount_pending, amount_is_at_limit) = Amount::nearest(self.amount_unsettled);
        let unsettled = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        let (leases, records) = (self.records.open_count(), self.records.done_count());
        let lost = self.outcomes.count(State::OutcomeUnknown);
        let others = [leases, records, lost, self.inbox.key_count()];
        let not_settled_events = others.iter().fold(unsettled, |sum, it| sum.saturating_add(*it));
        Status {
            pending: count(|stage| stage == Stage::Pending),
            in_flight: count(|stage| matches!(stage, Stage::InFlight(_))),
            in_review: count(|stage| stage == Stage::InReview),
            uncertain: count(|stage| stage == Stage::Uncertain),
            behind: self.behind_parked(None),
            settled: self.keys.len().saturating_sub(not_settled_events),
            lost,
            leases,
            records,
            bytes: 0,
            oldest_pending_ms: oldest.map_or(0, |oldest| trusted_ms.saturating_sub(oldest)),
            amount_pending,
            amount_is_at_limit,
            unsettled_bytes: self.room.bytes(),
            evicted: self.room.totals().evicted,
            cancelled: self.room.totals().cancelled,
            keys: self.keys.len(),
            index_trouble: None,
            catalog_trouble: None,
            decision_troubles: Vec::new(),
            damaged_ranges: 0,
            fence: self.leaving.fence().map(crate::leaving::Fence::of),
            server_offset_ms: None,
        }
    }

    /// How many frames of a segment stand for what leases, records, the inbox and limits keep, so
    /// that cleaning notices if it does not find one.
    pub(crate) fn known_frames(&self, segment: u64) -> usize {
        let areas = self.records.known_frames(segment) + self.inbox.known_frames(segment);
        areas + self.room.known_frames(segment)
    }

    /// Forgets slices of keys that ended, once in every slice's length: so a key is gone at the
    /// latest one slice after its slice's end, whoever asks.
    ///
    /// Returns whether any went.
    pub(crate) fn turn(&mut self, trusted_ms: u64) -> bool {
        let begin = self.keys.slice_begin(self.keys.windows().shortest(), trusted_ms);
        let is_time = self.turned_in.is_none_or(|turned_in| turned_in < begin);
        if is_time {
            self.turned_in = Some(begin);
        }
        is_time && self.expire(trusted_ms)
    }
}

#[cfg(test)]
mod tests;
