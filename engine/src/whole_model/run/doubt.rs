//! What is not known before it is looked at: what a failed operation left, what was forgotten, what
//! became of captures for which nobody waits.

use std::collections::BTreeSet;

use super::{Done, Machine, Stop};
use crate::capture::WouldAccept;
use crate::testing::WINDOW_MS;
use crate::whole_model::compare::{key, scope};
use crate::whole_model::hold;
use crate::whole_model::reference::Reference;
use crate::whole_model::words::Name;

impl Machine {
    /// One of these states is what is found.
    pub(super) fn resolve(&mut self, states: Vec<Reference>) -> Result<(), String> {
        let (store, gone) = (self.store(), self.gone.clone());
        let (mut whys, mut fitting) = (Vec::new(), Vec::new());
        for (number, mut state) in states.into_iter().enumerate() {
            let is_there = self.has_files(&mut state);
            let fits =
                if is_there { state.fits(&store, &gone) } else { Err("a file is gone".into()) };
            match fits {
                Ok(()) => fitting.push((number, state)),
                Err(why) => whys.push(why),
            }
        }
        self.doubtful_file = None;
        drop(store);
        let Some((number, first)) = fitting.first().cloned() else {
            whys.dedup();
            return Err(format!("what is found fits no state: {whys:#?}"));
        };
        self.counts.add(if number == 0 { "doubt: nothing" } else { "doubt: something" });
        let mut perhaps_attempted = BTreeSet::new();
        for (_, other) in &fitting {
            let events = first.events.iter().zip(&other.events).enumerate();
            let differ = events.filter(|(_, (one, two))| one.is_attempted != two.is_attempted);
            perhaps_attempted.extend(differ.map(|(id, _)| id));
        }
        self.resolve_one(first, fitting)?;
        // A batch that was answered without a word on an event leaves no other trace than what the store noted.
        let store = self.store();
        let state = store.inner.state.lock();
        for id in perhaps_attempted {
            let event = &mut self.model.events[id];
            let live = state.outbox.events().live(event.lsn);
            event.is_attempted = live.is_some_and(|live| live.is_attempted);
        }
        Ok(())
    }

    /// One of these states is what is found: the first, unless they differ in what is sent.
    fn resolve_one(
        &mut self,
        first: Reference,
        fitting: Vec<(usize, Reference)>,
    ) -> Result<(), String> {
        let sent = |state: &Reference| {
            state.batches.iter().map(|it| (it.scope, it.events.clone())).collect::<Vec<_>>()
        };
        let others = fitting.iter().find(|(_, other)| sent(other) != sent(&first));
        let Some(scope) = others.map(|(_, other)| differs(&sent(&first), &sent(other))) else {
            self.model = first;
            return Ok(());
        };
        self.peek(scope, fitting.into_iter().map(|(_, state)| state).collect())
    }

    /// A key whose window is over may be forgotten: asked for, so that the answer can be foretold.
    pub(super) fn probe(&mut self, name: &Name) -> Done {
        let Some(id) = self.model.names.get(name).copied() else { return Ok(()) };
        if !self.model.may_be_forgotten(id) {
            return Ok(());
        }
        let store = self.store();
        let answer = store.would_accept(&self.model.event(id));
        match self.said(answer)? {
            Ok(WouldAccept::Fresh | WouldAccept::Refused { .. }) => {
                self.counts.add("key: forgotten");
                self.model.names.remove(name);
                self.gone.events.push((name.clone(), id));
                for step in &mut self.steps {
                    step.names.remove(name);
                }
            }
            Ok(other) => {
                self.counts.add("key: could be forgotten");
                // What is queued and not durable holds its slice, until a later one begins; and a slice waits as
                // long as the disk does not say which of its keys are to move on.
                let is_late = self.model.now > self.queued_at + WINDOW_MS / 24;
                let is_quiet = is_late && !self.is_cutting;
                let must = is_quiet && self.model.must_be_forgotten(id);
                hold!(!must, "{name:?} is remembered too long: {other:?}");
            }
            Err(code) => return Err(Stop::Wrong(format!("{name:?}: {code}"))),
        }
        Ok(())
    }

    /// What became of captures for which nobody waits: durable in their order.
    pub(super) fn look_at_queued(&mut self) -> Done {
        let queued: Vec<usize> =
            self.model.unsettled().filter(|id| self.model.events[*id].is_queued).collect();
        let Some(store) = self.store.clone().filter(|_| !queued.is_empty()) else { return Ok(()) };
        let mut is_waiting = false;
        self.queued_at = self.model.now;
        for id in queued {
            let name = self.model.events[id].item.name.clone();
            let outcome = store.outcome(&scope(&name), &key(&name));
            let Ok(outcome) = self.said(outcome)? else { continue };
            if let Some(lsn) = outcome.lsn {
                hold!(!is_waiting, "{name:?} is durable before an earlier capture");
                self.model.learn(id, lsn)?;
                self.model.events[id].is_queued = false;
            } else {
                is_waiting = true;
            }
        }
        Ok(())
    }
}

/// The scope of the first batch in which two states differ.
fn differs<T: PartialEq>(one: &[(&'static str, T)], two: &[(&'static str, T)]) -> &'static str {
    let at = one.iter().zip(two).take_while(|(one, two)| one == two).count();
    let scope = |of: &[(&'static str, T)]| of.get(at).map(|(scope, _)| *scope);
    scope(one).or_else(|| scope(two)).unwrap_or_default()
}
