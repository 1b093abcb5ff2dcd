//! Sessions with an upstream that is well, away, busy, or talks nonsense.

use super::{Done, Machine, Stop};
use crate::sync::{self, Batch, Failure, ItemOutcome, Options, Reply, Session, Step};
use crate::testing::receipt;
use crate::testing::upstream::{Mood as Line, payloads_but};
use crate::whole_model::compare::told;
use crate::whole_model::hold;
use crate::whole_model::operations::Mood;
use crate::whole_model::reference::{Batch as Open, Reference};
use crate::whole_model::words::Answered;
use crate::{Receipt, Scope, State};

/// Most items in a batch.
const ITEMS_MAX: usize = 4;
/// Keys that the dialect cannot send.
const MISFITS: [&str; 2] = ["s7", "t7"];

impl Machine {
    /// Sends batches, as many as there are moods.
    pub(super) fn sync(&mut self, of: &'static str, moods: &[Mood]) -> Done {
        let store = self.store();
        let options = Options::new(Scope::new(of).unwrap())
            .with_keys(sync::KeyRule::Conveyed)
            .with_items_max(ITEMS_MAX);
        let session = Session::start(&store, options, payloads_but(&MISFITS));
        let Ok(mut session) = self.said(session)? else {
            return Err(Stop::Wrong("another session".to_owned()));
        };
        self.model.batches.sort_by_key(|batch| batch.serial);
        for batch in &mut self.model.batches {
            batch.failed_at = None;
        }
        self.taken = (0, 0);
        for mood in moods {
            // Whatever the engine does on the way may be what a crash leaves.
            self.step();
            let expected = self.next_batch(of);
            session.on_online();
            let step = session.next(0);
            let Ok(step) = self.said(step)? else {
                return Err(Stop::Wrong("nothing is sent".to_owned()));
            };
            self.look_at_queued()?;
            match (expected, step) {
                (None, Step::Idle) => return Ok(()),
                (Some(at), Step::Send(batch)) => {
                    self.is_as_foretold(at, &batch)?;
                    self.answer(&mut session, at, &batch, *mood)?;
                    self.look_at_queued()?;
                }
                (expected, step) => {
                    let expected = expected.map(|at| &self.model.batches[at]);
                    return Err(Stop::Wrong(format!("{step:?}, not {expected:?}")));
                }
            }
        }
        Ok(())
    }

    /// Of states that differ in what is on its way, the one whose next batch is what is sent.
    pub(super) fn peek(&mut self, of: &'static str, states: Vec<Reference>) -> Result<(), String> {
        self.counts.add("doubt: told by the next batch");
        self.taken = (0, 0);
        let store = self.store();
        let options = Options::new(Scope::new(of).unwrap())
            .with_keys(sync::KeyRule::Conveyed)
            .with_items_max(ITEMS_MAX);
        let session = Session::start(&store, options, payloads_but(&MISFITS));
        let step = session.and_then(|mut session| session.next(0)).map_err(told)?;
        let sent = match &step {
            Step::Send(batch) => batch.items().map(|item| item.lsn.get()).collect(),
            _ => Vec::new(),
        };
        for state in states {
            self.model = state;
            self.model.batches.sort_by_key(|batch| batch.serial);
            let next = self.next_batch(of);
            let events = next.map(|at| self.model.batches[at].events.clone()).unwrap_or_default();
            if events.iter().map(|id| self.model.events[*id].lsn).eq(sent.iter().copied()) {
                return Ok(());
            }
        }
        Err(format!("no state sends {sent:?}"))
    }

    /// Which batch is sent next: one that is not answered, without what is settled by now; or a new one.
    fn next_batch(&mut self, of: &'static str) -> Option<usize> {
        self.misfits.clear();
        while let Some(at) = self.model.batches.iter().position(|it| it.scope == of) {
            let events = self.model.batches[at].events.clone();
            let is_open = |id: &&usize| self.model.events[**id].state == State::Pending;
            let open: Vec<usize> = events.iter().filter(is_open).copied().collect();
            if open.is_empty() {
                self.model.batches.remove(at);
                self.step();
                self.model.syncs();
                continue;
            }
            if open.len() < events.len() {
                self.model.form(of, Some(at), &[&open]);
                self.step();
                self.model.syncs();
                self.counts.add("batch: what is left of one");
            }
            return Some(at);
        }
        let mut after = 0;
        loop {
            // Asked anew each time: what is written on the way makes more of them durable.
            let waiting = self.model.waiting(of).into_iter().filter(|id| *id >= after);
            let some: Vec<usize> = waiting.take(ITEMS_MAX).collect();
            after = some.last()? + 1;
            let is_misfit =
                |id: &usize| MISFITS.contains(&self.model.events[*id].item.name.1.as_str());
            let (misfits, fit): (Vec<usize>, Vec<usize>) =
                some.iter().partition(|id| is_misfit(id));
            if !misfits.is_empty() {
                self.misfits.extend(misfits);
                if self.taken.0 > 0 {
                    self.park_misfits();
                }
            }
            if !fit.is_empty() {
                self.model.form(of, None, &[&fit]);
                self.step();
                self.model.syncs();
                return Some(self.model.batches.len() - 1);
            }
        }
    }

    fn is_as_foretold(&mut self, at: usize, batch: &Batch) -> Done {
        self.counts.add("batch: sent");
        let known = &mut self.model.batches[at];
        hold!([0, batch.id.get()].contains(&known.lsn), "{known:?} is sent as {}", batch.id);
        known.lsn = batch.id.get();
        let events = known.events.clone();
        hold!(
            events.len() == batch.items().len(),
            "{events:?} are sent as {:?}",
            batch.item_keys()
        );
        for (id, item) in events.into_iter().zip(batch.items()) {
            self.model.learn(id, item.lsn)?;
            let event = self.model.event(id);
            let is_it = item.body == event.payload.as_bytes() && item.key == event.key.as_str();
            hold!(is_it, "{id} is sent as {item:?}");
        }
        Ok(())
    }

    fn answer(&mut self, session: &mut Session, at: usize, batch: &Batch, mood: Mood) -> Done {
        let line = match mood {
            Mood::LosesReply => Line::LosesReply,
            Mood::Well | Mood::Garbled | Mood::Busy => Line::Well,
            _ => Line::Away,
        };
        let away = || Failure::Unavailable {
            why: "away".to_owned(),
            retry_after_ms: Some(5),
            answered: sync::Answered::Nobody,
        };
        let refuses = || Failure::Refused { code: "BAD".to_owned(), message: String::new() };
        let replied = match mood {
            Mood::TooLarge => Err(Failure::TooLarge),
            Mood::Refuses => Err(refuses()),
            Mood::Blocks => Err(Failure::Blocked { why: "who are you".to_owned() }),
            Mood::StillAtIt => Err(Failure::InProgress { retry_after_ms: None }),
            Mood::Away => Err(away()),
            _ => self.upstream.take(batch, line),
        };
        self.counts.add(&format!("upstream: {mood:?}"));
        match replied {
            Ok(mut reply) => {
                self.distort(&mut reply, mood);
                self.reply(session, at, batch, &reply)
            }
            Err(failure) => self.failure(session, at, batch, &failure),
        }
    }

    fn distort(&mut self, reply: &mut Reply, mood: Mood) {
        match mood {
            Mood::Garbled => {
                let (first, last) = (reply.items[0].0.clone(), reply.items.len() - 1);
                // Left out, told in two ways, not asked for.
                reply.items.remove(last);
                let other = ItemOutcome::Accepted { receipt: Some(receipt(999)) };
                reply.items.push((first, other.clone()));
                reply.items.push(("nobody".to_owned(), other));
                reply.items.reverse();
            }
            Mood::Busy => {
                let code = "BUSY".to_owned();
                reply.items[0].1 = ItemOutcome::Transient { code, retry_after_ms: None };
            }
            _ => {}
        }
    }

    fn reply(&mut self, session: &mut Session, at: usize, batch: &Batch, reply: &Reply) -> Done {
        if self.is_full {
            // It may be sent again as it is.
            self.step();
        }
        let events = self.model.batches.remove(at).events;
        let mut answers = Vec::new();
        for (id, item) in events.into_iter().zip(batch.items()) {
            let key = item.key;
            let said = reply.items.iter().filter(|(said, _)| said == key).map(|(_, it)| it);
            let said: Vec<&ItemOutcome> = said.collect();
            let is_clear = said.windows(2).all(|two| two[0] == two[1]);
            let answer = match said.first().filter(|_| is_clear) {
                Some(ItemOutcome::Accepted { receipt }) => Answered::Accepted(number(receipt)),
                Some(ItemOutcome::Duplicate { receipt }) => Answered::Duplicate(number(receipt)),
                Some(ItemOutcome::Rejected { code, .. }) => Answered::Rejected(code.clone()),
                Some(ItemOutcome::Uncertain { .. }) => {
                    return Err(Stop::Wrong("this upstream is never in doubt".to_owned()));
                }
                Some(ItemOutcome::Transient { .. }) | None => Answered::Later,
            };
            let shown = format!("{answer:?}");
            self.counts.add(&format!("answer: {}", shown.split('(').next().unwrap()));
            answers.push((id, answer));
        }
        if self.is_full {
            // Refusals may find no room: then they are asked for again.
            let before = self.model.clone();
            let is_kept = |it: &&(usize, Answered)| !matches!(it.1, Answered::Rejected(_));
            let kept: Vec<_> = answers.iter().filter(is_kept).cloned().collect();
            self.model.settle(&kept);
            self.step();
            self.model = before;
        }
        self.model.settle(&answers);
        let is_taken = |(_, it): &&(usize, Answered)| {
            matches!(it, Answered::Accepted(_) | Answered::Duplicate(_))
        };
        let taken: Vec<usize> = answers.iter().filter(is_taken).map(|(id, _)| *id).collect();
        self.taken.0 += u64::from(!taken.is_empty());
        let longest = taken.iter().map(|id| self.model.event(*id).payload.as_bytes().len()).max();
        self.taken.1 = self.taken.1.max(longest.unwrap_or(0));
        if !taken.is_empty() {
            self.park_misfits();
        }
        let said = session.on_reply(batch.id, reply, 0);
        while !self.model.dropped.is_empty() {
            self.step();
            self.counts.add("decision: applied");
            self.model.take_up(1);
        }
        if let Err(code) = self.said(said)? {
            return Err(Stop::Wrong(format!("on_reply: {code}")));
        }
        self.tidy()
    }

    fn failure(
        &mut self,
        session: &mut Session,
        at: usize,
        batch: &Batch,
        failure: &Failure,
    ) -> Done {
        let Open { scope: of, events, .. } = self.model.batches[at].clone();
        let code = match failure {
            Failure::TooLarge => Some("TOO_LARGE"),
            Failure::Refused { code, .. } => Some(code.as_str()),
            _ => None,
        };
        let is_line = *failure == Failure::TooLarge
            && events.len() == 1
            && self.model.event(events[0]).payload.as_bytes().len() <= self.taken.1;
        if let Some(code) = code.filter(|_| !is_line) {
            let (first, second) = events.split_at(events.len().div_ceil(2));
            if second.is_empty() {
                self.model.batches.remove(at);
                let is_convicted = self.taken.0 > 0;
                let told = if is_convicted { "poison found" } else { "one is suspected" };
                self.counts.add(&format!("batch: {told}"));
                let answer = Answered::Rejected(code.to_owned());
                self.model
                    .settle(&[(first[0], if is_convicted { answer } else { Answered::Later })]);
            } else {
                self.counts.add("batch: split");
                self.model.form(of, Some(at), &[first, second]);
            }
        }
        let is_at_it = matches!(failure, Failure::InProgress { .. });
        if is_line || is_at_it || matches!(failure, Failure::Unavailable { .. }) {
            self.line_fails(at, batch.attempt, !is_at_it);
        }
        match self.said(session.on_failure(batch.id, failure, 0))? {
            Ok(()) => Ok(()),
            Err(code) => Err(Stop::Wrong(format!("on_failure: {code}"))),
        }
    }
}

impl Machine {
    /// Sends to review what the dialect cannot send: the upstream took others.
    fn park_misfits(&mut self) {
        let misfits = std::mem::take(&mut self.misfits);
        if misfits.is_empty() {
            return;
        }
        self.counts.add("batch: misfits");
        let rejected = Answered::Rejected("INVALID_ITEM".to_owned());
        let answers: Vec<_> = misfits.into_iter().map(|id| (id, rejected.clone())).collect();
        self.step();
        self.model.settle(&answers);
        self.step();
        self.model.syncs();
    }

    /// A batch that brings nothing a third time lets others go first; if the line failed, and they were
    /// taken since it failed first, it is halved.
    fn line_fails(&mut self, at: usize, attempt: u32, may_halve: bool) {
        let batch = &mut self.model.batches[at];
        let failed_at = *batch.failed_at.get_or_insert(self.taken.0);
        if attempt < 3 {
            return;
        }
        let (of, events) = (batch.scope, batch.events.clone());
        if may_halve && failed_at < self.taken.0 && events.len() > 1 {
            self.counts.add("batch: halved for others");
            let (first, second) = events.split_at(events.len().div_ceil(2));
            self.model.form(of, Some(at), &[first, second]);
        } else {
            self.counts.add("batch: set aside");
            let batch = self.model.batches.remove(at);
            self.model.batches.push(batch);
        }
    }
}

/// The number in a receipt.
fn number(given: &Option<Receipt>) -> Option<u64> {
    let digits = std::str::from_utf8(given.as_ref()?.as_bytes()).unwrap();
    Some(u64::from_str_radix(&digits[4..], 16).unwrap())
}
