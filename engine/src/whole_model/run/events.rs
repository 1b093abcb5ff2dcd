//! Captures, effects, cancelling and direct answers.

use super::{Done, Machine, Stop};
use crate::capture::{Applied, Effect, WouldAccept};
use crate::limits::{Cancellation, Limit};
use crate::testing::receipt;
use crate::whole_model::compare::{key, scope};
use crate::whole_model::hold;
use crate::whole_model::reference::Event as Stored;
use crate::whole_model::words::{Answered, CLOCK, Item, Name, Told};
use crate::{Answer, Event, Settlement, State, Verdict};

impl Machine {
    fn probe_all(&mut self, items: &[Item]) -> Done {
        items.iter().try_for_each(|item| self.probe(&item.name))
    }

    fn offered(&self, items: &[Item]) -> Vec<Event> {
        let deliveries = |id: usize| self.model.deliveries[id].of.clone();
        items.iter().map(|item| item.event(deliveries)).collect()
    }

    pub(super) fn capture(&mut self, items: &[Item]) -> Done {
        self.probe_all(items)?;
        let (events, store) = (self.offered(items), self.store());
        let told = self.model.capture(items, None);
        let said = match events.as_slice() {
            [event] => store.capture(event).map(|verdict| vec![verdict]),
            events => store.capture_batch(events),
        };
        match (told, self.said(said)?) {
            (Ok((told, dropped)), Ok(verdicts)) => {
                dropped.iter().for_each(|_| self.counts.add("event: dropped for another"));
                self.hear(&told, &verdicts)
            }
            (Err(limit), Err(code)) => self.refused(limit, code),
            (told, said) => Err(Stop::Wrong(format!("captured {told:?}: {said:?}"))),
        }
    }

    fn refused(&mut self, limit: Limit, code: &'static str) -> Done {
        self.counts.add(&format!("refused: {limit}"));
        hold!(limit.code() == code, "refused by {limit}: {code}");
        Ok(())
    }

    /// Holds verdicts against what was foretold.
    pub(super) fn hear(&mut self, told: &[Told], verdicts: &[Verdict]) -> Done {
        hold!(told.len() == verdicts.len(), "{verdicts:?}, not {told:?}");
        for (told, verdict) in told.iter().zip(verdicts) {
            let id = match (told, verdict) {
                (Told::Fresh(id), Verdict::Fresh { lsn }) => {
                    self.counts.add("verdict: fresh");
                    self.highest = self.highest.max(lsn.get());
                    self.wrote(self.model.events[*id].at);
                    *id
                }
                (Told::Duplicate(id), Verdict::Duplicate { state, .. }) => {
                    self.counts.add(&format!("verdict: duplicate, {state}"));
                    let expected = self.model.state(*id);
                    // As of a ticket that is asked when its original is long forgotten.
                    let is_over = self.model.is_back(*id, *state);
                    hold!(*state == expected || is_over, "{id} is {verdict:?}, not {expected}");
                    *id
                }
                (Told::Conflict(id), Verdict::Conflict { .. }) => {
                    self.counts.add("verdict: conflict");
                    *id
                }
                _ => return Err(Stop::Wrong(format!("{verdict:?}, not {told:?}"))),
            };
            self.model.learn(id, verdict.lsn())?;
            self.model.events[id].is_queued = false;
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, items: &[Item]) -> Done {
        self.probe_all(items)?;
        self.receipts += 1;
        let (number, store) = (self.receipts, self.store());
        let effects = self.offered(items).into_iter();
        let effects: Vec<Effect> =
            effects.map(|event| Effect { event, receipt: receipt(number) }).collect();
        let Ok((told, _)) = self.model.capture(items, Some(number)) else {
            return Err(Stop::Wrong("effects are not limited".to_owned()));
        };
        let said = store.apply_batch(&effects);
        let Ok(applied) = self.said(said)? else {
            return Err(Stop::Wrong("an effect was refused".to_owned()));
        };
        hold!(told.len() == applied.len(), "{applied:?}, not {told:?}");
        for (told, applied) in told.into_iter().zip(applied) {
            let (id, lsn) = match (told, &applied) {
                (Told::Fresh(id), Applied::Fresh { lsn }) => (id, *lsn),
                (Told::Conflict(id), Applied::Conflict { lsn }) => (id, *lsn),
                (Told::Duplicate(id), Applied::Duplicate { lsn, receipt: given }) => {
                    let expected = self.model.events[id].receipt.map(receipt);
                    let is_over = given.is_none() && self.model.may_be_forgotten(id);
                    hold!(*given == expected || is_over, "{id}: {given:?}, not {expected:?}");
                    (id, *lsn)
                }
                _ => return Err(Stop::Wrong(format!("{applied:?}, not {told:?}"))),
            };
            let answer = format!("{told:?}");
            self.counts.add(&format!("applied: {}", answer.split('(').next().unwrap()));
            self.model.learn(id, lsn)?;
            self.model.events[id].is_queued = false;
        }
        Ok(())
    }

    pub(super) fn defer(&mut self, items: &[Item]) -> Done {
        if self.is_full || self.tickets.len() > 3 {
            return Ok(());
        }
        self.probe_all(items)?;
        let (events, store) = (self.offered(items), self.store());
        let told = self.model.capture(items, None);
        if let Ok((told, dropped)) = &told
            && dropped.is_empty()
        {
            for told in told {
                if let Told::Fresh(id) = told {
                    self.model.events[*id].is_queued = true;
                }
            }
        }
        let said = store.capture_batch_deferred(&events);
        match (told, self.said(said)?) {
            (Ok((told, dropped)), Ok(ticket)) => {
                self.counts.add("ticket");
                dropped.iter().for_each(|_| self.counts.add("event: dropped for another"));
                self.tickets.push((told, ticket));
                Ok(())
            }
            (Err(limit), Err(code)) => self.refused(limit, code),
            (told, said) => Err(Stop::Wrong(format!("deferred {told:?}: {said:?}"))),
        }
    }

    pub(super) fn wait(&mut self, number: usize) -> Done {
        if self.tickets.is_empty() {
            return Ok(());
        }
        let (told, ticket) = self.tickets.remove(number % self.tickets.len());
        let said = ticket.wait();
        let Ok(verdicts) = self.said(said)? else {
            return Err(Stop::Wrong("a ticket was refused".to_owned()));
        };
        self.counts.add("ticket: waited for");
        self.hear(&told, &verdicts)
    }

    pub(super) fn would_accept(&mut self, item: &Item) -> Done {
        self.probe(&item.name)?;
        let (events, store) = (self.offered(std::slice::from_ref(item)), self.store());
        let said = store.would_accept(&events[0]);
        let Ok(answer) = self.said(said)? else {
            return Err(Stop::Wrong("would_accept: refused".to_owned()));
        };
        let known = self.model.names.get(&item.name).copied();
        let (is_same, what) = match (known, answer) {
            (Some(id), WouldAccept::Duplicate { lsn, state }) => {
                self.model.learn(id, lsn)?;
                let is_same = self.model.events[id].item.content == item.content;
                let is_it = state == self.model.state(id) || self.model.is_back(id, state);
                (is_same && is_it, "duplicate".to_owned())
            }
            (Some(id), WouldAccept::Conflict { lsn }) => {
                self.model.learn(id, lsn)?;
                let is_same = self.model.events[id].item.content == item.content;
                (!is_same, "conflict".to_owned())
            }
            (None, WouldAccept::Fresh) => (self.model.room(&[item]).is_ok(), "fresh".to_owned()),
            (None, WouldAccept::Refused { limit }) => {
                (self.model.room(&[item]) == Err(limit), format!("refused, {limit}"))
            }
            _ => (false, String::new()),
        };
        hold!(is_same, "{item:?} would be {answer:?}; known: {known:?}");
        self.counts.add(&format!("would be: {what}"));
        Ok(())
    }

    pub(super) fn cancel(&mut self, name: &Name) -> Done {
        let is_unsent = |event: &Stored| event.state == State::Pending && !event.is_attempted;
        let name = &self.near(name, |event| is_unsent(event) && event.item.name.0 != CLOCK);
        self.probe(name)?;
        let store = self.store();
        let known = self.model.names.get(name).copied();
        let said = store.cancel(&scope(name), &key(name));
        let told = known.map(|id| {
            // It is waited for.
            self.model.events[id].is_queued = false;
            self.model.cancel(id)
        });
        match (known.zip(told), self.said(said)?) {
            (None, Err("NO_EVENT")) => self.counts.add("cancel: no event"),
            (Some((id, true)), Ok(Cancellation::Cancelled { lsn })) => {
                self.counts.add("cancel: cancelled");
                self.model.learn(id, lsn)?;
            }
            (Some((id, false)), Ok(Cancellation::TooLate { lsn, state })) => {
                self.counts.add("cancel: too late");
                self.model.learn(id, lsn)?;
                let expected = self.model.state(id);
                let is_it = state == expected || self.model.is_back(id, state);
                hold!(is_it, "too late, {state}, not {expected}");
            }
            (told, said) => return Err(Stop::Wrong(format!("cancel {told:?}: {said:?}"))),
        }
        Ok(())
    }

    /// Answers of an upstream that a host talks to by itself.
    pub(super) fn settle(&mut self, answers: &[(Name, u8)]) -> Done {
        let store = self.store();
        let (mut settlements, mut told) = (Vec::new(), Vec::new());
        for (name, kind) in answers {
            self.receipts += 1;
            let number = self.receipts;
            let (answer, answered) = match kind {
                0..3 => (
                    Answer::Accepted { receipt: Some(receipt(number)) },
                    Answered::Accepted(Some(number)),
                ),
                3 => (Answer::Accepted { receipt: None }, Answered::Accepted(None)),
                4 => (
                    Answer::Duplicate { receipt: Some(receipt(number)) },
                    Answered::Duplicate(Some(number)),
                ),
                5 | 6 => {
                    let code = format!("NO_{kind}");
                    let answer = Answer::Rejected {
                        code: code.clone(),
                        message: "no".to_owned(),
                        reply: b"reply".to_vec(),
                    };
                    (answer, Answered::Rejected(code))
                }
                _ => {
                    let code = "WHO_KNOWS".to_owned();
                    let message = String::new();
                    (Answer::Uncertain { code: code.clone(), message }, Answered::Uncertain(code))
                }
            };
            settlements.push(Settlement { scope: scope(name), key: key(name), answer });
            let known = self.model.names.get(name).copied();
            let is_open = |id: &usize| self.model.events[*id].state == State::Pending;
            if let Some(id) = known.filter(is_open) {
                self.counts.add("settled");
                told.push((id, answered));
            }
        }
        told.sort_by_key(|(id, _)| *id);
        self.model.settle(&told);
        let said = store.settle(&settlements);
        if let Err(code) = self.said(said)? {
            return Err(Stop::Wrong(format!("settle: {code}")));
        }
        self.tidy()
    }
}
