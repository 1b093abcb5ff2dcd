//! What the judge owes: told from what was written and what was damaged, more simply than it does.

use std::collections::BTreeMap;

use onceward_wal::fuzzing::{Drafted, End, Verdict};

use super::Shown;
use super::build::Built;
use super::damage::Damaged;
use crate::tolerated::{Weakness, tolerate};

/// The frames that must be kept, and how the segment must end.
struct Expected {
    kept: Vec<u64>,
    end: End,
}

/// Every frame that is shown is one that was written, bit for bit, and none whose append failed.
///
/// Returns whether such a one was shown all the same: then nothing more can be expected.
pub(super) fn assert_nothing_invented(
    built: &Built,
    damaged: &Damaged,
    shown: &[Shown],
    verdict: &Verdict,
) -> bool {
    let mut returned = false;
    let by_lsn: BTreeMap<u64, &Drafted> = built.draft.frames.iter().map(|f| (f.lsn, f)).collect();
    for frame in shown {
        let Some(written) = by_lsn.get(&frame.lsn) else {
            let failed = built.abandoned.iter().any(|gone| gone.lsn == frame.lsn);
            assert!(failed, "{frame:?} was never appended");
            let is_told = verdict.lost.iter().any(|(at, _)| *at < frame.offset);
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

/// A frame that is not shown is in a lost range, or behind the end of a log whose end is open.
///
/// A frame in the place of an earlier one takes the numbers between them along: then what is lost is
/// told by numbers, from that place on.
pub(super) fn assert_nothing_silent(
    built: &Built,
    (damaged, misdirected): (&Damaged, bool),
    shown: &[Shown],
    verdict: &Verdict,
) {
    let mut shown = shown.iter().map(|frame| frame.lsn).peekable();
    for frame in &built.draft.frames {
        if shown.next_if_eq(&frame.lsn).is_some() {
            continue;
        }
        // Of a file that was cut short the rest is not there to be lost: the header tells its size.
        let end = (frame.offset + frame.bytes).min(damaged.image.len());
        let inside = |at: usize, bytes: usize| at < end && frame.offset < at + bytes;
        let mut lost = verdict.lost.iter();
        let mut is_lost = lost.clone().any(|(at, bytes)| inside(*at, *bytes));
        let says_something = !verdict.lost.is_empty() || verdict.torn_bytes > 0;
        if !is_lost && misdirected && says_something {
            let skipped = lost.any(|(at, _)| *at < end);
            let weakness = if skipped {
                Weakness::MisdirectedFrameSkips
            } else {
                Weakness::MisdirectedFirstFrame
            };
            tolerate(weakness, &format!("{frame:?}: {verdict:?}"));
            is_lost = true;
        }
        let is_torn = verdict.end == End::Open && frame.offset >= verdict.offset;
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

/// Every undamaged frame is kept, if what is damaged before it is proven to be damage and not torn.
pub(super) fn assert_all_that_is_proven(
    built: &Built,
    damaged: &Damaged,
    shown: &[Shown],
    verdict: &Verdict,
) {
    let expected = expected(built, damaged);
    let mut shown = shown.iter().map(|frame| frame.lsn);
    for lsn in &expected.kept {
        assert!(shown.any(|shown| shown == *lsn), "LSN {lsn} is whole and not kept: {verdict:?}");
    }
    // What an abandoned append or a copy left may prove more, never less.
    if built.abandoned.is_empty() && !built.has_copies {
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
                return Expected { kept, end: End::Sealed };
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
            None if is_proven => return Expected { kept, end: End::Lost },
            Some(_) | None => {
                kept.truncate(before_batch.unwrap_or(kept.len()));
                return Expected { kept, end: End::Open };
            }
        }
    }
}

/// Kind of the frame that ends a finished segment.
const KIND_SEAL: u8 = 3;
