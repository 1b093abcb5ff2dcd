//! What the upstream delivers.

use std::time::Duration;

use super::{Done, Machine, Stop};
use crate::Lsn;
use crate::inbox::{DeliveryState, DropReason, Progress, Received, WindowId};
use crate::whole_model::hold;
use crate::whole_model::words::{Delivered, INBOX, INBOX_MS};

impl Machine {
    fn window(id: &str) -> WindowId {
        WindowId::new(id).unwrap()
    }

    pub(super) fn open_window(&mut self, window: &'static str, ms: u64) -> Done {
        self.model.end_windows(None);
        self.step();
        self.model.open_window(window, ms);
        let said =
            self.store().inbox().open_window(&Self::window(window), Duration::from_millis(ms));
        match self.said(said)? {
            Ok(()) => Ok(()),
            Err(code) => Err(Stop::Wrong(format!("open_window: {code}"))),
        }
    }

    pub(super) fn close_window(&mut self, window: &'static str) -> Done {
        self.model.end_windows(None);
        self.step();
        let told = self.model.end_windows(Some(window));
        let said = self.store().inbox().close_window(&Self::window(window));
        let Ok(said) = self.said(said)? else {
            return Err(Stop::Wrong("close_window: refused".to_owned()));
        };
        let said: Vec<u64> = said.iter().map(|lsn| lsn.get()).collect();
        let told: Vec<u64> = told.iter().map(|id| self.model.deliveries[*id].lsn).collect();
        hold!(said == told, "{window} drops {said:?}, not {told:?}");
        told.iter().for_each(|_| self.counts.add("delivery: dropped with its window"));
        Ok(())
    }

    /// Whether a name of a delivery may be forgotten.
    fn may_forget(&self, id: usize, name: &str) -> bool {
        let it = &self.model.deliveries[id];
        let from = if name.starts_with("within") { it.until } else { it.settled };
        let is_finished = !matches!(it.state, DeliveryState::Open);
        is_finished && self.model.now >= from + INBOX_MS
    }

    pub(super) fn receive(&mut self, of: &Delivered) -> Done {
        let said = self.store().inbox().receive(&of.delivery());
        self.model.end_windows(None);
        self.step();
        // Names that may be forgotten are, if the answer says so.
        if !matches!(said, Ok(Received::Duplicate { .. })) {
            for name in of.names() {
                let known = self.model.delivered.get(&name).copied();
                if let Some(id) = known.filter(|id| self.may_forget(*id, &name)) {
                    self.counts.add("delivery: forgotten");
                    self.model.delivered.remove(&name);
                    self.gone.deliveries.push((name, id));
                }
            }
        } else if let Ok(Received::Duplicate { lsn, .. }) = &said {
            // An opening brought one back.
            let is_it = |id: usize| self.model.deliveries[id].lsn == lsn.get();
            let back = self.gone.deliveries.iter().filter(|(name, id)| {
                of.names().contains(name) && !self.model.delivered.contains_key(name) && is_it(*id)
            });
            let back: Vec<(String, usize)> = back.cloned().collect();
            self.model.delivered.extend(back);
        }
        let counts = self.model.inbox_counts;
        let told = self.model.receive(of);
        let what = match (told, self.said(said)?) {
            (Ok((id, true)), Ok(Received::Fresh { lsn })) => {
                self.model.deliveries[id].lsn = lsn.get();
                self.highest = self.highest.max(lsn.get());
                "fresh"
            }
            (Ok((id, false)), Ok(Received::Duplicate { lsn, state })) => {
                self.is_duplicate(of, id, (lsn, state))?;
                "duplicate"
            }
            (Err(told), Ok(Received::Dropped { why })) if told == why => match why {
                DropReason::Full => "dropped, full",
                DropReason::WindowNotOpen => "dropped, no window",
            },
            (told, said) => {
                let counted = (counts, self.model.inbox_counts);
                return Err(Stop::Wrong(format!("received {said:?}, not {told:?}; {counted:?}")));
            }
        };
        self.counts.add(&format!("received: {what}"));
        Ok(())
    }

    /// Of which delivery it is told to be a repetition: of one whose name comes first, unless that may
    /// be forgotten.
    fn is_duplicate(&mut self, of: &Delivered, first: usize, told: (Lsn, DeliveryState)) -> Done {
        let mut known = Vec::new();
        for name in of.names() {
            let Some(id) = self.model.delivered.get(&name).copied() else { continue };
            if self.model.deliveries[id].state == DeliveryState::Dropped {
                continue;
            }
            known.push(id);
            if !self.may_forget(id, &name) {
                break;
            }
        }
        let is_it = |id: &usize| {
            let it = &self.model.deliveries[*id];
            (it.lsn, it.state) == (told.0.get(), told.1)
        };
        hold!(known.iter().any(is_it), "{told:?} is none of {known:?}, {first}");
        Ok(())
    }

    /// One of the last deliveries.
    fn pick(&self, number: usize) -> Option<(usize, Lsn)> {
        let count = self.model.deliveries.len();
        let id = count.checked_sub(1 + number % count.clamp(1, 8))?;
        Some((id, Lsn::from_u64(self.model.deliveries[id].lsn)?))
    }

    /// Nothing is known of a delivery whose names are all forgotten, or taken by another.
    fn is_forgotten(&self, id: usize, code: Option<&&str>) -> bool {
        let it = &self.model.deliveries[id];
        let is_over = it.of.names().iter().any(|name| self.may_forget(id, name));
        code == Some(&"NO_DELIVERY")
            && (it.state == DeliveryState::Dropped || is_over)
            && it.state != DeliveryState::Open
    }

    pub(super) fn progress(&mut self, number: usize, step: u32) -> Done {
        let Some((id, lsn)) = self.pick(number) else { return Ok(()) };
        self.model.end_windows(None);
        self.step();
        let told = self.model.progress(id, step);
        let next = self.model.next_step(id);
        let said = self.store().inbox().progress(lsn, step);
        let said = self.said(said)?;
        if self.is_forgotten(id, said.as_ref().err()) {
            return Ok(());
        }
        let expected =
            told.map(
                |is_new| {
                    if is_new { Progress::Noted { next } } else { Progress::DoneBefore { next } }
                },
            );
        hold!(said == expected, "step {step} of {id}: {said:?}, not {expected:?}");
        let what = match said {
            Ok(Progress::Noted { .. }) => "noted",
            Ok(Progress::DoneBefore { .. }) => "done before",
            Err(code) => code,
        };
        self.counts.add(&format!("step: {what}"));
        Ok(())
    }

    pub(super) fn resume(&mut self, number: usize) -> Done {
        let Some((id, lsn)) = self.pick(number) else { return Ok(()) };
        let said = self.store().inbox().resume(lsn);
        let said = self.said(said)?;
        if self.is_forgotten(id, said.as_ref().err()) {
            return Ok(());
        }
        let it = &self.model.deliveries[id];
        let ends = it.of.window().map(|window| self.model.windows.get(window).map(|it| it.1));
        let is_over = ends.is_some_and(|ends| ends.is_none_or(|ends| ends <= self.model.now));
        let is_wanted = it.state == DeliveryState::Open && !is_over;
        let expected =
            if is_wanted { Ok(self.model.next_step(id)) } else { Err("ALREADY_FINISHED") };
        hold!(said == expected, "resume {id}: {said:?}, not {expected:?}");
        self.counts.add(if is_wanted { "step: resumed" } else { "step: not resumed" });
        Ok(())
    }

    pub(super) fn finish(&mut self, number: usize, is_failed: bool) -> Done {
        let Some((id, lsn)) = self.pick(number) else { return Ok(()) };
        let name = self.model.deliveries[id].of.end_key(is_failed);
        self.probe(&(INBOX, name))?;
        self.model.end_windows(None);
        self.step();
        let told = self.model.finish(id, is_failed);
        let store = self.store();
        let said =
            if is_failed { store.inbox().fail(lsn, "no printer") } else { store.inbox().ack(lsn) };
        let said = self.said(said)?;
        if self.is_forgotten(id, said.as_ref().err()) {
            return Ok(());
        }
        let what = match (told, said) {
            (Ok((event, is_new)), Ok(lsn)) => {
                self.model.learn(event, lsn)?;
                match (is_new, is_failed) {
                    (true, true) => "failed",
                    (true, false) => "acked",
                    (false, _) => "again",
                }
            }
            (Err(told), Err(said)) if told == said => said,
            (told, said) => {
                return Err(Stop::Wrong(format!("finish {id}: {said:?}, not {told:?}")));
            }
        };
        self.counts.add(&format!("finished: {what}"));
        Ok(())
    }
}
