//! Numbers of scopes: the tables name a scope by its number.

use crate::event::Scope;

/// Scopes that events have or had, in order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    known: Vec<Scope>,
}

impl Scopes {
    /// The scope of a number.
    pub(crate) fn get(&self, number: usize) -> Option<&Scope> {
        self.known.get(number)
    }

    /// The number of a scope, if it has one.
    pub(crate) fn number(&self, scope: &str) -> Option<usize> {
        self.known.iter().position(|known| known.as_str() == scope)
    }

    /// The number of a scope, given one if it is new.
    pub(crate) fn intern(&mut self, scope: &str) -> usize {
        if let Some(number) = self.number(scope) {
            return number;
        }
        if let Ok(new) = Scope::new(scope) {
            self.known.push(new);
        }
        self.known.len().saturating_sub(1)
    }
}
