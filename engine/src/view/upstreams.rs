//! What is kept by upstream: which keys it gets, and until when it does not want to be asked. No I/O here.

use std::collections::BTreeMap;

use super::{Located, View};
use crate::frames::upstreams::{Hold, Rule};
use crate::frames::{KIND_HOLD, KIND_UPSTREAM, codec};
use crate::sync::KeyRule;

/// What is known of the upstreams.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    /// Upstream and scope, the number of the rule, and where that stands.
    rules: BTreeMap<(String, String), (u8, Located)>,
    /// Upstream, trusted time until which it is not asked, and where that stands; `None`: in memory only.
    holds: BTreeMap<String, (u64, Option<Located>)>,
}

impl Upstreams {
    /// The rule for a scope's keys; the inner `None`: of a newer version.
    pub(crate) fn rule(&self, upstream: &str, scope: &str) -> Option<Option<KeyRule>> {
        self.rule_code(upstream, scope).map(KeyRule::from_code)
    }

    /// The number of that rule.
    pub(crate) fn rule_code(&self, upstream: &str, scope: &str) -> Option<u8> {
        self.rules.get(&(upstream.to_owned(), scope.to_owned())).map(|(code, _)| *code)
    }

    /// All rules.
    #[cfg(feature = "rescue")]
    pub(crate) fn rules(&self) -> impl Iterator<Item = Rule> + '_ {
        self.rules.iter().map(|((upstream, scope), (rule, _))| Rule {
            upstream: upstream.clone(),
            scope: scope.clone(),
            rule: *rule,
        })
    }

    /// Trusted time until which an upstream is not asked.
    pub(crate) fn held_until_ms(&self, upstream: &str) -> Option<u64> {
        self.holds.get(upstream).map(|(until_ms, _)| *until_ms).filter(|until_ms| *until_ms > 0)
    }

    /// Notes in memory only until when an upstream is not asked; 0: it may be.
    pub(crate) fn hold(&mut self, upstream: &str, until_ms: u64) {
        match self.holds.get_mut(upstream) {
            Some((held_ms, _)) => *held_ms = until_ms,
            None if until_ms > 0 => drop(self.holds.insert(upstream.to_owned(), (until_ms, None))),
            None => {}
        }
    }
}

impl View {
    /// A rule is fixed; of one that is known: its frame was carried to here.
    pub(crate) fn apply_rule(&mut self, rule: &Rule, at: Located) {
        let Rule { upstream, scope, rule } = rule.clone();
        let (segment, bytes) = (at.place.segment, u64::from(at.bytes));
        let slot = self.upstreams.rules.entry((upstream, scope)).or_insert((rule, at));
        let before = std::mem::replace(&mut slot.1, at);
        if before != at {
            self.lives.end_need(before.place.segment, u64::from(before.bytes));
        }
        self.lives.need(segment, bytes);
    }

    /// An upstream asked not to be asked, or may be asked again.
    pub(crate) fn apply_hold(&mut self, hold: &Hold, at: Located) {
        let before = if hold.until_ms == 0 {
            self.upstreams.holds.remove(&hold.upstream)
        } else {
            self.lives.need(at.place.segment, u64::from(at.bytes));
            self.upstreams.holds.insert(hold.upstream.clone(), (hold.until_ms, Some(at)))
        };
        if let Some((_, Some(before))) = before {
            self.lives.end_need(before.place.segment, u64::from(before.bytes));
        }
    }

    /// Cleaning carried a frame with a rule or a hold.
    pub(crate) fn moved_in_upstreams(&mut self, kind: u8, body: &[u8], at: Located) {
        match kind {
            KIND_UPSTREAM => codec::decode(body).iter().for_each(|rule| self.apply_rule(rule, at)),
            KIND_HOLD => {
                let Some(hold) = codec::decode::<Hold>(body) else { return };
                // In memory it may be over, or another.
                let until_ms = self.upstreams.held_until_ms(&hold.upstream).unwrap_or(0);
                self.apply_hold(&hold, at);
                self.upstreams.hold(&hold.upstream, until_ms);
            }
            _other => {}
        }
    }

    /// Whether the rule or the hold of the frame at `at` still counts.
    pub(crate) fn is_of_upstreams(&self, at: Located) -> bool {
        let rules = self.upstreams.rules.values().map(|(_, found)| Some(*found));
        let holds = self.upstreams.holds.values().map(|(_, found)| *found);
        rules.chain(holds).flatten().any(|found| found.place == at.place)
    }
}
