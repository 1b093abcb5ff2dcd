//! Segments of which opening read the summary are read later: damage in them is found then, told, and frees nothing.
//! Method: stores of pending events whose segments are damaged while nobody looks, checked one segment at a time, by
//! ticks, by cleaning and by the next opening.

use super::lost_keys::{assert_lost, capture, damage, frames, settle};
use super::summaries::{files, fill, opened, pending};
use crate::Verdict;
use crate::inspect::repair::repair_on;
use crate::rescue::{Reason, SafeToWipe};
use crate::testing::{Rig, key, sales, sized_event};

#[test]
fn segments_that_were_not_read_are_checked_one_at_a_time_and_until_then_nothing_is_safe_to_wipe() {
    let mut rig = pending();
    // No segment goes.
    rig.config.cleaning_slack_segments = 1_000;
    let store = rig.open();
    (0..3_000).filter(|n| n % 1_000 < 330).for_each(|n| settle(&store, n));
    drop(store);
    let (store, unread, _) = opened(&rig);
    assert!(unread >= 2, "control");
    for left in (0..unread).rev() {
        let SafeToWipe::NotSafe { why } = store.rescue().safe_to_wipe() else { panic!("{left}") };
        assert_eq!(why, [Reason::Unchecked { segments: left + 1 }]);
        assert_eq!(store.status().unchecked_segments, left + 1);
        store.inner.summaries.check_one();
    }
    assert_eq!(store.recovery().unchecked_segments, 0);
    assert_eq!(store.rescue().safe_to_wipe(), SafeToWipe::Safe);
}

#[test]
fn damage_behind_a_summary_is_found_told_and_read_by_the_next_opening() {
    let rig = pending();
    let store = rig.open();
    let lsn = store.find(&sales(), &key(5)).unwrap().unwrap().lsn.get();
    drop(store);
    damage(&rig, lsn);
    let told = rig.look().recovery().damage.clone();
    assert_eq!(told.len(), 1, "control");
    let (store, unread, _) = opened(&rig);
    assert_eq!(store.recovery().damage, [], "nobody read it yet");
    (0..unread).for_each(|_| store.tick().unwrap());
    assert_eq!((store.recovery().damage, store.status().damaged_ranges), (told.clone(), 1));
    let SafeToWipe::NotSafe { why } = store.rescue().safe_to_wipe() else { panic!() };
    assert!(why.contains(&Reason::Damage { count: 1 }), "{why:?}");
    assert!(matches!(store.capture(&sized_event(5, 700)), Ok(Verdict::Duplicate { .. })));
    drop(store);
    let (store, read_less, _) = opened(&rig);
    assert_eq!((read_less, store.recovery().damage), (unread - 1, told));
    assert_eq!(store.recovery().keys_of_lost_frames, 1);
    let known = store.capture(&sized_event(5, 700)).unwrap();
    assert!(matches!(known, Verdict::Duplicate { lsn: of, .. } if of.get() == lsn), "{known:?}");
}

#[test]
fn a_segment_that_nobody_read_is_kept_when_it_goes_and_is_damaged() {
    let rig = pending();
    let store = rig.open();
    let lsn = store.find(&sales(), &key(5)).unwrap().unwrap().lsn.get();
    drop(store);
    let whole = frames(&rig);
    let seen = whole.iter().find(|frame| frame.lsn == lsn).unwrap();
    rig.disk.flip_bit(&seen.file, seen.offset + 40, 3);
    let store = rig.open();
    let cleaner = store.inner.cleaner();
    assert!(!cleaner.clean_one(1).unwrap(), "what is damaged stays");
    assert_eq!(store.status().damaged_ranges, 1, "and that is told");
}

#[test]
fn a_repair_leaves_no_summary_of_what_was_there_before() {
    let rig = pending();
    let store = rig.open();
    let lsn = store.find(&sales(), &key(5)).unwrap().unwrap().lsn.get();
    drop(store);
    damage(&rig, lsn);
    repair_on(&rig.disk, &None).unwrap();
    assert!(files(&rig).is_empty());
    let (store, unread, _) = opened(&rig);
    assert_eq!((unread, store.recovery().damage.len()), (0, 0));
    let known = store.capture(&sized_event(5, 700)).unwrap();
    assert!(matches!(known, Verdict::Duplicate { lsn: of, .. } if of.get() == lsn), "{known:?}");
}

#[test]
fn a_key_of_a_frame_that_was_lost_behind_a_summary_stays_taken() {
    let rig = Rig::new();
    let store = rig.open();
    let lsn = capture(&store, 7);
    (0..2).for_each(|part| fill(&store, 1_000 + 1_000 * part));
    store.close().unwrap();
    drop(store);
    damage(&rig, lsn);
    let (store, unread, _) = opened(&rig);
    assert!(unread > 0, "control");
    (0..unread).for_each(|_| store.tick().unwrap());
    drop(store);
    assert_lost(&rig.open(), 7, lsn);
}

#[test]
fn whoever_has_segments_checked_waits_for_the_one_that_another_thread_reads() {
    let rig = pending();
    for round in 0..30 {
        let store = rig.open();
        assert!(store.recovery().unchecked_segments > 1, "control");
        std::thread::scope(|scope| {
            scope.spawn(|| while store.inner.summaries.check_one() {});
            store.check_segments();
            assert_eq!(store.recovery().unchecked_segments, 0, "round {round}");
        });
        store.close().unwrap();
    }
}
