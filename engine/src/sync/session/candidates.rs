//! Which events the next batch takes, and which get an answer without being sent.
//!
//! Events that the dialect cannot send are, with a wrong dialect, every good sale: so they wait, as
//! [suspects](super::evidence) do, until the upstream takes others; and whatever is to be done with them
//! costs no request.

use std::sync::Arc;

use super::Open;
use super::attempts::Attempts;
use super::batch_sizes::BatchSizes;
use super::evidence::Evidence;
use super::findings::Findings;
use super::horizon::{Again, Horizon};
use super::item_form::ItemForm;
use super::lookups::Lookups;
use super::open::First;
use super::store_access::StoreAccess;
use super::suspicion::Suspicion;
use crate::base::{ErrorKind, Result};
use crate::event::StoredEvent;
use crate::outbox::Answer;
use crate::sync::batch::Items;
use crate::sync::options::Mix;

/// Events that are looked at for one batch at most.
const LOOKED_AT_MAX: usize = 4_096;

/// What is to be done with the events that are due.
struct Choice {
    /// The events that one batch takes, as they are sent.
    taken: Items,
    /// The events that the dialect cannot send, or that must not be sent again, and why.
    misfits: Vec<(u64, Answer)>,
}

/// The events of a session, and what it knows of each.
pub(super) struct Candidates {
    pub(super) access: StoreAccess,
    pub(super) form: ItemForm,
    pub(super) attempts: Attempts,
    pub(super) horizon: Horizon,
    pub(super) lookups: Lookups,
    /// How events of now and older ones are mixed, if the host wants that.
    pub(super) mix: Option<Mix>,
    /// The last event that waited when the line came back.
    pub(super) backlog_to: u64,
    /// The last event that was in a batch of this session.
    pub(super) seen: u64,
}

impl Candidates {
    /// The line is back: what waits now is the backlog.
    pub(super) fn note_backlog(&mut self) {
        self.backlog_to = self.access.inner().log.synced();
    }

    /// Forms a batch of events that wait; `None` if there are none for now.
    pub(super) fn form_batch(
        &mut self,
        sizes: &BatchSizes,
        evidence: &Evidence,
        findings: &mut Findings,
        now_ms: u64,
    ) -> Result<Option<Open>> {
        let mut after = 0;
        let mut mixed = self.find_mixed(sizes, now_ms);
        while let Some((due, last)) =
            mixed.take().or_else(|| self.find_due(after, usize::MAX, sizes, now_ms))
        {
            let Choice { mut taken, misfits } = self.choose(&due, sizes, evidence, findings)?;
            match self.park(&misfits, findings) {
                // They wait, and do not hold up the others.
                Err(error) if error.kind() == ErrorKind::Full => {
                    findings.note(error.to_string());
                    findings.found_no_room();
                }
                parked => parked?,
            }
            if !taken.is_empty() {
                self.seen = taken.lsns().fold(self.seen, u64::max);
                self.access.note_lanes(&mut taken);
                return self.access.form_some(taken, findings).map(Some);
            }
            after = last;
        }
        Ok(None)
    }

    /// Whether anything waits for what the upstream says.
    pub(super) fn waits_for_upstream(&self) -> bool {
        self.horizon.is_waited_for() || self.lookups.is_any()
    }

    /// Whether any event is to be sent now.
    pub(super) fn has_due(&self, sizes: &BatchSizes, now_ms: u64) -> bool {
        self.find_due(0, usize::MAX, sizes, now_ms).is_some()
    }

    /// Some of the backlog and some of what came since, in the proportion that the host wants; and 0, from behind which
    /// on to look where none of them can be sent. `None`: it wants none, or there is only one of them.
    fn find_mixed(&self, sizes: &BatchSizes, now_ms: u64) -> Option<(Vec<u64>, u64)> {
        let fresh_max = self.mix?.fresh_of(sizes.items_max());
        let (fresh, _) = self.find_due(self.backlog_to, fresh_max, sizes, now_ms)?;
        let rest = sizes.items_max().saturating_sub(fresh.len());
        let (mut mixed, last) = self.find_due(0, rest, sizes, now_ms)?;
        // Otherwise the oldest are fresh ones too, and nothing is to be mixed.
        (last <= self.backlog_to).then(|| {
            mixed.extend(fresh);
            (mixed, 0)
        })
    }

    /// The first events from behind `after` on that are to be sent now, as many as a batch may have and at most `max`,
    /// and the number of the last of them. `None`: there are none.
    fn find_due(
        &self,
        mut after: u64,
        max: usize,
        sizes: &BatchSizes,
        now_ms: u64,
    ) -> Option<(Vec<u64>, u64)> {
        let is_held = |lsn: u64| self.horizon.holds(lsn) || self.lookups.holds(lsn);
        let is_due = |lsn: &u64| !is_held(*lsn) && self.attempts.is_due(*lsn, now_ms);
        let items_max = sizes.items_max().min(max);
        let looked_at = items_max.saturating_add(self.attempts.failed_count()).min(LOOKED_AT_MAX);
        let mut due = Vec::new();
        while due.len() < items_max {
            let waiting = self.access.waiting((after, self.seen), looked_at);
            let Some(last) = waiting.last() else { break };
            after = *last;
            due.extend(waiting.into_iter().filter(is_due));
        }
        due.truncate(items_max);
        let last = due.last().copied()?;
        Some((due, last))
    }

    /// Chooses from the events that are due those that one batch takes, and those that the dialect cannot send.
    fn choose(
        &mut self,
        due: &[u64],
        sizes: &BatchSizes,
        evidence: &Evidence,
        findings: &mut Findings,
    ) -> Result<Choice> {
        let taken = Items::with_capacity(due.len().min(sizes.items_max()));
        let mut choice = Choice { taken, misfits: Vec::new() };
        let attempted = self.access.attempted(due);
        let items_max = if evidence.is_trying() { 1 } else { sizes.items_max() };
        for event in self.access.read(due, findings)? {
            if choice.taken.len() >= items_max {
                break;
            }
            let lsn = event.lsn.get();
            let is_again = attempted.binary_search(&lsn).is_ok();
            if is_again {
                let first = self.lookups.first(lsn, self.attempts.first(lsn, First::Before));
                match self.horizon.again(&self.access, &event, first) {
                    Again::Send => {}
                    Again::Wait => {
                        self.horizon.hold(lsn);
                        continue;
                    }
                    Again::Park(answer) => {
                        if !self.lookups.add(&event, self.form.key(&event), &answer) {
                            choice.misfits.push((lsn, answer));
                        }
                        continue;
                    }
                }
            }
            let before = choice.taken.len();
            match self.form.push(&event, &mut choice.taken) {
                Ok(_) => {
                    if choice.taken.bytes() > sizes.bytes_max() && before > 0 {
                        choice.taken.truncate(before);
                        break;
                    }
                    if is_again {
                        self.attempts.note_earlier(lsn);
                    }
                }
                Err(misfit) => {
                    let why = Suspicion::misfit(misfit, is_again);
                    let answer = self.judge_misfit(&event, why, evidence, findings);
                    choice.misfits.extend(answer.map(|answer| (lsn, answer)));
                }
            }
        }
        Ok(choice)
    }

    /// An event cannot be sent. Returns its answer, if it is at fault itself; otherwise it waits.
    fn judge_misfit(
        &mut self,
        event: &StoredEvent,
        why: Suspicion,
        evidence: &Evidence,
        findings: &mut Findings,
    ) -> Option<Answer> {
        if evidence.has_acceptance() || !self.form.has_key(event) {
            return Some(why.into_answer());
        }
        findings.note_if_first(|| why.to_string());
        self.attempts.suspect((event.lsn.get(), First::Before), why);
        None
    }

    /// The events of a batch that are to be sent, as they are sent: those that still wait, and may be sent again.
    pub(super) fn items_to_send(
        &mut self,
        open: &mut Open,
        findings: &mut Findings,
    ) -> Result<Arc<Items>> {
        // Formed just now, and nothing became of any of them since.
        if let Some(items) = open.items.take()
            && self.access.with_waiting(|waits| items.lsns().all(waits))
        {
            return Ok(items);
        }
        loop {
            let events = self.items(open, findings)?;
            let mut formed = Items::with_capacity(events.len());
            let is_part = self.park_unsendable(open, &events, (&mut formed, findings))?;
            if !is_part {
                self.access.note_lanes(&mut formed);
                return Ok(Arc::new(formed));
            }
            let asked = |event: &&StoredEvent| self.lookups.holds(event.lsn.get());
            if events.iter().any(|event| asked(&event)) {
                let rest = events.iter().filter(|event| !asked(event));
                let rest: Vec<u64> = rest.map(|event| event.lsn.get()).collect();
                if rest.is_empty() {
                    return Ok(Arc::new(Items::default()));
                }
                *open = self.access.reform(open, rest)?;
            }
        }
    }

    /// The events of a batch that still wait for the upstream, read from the log.
    ///
    /// A number has one content: if some were settled otherwise, went to review, or cannot be
    /// read, the rest becomes a batch of its own, durably.
    fn items(&self, open: &mut Open, findings: &mut Findings) -> Result<Vec<StoredEvent>> {
        let items = self.access.read(&open.formed.events, findings)?;
        if !items.is_empty() && items.len() < open.formed.events.len() {
            let rest: Vec<u64> = items.iter().map(|event| event.lsn.get()).collect();
            *open = self.access.reform(open, rest)?;
        }
        Ok(items)
    }

    /// Halves of a batch, durably in its place; `None`: it has no two events that can be read.
    pub(super) fn halves(&self, open: &Open, findings: &mut Findings) -> Result<Option<Vec<Open>>> {
        let events = self.access.read(&open.formed.events, findings)?;
        let events: Vec<u64> = events.into_iter().map(|event| event.lsn.get()).collect();
        let (first, second) = events.split_at(events.len().div_ceil(2));
        if second.is_empty() {
            return Ok(None);
        }
        self.access.replace(open, &[first.to_vec(), second.to_vec()]).map(Some)
    }

    /// Whether a batch that was attempted has an event that waits for the upstream's clock; it is held then.
    pub(super) fn hold_batch(&mut self, open: &Open, findings: &mut Findings) -> Result<bool> {
        let Some(first) = open.first.filter(|_| !self.horizon.has_heard_time()) else {
            return Ok(false);
        };
        let items = self.access.read(&open.formed.events, findings)?;
        let again = |event: &StoredEvent| {
            let first = self.lookups.first(event.lsn.get(), first);
            self.horizon.again(&self.access, event, first)
        };
        let waits = items.iter().any(|event| matches!(again(event), Again::Wait));
        if waits {
            self.horizon.hold_batch(open.clone());
        }
        Ok(waits)
    }

    /// Forms those of a batch's events that may be sent; the others are asked for, or become uncertain. Returns whether
    /// there were any of those.
    fn park_unsendable(
        &mut self,
        open: &Open,
        events: &[StoredEvent],
        (formed, findings): (&mut Items, &mut Findings),
    ) -> Result<bool> {
        let mut answers = Vec::new();
        let mut is_any_asked = false;
        for event in events {
            let lsn = event.lsn.get();
            if open.first.is_some() || self.attempts.has(lsn) {
                let first = self.lookups.first(lsn, self.attempts.first(lsn, open.first()));
                // A batch with one that waits is held.
                if let Again::Park(answer) = self.horizon.again(&self.access, event, first) {
                    if self.lookups.add(event, self.form.key(event), &answer) {
                        is_any_asked = true;
                    } else {
                        answers.push((lsn, answer));
                    }
                    continue;
                }
            }
            // It could be sent when the batch was formed, and damage took a part since.
            if let Err(misfit) = self.form.push(event, formed) {
                answers.push((lsn, Suspicion::misfit(misfit, true).into_answer()));
            }
        }
        self.park(&answers, findings)?;
        Ok(is_any_asked || !answers.is_empty())
    }

    /// Gives events that are not sent their answers.
    fn park(&mut self, answers: &[(u64, Answer)], findings: &mut Findings) -> Result<()> {
        if answers.is_empty() {
            return Ok(());
        }
        self.access.settle(0, answers)?;
        findings.count_parked(answers.len());
        self.attempts.forget(answers);
        Ok(())
    }

    /// The upstream took others: the events that it refused alone, and those that it cannot get, were at fault
    /// themselves.
    pub(super) fn convict_suspects(&mut self, findings: &mut Findings) -> Result<()> {
        let suspects = self.access.with_waiting(|waits| self.attempts.convicted(waits));
        match self.park(&suspects, findings) {
            // They stay suspects until something is taken again.
            Err(error) if error.kind() == ErrorKind::Full => {
                findings.found_no_room();
                Ok(())
            }
            parked => parked,
        }
    }

    /// Settles what was answered and closes the batch.
    pub(super) fn close(
        &mut self,
        open: &Open,
        answers: &[(u64, Answer)],
        findings: &mut Findings,
    ) -> Result<()> {
        self.access.settle(open.formed.number, answers)?;
        self.attempts.forget(answers);
        findings.count_answers(answers);
        Ok(())
    }

    /// Closes a batch without an answer. It may have been sent, and the upstream may have taken it last.
    pub(super) fn close_unanswered(&mut self, open: &Open, findings: &mut Findings) -> Result<()> {
        self.access.note_own(open)?;
        self.close(open, &[], findings)
    }

    /// Retries of events that are settled by now would be waited for without end.
    pub(super) fn forget_settled(&mut self) {
        self.access.with_waiting(|waits| {
            self.attempts.retain(waits);
            self.lookups.retain(waits);
        });
    }
}
