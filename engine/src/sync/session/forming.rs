//! Which events the next batch takes.

use super::horizon::First;
use super::{Open, Session};
use crate::error::Result;
use crate::event::StoredEvent;
use crate::store::Answer;
use crate::sync::{Effort, Misfit, Step};

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

/// The answer for an event that the dialect cannot send: nobody knows whether one that was sent before took
/// effect.
pub(super) fn unfit(misfit: Misfit, is_again: bool) -> Answer {
    let Misfit { code, message } = misfit;
    if is_again {
        Answer::Uncertain { code, message }
    } else {
        Answer::Rejected { code, message, reply: Vec::new() }
    }
}

impl Session {
    /// Forms a batch of events that wait; `None` if there are none for now.
    pub(super) fn form(&mut self, now_ms: u64) -> Result<Option<Open>> {
        let mut after = self.attempted_to;
        loop {
            let looked_at = self.options.items_max.saturating_add(self.retries.len());
            let waiting =
                self.inner().waiting(&self.options.scope, after, looked_at.min(LOOKED_AT_MAX));
            let Some(last) = waiting.last().copied() else { return Ok(None) };
            let is_once = self.options.effort == Effort::Once;
            let due = |lsn: &u64| {
                self.retries.get(lsn).is_none_or(|r| !is_once && r.not_before_ms <= now_ms)
            };
            let due: Vec<u64> = waiting.iter().copied().filter(due).collect();
            let Choice { taken, misfits } = self.choose(&due)?;
            if !misfits.is_empty() {
                self.park(&misfits)?;
            }
            if let Some(highest) = taken.last().copied() {
                let formed =
                    self.inner().form_batches(&self.options, 0, std::slice::from_ref(&taken))?;
                if self.options.effort == Effort::Once {
                    self.attempted_to = highest;
                }
                let formed = formed.into_iter().next();
                return Ok(formed.map(|formed| Open { formed, attempts: 0, first: None }));
            }
            after = last;
        }
    }

    /// Of the events that are due, those that one batch takes, and those that the dialect cannot send.
    fn choose(&mut self, due: &[u64]) -> Result<Choice> {
        let mut choice = Choice::default();
        let mut bytes = 0_usize;
        let attempted = self.attempted(due);
        for event in self.read(due)? {
            if choice.taken.len() >= self.options.items_max {
                break;
            }
            let is_again = attempted.binary_search(&event.lsn.get()).is_ok();
            if is_again {
                let first = self.first(event.lsn.get(), First::Before);
                if let Some(answer) = self.forgotten(&event, first)? {
                    choice.misfits.push((event.lsn.get(), answer));
                    continue;
                }
            }
            match (self.fit)(&event) {
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
                Err(misfit) => choice.misfits.push((event.lsn.get(), unfit(misfit, is_again))),
            }
        }
        Ok(choice)
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
        let formed = self.inner().form_batches(&self.options, open.formed.number, &[events])?;
        let formed = formed.into_iter().next().unwrap_or_else(|| open.formed.clone());
        Ok(Open { formed, attempts: 0, first: open.first })
    }

    /// Reads events that wait for the upstream; what is damaged is told in the report.
    pub(super) fn read(&mut self, events: &[u64]) -> Result<Vec<StoredEvent>> {
        let mut damaged = None;
        let read = self.inner().read_live(events, &mut |error| damaged = Some(error.to_string()));
        if damaged.is_some() {
            self.report.last_failure = damaged;
        }
        read
    }

    pub(super) fn nothing_to_send(&mut self, now_ms: u64) -> Step {
        if self.options.effort == Effort::Once {
            self.finished = true;
            return Step::Idle;
        }
        // Retries of events that are settled by now would be waited for without end.
        let waiting = self.inner().waiting(&self.options.scope, 0, LOOKED_AT_MAX);
        self.retries.retain(|lsn, _| waiting.binary_search(lsn).is_ok());
        self.attempted_before.retain(|lsn| waiting.binary_search(lsn).is_ok());
        match self.retries.values().map(|retry| retry.not_before_ms).min() {
            Some(until_ms) => Step::Wait { until_ms: until_ms.max(now_ms) },
            None => Step::Idle,
        }
    }
}
