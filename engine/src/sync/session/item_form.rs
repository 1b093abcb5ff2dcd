//! What an event is on the wire: its key there, and its item.

use crate::event::{Scope, StoredEvent};
use crate::sync::batch::Items;
use crate::sync::{Form, KeyRule, Misfit, Options};

/// The form in which events of a scope go to an upstream.
pub(super) struct ItemForm {
    scope: Scope,
    rule: KeyRule,
    form: Form,
}

impl ItemForm {
    /// The form by a session's options, in the dialect of `form`.
    pub(super) fn new(options: &Options, form: Form) -> Self {
        let rule = options.keys.unwrap_or(KeyRule::Bare);
        Self { scope: options.scope.clone(), rule, form }
    }

    /// The rule under which keys events are sent.
    pub(super) fn rule(&self) -> KeyRule {
        self.rule
    }

    /// Whether an event has a key on the wire. No dialect can send one whose key is another event's there.
    pub(super) fn has_key(&self, event: &StoredEvent) -> bool {
        self.key(event).is_some()
    }

    /// The key of an event on the wire, if it has one.
    pub(super) fn key(&self, event: &StoredEvent) -> Option<String> {
        self.rule.wire_key(&self.scope, &event.event.key).ok()
    }

    /// Adds an event's item to others, or reports why it can never be sent. Returns the item's size in bytes.
    pub(super) fn push(&self, event: &StoredEvent, items: &mut Items) -> Result<usize, Misfit> {
        items.push(event, (self.rule, &self.scope), &self.form)
    }
}
