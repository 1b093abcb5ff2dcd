//! What the reference knows: plain maps and vectors. A number that the engine gives is a name here, 0 if
//! it was not told yet.

use std::collections::{BTreeMap, BTreeSet};

use super::words::{Delivered, Item, Name, Rules};
use crate::State;
use crate::inbox::DeliveryState;
use crate::review::DecisionAction;

/// An event: all that were ever stored are kept here, in the order of their numbers.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) item: Item,
    pub(super) lsn: u64,
    /// `Pending` also while it is in a batch.
    pub(super) state: State,
    pub(super) receipt: Option<u64>,
    pub(super) at: u64,
    pub(super) settled: u64,
    pub(super) is_attempted: bool,
    pub(super) is_queued: bool,
    /// Which arrival in review waits for a person, what the engine calls it, and why it came.
    pub(super) review: Option<(u64, u64, String)>,
}

/// A batch that is not answered.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) scope: &'static str,
    pub(super) lsn: u64,
    pub(super) events: Vec<usize>,
    /// Which of all that were formed it is: a session begins with the oldest.
    pub(super) serial: usize,
    /// How often the upstream had taken events in this session when the line first failed for it.
    pub(super) failed_at: Option<u64>,
}

/// A call that is to be done once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Call {
    /// Until when somebody holds its lease; `None`: nobody does.
    Open { fence: u64, until: Option<u64>, request: Option<u8> },
    /// What came of it, and when.
    Done { fence: u64, request: Option<u8>, body: u64, at: u64 },
}

/// A delivery.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) of: Delivered,
    pub(super) lsn: u64,
    pub(super) at: u64,
    pub(super) done: u32,
    pub(super) state: DeliveryState,
    /// The event that tells the upstream.
    pub(super) event: usize,
    /// When it was finished; 0 if not. Its name within a window is remembered for a window from the latter.
    pub(super) settled: u64,
    pub(super) until: u64,
}

/// All that the engine must know.
#[derive(Clone, Debug, Default)]
pub(super) struct Reference {
    pub(super) rules: Rules,
    /// Trusted time.
    pub(super) now: u64,
    pub(super) events: Vec<Event>,
    pub(super) names: BTreeMap<Name, usize>,
    /// Batches that are not answered, in the order in which they are sent.
    pub(super) batches: Vec<Batch>,
    pub(super) formed: usize,
    pub(super) arrivals: u64,
    pub(super) decisions: Vec<(usize, DecisionAction, String)>,
    /// Decisions in files: which file, name, action, the version that was seen, who.
    pub(super) dropped: Vec<(String, Name, DecisionAction, u64, String)>,
    pub(super) evicted: BTreeSet<usize>,
    pub(super) cancelled: u64,
    pub(super) calls: BTreeMap<String, Call>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) delivered: BTreeMap<String, usize>,
    /// Windows that the upstream issued: when each was told first, and when it is over.
    pub(super) windows: BTreeMap<&'static str, (u64, u64)>,
    pub(super) lost_deliveries: Vec<usize>,
    /// Duplicates, refused because no window is open, refused because the inbox is full; since opening.
    pub(super) inbox_counts: [u64; 3],
}

impl Reference {
    /// How far an event is.
    pub(super) fn state(&self, id: usize) -> State {
        let is_out = || self.batches.iter().any(|batch| batch.events.contains(&id));
        let state = self.events[id].state;
        if state == State::Pending && is_out() { State::InFlight } else { state }
    }

    /// Events without a final state, in the order of their numbers.
    pub(super) fn unsettled(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        let is_gone = |state: State| state.is_final() || state == State::Unknown;
        (0..self.events.len()).filter(move |id| !is_gone(self.events[*id].state))
    }

    /// Something was written: so is what was queued before.
    pub(super) fn syncs(&mut self) {
        self.events.iter_mut().for_each(|event| event.is_queued = false);
    }

    /// A capture for which nobody waited was lost in a crash.
    pub(super) fn never_stored(&mut self, id: usize) {
        self.names.retain(|_, known| *known != id);
        self.events[id].state = State::Unknown;
    }

    /// A key may be forgotten once its window is over, counted from settlement or capture.
    pub(super) fn may_be_forgotten(&self, id: usize) -> bool {
        let event = &self.events[id];
        let (window_ms, from_capture) = self.rules.window(event.item.name.0);
        let from = if from_capture { event.at } else { event.settled };
        event.state.is_final() && self.now >= from + window_ms
    }

    /// Whether a key must be forgotten: everything of its window was quiet for so long that each slice ended.
    pub(super) fn must_be_forgotten(&self, id: usize) -> bool {
        let window = self.rules.window(self.events[id].item.name.0);
        let same = |it: &&Event| self.rules.window(it.item.name.0) == window;
        let last = self.events.iter().filter(same).map(|it| it.at.max(it.settled)).max();
        let over = last.unwrap_or(0) + window.0 + window.0 / 8;
        self.events[id].state.is_final() && self.now > over
    }

    /// One more event, at the end of all.
    pub(super) fn add(&mut self, item: &Item) -> usize {
        let (state, at) = (State::Pending, self.now);
        let (receipt, settled, lsn) = (None, 0, 0);
        let (is_attempted, is_queued, review) = (false, false, None);
        let item = item.clone();
        self.names.insert(item.name.clone(), self.events.len());
        let event =
            Event { item, lsn, state, receipt, at, settled, is_attempted, is_queued, review };
        self.events.push(event);
        self.events.len() - 1
    }

    /// An event has its final state.
    pub(super) fn end(&mut self, id: usize, state: State, receipt: Option<u64>) {
        let now = self.now;
        let event = &mut self.events[id];
        (event.state, event.receipt, event.settled, event.review) = (state, receipt, now, None);
    }

    /// The step of a delivery to do next.
    pub(super) fn next_step(&self, id: usize) -> Option<u32> {
        let Delivery { of, done, .. } = &self.deliveries[id];
        (of.steps == 0 || *done < of.steps).then_some(done + 1)
    }

    /// The process went: nobody holds a lease, and what counts from the opening begins anew.
    pub(super) fn reopen(&mut self) {
        for call in self.calls.values_mut() {
            if let Call::Open { until, .. } = call {
                *until = None;
            }
        }
        self.inbox_counts = [0; 3];
    }

    /// Whether an event may go to make room.
    pub(super) fn may_be_dropped(&self, id: usize) -> bool {
        let event = &self.events[id];
        event.item.is_evictable()
            && !event.is_queued
            && !event.is_attempted
            && self.state(id) == State::Pending
    }

    /// Events that wait to be sent: durable, in no batch, not with a person.
    pub(super) fn waiting(&self, scope: &str) -> Vec<usize> {
        let mut lanes = BTreeSet::new();
        let is_it = |id: &usize| {
            let event = &self.events[*id];
            event.item.name.0 == scope && !event.is_queued && self.state(*id) == State::Pending
        };
        // Only the first of a lane that is not settled, whatever it waits for.
        let mut is_first = |id: &usize| {
            let Item { name, .. } = &self.events[*id].item;
            self.events[*id].item.lane().is_none_or(|lane| lanes.insert((name.0, lane)))
        };
        self.unsettled().filter(|id| is_first(id)).filter(is_it).collect()
    }

    /// Decisions from files are carried out, the oldest first, at most so many.
    pub(super) fn take_up(&mut self, most: usize) {
        let count = most.min(self.dropped.len());
        for (_, name, action, seen, who) in self.dropped.drain(..count).collect::<Vec<_>>() {
            // One that comes too late is put away.
            let _told = self.decide(&name, action, Some(seen), &who);
        }
    }
}
