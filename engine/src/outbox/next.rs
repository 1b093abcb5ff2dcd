//! Which events a session may send next, and which batches it has out.

use super::Events;
use crate::event::Scope;

impl Events<'_> {
    /// The numbers of synced events of a scope that wait to be sent, from behind `after` on; of each
    /// lane the first that has no final answer, if that one waits to be sent.
    pub(crate) fn waiting(&self, scope: &Scope, after: u64, max: usize) -> Vec<u64> {
        let synced = self.inner.log.synced();
        if after >= synced {
            return Vec::new();
        }
        let state = self.inner.state.lock();
        let Some(number) = state.outbox.scopes().number(scope.as_str()) else {
            return Vec::new();
        };
        state.outbox.events().next().front(number, after, synced).take(max).collect()
    }

    /// The same for an upstream that keeps the order of lanes: up to `seen` as [`Events::waiting`], since what of these
    /// waits failed before; behind it all that waits but for what is behind one that waits for a person.
    pub(crate) fn waiting_in_order(
        &self,
        scope: &Scope,
        (after, seen): (u64, u64),
        max: usize,
    ) -> Vec<u64> {
        let synced = self.inner.log.synced();
        let state = self.inner.state.lock();
        let Some(number) = state.outbox.scopes().number(scope.as_str()) else {
            return Vec::new();
        };
        let events = state.outbox.events();
        let mut found: Vec<u64> = Vec::with_capacity(max.min(1_024));
        if after < seen {
            found.extend(events.next().front(number, after, seen.min(synced)).take(max));
        }
        let left = max.saturating_sub(found.len());
        found.extend(events.next().in_order(number, after.max(seen), synced).take(left));
        found
    }

    /// The names of the batches of a scope that are not answered: opening and number.
    pub(crate) fn open_names(&self, scope: &Scope) -> Vec<(u64, u64)> {
        let state = self.inner.state.lock();
        let open = state.outbox.batches().iter().filter(|(_, batch)| batch.scope == *scope);
        open.map(|(number, batch)| (batch.envelope.opening, *number)).collect()
    }

    /// How many events of a scope wait behind one of their lane that waits for a person.
    pub(crate) fn behind_parked(&self, scope: &Scope) -> u64 {
        let state = self.inner.state.lock();
        let number = state.outbox.scopes().number(scope.as_str());
        number.map_or(0, |number| state.outbox.events().next().behind_parked(Some(number)))
    }
}
