//! What a log says is remembered, in its plainest form: a map of keys and one rule for deadlines.
//! Method: no tables, no slices, no files; a key lives at least for its window, and may live longer.

use std::collections::{BTreeMap, btree_map::Entry};

use onceward_index::{ContentHash, Fingerprint, KnownKey, Window, WindowStart};

/// A frame of the log; the LSN is the position, from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Frame {
    Took { key: Fingerprint, content: ContentHash, window: Window, begin: u64, now: u64 },
    Settled { lsn: u64, at: u64 },
    Released { key: Fingerprint },
    Failed,
}

/// A key that is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Taken {
    pub(crate) lsn: u64,
    pub(crate) content: ContentHash,
    window: Window,
    captured: u64,
    settled: Option<u64>,
}

impl Taken {
    /// Whether forgetting it would be too early, if `latest` is the latest time that was told.
    fn must_live(&self, latest: u64) -> bool {
        let Some(settled) = self.settled else { return true };
        let from = match self.window.start() {
            WindowStart::FromSettle => settled,
            WindowStart::FromCapture => self.captured,
        };
        latest < from + self.window.length_ms()
    }

    /// Whether it has its final answer.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.is_some()
    }
}

/// Every key that may be known, with what must be known of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    taken: BTreeMap<Fingerprint, Taken>,
}

impl Reference {
    /// The reference of a whole log, with no regard to time: a crash may bring back what time had forgotten.
    pub(crate) fn of(log: &[Frame]) -> Self {
        let mut reference = Self::default();
        for (frame, lsn) in log.iter().zip(1..) {
            reference.note(frame, lsn);
        }
        reference
    }

    /// One more frame.
    pub(crate) fn note(&mut self, frame: &Frame, lsn: u64) {
        match *frame {
            Frame::Took { key, content, window, now, .. } => {
                let taken = Taken { lsn, content, window, captured: now, settled: None };
                self.taken.insert(key, taken);
            }
            Frame::Settled { lsn, at } => {
                if let Some(taken) = self.taken.values_mut().find(|taken| taken.lsn == lsn) {
                    taken.settled = Some(at);
                }
            }
            Frame::Released { key } => drop(self.taken.remove(&key)),
            Frame::Failed => {}
        }
    }

    /// The reason why this answer about a key is wrong, at the latest time that was told.
    pub(crate) fn objection(
        &self,
        key: Fingerprint,
        found: Option<KnownKey>,
        latest: u64,
    ) -> Option<String> {
        match (self.taken.get(&key), found) {
            (None, None) => None,
            (None, Some(found)) => Some(format!("a false duplicate: {key:?} is known: {found:?}")),
            (Some(taken), None) => taken
                .must_live(latest)
                .then(|| format!("a false new at {latest}: {key:?} is forgotten: {taken:?}")),
            (Some(taken), Some(found)) => ((found.lsn, found.content)
                != (taken.lsn, taken.content))
                .then(|| format!("{key:?} is {taken:?}, not {found:?}")),
        }
    }

    /// Notes that a key was seen to be gone: it stays so, until a crash or until it is taken.
    pub(crate) fn note_gone(&mut self, key: Fingerprint) {
        self.taken.remove(&key);
    }

    /// Notes that a key that time had forgotten was seen to be back after a crash.
    pub(crate) fn note_back(&mut self, key: Fingerprint, of_log: &Self) {
        if let (Entry::Vacant(vacant), Some(taken)) =
            (self.taken.entry(key), of_log.taken.get(&key))
        {
            vacant.insert(*taken);
        }
    }

    /// A key that must or may be known.
    pub(crate) fn get(&self, key: Fingerprint) -> Option<Taken> {
        self.taken.get(&key).copied()
    }

    /// The keys that must or may be known.
    pub(crate) fn keys(&self) -> Vec<Fingerprint> {
        self.taken.keys().copied().collect()
    }
}
