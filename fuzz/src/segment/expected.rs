//! What the judge owes: told from what was written and what was damaged, more simply than it does.

use std::collections::{BTreeMap, BTreeSet};

use onceward_wal::fuzzing::{Drafted, KIND_LOST, LostBytes, SegmentEnd, WalkVerdict};

use super::Shown;
use super::build::Built;
use super::damage::Damaged;
use crate::tolerated::{Weakness, tolerate};

/// The frames that must be kept, and how the segment must end.
struct Expected {
    kept: Vec<u64>,
    end: SegmentEnd,
}

/// Every frame that is shown is one that was written, bit for bit, and none whose append failed.
///
/// Returns whether such a one was shown all the same: then nothing more can be expected.
pub(super) fn assert_nothing_invented(
    built: &Built,
    damaged: &Damaged,
    shown: &[Shown],
    verdict: &WalkVerdict,
) -> bool {
    let mut returned = false;
    let named = |frame: &'_ Drafted| (frame.lsn, frame.kind);
    let by_name: BTreeMap<_, &Drafted> = built.draft.frames.iter().map(|f| (named(f), f)).collect();
    for frame in shown {
        let Some(written) = by_name.get(&(frame.lsn, frame.kind)) else {
            let failed = built.abandoned.iter().any(|gone| gone.lsn == frame.lsn);
            assert!(failed, "{frame:?} was never appended");
            let is_told = verdict.lost.iter().any(|lost| lost.offset < frame.offset);
            assert!(is_told, "the append of {frame:?} failed, and nothing is reported");
            tolerate(Weakness::AbandonedFrameReturns, &format!("{frame:?}"));
            returned = true;
            continue;
        };
        assert_eq!((frame.run, frame.bytes), (written.run, written.bytes), "{frame:?}");
        let original = &built.draft.image[written.offset..written.offset + written.bytes];
        let found = &damaged.image[frame.offset..frame.offset + frame.bytes];
        assert!(original == found, "{frame:?} is not what was written");
    }
    returned
}

/// A frame that is not shown is in a lost range, or its number is, or it is behind the end of a log whose
/// end is open.
pub(super) fn assert_nothing_silent(
    built: &Built,
    damaged: &Damaged,
    shown: &[Shown],
    verdict: &WalkVerdict,
) {
    // What a repair wrote stood in for what was lost before, and costs nothing.
    let mut shown = shown.iter().filter(|f| f.kind != KIND_LOST).map(|f| f.lsn).peekable();
    for frame in built.draft.frames.iter().filter(|f| f.kind != KIND_LOST) {
        if shown.next_if_eq(&frame.lsn).is_some() {
            continue;
        }
        // Of a file that was cut short the rest is not there to be lost: the header tells its size.
        let end = (frame.offset + frame.bytes).min(damaged.image.len());
        let is_lost = verdict.lost.iter().any(|lost: &LostBytes| {
            let is_inside = lost.offset < end && frame.offset < lost.offset + lost.bytes;
            is_inside || (lost.first_lsn..=lost.last_lsn).contains(&frame.lsn)
        });
        // What stands in the place of the last frame may be one of those before it.
        let is_behind = frame.lsn > verdict.last_lsn && damaged.misplaced > 0;
        let is_torn =
            verdict.end == SegmentEnd::Open && (frame.offset >= verdict.offset || is_behind);
        let is_cut_off = frame.offset >= damaged.image.len();
        assert!(is_lost || is_torn || is_cut_off, "{frame:?} is gone silently: {verdict:?}");
        if is_torn && !is_lost {
            let is_confirmed = built.known.later_in_use || built.known.synced >= frame.lsn;
            assert!(!is_confirmed, "{frame:?} was synced and is taken for torn: {verdict:?}");
        }
    }
}

/// Whatever was done behind it, what stands before the first damaged byte is kept: all of it, but for a
/// batch that the log's end has cut.
pub(super) fn assert_start_kept(built: &Built, damaged: &Damaged, shown: &[Shown]) {
    let whole = |frame: &&Drafted| frame.offset + frame.bytes <= damaged.first;
    let mut kept = built.draft.frames.iter().take_while(whole).count();
    while kept > 0 && kept < built.draft.frames.len() && built.draft.frames[kept - 1].has_more {
        kept -= 1;
    }
    for (frame, shown) in built.draft.frames[..kept].iter().zip(shown) {
        assert_eq!((frame.lsn, frame.offset), (shown.lsn, shown.offset), "before the damage");
    }
    assert!(shown.len() >= kept, "{} of {kept} frames before the damage are kept", shown.len());
}

/// Every undamaged frame is kept, if what is damaged before it is proven to be damage and not torn. A frame
/// in a place that is not its own costs those that it was written over, and one other at most; so does a copy
/// in a damaged body.
pub(super) fn assert_all_that_is_proven(
    built: &Built,
    damaged: &Damaged,
    shown: &[Shown],
    verdict: &WalkVerdict,
) {
    let expected = expected(built, damaged);
    let shown: BTreeSet<u64> = shown.iter().map(|frame| frame.lsn).collect();
    // A misplaced frame may be where the log ends, as far as anything proves: then they are in doubt.
    let doubtful = |lsn: u64| {
        let frame = built.draft.frames.iter().find(|frame| frame.lsn == lsn);
        let place = frame.map(|frame| (frame.offset, frame.bytes)).unwrap_or_default();
        damaged.misplaced > 0 && verdict.in_doubt.contains(&place)
    };
    let is_gone = |lsn: &&u64| !shown.contains(*lsn) && !doubtful(**lsn);
    let gone: Vec<_> = expected.kept.iter().filter(is_gone).collect();
    let is_paid_for = gone.len() <= damaged.misplaced + built.copies;
    assert!(is_paid_for, "LSNs {gone:?} are whole and not kept: {verdict:?}");
    // What an abandoned append, a copy or a frame in a wrong place tells may prove more, never less.
    if built.abandoned.is_empty() && built.copies == 0 && damaged.misplaced == 0 {
        assert_eq!(expected.end, verdict.end, "the end");
        let count = u64::try_from(expected.kept.len()).expect("fits");
        assert_eq!(count, verdict.frames, "frames that are kept");
    }
}

/// The model: goes from frame to frame, and where one is damaged asks for proof.
fn expected(built: &Built, damaged: &Damaged) -> Expected {
    let is_whole = |frame: &Drafted| {
        let range = frame.offset..frame.offset + frame.bytes;
        damaged.image.get(range.clone()) == built.draft.image.get(range)
    };
    let frames = &built.draft.frames;
    let whole: Vec<bool> = frames.iter().map(is_whole).collect();
    let mut kept: Vec<u64> = Vec::new();
    let mut before_batch = None;
    let mut synced = built.known.synced;
    let mut last = built.known.first_lsn - 1;
    let mut at = 0;
    loop {
        if whole.get(at) == Some(&true) {
            let frame = &frames[at];
            before_batch = if frame.has_more { before_batch.or(Some(kept.len())) } else { None };
            kept.push(frame.lsn);
            synced = synced.max(frame.synced);
            last = frame.lsn;
            at += 1;
            if frame.kind == KIND_SEAL {
                return Expected { kept, end: SegmentEnd::Sealed };
            }
            continue;
        }
        let later = (at..frames.len()).find(|later| whole[*later]);
        let told =
            (at..frames.len()).filter(|later| whole[*later]).map(|later| frames[later].synced);
        let proof = told.max().unwrap_or(0).max(synced);
        let is_proven = built.known.later_in_use || proof > last;
        match later {
            Some(later) if is_proven => {
                last = frames[later].lsn - 1;
                before_batch = None;
                at = later;
            }
            None if is_proven => return Expected { kept, end: SegmentEnd::Lost },
            Some(_) | None => {
                kept.truncate(before_batch.unwrap_or(kept.len()));
                return Expected { kept, end: SegmentEnd::Open };
            }
        }
    }
}

/// Kind of the frame that ends a finished segment.
const KIND_SEAL: u8 = 3;
