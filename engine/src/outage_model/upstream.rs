//! An upstream that applies what comes, and notes where that is wrong.

use std::collections::BTreeMap;

use crate::sync::{ItemOutcome, Reply};
use crate::testing::draw::Draw;

/// The items of a request as the upstream gets them: key and number.
pub(super) type Items = Vec<(String, u64)>;

/// How an upstream is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Memory {
    /// It remembers every key.
    All,
    /// It forgets a key so long after it took effect, and says nothing of that.
    For { ms: u64 },
}

/// What took effect.
#[derive(Debug)]
pub(super) struct Upstream {
    memory: Memory,
    /// How often each key took effect, and when last.
    effects: BTreeMap<String, (u64, u64)>,
    /// The number of the event that took effect last, by lane.
    lanes: BTreeMap<u64, u64>,
    /// What was wrong first.
    pub(super) fault: Option<String>,
}

impl Upstream {
    pub(super) fn new(memory: Memory) -> Self {
        Self { memory, effects: BTreeMap::new(), lanes: BTreeMap::new(), fault: None }
    }

    /// How often a key took effect.
    pub(super) fn count(&self, key: &str) -> u64 {
        self.effects.get(key).map_or(0, |(count, _)| *count)
    }

    /// Applies a request, some items of which may fail for now; `lane_of` says which lane an event has.
    pub(super) fn apply(
        &mut self,
        items: &Items,
        (draw, now_ms): (&mut Draw, u64),
        lane_of: impl Fn(u64) -> Option<u64>,
        is_picky: bool,
    ) -> Reply {
        let mut answers = Vec::with_capacity(items.len());
        for (key, number) in items {
            if is_picky && draw.is_one_of(4) {
                let code = "BUSY".to_owned();
                answers.push((key.clone(), ItemOutcome::Transient { code, retry_after_ms: None }));
                continue;
            }
            let is_known = self.effects.get(key).is_some_and(|(_, at)| match self.memory {
                Memory::All => true,
                Memory::For { ms } => now_ms - at < ms,
            });
            if is_known {
                answers.push((key.clone(), ItemOutcome::Duplicate { receipt: None }));
                continue;
            }
            let (count, at) = self.effects.entry(key.clone()).or_default();
            (*count, *at) = (*count + 1, now_ms);
            if *count > 1 {
                self.fault.get_or_insert_with(|| format!("{key} took effect {count} times"));
            }
            if let Some(lane) = lane_of(*number) {
                let before = self.lanes.insert(lane, *number).unwrap_or(0);
                if before > *number {
                    self.fault
                        .get_or_insert_with(|| format!("{number} took effect after {before}"));
                }
            }
            answers.push((key.clone(), ItemOutcome::Accepted { receipt: None }));
        }
        Reply::of(answers)
    }
}
