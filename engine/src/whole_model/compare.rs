//! Holds all that the public calls of a store return against the reference, and takes from them the
//! numbers that the reference does not have yet.

use std::collections::BTreeSet;

use super::hold;
use super::reference::{Call, Reference};
use super::words::{Name, SCOPES};
use crate::inbox::DeliveryState;
use crate::records::RecordState;
use crate::review::ReviewFilter;
use crate::testing::draw::Draw;
use crate::testing::receipt;
use crate::{Error, Key, Lsn, Scope, State, Store, StoredEvent};

/// Why a store and a reference do not fit.
pub(super) type Fit = Result<(), String>;

/// What the store forgot. An opening may bring it back: into which slice of time a key moved while it
/// was open is not in the log, so it may be remembered longer.
#[derive(Clone, Debug, Default)]
pub(super) struct Gone {
    pub(super) events: Vec<(Name, usize)>,
    pub(super) calls: Vec<(String, Call)>,
    pub(super) deliveries: Vec<(String, usize)>,
}

impl Reference {
    /// The event that an item stands for.
    pub(super) fn event(&self, id: usize) -> crate::Event {
        self.events[id].item.event(|delivery| self.deliveries[delivery].of.clone())
    }

    /// Whether a number is no other event's.
    pub(super) fn is_new(&self, id: usize, lsn: Lsn) -> bool {
        let mut others = self.events.iter().enumerate().filter(|(other, _)| *other != id);
        others.all(|(_, other)| other.lsn != lsn.get())
    }

    /// Whether an event was forgotten and an opening brought its key back, after cleaning had nothing of
    /// it to keep: then it is known that there was one, and no longer what became of it.
    pub(super) fn is_back(&self, id: usize, state: State) -> bool {
        state == State::OutcomeUnknown && self.may_be_forgotten(id)
    }

    /// Notes a number that the engine gave, or holds it against the one that it gave before.
    pub(super) fn learn(&mut self, id: usize, lsn: Lsn) -> Fit {
        hold!(self.is_new(id, lsn), "event {id} has the number {lsn} of another");
        let known = &mut self.events[id].lsn;
        hold!([0, lsn.get()].contains(known), "event {id} was {known} and is {lsn}");
        *known = lsn.get();
        Ok(())
    }

    /// Compares everything; `gone` is what the store forgot.
    pub(super) fn fits(&mut self, store: &Store, gone: &Gone) -> Fit {
        hold!(store.inner.state.lock().has_right_counts(), "what is counted is wrong");
        self.bring_back(store, gone)?;
        for (name, id) in self.names.clone() {
            self.fits_event(store, &name, id)?;
        }
        for name in super::operations::names().filter(|name| !self.names.contains_key(name)) {
            let outcome = store.outcome(&scope(&name), &key(&name)).map_err(told)?;
            hold!(outcome.lsn.is_none(), "{name:?} was never stored: {outcome:?}");
        }
        self.fits_lists(store)?;
        self.fits_reviews(store, "", 2)?;
        self.fits_calls(store)?;
        self.fits_inbox(store)?;
        self.fits_counts(store)
    }

    fn bring_back(&mut self, store: &Store, gone: &Gone) -> Fit {
        for (name, call) in &gone.calls {
            if !self.calls.contains_key(name)
                && let Call::Done { fence, .. } = call
                && let RecordState::Completed(record) =
                    store.records().get(&orders(), &call_key(name)).map_err(told)?
                && record.fence.get() == *fence
            {
                self.calls.insert(name.clone(), call.clone());
            }
        }
        for (name, id) in &gone.events {
            if !self.names.contains_key(name)
                && let Some(lsn) = store.outcome(&scope(name), &key(name)).map_err(told)?.lsn
                && lsn.get() == self.events[*id].lsn
            {
                self.names.insert(name.clone(), *id);
            }
        }
        Ok(())
    }

    fn fits_event(&mut self, store: &Store, name: &Name, id: usize) -> Fit {
        let outcome = store.outcome(&scope(name), &key(name)).map_err(told)?;
        let Some(lsn) = outcome.lsn else {
            let event = &self.events[id];
            hold!(event.is_queued || self.may_be_forgotten(id), "{name:?} is gone: {event:?}");
            hold!(outcome.state == State::Unknown, "{name:?} without a number: {outcome:?}");
            return Ok(());
        };
        self.learn(id, lsn)?;
        self.events[id].is_queued = false;
        if self.is_back(id, outcome.state) {
            return Ok(());
        }
        let (state, event) = (self.state(id), &self.events[id]);
        hold!(outcome.state == state, "{name:?} is {outcome:?}, not {state}: {event:?}");
        let expected = event.receipt.map(receipt);
        hold!(outcome.receipt == expected, "{name:?} has {outcome:?}: {event:?}");
        let found = store.find(&scope(name), &key(name)).map_err(told)?;
        hold!(found.is_some() || state.is_final(), "{name:?} has no body: {event:?}");
        if let Some(found) = found {
            let expected = (self.event(id), lsn, state, expected);
            let found = (found.event, found.lsn, found.state, found.receipt);
            hold!(found == expected, "{name:?} is stored otherwise: {event:?}, {found:?}");
        }
        Ok(())
    }

    /// Lists of events: what is pending, and what was lost.
    fn fits_lists(&self, store: &Store) -> Fit {
        for name in SCOPES {
            let is_it = |id: &usize| {
                let event = &self.events[*id];
                event.item.name.0 == name && event.state == State::Pending && !event.is_queued
            };
            let expected: Vec<u64> = self.lsns(self.unsettled().filter(is_it));
            let scope = Scope::new(name).map_err(told)?;
            let found = store.pending(&scope, None, 1_000).map_err(told)?;
            let found: Vec<u64> = found.iter().map(|it: &StoredEvent| it.lsn.get()).collect();
            hold!(found == expected, "pending of {name}: {found:?}, not {expected:?}");
        }
        let found = store.losses(None, 1_000).map_err(told)?;
        let found: Vec<u64> = found.iter().map(|loss| loss.lsn.get()).collect();
        let expected = self.lsns(self.evicted.iter().copied());
        hold!(found == expected, "lost: {found:?}, not {expected:?}");
        let made = store.reviews().decisions(None, 1_000).map_err(told)?;
        let made: Vec<_> = made
            .into_iter()
            .map(|it| (it.event.get(), it.decision.action, it.decision.who))
            .collect();
        let expected = self
            .decisions
            .iter()
            .map(|(id, action, who)| (self.events[*id].lsn, *action, who.clone()));
        let expected: Vec<_> = expected.collect();
        hold!(made == expected, "decisions: {made:?}, not {expected:?}");
        Ok(())
    }

    fn lsns(&self, ids: impl Iterator<Item = usize>) -> Vec<u64> {
        ids.map(|id| self.events[id].lsn).collect()
    }

    /// What waits for a person: of a scope or of all, a page after the other.
    pub(super) fn fits_reviews(&mut self, store: &Store, of: &str, page: usize) -> Fit {
        let is_it = |id: &usize| {
            let event = &self.events[*id];
            event.review.is_some() && (of.is_empty() || event.item.name.0 == of)
        };
        let mut expected: Vec<usize> = self.unsettled().filter(is_it).collect();
        expected.sort_by_key(|id| (self.events[*id].review.as_ref().map(|it| it.0), *id));
        let mut filter = ReviewFilter::new().with_max(page);
        if !of.is_empty() {
            filter = filter.with_scope(Scope::new(of).map_err(told)?);
        }
        let mut found = Vec::new();
        loop {
            let items = store.reviews().list(&filter).map_err(told)?;
            hold!(items.len() <= page, "a page of {page} has {}", items.len());
            let Some(last) = items.last() else { break };
            filter = filter.with_after(last.version, last.lsn);
            found.extend(items);
        }
        let lsns: Vec<u64> = found.iter().map(|item| item.lsn.get()).collect();
        let wanted = self.lsns(expected.iter().copied());
        hold!(lsns == wanted, "in review of {of:?}: {lsns:?}, not {wanted:?}");
        for (id, item) in expected.into_iter().zip(found) {
            let (event, state) = (self.event(id), self.state(id));
            let Some((_, version, code)) = &mut self.events[id].review else { continue };
            let is_same = [0, item.version].contains(version) && item.code == *code;
            hold!(is_same, "event {id} came as {version} for {code}: {item:?}");
            hold!(*item.event() == event && item.stored.state == state, "{id}: {item:?}");
            *version = item.version;
        }
        Ok(())
    }

    fn fits_calls(&mut self, store: &Store) -> Fit {
        let (now, mut open) = (self.now, BTreeSet::new());
        let may_be_forgotten = |at: u64| now >= at + super::words::RECORD_MS;
        for number in 0..super::operations::CALLS {
            let name = format!("r{number}");
            let found = store.records().get(&orders(), &call_key(&name)).map_err(told)?;
            let call = self.calls.get_mut(&name);
            let is_same = match (call, &found) {
                (None, RecordState::Unknown) => true,
                (Some(Call::Done { at, .. }), RecordState::Unknown) => may_be_forgotten(*at),
                (Some(Call::Done { fence, body, .. }), RecordState::Completed(record)) => {
                    record.fence.get() == *fence && record.body == body_of(*body)
                }
                (
                    Some(Call::Open { fence, until: Some(until), .. }),
                    RecordState::InProgress { fence: found, retry_after_ms },
                ) => {
                    open.insert(found.get());
                    let left = until.saturating_sub(now).min(1_500);
                    found.get() == *fence && *retry_after_ms == left
                }
                (
                    Some(Call::Open { fence, until, .. }),
                    RecordState::OutcomeUnknown { fence: f },
                ) => {
                    open.insert(f.get());
                    let is_same = [0, f.get()].contains(fence);
                    *fence = f.get();
                    is_same && until.is_none_or(|until| until <= now)
                }
                _ => false,
            };
            hold!(is_same, "{name} is {found:?}, at {now}: {:?}", self.calls.get(&name));
        }
        let listed = store.records().leases(None, 1_000).map_err(told)?;
        let listed: BTreeSet<u64> = listed.iter().map(|lease| lease.fence.get()).collect();
        hold!(listed == open, "leases: {listed:?}, not {open:?}");
        Ok(())
    }

    fn fits_inbox(&mut self, store: &Store) -> Fit {
        let (windows, now) = (self.windows.clone(), self.now);
        let is_wanted = |window: &str| windows.get(window).is_some_and(|(_, ends)| now < *ends);
        let open = (0..self.deliveries.len()).filter(|id| {
            let it = &self.deliveries[*id];
            it.state == DeliveryState::Open && it.of.window().is_none_or(is_wanted)
        });
        let open: Vec<usize> = open.collect();
        let found = store.inbox().list(None, 1_000).map_err(told)?;
        hold!(found.len() == open.len(), "deliveries: {found:?}, not {open:?}");
        for (id, found) in open.into_iter().zip(found) {
            let next = self.next_step(id);
            let it = &mut self.deliveries[id];
            hold!([0, found.lsn.get()].contains(&it.lsn), "{it:?} is {found:?}");
            it.lsn = found.lsn.get();
            let is_same = found.delivery == it.of.delivery() && found.next_step == next;
            hold!(is_same, "{it:?}, next {next:?}: {found:?}");
        }
        let status = store.inbox().status();
        let open = self.deliveries.iter().filter(|it| it.state == DeliveryState::Open).count();
        let windows = windows.values().filter(|(_, ends)| now < *ends).count();
        let since = [status.duplicates, status.refused_window_not_open, status.refused_full];
        let found = [status.open, status.windows, status.dropped];
        let expected = [open, windows, self.lost_deliveries.len()].map(|count| count as u64);
        hold!(found == expected, "the inbox has {status:?}, not {expected:?}");
        hold!(since == self.inbox_counts, "since opening {since:?}, not {:?}", self.inbox_counts);
        let lost: BTreeSet<u64> =
            self.lost_deliveries.iter().map(|id| self.deliveries[*id].lsn).collect();
        let listed = store.inbox().dropped();
        hold!(listed.iter().all(|it| lost.contains(&it.lsn.get())), "{listed:?}, not {lost:?}");
        Ok(())
    }

    fn fits_counts(&self, store: &Store) -> Fit {
        let status = store.status();
        let count = |wanted: State| {
            let of = self.unsettled().filter(|id| self.state(*id) == wanted);
            of.count() as u64
        };
        let expected = [State::Pending, State::InFlight, State::InReview, State::Uncertain];
        let expected = expected.map(count);
        let found = [status.pending, status.in_flight, status.in_review, status.uncertain];
        hold!(found == expected, "{found:?} are where {expected:?} should be");
        let amount = |wanted: State| -> i64 {
            let of = self.unsettled().filter(|id| self.state(*id) == wanted);
            of.map(|id| self.events[id].item.amount()).sum()
        };
        let expected = [State::Pending, State::InFlight, State::InReview, State::Uncertain];
        let expected = expected.map(amount);
        let found = [
            status.amount_pending,
            status.amount_in_flight,
            status.amount_in_review,
            status.amount_uncertain,
        ]
        .map(|amount| amount.ten_thousandths());
        hold!(found == expected, "the amounts are {found:?}, not {expected:?}");
        let expected = (self.evicted.len() as u64, self.cancelled);
        let found = (status.evicted, status.cancelled);
        hold!(found == expected, "dropped and cancelled: {found:?}, not {expected:?}");
        let open = self.calls.values().filter(|it| matches!(it, Call::Open { .. })).count();
        hold!(status.leases == open as u64, "{} leases, not {open}", status.leases);
        let settled = self.names.values().filter(|id| self.events[**id].state.is_final()).count();
        let records = self.calls.len() - open;
        let expected = [settled, records].map(|count| count as u64);
        // Where keys were forgotten, nobody counts one by one what is left.
        // Nor what a dropped delivery whose names another one took still seems to hold.
        let is_exact = self.now < super::words::SHORT_MS && self.lost_deliveries.is_empty();
        let found = [status.settled, status.records];
        hold!(!is_exact || found == expected, "{found:?} settled and done, not {expected:?}");
        Ok(())
    }
}

/// The scope of a name.
pub(super) fn scope(name: &Name) -> Scope {
    Scope::new(name.0).unwrap()
}

/// The key of a name.
pub(super) fn key(name: &Name) -> Key {
    Key::new(&name.1).unwrap()
}

/// The scope of all calls.
pub(super) fn orders() -> Scope {
    Scope::new("orders").unwrap()
}

/// The key of a call.
pub(super) fn call_key(name: &str) -> Key {
    Key::new(name).unwrap()
}

/// Body number `number` of a record; some are long.
pub(super) fn body_of(number: u64) -> crate::Payload {
    let long = if number == 2 { 2_000 } else { 3 };
    let text: String = "b".repeat(long);
    let seed = Draw(number).next();
    crate::Payload::json(&format!(r#"{{"seed":{seed},"x":"{text}"}}"#)).unwrap()
}

/// An error, as a reason why they do not fit.
pub(super) fn told(error: Error) -> String {
    format!("{:?} {}: {error}", error.kind(), error.code())
}
