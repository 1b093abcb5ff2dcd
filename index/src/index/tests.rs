//! Each rule of the format document's section "Slices and deadlines", one at a time.

use super::*;

const WINDOW_MS: u64 = 60_000;
const SLICE_MS: u64 = 15_000;
const CONTENT: ContentPrint = ContentPrint::from_u64(7);
/// An odd number with bits all over, whose multiples are spread like fingerprints.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
const OTHER: ContentPrint = ContentPrint::from_u64(8);

/// An index with four slices of 15 s and at most two keys to carry.
fn index() -> Index {
    Index::new(Options { window_ms: WINDOW_MS, slice_count: 4, carry_max: 2 }).unwrap()
}

/// Keys that differ only in their high half, so that one table place is wanted by all.
fn key(number: u128) -> Fingerprint {
    Fingerprint::from_u128(number << 64 | 0x5eed)
}

/// Captures a key durably and returns its slice.
fn capture(index: &mut Index, number: u128, now: u64) -> SliceId {
    let lsn = u64::try_from(number).unwrap();
    let slice = index.reserve(key(number), CONTENT, lsn, now).unwrap();
    index.confirm(key(number), lsn);
    slice
}

/// Whether a key is remembered.
fn knows(index: &Index, number: u128) -> bool {
    index.find(key(number)).is_some()
}

#[test]
fn limits_are_refused_by_name() {
    let error = Index::new(Options { window_ms: 59_999, slice_count: 4, carry_max: 2 });
    assert_eq!(
        error.unwrap_err().to_string(),
        "window_ms is 59999, must be within 60000..=34560000000"
    );
}

#[test]
fn a_reserved_key_is_a_duplicate_before_it_is_confirmed() {
    let mut index = index();
    assert_eq!(index.lookup(key(1), CONTENT), Verdict::New);
    index.reserve(key(1), CONTENT, 5, 0).unwrap();
    let entry = Entry { lsn: 5, content: CONTENT, outcome: 0, outcome_lsn: 0 };
    assert_eq!(index.lookup(key(1), CONTENT), Verdict::Duplicate(entry));
    assert_eq!(index.lookup(key(1), OTHER), Verdict::Conflict(entry));
    assert_eq!(index.reserve(key(1), CONTENT, 6, 0), Err(entry), "T27: the first wins");
}

#[test]
fn a_key_in_an_older_live_slice_cannot_be_reserved_again() {
    let mut index = index();
    let first = capture(&mut index, 1, 0);
    assert_ne!(index.current_slice(SLICE_MS), first);
    assert_eq!(index.reserve(key(1), CONTENT, 9, SLICE_MS).unwrap_err().lsn, 1);
}

#[test]
fn a_withdrawn_key_is_new_again() {
    let mut index = index();
    index.reserve(key(1), CONTENT, 5, 0).unwrap();
    assert!(index.withdraw(key(1), 5));
    assert_eq!(index.lookup(key(1), CONTENT), Verdict::New, "T26: persist failed, retry is fresh");
    assert_eq!((index.len(), index.unsettled()), (0, 0));
    assert!(index.reserve(key(1), OTHER, 6, 0).is_ok());
}

#[test]
fn only_the_frame_that_reserved_a_key_can_withdraw_or_confirm_it() {
    let mut index = index();
    index.reserve(key(1), CONTENT, 5, 0).unwrap();
    assert!(!index.withdraw(key(1), 4), "another frame's failure");
    index.confirm(key(1), 4);
    assert!(index.withdraw(key(1), 5), "another frame's confirmation did not count");
    index.reserve(key(1), CONTENT, 6, 0).unwrap();
    index.confirm(key(1), 6);
    assert!(!index.withdraw(key(1), 6), "confirmed");
    assert!(knows(&index, 1));
    assert!(!index.withdraw(key(2), 6), "unknown");
}

#[test]
fn a_slice_is_dropped_exactly_at_its_deadline() {
    let mut index = index();
    let slice = capture(&mut index, 1, 100);
    assert_eq!(index.settle(key(1), 3, 2, 100), Some(slice));
    let deadline = 100 + SLICE_MS + WINDOW_MS;
    assert_eq!(index.expire(deadline - 1), Expired::default());
    assert!(knows(&index, 1), "T37: one millisecond before");
    assert_eq!(index.expire(deadline).dropped, [slice]);
    assert!(!knows(&index, 1), "T37: exactly at the deadline");
    assert!(!index.is_live(slice));
    assert_eq!(index.slice_begin(slice), None);
    assert_eq!(index.lookup(key(1), CONTENT), Verdict::New);
}

#[test]
fn a_late_settlement_starts_the_window_anew_for_the_whole_slice() {
    let mut index = index();
    for number in [1, 2] {
        capture(&mut index, number, 0);
    }
    index.settle(key(1), 3, 8, 0);
    index.settle(key(2), 3, 9, 500_000);
    assert!(index.expire(500_000 + WINDOW_MS - 1).dropped.is_empty());
    assert!(knows(&index, 1) && knows(&index, 2));
    assert_eq!(index.expire(500_000 + WINDOW_MS).dropped.len(), 1);
}

#[test]
fn a_settlement_that_steps_back_does_not_bring_the_deadline_nearer() {
    let mut index = index();
    for number in [1, 2] {
        capture(&mut index, number, 0);
    }
    index.settle(key(1), 3, 8, 500_000);
    index.settle(key(2), 3, 9, 10);
    assert!(index.expire(500_000 + WINDOW_MS - 1).dropped.is_empty());
}

#[test]
fn the_first_settlement_is_final() {
    let mut index = index();
    let slice = capture(&mut index, 1, 0);
    index.settle(key(1), 3, 8, 0);
    assert_eq!(index.settle(key(1), 4, 9, 900_000), Some(slice));
    let (_, entry) = index.find(key(1)).unwrap();
    assert_eq!((entry.outcome, entry.outcome_lsn), (3, 8));
    assert_eq!(index.expire(SLICE_MS + WINDOW_MS).dropped, [slice]);
    assert_eq!(index.settle(key(1), 3, 8, 0), None, "unknown by now");
}

#[test]
fn an_unsettled_key_never_expires_however_far_time_goes() {
    let mut index = index();
    let slice = capture(&mut index, 1, 0);
    for now in [SLICE_MS + WINDOW_MS, 1 << 40, u64::MAX] {
        assert!(index.expire(now).dropped.is_empty());
        assert!(knows(&index, 1) && index.is_live(slice));
    }
}

#[test]
fn a_few_unsettled_keys_are_carried_and_then_the_slice_goes() {
    let mut index = index();
    let old = capture(&mut index, 1, 0);
    capture(&mut index, 2, 0);
    index.settle(key(2), 3, 9, 0);
    let now = SLICE_MS + WINDOW_MS;
    assert_eq!(index.expire(now), Expired { dropped: vec![], to_carry: vec![old] });
    assert_eq!(index.unsettled_keys(old).map(|(key, _)| key).collect::<Vec<_>>(), [key(1)]);
    assert!(!index.carry(key(2), now), "settled");
    assert!(!index.carry(key(3), now), "unknown");
    assert!(index.carry(key(1), now));
    assert!(index.carry(key(1), now), "again changes nothing");
    assert_eq!(index.expire(now), Expired { dropped: vec![old], to_carry: vec![] });
    assert!(knows(&index, 1) && !knows(&index, 2));
    assert_eq!(index.find(key(1)).unwrap().1.lsn, 1, "the number stays");
    assert_eq!((index.len(), index.unsettled()), (1, 1));
}

#[test]
fn a_slice_with_too_many_unsettled_keys_waits() {
    let mut index = index();
    let slice = capture(&mut index, 1, 0);
    capture(&mut index, 2, 0);
    capture(&mut index, 3, 0);
    assert_eq!(index.expire(1 << 40), Expired::default());
    index.settle(key(3), 3, 9, 0);
    assert_eq!(index.expire(1 << 40).to_carry, [slice]);
}

#[test]
fn an_unconfirmed_key_holds_its_slice_even_if_settled() {
    let mut index = index();
    index.reserve(key(1), CONTENT, 5, 0).unwrap();
    let slice = index.settle(key(1), 3, 5, 20_000).unwrap();
    assert_eq!(index.unsettled(), 1);
    assert_eq!(index.expire(1 << 40).to_carry, [slice]);
    assert!(!index.release(key(1)));
    index.confirm(key(1), 5);
    assert_eq!(index.unsettled(), 0);
    assert!(index.expire(20_000 + WINDOW_MS - 1).dropped.is_empty());
    assert_eq!(index.expire(20_000 + WINDOW_MS).dropped, [slice]);
}

#[test]
fn a_carried_key_takes_an_early_settlement_along() {
    let mut index = index();
    index.reserve(key(1), CONTENT, 5, 0).unwrap();
    index.settle(key(1), 3, 5, 1_000_000);
    assert!(index.carry(key(1), SLICE_MS));
    index.confirm(key(1), 5);
    index.expire(1_000_000 + WINDOW_MS - 1);
    assert!(knows(&index, 1));
    index.expire(1_000_000 + WINDOW_MS);
    assert!(!knows(&index, 1));
}

#[test]
fn release_forgets_settled_keys_only() {
    let mut index = index();
    capture(&mut index, 1, 0);
    assert!(!index.release(key(1)), "unsettled");
    assert!(!index.release(key(2)), "unknown");
    index.settle(key(1), 3, 9, 0);
    assert!(index.release(key(1)));
    assert_eq!(index.lookup(key(1), OTHER), Verdict::New, "T38: failed work tries again");
}

#[test]
fn update_changes_the_outcome_and_not_the_deadline() {
    let mut index = index();
    let slice = capture(&mut index, 1, 0);
    assert!(index.update(key(1), 2, 30));
    assert_eq!(index.unsettled(), 1);
    let (_, entry) = index.find(key(1)).unwrap();
    assert_eq!((entry.lsn, entry.outcome, entry.outcome_lsn), (1, 2, 30));
    index.settle(key(1), 3, 31, 0);
    assert!(index.update(key(1), 3, 90), "cleaning moves what is settled");
    assert_eq!(index.find(key(1)).unwrap().1.outcome_lsn, 90);
    assert_eq!(index.expire(SLICE_MS + WINDOW_MS).dropped, [slice]);
    assert!(!index.update(key(1), 3, 90));
}

#[test]
fn slices_open_one_at_a_time_and_never_go_backward() {
    let mut index = index();
    let first = index.current_slice(1_000);
    assert_eq!(index.current_slice(1_000 + SLICE_MS - 1), first);
    let second = index.current_slice(1_000 + SLICE_MS);
    assert_eq!(second, SliceId(first.0 + 1));
    assert_eq!(index.current_slice(0), second, "a step back");
    let jumped = index.current_slice(1 << 60);
    assert_eq!(jumped, SliceId(second.0 + 1), "a jump opens one");
    assert_eq!(index.slice_begin(jumped), Some(1 << 60));
    assert_eq!(index.slices().count(), 3);
}

#[test]
fn the_number_of_a_dropped_slice_is_not_given_again() {
    let mut index = index();
    let first = index.current_slice(0);
    assert_eq!(index.expire(SLICE_MS + WINDOW_MS).dropped, [first]);
    let next = index.current_slice(0);
    assert_eq!(next, SliceId(first.0 + 1));
    assert_eq!(index.slices().count(), 1);
}

#[test]
fn a_slice_opened_after_a_drop_and_a_step_back_does_not_begin_before_the_dropped_one() {
    let mut index = index();
    index.current_slice(500_000);
    assert_eq!(index.expire(500_000 + SLICE_MS + WINDOW_MS).dropped.len(), 1);
    let next = index.current_slice(400_000);
    assert_eq!(index.slice_begin(next), Some(500_000));
}

#[test]
fn restoring_an_older_slice_does_not_make_it_current() {
    let mut index = index();
    index.restore_slice(SliceId(9), 20_000, None);
    index.restore_slice(SliceId(3), 1_000, None);
    assert_eq!(index.current_slice(20_000), SliceId(9));
    assert_eq!(index.current_slice(20_000 + SLICE_MS), SliceId(10));
}

#[test]
fn forgetting_a_settled_key_leaves_the_unsettled_ones_counted() {
    let mut index = index();
    let slice = capture(&mut index, 1, 0);
    capture(&mut index, 2, 0);
    index.settle(key(1), 3, 9, 0);
    assert!(index.release(key(1)));
    assert_eq!((index.len(), index.unsettled()), (1, 1));
    assert_eq!(index.expire(1 << 40).to_carry, [slice]);
}

#[test]
fn a_step_back_forgets_nothing_and_a_later_expire_is_as_if_it_had_not_been() {
    let mut index = index();
    capture(&mut index, 1, 100_000);
    index.settle(key(1), 3, 9, 100_000);
    assert_eq!(index.expire(0), Expired::default());
    assert!(index.expire(100_000 + SLICE_MS + WINDOW_MS - 1).dropped.is_empty());
    assert_eq!(index.expire(100_000 + SLICE_MS + WINDOW_MS).dropped.len(), 1);
}

#[test]
fn the_end_of_time_is_no_deadline() {
    let mut index = index();
    let slice = capture(&mut index, 1, u64::MAX);
    index.settle(key(1), 3, 9, u64::MAX);
    assert_eq!(index.expire(u64::MAX), Expired::default());
    assert_eq!(index.current_slice(u64::MAX), slice);
    assert!(knows(&index, 1));
}

#[test]
fn the_last_slice_number_goes_on_and_forgets_nothing_early() {
    let mut index = index();
    index.restore_slice(LAST_SLICE, 0, None);
    assert_eq!(capture(&mut index, 1, 10 * WINDOW_MS), LAST_SLICE);
    index.settle(key(1), 3, 9, 10 * WINDOW_MS);
    assert!(index.expire(11 * WINDOW_MS - 1).dropped.is_empty());
    assert_eq!(index.expire(11 * WINDOW_MS).dropped, [LAST_SLICE]);
    assert_eq!(index.current_slice(11 * WINDOW_MS), LAST_SLICE);
}

#[test]
fn restoring_is_idempotent_and_the_later_place_holds() {
    let mut index = index();
    let entry = Entry { lsn: 4, content: CONTENT, outcome: 3, outcome_lsn: 9 };
    for _ in 0..2 {
        index.restore(SliceId(8), 1_000, key(1), entry, None);
        index.restore(SliceId(9), 20_000, key(1), entry, Some(30_000));
    }
    assert_eq!(index.find(key(1)), Some((SliceId(9), entry)));
    assert_eq!((index.len(), index.unsettled()), (1, 0));
    assert_eq!(index.current_slice(20_000), SliceId(9));
    assert_eq!(index.current_slice(35_000), SliceId(10));
    assert!(!index.withdraw(key(1), 4), "what is in the log is durable");
    let dropped = index.expire(30_000 + WINDOW_MS + SLICE_MS).dropped;
    assert_eq!(dropped, [SliceId(8), SliceId(9)]);
}

#[test]
fn a_slice_that_is_restored_twice_keeps_the_later_times() {
    let mut index = index();
    index.restore_slice(SliceId(3), 500, Some(90_000));
    index.restore_slice(SliceId(3), 400, None);
    let info = index.slices().next().unwrap();
    assert_eq!((info.begin, info.last_settled, info.keys), (500, Some(90_000), 0));
}

#[test]
fn memory_grows_with_keys_and_goes_with_the_slice() {
    let mut index = index();
    let empty = index.memory_bytes();
    for number in 1..=1_000_u128 {
        // Real fingerprints spread; the shared low half of `key` would only make this slow.
        let spread = Fingerprint::from_u128(number.wrapping_mul(SPREAD));
        index.restore(
            SliceId(1),
            0,
            spread,
            Entry { lsn: 1, content: CONTENT, outcome: 0, outcome_lsn: 0 },
            Some(0),
        );
    }
    let full = index.memory_bytes();
    assert!((56_000..112_000).contains(&(full - empty)), "{full} - {empty}");
    index.expire(SLICE_MS + WINDOW_MS);
    assert_eq!(index.memory_bytes(), empty);
    assert!(index.is_empty());
}

#[test]
fn debug_shows_slices_and_no_keys() {
    let mut index = index();
    capture(&mut index, 1, 0);
    let text = format!("{index:?}");
    assert!(text.contains("unsettled: 1") && !text.contains("Fingerprint"), "{text}");
}
