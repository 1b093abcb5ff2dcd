//! What each key may be known as at each moment, as those who change it say: nothing here is
//! scheduled, so that looking at it changes no schedule.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard},
};

use super::store::KEYS;

/// A change of what is known of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyChange {
    /// The key is taken for this frame.
    Take(u64),
    /// The key that was taken for this frame is forgotten.
    Forget(u64),
}

/// One key.
#[derive(Clone, Debug)]
struct KeyHistory {
    /// The frame that it is known by, as far as changes have ended.
    known: Option<u64>,
    /// Changes that have begun and not ended.
    under_way: Vec<KeyChange>,
    /// The frames that the key may be known by, after each beginning and each end of a change.
    history: Vec<BTreeSet<Option<u64>>>,
}

/// All keys.
#[derive(Debug)]
pub(super) struct Truth(Mutex<Vec<KeyHistory>>);

impl Truth {
    /// A truth of keys that are known by these frames, or not known.
    pub(super) fn new(known: impl Fn(u8) -> Option<u64>) -> Self {
        let keys = (0..KEYS).map(|key| {
            let known = known(key);
            KeyHistory { known, under_way: Vec::new(), history: vec![BTreeSet::from([known])] }
        });
        Self(Mutex::new(keys.collect()))
    }

    /// A change begins.
    pub(super) fn begin(&self, key: u8, change: KeyChange) {
        let mut keys = self.keys();
        keys[usize::from(key)].under_way.push(change);
        keys[usize::from(key)].note();
    }

    /// A change has ended, and was made or not.
    pub(super) fn end(&self, key: u8, change: KeyChange, is_made: bool) {
        let mut keys = self.keys();
        let key = &mut keys[usize::from(key)];
        let at = key.under_way.iter().position(|other| *other == change).unwrap();
        key.under_way.swap_remove(at);
        match change {
            KeyChange::Take(lsn) if is_made => key.known = Some(lsn),
            KeyChange::Forget(lsn) if is_made && key.known == Some(lsn) => key.known = None,
            KeyChange::Take(_) | KeyChange::Forget(_) => {}
        }
        key.note();
    }

    /// The present moment in the history of a key.
    pub(super) fn now(&self, key: u8) -> usize {
        self.keys()[usize::from(key)].history.len() - 1
    }

    /// The frames that a key may have been known by since a moment.
    pub(super) fn since(&self, key: u8, moment: usize) -> BTreeSet<Option<u64>> {
        self.keys()[usize::from(key)].history[moment..].iter().flatten().copied().collect()
    }

    fn keys(&self) -> MutexGuard<'_, Vec<KeyHistory>> {
        self.0.lock().unwrap()
    }
}

impl KeyHistory {
    fn note(&mut self) {
        let changes = self.under_way.iter().map(|change| match change {
            KeyChange::Take(lsn) => Some(*lsn),
            KeyChange::Forget(_) => None,
        });
        self.history.push(changes.chain([self.known]).collect());
    }
}
