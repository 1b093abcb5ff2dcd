//! What persons decide.

use super::{Done, Machine, Stop};
use crate::review::write_decision_on;
use crate::review::{Decision, DecisionAction};
use crate::whole_model::compare::{key, scope};
use crate::whole_model::operations::Seen;
use crate::whole_model::reference::Event;
use crate::whole_model::words::Name;

/// What is decided, which version was seen, and by whom.
type Decided = (DecisionAction, Seen, &'static str);

impl Machine {
    /// The version that a person names.
    fn seen(&mut self, name: &Name, seen: Seen) -> Done<Option<u64>> {
        let id = self.model.names.get(name).copied();
        let store = self.store();
        let waits = id.and_then(|id| self.model.events[id].review.clone()).map(|it| it.1);
        let now = match waits {
            // The engine did not say yet what it calls it.
            Some(0) => match self.said(store.reviews().get(&scope(name), &key(name)))? {
                Ok(item) => Some(item.version),
                Err(code) => return Err(Stop::Wrong(format!("{name:?} in review: {code}"))),
            },
            known => known,
        };
        let review = id.and_then(|id| self.model.events[id].review.as_mut());
        if let Some(((_, version, _), now)) = review.zip(now) {
            *version = now;
        }
        let before = self.versions.get(name).copied().unwrap_or(1);
        if let Some(now) = now {
            self.versions.insert(name.clone(), now);
        }
        Ok(match seen {
            Seen::None => None,
            Seen::Now => Some(now.unwrap_or(1)),
            Seen::Before => Some(before),
        })
    }

    /// Mostly the next event of which something holds, so that operations meet.
    pub(super) fn near(&self, name: &Name, holds: impl Fn(&Event) -> bool) -> Name {
        let of = |it: &(&Name, &usize)| holds(&self.model.events[*it.1]);
        let all = || self.model.names.iter();
        let next = all().filter(|it| it.0 >= name).chain(all()).find(of);
        let is_taken = !name.1.as_bytes()[1].is_multiple_of(3);
        next.filter(|_| is_taken).map_or_else(|| name.clone(), |(name, _)| name.clone())
    }

    fn decision(&mut self, name: &Name, (action, seen, who): Decided) -> Done<Decision> {
        let decision = match action {
            DecisionAction::Retry => Decision::retry(scope(name), key(name)),
            DecisionAction::Resolve => Decision::resolve(scope(name), key(name), "in cash"),
        };
        Ok(Decision { version: self.seen(name, seen)?, ..decision.with_person(who) })
    }

    pub(super) fn decide(&mut self, name: &Name, decided: Decided) -> Done {
        let name = &self.near(name, |event| event.review.is_some());
        self.probe(name)?;
        let decision = self.decision(name, decided)?;
        let (action, _, who) = decided;
        let told = self.model.decide(name, action, decision.version, who);
        let said = self.store().reviews().decide(&decision);
        let said = self.said(said)?;
        if told != said {
            return Err(Stop::Wrong(format!("{decision:?}: {said:?}, not {told:?}")));
        }
        self.counts.add(&format!("decided: {}", told.err().unwrap_or(action.as_str())));
        Ok(())
    }

    /// Another process leaves a decision in a file.
    pub(super) fn drop_decision(&mut self, name: &Name, decided: Decided) -> Done {
        let name = &self.near(name, |event| event.review.is_some());
        let mut decision = self.decision(name, decided)?;
        decision.version.get_or_insert(1);
        let version = decision.version.unwrap();
        let (action, _, who) = decided;
        self.files += 1;
        let file = format!("{:08}", self.files);
        let dropped = (file.clone(), name.clone(), action, version, who.to_owned());
        self.model.dropped.push(dropped);
        self.doubtful_file = Some(file.clone());
        let said = write_decision_on(&self.rig.disk, &file, &decision);
        if let Err(code) = self.said(said)? {
            return Err(Stop::Wrong(format!("a decision in a file: {code}")));
        }
        self.doubtful_file = None;
        self.counts.add("decision: in a file");
        Ok(())
    }
}
