//! Events that are read together: their keys are parts of one text, and their payloads of one piece of memory, which
//! goes with the last of them. Memory for each key and payload would be most of what reading costs.

use std::sync::Arc;

use super::layout::View;
use super::{Event, Key, Kind, Payload, Scope};

/// Most events that share memory: whoever keeps one of them keeps that of all.
pub(crate) const TOGETHER_MAX: usize = 64;
/// A longer payload has memory of its own.
const SHARED_BYTES_MAX: usize = 1_024;

/// What events share that are read together.
#[derive(Debug)]
pub(crate) struct SharedParts {
    keys: String,
    payloads: Vec<u8>,
    /// What stands in the place of the memory while that is gathered.
    no_keys: Arc<str>,
    no_payloads: Arc<Vec<u8>>,
    /// The scope and the kind of the last event: mostly those of the next one, too.
    scope: Scope,
    kind: Kind,
}

impl SharedParts {
    /// Of no event yet.
    pub(crate) fn new() -> Self {
        Self {
            keys: String::new(),
            payloads: Vec::new(),
            no_keys: Arc::default(),
            no_payloads: Arc::default(),
            scope: Scope::default(),
            kind: Kind::default(),
        }
    }

    /// Makes an event, which is complete once [`SharedParts::complete`] had it; `None` if a part breaks its rule.
    /// `count`: how many there will be, if this is the first.
    #[inline]
    pub(crate) fn event(&mut self, view: &View<'_>, count: usize) -> Option<Event> {
        Key::check(view.key).ok()?;
        if self.scope.as_str() != view.scope {
            self.scope = Scope::new(view.scope).ok()?;
        }
        if self.kind.as_str() != view.kind {
            self.kind = Kind::new(view.kind).ok()?;
        }
        if self.keys.is_empty() {
            self.keys.reserve_exact(count.saturating_mul(view.key.len()));
        }
        let from = self.keys.len();
        self.keys.push_str(view.key);
        let key = Key::part_of(&self.no_keys, from..self.keys.len());
        let payload = if view.payload.len() <= SHARED_BYTES_MAX {
            if self.payloads.is_empty() {
                self.payloads.reserve_exact(count.saturating_mul(view.payload.len()));
            }
            let from = self.payloads.len();
            self.payloads.extend_from_slice(view.payload);
            Payload::part_of(&self.no_payloads, from..self.payloads.len(), view.form())
        } else {
            Payload::stored(view.payload.to_vec(), view.form())
        };
        view.event_of(self.scope.clone(), key, self.kind.clone(), payload)
    }

    /// Completes the events that were made, with the memory that they share.
    pub(crate) fn complete<'e>(self, events: impl Iterator<Item = &'e mut Event>) {
        let (keys, payloads): (Arc<str>, _) = (self.keys.into(), Arc::new(self.payloads));
        for event in events {
            event.key.share(&keys);
            event.payload.share(&payloads);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let sizes = [0, 3, 0, SHARED_BYTES_MAX, SHARED_BYTES_MAX + 1, 5];
        let event = |(n, bytes): (usize, usize)| {
            let key = Key::new(&format!("k-{}", "\u{e4}".repeat(n))).unwrap();
            let scope = Scope::new(if n < 3 { "sales" } else { "refunds" }).unwrap();
            let event = Event::new(scope, key, Payload::bytes(vec![n.try_into().unwrap(); bytes]));
            let event = if n == 1 { event.with_kind(Kind::new("PAYMENT").unwrap()) } else { event };
            if n == 2 { Event { payload: Payload::json("[2]").unwrap(), ..event } } else { event }
        };
        sizes.into_iter().enumerate().map(event).collect()
    }

    fn made_of(views: &[View<'_>]) -> Vec<Event> {
        let mut shared = SharedParts::new();
        let mut made: Vec<Event> =
            views.iter().filter_map(|view| shared.event(view, views.len())).collect();
        shared.complete(made.iter_mut());
        made
    }

    #[test]
    fn events_that_share_memory_are_as_those_that_do_not() {
        let given = events();
        let made = made_of(&given.iter().map(View::of).collect::<Vec<_>>());
        assert_eq!(made, given);
        assert_eq!(format!("{made:?}"), format!("{given:?}"));
        let kept = made[3].clone();
        drop(made);
        assert_eq!(kept, given[3], "of memory that the others had, too");
    }

    #[test]
    fn an_event_that_breaks_a_rule_takes_nothing_of_the_next_one() {
        let all = events();
        let views: Vec<View<'_>> = all.iter().map(View::of).collect();
        let mut broken = views[1];
        broken.scope = "Sales!";
        let made = made_of(&[views[0], broken, views[5]]);
        assert_eq!(made, [all[0].clone(), all[5].clone()]);
    }
}
