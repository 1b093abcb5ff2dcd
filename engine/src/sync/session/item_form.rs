//! What an event is on the wire: its key there, and the size of its item.

use crate::event::{Scope, StoredEvent};
use crate::sync::{Fit, KeyRule, Misfit, Options};

/// The form in which events of a scope go to an upstream.
pub(super) struct ItemForm {
    scope: Scope,
    rule: KeyRule,
    fit: Fit,
}

impl ItemForm {
    /// The form by a session's options, in the dialect of `fit`.
    pub(super) fn new(options: &Options, fit: Fit) -> Self {
        let rule = options.keys.unwrap_or(KeyRule::Bare);
        Self { scope: options.scope.clone(), rule, fit }
    }

    /// The rule under which keys events are sent.
    pub(super) fn rule(&self) -> KeyRule {
        self.rule
    }

    /// Whether an event has a key on the wire. No dialect can send one whose key is another event's there.
    pub(super) fn has_key(&self, event: &StoredEvent) -> bool {
        self.rule.wire_key(&self.scope, &event.event.key).is_ok()
    }

    /// The keys of events as the upstream spells them.
    pub(super) fn wire_keys(&self, events: &[StoredEvent]) -> Vec<String> {
        let key = |event: &StoredEvent| {
            self.rule.wire_key(&self.scope, &event.event.key).unwrap_or_default()
        };
        events.iter().map(key).collect()
    }

    /// What an event's item takes, or why it can never be sent.
    pub(super) fn size(&self, event: &StoredEvent) -> Result<usize, Misfit> {
        let key = self.rule.wire_key(&self.scope, &event.event.key)?;
        (self.fit)(event, &key)
    }
}
