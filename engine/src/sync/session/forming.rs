//! Which events the next batch takes.

use super::horizon::First;
use super::suspects::Suspicion;
use super::unmeasured::Again;
use super::{Open, Session};
use crate::base::{ErrorKind, Result};
use crate::event::StoredEvent;
use crate::outbox::Answer;
use crate::outbox::Live;
use crate::sync::{KeyRule, Misfit, Step};

/// Events that are looked at for one batch at most.
const LOOKED_AT_MAX: usize = 4_096;

/// What is to be done with the events that are due.
#[derive(Default)]
struct Choice {
    /// Those that one batch takes.
    taken: Vec<u64>,
    /// Those that the dialect cannot send, or that must not be sent again, and why.
    misfits: Vec<(u64, Answer)>,
}

impl Session {
    /// What is to be sent next: what was formed, what waits, and what others went before.
    pub(super) fn next_batch(&mut self, now_ms: u64) -> Result<Option<Open>> {
        if let Some(open) = self.queue.pop_front() {
            return Ok(Some(open));
        }
        if let Some(open) = self.form(now_ms)?.or_else(|| self.next_aside()) {
            return Ok(Some(open));
        }
        self.halve_one_that_failed()?;
        Ok(self.queue.pop_front())
    }

    /// Forms a batch of events that wait; `None` if there are none for now.
    fn form(&mut self, now_ms: u64) -> Result<Option<Open>> {
        let mut after = 0;
        while let Some((due, last)) = self.find_due(after, now_ms) {
            let Choice { taken, misfits } = self.choose(&due)?;
            match self.park(&misfits) {
                // They wait, and do not hold up the others.
                Err(error) if error.kind() == ErrorKind::Full => {
                    self.report.last_failure = Some(error.to_string());
                    self.found_no_room(1);
                }
                parked => parked?,
            }
            if !taken.is_empty() {
                let formed = self.form_some(taken)?;
                return Ok(Some(Open::new(formed)));
            }
            after = last;
        }
        Ok(None)
    }

    /// The first events from behind `after` on that are to be sent now, as many as a batch may have, and
    /// the number of the last of them. `None`: there are none.
    pub(super) fn find_due(&self, mut after: u64, now_ms: u64) -> Option<(Vec<u64>, u64)> {
        let is_once = self.is_once();
        let is_due = |lsn: &u64| {
            !self.held.contains(lsn)
                && self.retries.get(lsn).is_none_or(|retry| !is_once && retry.is_due(now_ms))
        };
        let items_max = self.items_max;
        let looked_at = items_max.saturating_add(self.retries.len()).min(LOOKED_AT_MAX);
        let mut due = Vec::new();
        while due.len() < items_max {
            let waiting = self.inner().events().waiting(&self.options.scope, after, looked_at);
            let Some(last) = waiting.last() else { break };
            after = *last;
            due.extend(waiting.into_iter().filter(is_due));
        }
        due.truncate(items_max);
        let last = due.last().copied()?;
        Some((due, last))
    }

    /// Of the events that are due, those that one batch takes, and those that the dialect cannot send.
    fn choose(&mut self, due: &[u64]) -> Result<Choice> {
        let mut choice = Choice::default();
        let mut bytes = 0_usize;
        let attempted = self.attempted(due);
        let items_max = if self.is_trying() { 1 } else { self.items_max };
        for event in self.read(due)? {
            if choice.taken.len() >= items_max {
                break;
            }
            let is_again = attempted.binary_search(&event.lsn.get()).is_ok();
            if is_again {
                let first = self.first(event.lsn.get(), First::Before);
                match self.again(&event, first) {
                    Again::Send => {}
                    Again::Wait => {
                        self.held.insert(event.lsn.get());
                        continue;
                    }
                    Again::Park(answer) => {
                        choice.misfits.push((event.lsn.get(), answer));
                        continue;
                    }
                }
            }
            match self.fit_with_key(&event) {
                Ok(size) => {
                    bytes = bytes.saturating_add(size);
                    if bytes > self.bytes_max && !choice.taken.is_empty() {
                        break;
                    }
                    choice.taken.push(event.lsn.get());
                    if is_again && !self.retries.contains_key(&event.lsn.get()) {
                        self.attempted_before.insert(event.lsn.get());
                    }
                }
                Err(misfit) => {
                    let lsn = event.lsn.get();
                    let answer = self.take_up_misfit(&event, Suspicion::misfit(misfit, is_again));
                    choice.misfits.extend(answer.map(|answer| (lsn, answer)));
                }
            }
        }
        Ok(choice)
    }

    /// Under which keys this session sends.
    pub(super) fn rule(&self) -> KeyRule {
        self.options.keys.unwrap_or(KeyRule::Bare)
    }

    /// The keys of events as the upstream spells them.
    pub(super) fn wire_keys(&self, events: &[StoredEvent]) -> Vec<String> {
        let (rule, scope) = (self.rule(), &self.options.scope);
        let key = |event: &StoredEvent| rule.wire_key(scope, &event.event.key).unwrap_or_default();
        events.iter().map(key).collect()
    }

    /// What an event's item takes, or why it can never be sent.
    pub(super) fn fit_with_key(&self, event: &StoredEvent) -> std::result::Result<usize, Misfit> {
        let key = self.rule().wire_key(&self.options.scope, &event.event.key)?;
        (self.fit)(event, &key)
    }

    /// The events of a batch that are to be sent: those that still wait, and may be sent again.
    pub(super) fn items_to_send(&mut self, open: &mut Open) -> Result<Vec<StoredEvent>> {
        let items = self.items(open)?;
        if self.park_forgotten(open, &items)? { self.items(open) } else { Ok(items) }
    }

    /// The events of a batch that still wait for the upstream, read from the log.
    ///
    /// A number stands for one content: if some were settled otherwise, went to review, or cannot be
    /// read, the rest becomes a batch of its own, durably.
    fn items(&mut self, open: &mut Open) -> Result<Vec<StoredEvent>> {
        let items = self.read(&open.formed.events)?;
        if !items.is_empty() && items.len() < open.formed.events.len() {
            let rest: Vec<u64> = items.iter().map(|event| event.lsn.get()).collect();
            *open = self.reform(open, rest)?;
        }
        Ok(items)
    }

    /// A batch of some of a batch's events, or all of them under another number, durably in its place.
    pub(super) fn reform(&self, open: &Open, events: Vec<u64>) -> Result<Open> {
        let formed = self.inner().events().form_batches(
            self.options.route(),
            open.formed.number,
            &[events],
        )?;
        let formed = formed.into_iter().next().unwrap_or_else(|| open.formed.clone());
        Ok(Open { formed, attempts: 0, failed_at: None, met_stranger: false, ..*open })
    }

    /// Reads events that wait for the upstream; what is damaged is told in the report.
    pub(super) fn read(&mut self, events: &[u64]) -> Result<Vec<StoredEvent>> {
        let mut damaged = None;
        let read =
            self.inner().events().read_live(events, &mut |error| damaged = Some(error.to_string()));
        if damaged.is_some() {
            self.report.last_failure = damaged;
        }
        read
    }

    pub(super) fn nothing_to_send(&mut self, now_ms: u64) -> Step {
        self.tell_of_misfits();
        self.tell_of_suspects();
        self.tell_of_lanes();
        if self.is_once() {
            self.finished = true;
            return Step::Idle;
        }
        self.forget_settled();
        let retries = self.retries.values().filter(|retry| retry.suspicion.is_none());
        let waits = retries.map(|retry| retry.not_before_ms).chain(self.aside_until_ms());
        match waits.chain(self.held_until_ms()).min() {
            Some(until_ms) => Step::Wait { until_ms: until_ms.max(now_ms) },
            None => Step::Idle,
        }
    }

    /// Tells how many events wait for no answer of the upstream, but of a person.
    fn tell_of_lanes(&mut self) {
        let behind = self.inner().events().behind_parked(&self.options.scope);
        self.report.behind = behind;
        if behind > 0 {
            let why = || format!("{behind} wait in their lane behind one that waits for a person");
            self.report.last_failure.get_or_insert_with(why);
        }
    }

    /// Retries of events that are settled by now would be waited for without end.
    fn forget_settled(&mut self) {
        let Self { store, retries, attempted_before, .. } = self;
        let state = store.inner.state.lock();
        let events = state.outbox.events().unsettled();
        let waits = |lsn: &u64| events.get(lsn).is_some_and(Live::is_to_deliver);
        retries.retain(|lsn, _| waits(lsn));
        attempted_before.retain(waits);
    }
}
