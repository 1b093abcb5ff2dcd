//! What a session reads and writes in its store: the events of one scope, their batches and their answers.

use std::sync::Arc;

use super::Open;
use super::findings::Findings;
use super::open::First;
use crate::base::{Error, ErrorKind, Result};
use crate::event::{Scope, StoredEvent};
use crate::outbox::frames::Envelope;
use crate::outbox::{Answer, cut};
use crate::store::{Shared, Store};
use crate::sync::batch::Items;
use crate::sync::{Options, Upstream};
use crate::timekeeping::Age;
use crate::upstreams::frames::MarkFrame;

/// Most bytes of what an upstream wants to be reminded of.
const MARK_BYTES_MAX: usize = 1_024;

/// Most batches that are remembered besides that of the mark. As many are on their way at most, mostly far fewer.
const REPLACED_MAX: usize = 32;

/// How the reply with a mark came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum MarkCame {
    /// No other batch was on its way meanwhile.
    Alone,
    /// Others were, of which the upstream may have taken one last.
    Beside,
}

/// A store, and for what a session uses it.
#[derive(Debug)]
pub(super) struct StoreAccess {
    store: Store,
    options: Options,
}

impl StoreAccess {
    /// Access to the events that these options name.
    pub(super) fn new(store: &Store, options: Options) -> Self {
        Self { store: store.clone(), options }
    }

    /// The store.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// What the handles of the store share.
    pub(super) fn inner(&self) -> &Arc<Shared> {
        &self.store.inner
    }

    /// The scope of the events.
    pub(super) fn scope(&self) -> &Scope {
        &self.options.scope
    }

    /// The upstream that gets the events.
    pub(super) fn upstream(&self) -> &Upstream {
        &self.options.upstream
    }

    /// With what settings batches are formed.
    pub(super) fn settings(&self) -> &str {
        &self.options.settings
    }

    /// Events that wait to be sent, from behind `after` on, at most `max` of them. `seen`: the last event that was ever
    /// in a batch of the session.
    pub(super) fn waiting(&self, (after, seen): (u64, u64), max: usize) -> Vec<u64> {
        let events = self.inner().events();
        if self.options.has_history {
            return events.waiting_in_order(self.scope(), (after, seen), max);
        }
        events.waiting(self.scope(), after, max)
    }

    /// With [history](Options::with_history), notes of a batch's items for which of their lane they wait.
    pub(super) fn note_lanes(&self, items: &mut Items) {
        if !self.options.has_history {
            return;
        }
        let before = {
            let state = self.inner().state.lock();
            state.outbox.events().next().before_in_lane(items.lsns())
        };
        items.set_behind(before);
    }

    /// With history: what the upstream wants to be reminded of, and the store's own batches besides this one.
    pub(super) fn history(&self, number: u64) -> (String, Vec<String>) {
        if !self.options.has_history {
            return (String::new(), Vec::new());
        }
        let MarkFrame { mark, replaced, .. } = self.inner().upstreams().mark(self.options.route());
        let open = self.inner().events().open_names(self.scope());
        let others = open.into_iter().filter(|(_, other)| *other != number);
        let own = others.map(|(opening, number)| self.batch_key(opening, number));
        let elsewhere = self.inner().upstreams().batches_elsewhere(self.options.route());
        (mark, own.chain(replaced).chain(elsewhere).filter(|key| !key.is_empty()).collect())
    }

    /// Keeps what the upstream wants to be reminded of. With others on their way, also that the batch of the mark
    /// before is this store's own: replies come in any order, and that one may be the upstream's last.
    pub(super) fn keep_mark(&self, mark: &str, came: MarkCame) -> Result<()> {
        let before = self.inner().upstreams().mark(self.options.route());
        let mut now = MarkFrame { mark: cut(mark, MARK_BYTES_MAX).to_owned(), ..before.clone() };
        match came {
            MarkCame::Alone => now.replaced.clear(),
            MarkCame::Beside if now.mark != before.mark => {
                let batch = before.mark.split(' ').next().filter(|key| !key.is_empty());
                batch.into_iter().for_each(|key| push_replaced(&mut now.replaced, key.to_owned()));
            }
            MarkCame::Beside => {}
        }
        if now == before {
            return Ok(());
        }
        self.inner().upstreams().keep_mark(now)
    }

    /// The key of a batch.
    pub(super) fn batch_key(&self, opening: u64, number: u64) -> String {
        format!("{}-{opening:016x}-{number}", self.store.id())
    }

    /// How many events wait for no answer of the upstream, but of a person.
    pub(super) fn behind_parked(&self) -> u64 {
        self.inner().events().behind_parked(self.scope())
    }

    /// Which of these events were attempted, ascending as they are.
    pub(super) fn attempted(&self, events: &[u64]) -> Vec<u64> {
        let state = self.inner().state.lock();
        let packed = state.outbox.events().packed();
        events.iter().copied().filter(|lsn| packed.is_attempted(*lsn)).collect()
    }

    /// Asks by number, at one moment, which events wait for the upstream.
    pub(super) fn with_waiting<T>(&self, ask: impl FnOnce(&dyn Fn(u64) -> bool) -> T) -> T {
        let state = self.inner().state.lock();
        let events = state.outbox.events();
        ask(&|lsn| events.live(lsn).is_some_and(|live| live.is_to_deliver()))
    }

    /// Asks by number, at one moment, which events could be sent next.
    pub(super) fn with_front<T>(&self, ask: impl FnOnce(&dyn Fn(u64) -> bool) -> T) -> T {
        let state = self.inner().state.lock();
        let number = state.outbox.scopes().number(self.scope().as_str());
        let events = state.outbox.events();
        ask(&|lsn| number.is_some_and(|number| events.next().is_in_front(number, lsn)))
    }

    /// Reads events that wait for the upstream; what is damaged is in the report.
    pub(super) fn read(&self, events: &[u64], findings: &mut Findings) -> Result<Vec<StoredEvent>> {
        let mut damaged = None;
        let read =
            self.inner().events().read_live(events, &mut |error| damaged = Some(error.to_string()));
        if let Some(damaged) = damaged {
            findings.note(damaged);
        }
        read
    }

    /// Forms a batch of events; on a full disk of as many of the first as find room, with their answers.
    pub(super) fn form_some(&self, mut items: Items, findings: &mut Findings) -> Result<Open> {
        loop {
            let parts = [items.lsns().collect()];
            match self.inner().events().form_batches(self.options.route(), 0, &parts) {
                Ok(formed) => {
                    let formed = formed.into_iter().next().ok_or_else(no_batch)?;
                    return Ok(Open::of_items(formed, items));
                }
                Err(error) if error.kind() == ErrorKind::Full && items.len() > 1 => {
                    findings.found_no_room();
                    items.truncate(items.len() / 2);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Forms batches of these events of a batch, durably in its place.
    pub(super) fn replace(&self, open: &Open, parts: &[Vec<u64>]) -> Result<Vec<Open>> {
        self.note_own(open)?;
        let events = self.inner().events();
        let formed = events.form_batches(self.options.route(), open.formed.number, parts)?;
        Ok(formed.into_iter().map(|formed| open.replaced_by(formed)).collect())
    }

    /// With history, remembers that a batch is the store's own that will not be sent again: the upstream may have it,
    /// and goes on behind it.
    pub(super) fn note_own(&self, open: &Open) -> Result<()> {
        if !self.options.has_history || open.first.is_none() {
            return Ok(());
        }
        let upstreams = self.inner().upstreams();
        let mut mark = upstreams.mark(self.options.route());
        let Envelope { opening, .. } = open.formed.envelope;
        push_replaced(&mut mark.replaced, self.batch_key(opening, open.formed.number));
        upstreams.keep_mark(mark)
    }

    /// A batch of some of a batch's events, or all of them under another number, durably in its place.
    pub(super) fn reform(&self, open: &Open, events: Vec<u64>) -> Result<Open> {
        let formed = self.replace(open, &[events])?.into_iter().next();
        Ok(formed.unwrap_or_else(|| open.replaced_by(open.formed.clone())))
    }

    /// Writes answers down and closes a batch (0 for none), with room that is made if there is none.
    pub(super) fn settle(&self, batch: u64, answers: &[(u64, Answer)]) -> Result<()> {
        let answers: Vec<(u64, &Answer)> = answers.iter().map(|(lsn, a)| (*lsn, a)).collect();
        let settled = self.inner().reserve().with_room(|| {
            let _one_at_a_time = self.inner().control.lock();
            self.inner().events().settle_events(batch, &answers)
        });
        // Also of what came before something failed.
        self.inner().reviews().call_watchers();
        settled
    }

    /// Now, in trusted time.
    pub(super) fn trusted_ms(&self) -> u64 {
        self.inner().time.trusted_ms()
    }

    /// How long ago an event was attempted first, at most; or since a person decided to send it again, if
    /// that was too long ago.
    pub(super) fn age_of(&self, event: &StoredEvent, first: First, most_ms: u64) -> Age {
        let timekeeping = self.inner().timekeeping();
        match first {
            First::Here { trusted_ms } => Age::Known(self.trusted_ms().saturating_sub(trusted_ms)),
            First::Before => match timekeeping.attempt_age(event) {
                Age::Known(ms) if ms < most_ms => Age::Known(ms),
                age => timekeeping.decided_age(event).unwrap_or(age),
            },
        }
    }
}

/// Adds a batch to those that are remembered, of which the oldest go.
fn push_replaced(replaced: &mut Vec<String>, key: String) {
    replaced.push(key);
    let surplus = replaced.len().saturating_sub(REPLACED_MAX);
    replaced.drain(..surplus);
}

fn no_batch() -> Error {
    Error::corrupt("a fault of this program: a batch was formed and cannot be found")
}
