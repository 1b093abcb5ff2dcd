//! The reference: what the engine must answer and keep. It knows nothing of frames, segments, places or
//! caches.

use std::collections::BTreeMap;

pub(super) use super::state::{Batch, Call, Delivery, Event, Reference};
use super::words::{Answered, Began, Delivered, Item, Name, Told};
use crate::State;
use crate::inbox::{DeliveryState, DropReason};
use crate::limits::{Limit, WhenFull};
use crate::review::DecisionAction;

impl Reference {
    /// Events, or with receipts effects; who is dropped for them.
    pub(super) fn capture(
        &mut self,
        items: &[Item],
        receipt: Option<u64>,
    ) -> Result<(Vec<Told>, Vec<usize>), Limit> {
        let mut fresh = BTreeMap::new();
        for item in items.iter().rev().filter(|item| !self.names.contains_key(&item.name)) {
            fresh.insert(&item.name, item);
        }
        let fresh: Vec<&Item> = fresh.into_values().collect();
        let dropped = if receipt.is_some() { Vec::new() } else { self.room(&fresh)? };
        self.evicted.extend(&dropped);
        dropped.iter().for_each(|id| self.end(*id, State::Expired, None));
        let mut told = Vec::new();
        for item in items {
            told.push(match self.names.get(&item.name).copied() {
                Some(id) if self.events[id].item.content == item.content => Told::Duplicate(id),
                Some(id) => Told::Conflict(id),
                None => Told::Fresh(self.add(item)),
            });
            if let (Some(receipt), Some(Told::Fresh(id))) = (receipt, told.last().copied()) {
                self.end(id, State::Accepted, Some(receipt));
            }
        }
        Ok((told, dropped))
    }

    /// Returns the events that must be dropped so that these find room.
    pub(super) fn room(&self, fresh: &[&Item]) -> Result<Vec<usize>, Limit> {
        let limits = &self.rules.limits;
        let largest = fresh.iter().map(|item| item.amount().abs()).max().unwrap_or(0);
        if fresh.is_empty() || limits.amount.is_some_and(|most| largest > most) {
            return if fresh.is_empty() { Ok(Vec::new()) } else { Err(Limit::Amount) };
        }
        let held: Vec<&Event> = self.unsettled().map(|id| &self.events[id]).collect();
        let heavy = held.iter().map(|it| &it.item).chain(fresh.iter().copied());
        let heavy = heavy.filter(|item| item.is_heavy()).count();
        let asked: i64 = fresh.iter().map(|item| item.amount()).sum();
        let sum = held.iter().map(|it| it.item.amount()).sum::<i64>() + asked;
        let mut heavy = limits.heavy.map_or(0, |most| heavy.saturating_sub(most));
        let mut count =
            limits.count.map_or(0, |most| (held.len() + fresh.len()).saturating_sub(most));
        // By how much the sum is over its limit, or below it; one that asks for nothing may find it over.
        let over = |most: i64| if asked > 0 { sum - most } else { (sum - most).min(0) };
        let mut sum = limits.sum.map_or(i64::MIN / 2, over);
        let is_old =
            |id: &usize| limits.age.is_some_and(|age| self.now - self.events[*id].at > age);
        let old: Vec<usize> = self.unsettled().filter(is_old).collect();
        let refusal = |heavy: usize, count: usize, sum: i64| match (heavy, count, sum) {
            (1.., ..) => Some(Limit::Bytes),
            (_, 1.., _) => Some(Limit::Count),
            (_, _, 1..) => Some(Limit::Sum),
            _ => None,
        };
        let mut dropped = Vec::new();
        if limits.when_full == WhenFull::EvictOldest {
            for id in self.unsettled().filter(|id| self.may_be_dropped(*id)) {
                let is_old = old.last().is_some_and(|last| id <= *last);
                if refusal(heavy, count, sum).is_none() && !is_old {
                    break;
                }
                let item = &self.events[id].item;
                let helps = heavy > 0 || count > 0 || (sum > 0 && item.amount() > 0);
                if helps || is_old {
                    heavy = heavy.saturating_sub(usize::from(item.is_heavy()));
                    (count, sum) = (count.saturating_sub(1), sum - item.amount());
                }
                dropped.extend((helps || is_old).then_some(id));
            }
        }
        match refusal(heavy, count, sum) {
            Some(limit) => Err(limit),
            None if old.iter().all(|id| dropped.contains(id)) => Ok(dropped),
            None => Err(Limit::Age),
        }
    }

    /// Takes an event back; `false`: too late.
    pub(super) fn cancel(&mut self, id: usize) -> bool {
        let is_unsent = self.state(id) == State::Pending && !self.events[id].is_attempted;
        if is_unsent {
            self.end(id, State::Cancelled, None);
            self.cancelled += 1;
        }
        is_unsent
    }

    /// Answers of the upstream, in the order of the events; the first one of an event counts.
    pub(super) fn settle(&mut self, answers: &[(usize, Answered)]) {
        self.arrivals += 1;
        for (id, answer) in answers {
            if self.events[*id].state != State::Pending || self.events[*id].is_queued {
                continue;
            }
            match answer {
                Answered::Accepted(receipt) => self.end(*id, State::Accepted, *receipt),
                Answered::Duplicate(receipt) => self.end(*id, State::Duplicate, *receipt),
                Answered::Rejected(code) | Answered::Uncertain(code) => {
                    let is_uncertain = matches!(answer, Answered::Uncertain(_));
                    let event = &mut self.events[*id];
                    event.state = if is_uncertain { State::Uncertain } else { State::InReview };
                    event.review = Some((self.arrivals, 0, code.clone()));
                }
                Answered::Later => {}
            }
        }
    }

    /// A batch is fixed, in the place of `parent`.
    pub(super) fn form(&mut self, scope: &'static str, parent: Option<usize>, parts: &[&[usize]]) {
        let at = parent.unwrap_or(self.batches.len());
        if let Some(parent) = parent {
            self.batches.remove(parent);
        }
        for (number, part) in parts.iter().enumerate() {
            part.iter().for_each(|id| self.events[*id].is_attempted = true);
            self.formed += 1;
            let (lsn, events, serial) = (0, part.to_vec(), self.formed);
            let batch = Batch { scope, lsn, events, serial, failed_at: None };
            self.batches.insert(at + number, batch);
        }
    }

    /// What a person decides, with the version that was seen.
    pub(super) fn decide(
        &mut self,
        name: &Name,
        action: DecisionAction,
        seen: Option<u64>,
        who: &str,
    ) -> Result<(), &'static str> {
        let id = self.names.get(name).copied();
        let found = id.and_then(|id| self.events[id].review.as_ref());
        let fits = |waits: u64| seen.is_none_or(|seen| seen == waits);
        if !found.is_some_and(|(_, version, _)| fits(*version)) {
            let is_late = seen.is_some() && id.is_some_and(|id| !self.events[id].is_queued);
            return Err(if is_late { "ALREADY_DECIDED" } else { "NOT_IN_REVIEW" });
        }
        let id = id.unwrap();
        match action {
            DecisionAction::Retry => self.events[id].state = State::Pending,
            DecisionAction::Resolve => self.end(id, State::Rejected, None),
        }
        self.events[id].review = None;
        self.decisions.push((id, action, who.to_owned()));
        Ok(())
    }

    /// Asks for a call's lease.
    pub(super) fn begin(&mut self, key: &str, request: Option<u8>, lease_ms: u64) -> Began {
        let until = Some(self.now + lease_ms);
        let differs =
            |known: &Option<u8>| request.is_some() && known.is_some() && request != *known;
        let is_open = |call: &&Call| matches!(call, Call::Open { .. });
        let open = self.calls.values().filter(is_open).count();
        let (began, request) = match self.calls.get(key) {
            None if open >= self.rules.leases_max => return Began::Full,
            None => (Began::Acquired, request),
            Some(Call::Open { fence, request, .. } | Call::Done { fence, request, .. })
                if differs(request) =>
            {
                return Began::Conflict(*fence);
            }
            Some(Call::Done { fence, body, .. }) => {
                return Began::Cached { fence: *fence, body: *body };
            }
            Some(Call::Open { until: Some(until), .. }) if *until > self.now => {
                return Began::InProgress((until - self.now).min(1_500));
            }
            Some(Call::Open { request, .. }) => (Began::Unknown, *request),
        };
        self.calls.insert(key.to_owned(), Call::Open { fence: 0, until, request });
        began
    }

    /// Ends a lease with a body, or gives it back.
    pub(super) fn end_lease(
        &mut self,
        (key, fence): (&str, u64),
        ending: Option<u64>,
    ) -> Result<(), &'static str> {
        let at = self.now;
        let request = match self.calls.get(key) {
            Some(Call::Open { fence: now, request, .. }) if *now == fence => *request,
            Some(Call::Done { fence: now, body, .. }) if *now == fence && ending.is_some() => {
                let is_same = ending == Some(*body);
                return if is_same { Ok(()) } else { Err("COMPLETED_OTHERWISE") };
            }
            _ => return Err("LEASE_LOST"),
        };
        self.calls.remove(key);
        if let Some(body) = ending {
            self.calls.insert(key.to_owned(), Call::Done { fence, request, body, at });
        }
        Ok(())
    }

    /// Windows that are over end, with `early` before its time, and with their unfinished deliveries.
    pub(super) fn end_windows(&mut self, early: Option<&str>) -> Vec<usize> {
        let (now, mut lost) = (self.now, Vec::new());
        for (window, _) in
            self.windows.extract_if(.., |id, (_, ends)| *ends <= now || early == Some(*id))
        {
            for (id, it) in self.deliveries.iter_mut().enumerate() {
                if it.state == DeliveryState::Open && it.of.window() == Some(window) {
                    it.state = DeliveryState::Dropped;
                    lost.push(id);
                }
            }
        }
        self.lost_deliveries.extend(&lost);
        lost
    }

    /// A window is open from now on; what was finished in it while it was is remembered as long.
    pub(super) fn open_window(&mut self, window: &'static str, ms: u64) {
        self.end_windows(None);
        let (opened, ends) = (self.windows.get(window).map_or(self.now, |it| it.0), self.now + ms);
        self.windows.insert(window, (opened, ends));
        let in_it = |it: &&mut Delivery| it.of.window() == Some(window) && it.at >= opened;
        self.deliveries.iter_mut().filter(in_it).for_each(|it| it.until = it.until.max(ends));
    }

    /// A delivery, and whether it is a new one.
    pub(super) fn receive(&mut self, of: &Delivered) -> Result<(usize, bool), DropReason> {
        self.end_windows(None);
        let known = of.names().into_iter().filter_map(|name| self.delivered.get(&name).copied());
        let is_known = |id: &usize| self.deliveries[*id].state != DeliveryState::Dropped;
        if let Some(known) = known.into_iter().find(is_known) {
            self.inbox_counts[0] += 1;
            return Ok((known, false));
        }
        if of.window().is_some_and(|window| !self.windows.contains_key(window)) {
            self.inbox_counts[1] += 1;
            return Err(DropReason::WindowNotOpen);
        }
        let is_open = |it: &&Delivery| it.state == DeliveryState::Open;
        if self.deliveries.iter().filter(is_open).count() >= self.rules.deliveries_max {
            self.inbox_counts[2] += 1;
            return Err(DropReason::Full);
        }
        let id = self.deliveries.len();
        self.delivered.extend(of.names().into_iter().map(|name| (name, id)));
        let state = DeliveryState::Open;
        let (of, at, lsn, done, event, settled, until) = (of.clone(), self.now, 0, 0, 0, 0, 0);
        self.deliveries.push(Delivery { of, lsn, at, done, state, event, settled, until });
        Ok((id, true))
    }

    /// A step is done; whether it was not before.
    pub(super) fn progress(&mut self, id: usize, step: u32) -> Result<bool, &'static str> {
        self.end_windows(None);
        let it = &mut self.deliveries[id];
        if it.state != DeliveryState::Open {
            return Err("ALREADY_FINISHED");
        }
        if step == 0 || (it.of.steps > 0 && step > it.of.steps) {
            return Err("STEP_INVALID");
        }
        let is_new = step > it.done;
        it.done = it.done.max(step);
        Ok(is_new)
    }

    /// A delivery is finished: the event that tells the upstream, and whether that is new.
    pub(super) fn finish(
        &mut self,
        id: usize,
        failed: bool,
    ) -> Result<(usize, bool), &'static str> {
        self.end_windows(None);
        let it = &self.deliveries[id];
        let state = if failed { DeliveryState::Failed } else { DeliveryState::Acked };
        match it.state {
            DeliveryState::Open => {}
            before if before == state => return Ok((it.event, false)),
            _ => return Err("ALREADY_FINISHED"),
        }
        let mut item = Item::of_end(it.of.end_key(failed), id, failed);
        if self.names.contains_key(&item.name) {
            item.name.1 = format!("{}~{}", item.name.1, it.lsn);
        }
        let ends = it.of.window().and_then(|window| self.windows.get(window)).map(|it| it.1);
        let (event, settled) = (self.add(&item), self.now);
        let it = &mut self.deliveries[id];
        (it.state, it.event, it.settled) = (state, event, settled);
        it.until = ends.unwrap_or(0).max(settled);
        Ok((event, true))
    }
}
