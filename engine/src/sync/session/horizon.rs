//! What the upstream says of itself: its clock, and how long it remembers keys. What it may have
//! forgotten is not sent again blindly.
//!
//! | the event was first attempted | it is |
//! |---|---|
//! | never | sent |
//! | less than the horizon ago, or no horizon is known | sent again, under its key; after an hour only once the upstream was heard, which says its horizon |
//! | longer ago | uncertain: a person decides |
//! | nobody knows how long ago | held until the upstream's clock shows it, if it can; or else uncertain |
//!
//! Some events the upstream may have forgotten, as long as it was not heard in this session. Of some nobody knows
//! how long ago they were attempted: between two starts of the machine only the upstream's clock shows how much
//! time passed. And for how long it remembers keys, it says itself. Until then they wait.
//!
//! What was never attempted goes first, and its reply says the time. Where nothing else is to be sent, the
//! driver asks for it: [`Session::asks_time`](super::Session::asks_time).

use std::collections::BTreeSet;

use super::Open;
use super::open::First;
use super::store_access::StoreAccess;
use crate::event::StoredEvent;
use crate::outbox::Answer;
use crate::timekeeping::Age;

/// What is taken off a horizon, at most: requests are on their way for some time, and two clocks do not
/// run alike.
const MARGIN_MS_MAX: u64 = 60 * 60 * 1_000;
/// How long every upstream remembers keys at least, whatever it says.
const REMEMBERED_MS: u64 = 60 * 60 * 1_000;
/// The margin is at most this part of the horizon.
const MARGIN_PART: u64 = 10;

/// What is to be done with an event that was attempted.
#[derive(Debug)]
pub(super) enum Again {
    /// The upstream knows its key still: it is sent.
    Send,
    /// The upstream's clock, or how long it remembers keys, will show it.
    Wait,
    /// A person has to decide.
    Park(Answer),
}

/// What the upstream said of itself, and what waits until it does.
#[derive(Debug)]
pub(super) struct Horizon {
    /// How long it remembers keys at least.
    horizon_ms: Option<u64>,
    /// The upstream answered, so its clock showed what it can.
    has_heard_time: bool,
    /// Whether the upstream said for how long it remembers keys, or answered and did not.
    has_heard_horizon: bool,
    /// Events that wait for that.
    events: BTreeSet<u64>,
    /// Batches with such events.
    batches: Vec<Open>,
}

impl Horizon {
    /// Nothing was heard yet, and the host knows this horizon.
    pub(super) fn new(horizon_ms: Option<u64>) -> Self {
        Self {
            horizon_ms,
            has_heard_time: false,
            has_heard_horizon: false,
            events: BTreeSet::new(),
            batches: Vec::new(),
        }
    }

    /// The upstream said for how long it remembers keys at least.
    pub(super) fn set(&mut self, horizon_ms: u64) {
        self.horizon_ms = Some(horizon_ms);
        self.has_heard_horizon = true;
    }

    /// The upstream answered. Nothing waits for that any more; returns the batches that did.
    pub(super) fn hear(&mut self) -> Vec<Open> {
        self.has_heard_time = true;
        self.has_heard_horizon = true;
        self.events.clear();
        std::mem::take(&mut self.batches)
    }

    /// Whether the upstream answered.
    pub(super) fn has_heard_time(&self) -> bool {
        self.has_heard_time
    }

    /// Whether anything waits for the upstream's clock.
    pub(super) fn is_waited_for(&self) -> bool {
        !(self.events.is_empty() && self.batches.is_empty())
    }

    /// Whether an event that is in no batch waits for it.
    pub(super) fn holds(&self, lsn: u64) -> bool {
        self.events.contains(&lsn)
    }

    /// An event that is in no batch waits for it.
    pub(super) fn hold(&mut self, lsn: u64) {
        self.events.insert(lsn);
    }

    /// A batch waits for it.
    pub(super) fn hold_batch(&mut self, open: Open) {
        self.batches.push(open.unsent());
    }

    /// What is to be done with an event that was attempted first then.
    pub(super) fn again(&self, access: &StoreAccess, event: &StoredEvent, first: First) -> Again {
        let Some(horizon_ms) = self.horizon_ms else { return Again::Send };
        let most_ms = horizon_ms - (horizon_ms / MARGIN_PART).min(MARGIN_MS_MAX);
        let ask = format!(
            "and the upstream remembers keys for {horizon_ms} ms: ask there whether it took effect"
        );
        let (code, message) = match access.age_of(event, first, most_ms) {
            Age::Known(ms) if ms >= REMEMBERED_MS && ms < most_ms && !self.has_heard_horizon => {
                return Again::Wait;
            }
            Age::Known(ms) if ms < most_ms => return Again::Send,
            Age::Known(ms) => {
                ("HORIZON", format!("it may have been sent first {ms} ms ago, {ask}"))
            }
            Age::AtLeast { measured_ms, .. } if measured_ms >= most_ms => {
                let ago = format!("more than {measured_ms} ms ago");
                ("HORIZON", format!("it may have been sent first {ago}, {ask}"))
            }
            Age::AtLeast { may_be_known: true, .. } if !self.has_heard_time => return Again::Wait,
            Age::AtLeast { .. } => (
                "AGE_UNKNOWN",
                format!(
                    "it may have been sent, nobody knows how long ago, since nothing measured all of \
                     the time from then to now, {ask}"
                ),
            ),
        };
        Again::Park(Answer::Uncertain { code: code.to_owned(), message })
    }
}
