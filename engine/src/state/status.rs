//! How many events are where, and how much room they take.

use std::time::Duration;

use super::StoreState;
use crate::event::{Amount, Scope};
use crate::kernel::Area;
use crate::outbox::ScopeCounts;
use crate::rescue::Fence;
use crate::review::DecisionTrouble;
use crate::upstreams::SyncResult;

/// How many events are where, and how much room they take.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let status = store.status();
/// assert_eq!((status.pending, status.in_flight, status.settled), (1, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// Events that wait to be sent, in all scopes.
    pub pending: u64,
    /// Events in a batch that was formed and is not answered.
    pub in_flight: u64,
    /// Events with a final answer whose key is still remembered. Where there are finished deliveries
    /// that expired and are not cleaned away yet, up to three fewer for each.
    pub settled: u64,
    /// Keys whose events or records are lost to damage and which stay taken: nobody knows what became of
    /// them. Only the upstreams know whether they took effect; a person has to ask.
    pub lost: u64,
    /// Events that the upstream refused for good and that wait for a person.
    pub in_review: u64,
    /// Events of which nobody knows whether they took effect, and that wait for a person.
    pub uncertain: u64,
    /// The pending events that wait in their lane behind one that waits for a person: they are sent once
    /// that is decided.
    pub behind: u64,
    /// Bytes of the log's segments on disk.
    pub bytes: u64,
    /// Time since the oldest event that is not settled was captured; zero if none.
    pub oldest_pending: Duration,
    /// Sum of the amounts of the events that are counted as pending.
    pub amount_pending: Amount,
    /// Sum of the amounts of the events that are counted as in flight.
    pub amount_in_flight: Amount,
    /// Sum of the amounts of the events that are counted as in review.
    pub amount_in_review: Amount,
    /// Sum of the amounts of the events that are counted as uncertain.
    pub amount_uncertain: Amount,
    /// Whether one of these sums does not fit: it is at least the largest amount, or at most the smallest, which is
    /// returned.
    pub amount_is_at_limit: bool,
    /// Bytes that events which are not settled take in the log.
    pub unsettled_bytes: u64,
    /// Events that were dropped to make room, since the store was made; see
    /// [`Store::losses`](crate::Store::losses).
    pub evicted: u64,
    /// Events that were cancelled, since the store was made.
    pub cancelled: u64,
    /// Keys that are remembered, those of leases, records and deliveries included: one to three for each
    /// delivery.
    pub keys: u64,
    /// Leases that are neither completed nor released, those included whose outcome is unknown.
    pub leases: u64,
    /// Completed records that are remembered.
    pub records: u64,
    /// Why the index's files could not be written lately, or were made anew since the store was opened, if so. Nothing
    /// is lost then: the log has it all, and where it has not, this says so.
    pub index_trouble: Option<String>,
    /// How far the upstream's clock is ahead of this machine's wall clock, milliseconds, if it sent its
    /// time since the machine was started; see [`Store::server_offset`](crate::Store::server_offset).
    pub server_offset_ms: Option<i64>,
    /// Why the catalog's files could not be used lately, if so. Nothing is lost then: its answers
    /// come from memory, and the next opening makes the files anew.
    pub catalog_trouble: Option<String>,
    /// Decisions that were dropped into the store's directory and refused, the last 16.
    pub decision_troubles: Vec<DecisionTrouble>,
    /// Damaged ranges that opening found, or a later reading of the log: what was there may be lost.
    /// [`Store::recovery`](crate::Store::recovery) names those of the opening, [`verify`](crate::inspect::verify())
    /// all; a store of which this is not 0 should be shown to a person.
    pub damaged_ranges: u64,
    /// Finished segments that opening did not read, because it read what it needs of them elsewhere, and that nobody
    /// has read yet: damage in them is not found yet. The store reads them one after another, beside its callers.
    pub unchecked_segments: u64,
    /// The fence, if the store is left: what it did not deliver is in a bundle, so it sends nothing and
    /// takes nothing new.
    pub fence: Option<Fence>,
    /// How many events each scope has that the upstream is to have, pending or in a batch; none of a scope without any.
    pub to_send: Vec<(Scope, u64)>,
    /// What came of sending last, by scope; of scopes that were never sent there is none.
    pub sync: Vec<SyncResult>,
}

/// How many events of one scope are where, and their amounts: see [`Store::status_of`](crate::Store::status_of).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ScopeStatus {
    /// Events that wait to be sent.
    pub pending: u64,
    /// Events in a batch that was formed and is not answered.
    pub in_flight: u64,
    /// Events that the upstream refused for good and that wait for a person.
    pub in_review: u64,
    /// Events of which nobody knows whether they took effect, and that wait for a person.
    pub uncertain: u64,
    /// Pending events that wait in their lane behind one that waits for a person.
    pub behind: u64,
    /// Sum of the amounts of the pending events.
    pub amount_pending: Amount,
    /// Sum of the amounts of the events in flight.
    pub amount_in_flight: Amount,
    /// Sum of the amounts of the events in review.
    pub amount_in_review: Amount,
    /// Sum of the amounts of the uncertain events.
    pub amount_uncertain: Amount,
    /// Whether one of these sums does not fit, as [`Status::amount_is_at_limit`].
    pub amount_is_at_limit: bool,
}

/// The sums of events at each stage.
struct Amounts {
    pending: Amount,
    in_flight: Amount,
    in_review: Amount,
    uncertain: Amount,
    is_at_limit: bool,
}

impl Amounts {
    fn of(counts: &ScopeCounts) -> Self {
        let [(pending, one), (in_flight, two), (in_review, three), (uncertain, four)] =
            [counts.pending, counts.in_flight, counts.in_review, counts.uncertain]
                .map(|count| Amount::nearest(count.sum));
        Self { pending, in_flight, in_review, uncertain, is_at_limit: one || two || three || four }
    }
}

impl StoreState {
    /// Counts and sums of one scope; nothing of one that no event has.
    pub(crate) fn status_of(&self, scope: &Scope) -> ScopeStatus {
        let Some(number) = self.outbox.scopes().number(scope.as_str()) else {
            return ScopeStatus::default();
        };
        let counts = self.outbox.events().tallies().of(number);
        let amounts = Amounts::of(&counts);
        ScopeStatus {
            pending: counts.pending.count,
            in_flight: counts.in_flight.count,
            in_review: counts.in_review.count,
            uncertain: counts.uncertain.count,
            behind: self.outbox.events().next().behind_parked(Some(number)),
            amount_pending: amounts.pending,
            amount_in_flight: amounts.in_flight,
            amount_in_review: amounts.in_review,
            amount_uncertain: amounts.uncertain,
            amount_is_at_limit: amounts.is_at_limit,
        }
    }

    /// Whether all that is counted, so that asking looks at no event, is what a count of everything gives.
    #[cfg(test)]
    pub(crate) fn has_right_counts(&self) -> bool {
        let events = self.outbox.events();
        events.has_right_counts()
            && self.inbox.has_right_counts()
            && self.outbox.reviews().has_right_counts()
    }

    /// How many events of each scope are pending or in a batch.
    fn to_send(&self) -> Vec<(Scope, u64)> {
        let scopes = self.outbox.events().tallies().scopes();
        let counts = scopes.map(|(number, counts)| {
            (number, counts.pending.count.saturating_add(counts.in_flight.count))
        });
        let known = self.outbox.scopes();
        let named = counts.filter(|(_, count)| *count > 0);
        named.filter_map(|(number, count)| Some((known.get(number)?.clone(), count))).collect()
    }

    /// Counts and sums; what is known outside of the state is for the caller to fill in.
    pub(crate) fn status(&self, trusted_ms: u64) -> Status {
        let (events, keys) = (self.outbox.events(), &self.kernel.keys);
        let counts = events.tallies().all();
        let amounts = Amounts::of(&counts);
        let unsettled = u64::try_from(events.packed().unsettled_count()).unwrap_or(u64::MAX);
        let (leases, records) = (self.records.open_count(), self.records.done_count());
        let lost = events.outcomes().lost();
        let others = [leases, records, lost, self.inbox.key_count()];
        let not_settled_events = others.iter().fold(unsettled, |sum, it| sum.saturating_add(*it));
        let totals = self.losses.totals();
        Status {
            pending: counts.pending.count,
            in_flight: counts.in_flight.count,
            in_review: counts.in_review.count,
            uncertain: counts.uncertain.count,
            behind: events.next().behind_parked(None),
            settled: keys.len().saturating_sub(not_settled_events),
            lost,
            leases,
            records,
            bytes: 0,
            oldest_pending: Duration::from_millis(
                self.outbox.oldest_ms().map_or(0, |ms| trusted_ms.saturating_sub(ms)),
            ),
            amount_pending: amounts.pending,
            amount_in_flight: amounts.in_flight,
            amount_in_review: amounts.in_review,
            amount_uncertain: amounts.uncertain,
            amount_is_at_limit: amounts.is_at_limit,
            unsettled_bytes: events.tallies().bytes(),
            evicted: totals.evicted,
            cancelled: totals.cancelled,
            keys: keys.len(),
            index_trouble: None,
            catalog_trouble: None,
            decision_troubles: Vec::new(),
            damaged_ranges: 0,
            unchecked_segments: 0,
            fence: self.rescue.fence().map(Fence::of),
            to_send: self.to_send(),
            sync: self.upstreams.results.all(),
            server_offset_ms: None,
        }
    }
}
