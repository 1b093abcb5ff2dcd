//! What is kept by upstream: which keys it gets, and until when it does not want to be asked. No I/O here.

use std::collections::{BTreeMap, BTreeSet};

use super::KeyRule;
use super::frames::{Hold, MarkFrame, Rule};
use super::results::ResultTable;
use crate::base::{FrameKind, Located};
use crate::kernel::{Area, Kernel, LiveFrames};

/// What is known of the upstreams.
#[derive(Debug, Default)]
pub(crate) struct UpstreamTable {
    /// Upstream and scope, the number of the rule, and where its frame is.
    rules: BTreeMap<(String, String), (u8, Located)>,
    /// The newest hold of each upstream.
    holds: BTreeMap<String, KnownHold>,
    /// What came of sending last.
    pub(crate) results: ResultTable,
    /// What upstreams want to be reminded of, by upstream and scope, and where its frame is.
    marks: BTreeMap<(String, String), (MarkFrame, Located)>,
}

/// The time until which an upstream is not asked.
#[derive(Debug, Default)]
struct KnownHold {
    /// Trusted time; 0: it may be asked.
    until_ms: u64,
    /// The newest frame, and what that says; what is in memory may be newer.
    said: Option<(Located, u64)>,
    /// Segments with frames that say that it is not to be asked.
    frames: BTreeSet<u64>,
}

impl KnownHold {
    /// The newest frame, if its segment may not go without it: it says until when, or ends what a frame in
    /// another segment says, which counted again without it.
    fn needed(&self) -> Option<Located> {
        let (at, until_ms) = self.said?;
        let ends = || self.frames.iter().any(|segment| *segment != at.place.segment);
        Some(at).filter(|_| until_ms > 0 || ends())
    }

    fn stands_in(&self, segment: u64) -> bool {
        let is_there = |(at, _): (Located, u64)| at.place.segment == segment;
        self.said.is_some_and(is_there) || self.frames.contains(&segment)
    }
}

impl UpstreamTable {
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

    /// What an upstream wants to be reminded of with the events of a scope.
    pub(crate) fn mark(&self, upstream: &str, scope: &str) -> Option<&MarkFrame> {
        self.marks.get(&(upstream.to_owned(), scope.to_owned())).map(|(mark, _)| mark)
    }

    /// What the other upstreams than this one said of the same scope.
    pub(crate) fn other_marks(&self, upstream: &str, scope: &str) -> impl Iterator<Item = &str> {
        let others = self.marks.iter().filter(move |((of, its), _)| of != upstream && its == scope);
        others.map(|(_, (mark, _))| mark.mark.as_str())
    }

    /// A mark was written, or carried to here.
    pub(crate) fn apply_mark(&mut self, kernel: &mut Kernel, mark: MarkFrame, at: Located) {
        kernel.usage.need(at.place.segment, u64::from(at.bytes));
        let of = (mark.upstream.clone(), mark.scope.clone());
        if let Some((_, before)) = self.marks.insert(of, (mark, at)) {
            kernel.usage.end_need(before.place.segment, u64::from(before.bytes));
        }
    }

    /// Trusted time until which an upstream is not asked.
    pub(crate) fn held_until_ms(&self, upstream: &str) -> Option<u64> {
        self.holds.get(upstream).map(|held| held.until_ms).filter(|until_ms| *until_ms > 0)
    }

    /// Whether an upstream may be asked, and no frame says otherwise.
    pub(crate) fn is_free(&self, upstream: &str) -> bool {
        let says_so = |held: &KnownHold| held.said.is_none_or(|(_, until_ms)| until_ms == 0);
        self.holds.get(upstream).is_none_or(|held| held.until_ms == 0 && says_so(held))
    }

    /// Notes in memory only until when an upstream is not asked; 0: it may be.
    pub(crate) fn hold(&mut self, upstream: &str, until_ms: u64) {
        match self.holds.get_mut(upstream) {
            Some(held) => held.until_ms = until_ms,
            None if until_ms > 0 => {
                let held = KnownHold { until_ms, ..KnownHold::default() };
                self.holds.insert(upstream.to_owned(), held);
            }
            None => {}
        }
    }

    /// A rule is fixed; of one that is known: its frame was carried to here.
    pub(crate) fn apply_rule(&mut self, kernel: &mut Kernel, rule: &Rule, at: Located) {
        let Rule { upstream, scope, rule } = rule.clone();
        let (segment, bytes) = (at.place.segment, u64::from(at.bytes));
        let slot = self.rules.entry((upstream, scope)).or_insert((rule, at));
        let before = std::mem::replace(&mut slot.1, at);
        if before != at {
            kernel.usage.end_need(before.place.segment, u64::from(before.bytes));
        }
        kernel.usage.need(segment, bytes);
    }

    /// An upstream asked not to be asked, or may be asked again.
    pub(crate) fn apply_hold(&mut self, kernel: &mut Kernel, hold: &Hold, at: Located) {
        self.change_hold(kernel, &hold.upstream, |held| {
            held.until_ms = hold.until_ms;
            held.said = Some((at, hold.until_ms));
            held.frames.extend(Some(at.place.segment).filter(|_| hold.until_ms > 0));
        });
    }

    /// Changes what is known of an upstream, and which of its frames is needed.
    fn change_hold(
        &mut self,
        kernel: &mut Kernel,
        upstream: &str,
        change: impl FnOnce(&mut KnownHold),
    ) {
        let held = self.holds.entry(upstream.to_owned()).or_default();
        let before = held.needed();
        change(held);
        let after = held.needed();
        if held.until_ms == 0 && after.is_none() && held.frames.is_empty() {
            self.holds.remove(upstream);
        }
        if before != after {
            let place = |at: Located| (at.place.segment, u64::from(at.bytes));
            before.map(place).into_iter().for_each(|(of, bytes)| kernel.usage.end_need(of, bytes));
            after.map(place).into_iter().for_each(|(of, bytes)| kernel.usage.need(of, bytes));
        }
    }

    /// A hold was carried to here.
    pub(crate) fn hold_moved(&mut self, kernel: &mut Kernel, hold: &Hold, at: Located) {
        // In memory it may be over, or another.
        let until_ms = self.held_until_ms(&hold.upstream).unwrap_or(0);
        self.apply_hold(kernel, hold, at);
        self.hold(&hold.upstream, until_ms);
    }

    /// Keeps a rule for keys, until when an upstream is not asked, or what came of sending, if it still counts;
    /// `body` is that of its frame.
    pub(crate) fn relocate(
        &self,
        kind: FrameKind,
        body: &[u8],
        at: Located,
        live: &mut LiveFrames,
    ) {
        if self.is_needed(at) {
            live.push(kind, body.to_vec());
        }
    }

    /// Whether what is said in the frame at `at` still counts.
    fn is_needed(&self, at: Located) -> bool {
        let rules = self.rules.values().map(|(_, found)| *found);
        let holds = self.holds.values().filter_map(KnownHold::needed);
        let marks = self.marks.values().map(|(_, at)| *at);
        rules
            .chain(holds)
            .chain(self.results.places())
            .chain(marks)
            .any(|found| found.place == at.place)
    }
}

impl Area for UpstreamTable {
    fn forget_segment(&mut self, kernel: &mut Kernel, segment: u64) {
        let holds = self.holds.iter().filter(|(_, held)| held.stands_in(segment));
        let names: Vec<String> = holds.map(|(upstream, _)| upstream.clone()).collect();
        for upstream in names {
            self.change_hold(kernel, &upstream, |held| {
                held.frames.remove(&segment);
                held.said = held.said.filter(|(at, _)| at.place.segment != segment);
            });
        }
    }
}
