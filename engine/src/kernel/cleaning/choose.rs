//! Which segment is cleaned next, or whether none need be. No I/O here, and no keys are asked.
//!
//! A segment in which nothing lives goes at once. One in which less than a quarter lives is worth
//! cleaning: what is written then is at most a third of what comes back. It waits, though, until such
//! segments waste some room together: what is still unsettled or remembered by then is less, and what
//! has to be moved is moved together, so that it need not be moved again soon.
//!
//! Segments with frames that go in order (see [`FrameKind::goes_in_order`](crate::base::FrameKind::goes_in_order)) are
//! another matter: they may go only as the oldest. So that they do not wait for ever, the oldest segment
//! goes, whatever lives in it, once at most half of the finished ones lives. Then a turn through all segments frees at
//! least what it carries.

use std::collections::{BTreeMap, BTreeSet};

use onceward_wal::SegmentInfo;

use crate::kernel::Areas;
use crate::kernel::usage::{Resting, Usage};

/// Most unused bytes that may wait before cleaning begins, unless one segment is more.
const SLACK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A segment is worth cleaning if less than one part of so many lives.
const WORTH: u64 = 4;
/// The part for `WORTH` where captures are refused because the disk is full.
const WORTH_WHEN_SHORT: u64 = 2;
/// The part for `WORTH` where the reserve is in use, in eighths.
const WORTH_WHEN_LOW: u64 = 7;
/// What of a segment its header takes.
const HEADER_BYTES: u64 = 4_096;

/// A segment whose events are being settled waits so long at most, to have none that must be carried.
const SETTLING_MS_MAX: u64 = 60_000;

/// What a key entry takes at most: its fields and the longest receipt.
const KEY_BYTES_MAX: u64 = 128;

/// Why a segment is to go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CleaningReason {
    /// Little lives in it.
    IsWorth(Need),
    /// The segment is the oldest, and has frames that go in order, or a younger one that has them waits for it.
    IsTurn,
}

/// How badly room is needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// Room is not short.
    Usual,
    /// Captures are refused.
    Short,
    /// The reserve is in use.
    Low,
    /// A test wants cleaning.
    #[cfg(test)]
    Forced,
}

/// What cleaning knows of segments besides the state.
#[derive(Debug, Default)]
pub(super) struct KnownSegments {
    /// Segments that cannot go while the store is open: something in them was not found.
    pub(super) stuck: BTreeSet<u64>,
    /// Segments that are not looked at again in this round.
    pub(super) not_now: BTreeSet<u64>,
    /// Segments that are not looked at before this moment.
    pub(super) later: BTreeMap<u64, u64>,
    /// What the last look at each segment found.
    pub(super) looks: BTreeMap<u64, LastLook>,
    /// Cleaning is under way, until half of the slack is free.
    pub(super) is_busy: bool,
    /// Bytes of no use in segments that are worth cleaning, when that was looked at last.
    pub(super) wasted_bytes: u64,
}

/// What a look at a segment found.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastLook {
    /// How many frames were to be carried whole from it.
    whole: usize,
    /// Since when it waits to be settled wholly.
    since_ms: Option<u64>,
}

impl KnownSegments {
    /// Notes how many frames would be carried whole from a segment now. Returns whether it had better wait for the next
    /// look: some of them were settled since the last one, and if that goes on all will be soon.
    fn is_being_settled(&mut self, number: u64, whole: usize, trusted_ms: u64) -> bool {
        let before = self.looks.get(&number).copied();
        let is_shrinking = whole > 0 && before.is_some_and(|before| whole < before.whole);
        let since_ms = before.and_then(|before| before.since_ms).unwrap_or(trusted_ms);
        let waits = is_shrinking && trusted_ms.saturating_sub(since_ms) < SETTLING_MS_MAX;
        let since_ms = is_shrinking.then_some(since_ms);
        self.looks.insert(number, LastLook { whole, since_ms });
        waits
    }
}

/// What the choice is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    /// Size of a new segment.
    pub(super) segment_bytes: u64,
    /// How many segments may have nothing of use in them.
    pub(super) slack_segments: u64,
    /// Trusted time, now.
    pub(super) trusted_ms: u64,
    /// Whether it is the oldest segment's turn, if any of the finished ones goes in order.
    pub(super) is_turn: bool,
}

/// Whether at most half of what the log holds still lives, the last segment left out.
pub(super) fn is_turn<S: Areas>(segments: &[SegmentInfo], state: &S) -> bool {
    let Some((_last, finished)) = segments.split_last() else { return false };
    let used: u64 = finished.iter().map(|segment| segment.used_bytes).sum();
    let live = state.live_bytes() + state.kernel().keys.len() * KEY_BYTES_MAX;
    used > 2 * live
}

/// Whether so little lives that cleaning is worth it.
pub(super) fn is_worth(used_bytes: u64, live_bytes: u64, need: Need) -> bool {
    let used_bytes = used_bytes.saturating_sub(HEADER_BYTES);
    match need {
        Need::Usual => live_bytes.saturating_mul(WORTH) < used_bytes,
        Need::Short => live_bytes.saturating_mul(WORTH_WHEN_SHORT) < used_bytes,
        Need::Low => live_bytes < used_bytes / 8 * WORTH_WHEN_LOW,
        #[cfg(test)]
        Need::Forced => true,
    }
}

/// How much of no use may wait in segments.
pub(super) fn slack_bytes(segment_bytes: u64, slack_segments: u64) -> u64 {
    let most = SLACK_BYTES_MAX.max(segment_bytes);
    segment_bytes.saturating_mul(slack_segments).min(most)
}

/// The segment to clean next; `finished` are all but the last one.
pub(super) fn choose(
    finished: &[SegmentInfo],
    usage: &Usage,
    known: &mut KnownSegments,
    need: Need,
    About { segment_bytes, slack_segments, trusted_ms, is_turn }: About,
) -> Option<(SegmentInfo, CleaningReason)> {
    let slack = slack_bytes(segment_bytes, slack_segments);
    let mut wasted: u64 = 0;
    let mut best: Option<(Resting, u64, SegmentInfo)> = None;
    let mut empty: Option<SegmentInfo> = None;
    known.later.retain(|_, until_ms| *until_ms > trusted_ms);
    known.looks.retain(|number, _| finished.iter().any(|info| info.number == *number));
    if finished.iter().any(|info| info.unread) {
        // It may be read another time, and then what any other segment says of it counts: an event in it without
        // its answer would be sent again. So all stay until then, or until a repair gives it up.
        return None;
    }
    let is_stuck = |number| known.stuck.contains(number);
    let may_turn = |number| !is_stuck(number) && !known.not_now.contains(number);
    let may_go = |number| !is_stuck(number) && !known.later.contains_key(number);
    let in_order = |info: &SegmentInfo| usage.get(info.number).is_some_and(|it| it.goes_in_order());
    let oldest = finished.first();
    let is_next = |info: &SegmentInfo| !in_order(info) || oldest == Some(info);
    let mut wait = BTreeSet::new();
    let candidates = finished.iter().filter(|info| may_go(&info.number) && is_next(info));
    let candidates: Vec<SegmentInfo> = candidates.copied().collect();
    let turn = oldest.filter(|info| is_turn && may_turn(&info.number)).copied();
    for info in candidates {
        let part = usage.get(info.number);
        let live_bytes = part.map_or(0, |part| part.live_bytes());
        let whole = part.map_or(0, |part| part.whole());
        if live_bytes > 0 && !is_worth(info.used_bytes, live_bytes, need) {
            known.looks.insert(info.number, LastLook { whole, since_ms: None });
            continue;
        }
        // All of them count, also when one goes at once: it is how far cleaning lags behind.
        wasted += info.used_bytes.saturating_sub(live_bytes);
        if known.not_now.contains(&info.number) {
            continue;
        }
        if live_bytes == 0 {
            empty = empty.or(Some(info));
            continue;
        }
        if need == Need::Usual && known.is_being_settled(info.number, whole, trusted_ms) {
            wait.insert(info.number);
            continue;
        }
        let rest = part.map_or(Resting::Over, |part| part.rest(trusted_ms));
        let share = live_bytes.saturating_mul(1 << 16) / info.used_bytes.max(1);
        if best.is_none_or(|(least, least_share, _)| (rest, share) < (least, least_share)) {
            best = Some((rest, share, info));
        }
    }
    known.not_now.append(&mut wait);
    known.wasted_bytes = wasted;
    if let Some(empty) = empty {
        return Some((empty, CleaningReason::IsWorth(need)));
    }
    known.is_busy = wasted > if known.is_busy { slack / 2 } else { slack };
    let is_time = known.is_busy || matches!(need, Need::Short | Need::Low);
    let best = best.filter(|_| is_time).map(|(_, _, info)| (info, CleaningReason::IsWorth(need)));
    let turn = turn.filter(|_| finished.iter().any(in_order));
    best.or_else(|| turn.map(|info| (info, CleaningReason::IsTurn)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So much do the events that live in a segment take.
    fn segments(live: &[u64]) -> (Vec<SegmentInfo>, Usage) {
        let mut usage = Usage::default();
        let mut all = Vec::new();
        for (number, bytes) in (1..).zip(live) {
            if *bytes > 0 {
                usage.add_whole(number, 1, *bytes);
            }
            all.push(SegmentInfo {
                number,
                first_lsn: number * 10,
                last_lsn: number * 10 + 9,
                used_bytes: 100_000,
                file_bytes: 100_000,
                damaged: false,
                unread: false,
                unchecked: false,
            });
        }
        (all, usage)
    }

    #[test]
    fn all_that_may_go_is_counted_although_an_empty_segment_goes_first() {
        let (all, usage) = segments(&[10, 0, 20, 90_000, 0]);
        let mut known = KnownSegments::default();
        let about =
            About { segment_bytes: 100_000, slack_segments: 2, trusted_ms: 0, is_turn: false };
        let chosen = choose(&all, &usage, &mut known, Need::Usual, about);
        assert_eq!(chosen.map(|(info, _)| info.number), Some(2));
        assert_eq!(known.wasted_bytes, 4 * 100_000 - 30);
    }

    #[test]
    fn a_segment_waits_while_it_is_being_settled_and_not_for_ever() {
        let mut known = KnownSegments::default();
        let mut waits = |whole, at_ms| known.is_being_settled(1, whole, at_ms);
        assert!(!waits(100, 0), "nothing is known of it");
        assert!(waits(60, 10) && waits(50, 20));
        assert!(!waits(50, 30), "nobody settles any more");
        assert!(waits(40, 40) && waits(30, 39 + SETTLING_MS_MAX));
        assert!(!waits(20, 40 + SETTLING_MS_MAX), "not for longer");
        assert!(!waits(0, 50), "it is settled");
    }
}
