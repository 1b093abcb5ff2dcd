//! The keys of those peers that are logs: a map in memory, which is not written anywhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Capture;
use crate::index::keys::Key;

/// Keys and the numbers of their events.
///
/// A duplicate that meets its original while that is being written is told so before it is durable. That is less than
/// dedup capture asks for, and cheaper: the peers get it.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<HashMap<Key, u64>>);

impl Remembered {
    /// Takes the keys of `events` that are new, and returns their events.
    #[must_use]
    pub fn fresh<'e>(&self, events: &[Capture<'e>]) -> Vec<Capture<'e>> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Vec::with_capacity(events.len());
        for event in events {
            let number = keys.len() as u64 + 1;
            keys.entry(event.key).or_insert_with(|| {
                fresh.push(*event);
                number
            });
        }
        fresh
    }
}
