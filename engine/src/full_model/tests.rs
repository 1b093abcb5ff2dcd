//! The normal run: so many histories, and what they reached.

#![expect(clippy::print_stdout, reason = "counts are part of the result")]

use super::run::{Counts, Run};
use crate::testing::SEGMENT_BYTES;

/// Histories of each part.
const HISTORIES: u64 = 1_300;

fn histories(part: u64) {
    let mut counts = Counts::default();
    let begin = part * HISTORIES;
    for seed in begin..begin + HISTORIES {
        if let Err(why) = Run::new(seed, &mut counts).history() {
            panic!("history {seed}: {why}");
        }
    }
    println!("{counts:?}");
    assert_eq!(counts.drained, HISTORIES);
    assert!(counts.full > HISTORIES && counts.cuts > HISTORIES / 4, "{counts:?}");
}

#[test]
fn on_a_full_disk_a_well_upstream_drains_every_store_first_quarter() {
    histories(0);
}

#[test]
fn on_a_full_disk_a_well_upstream_drains_every_store_second_quarter() {
    histories(1);
}

#[test]
fn on_a_full_disk_a_well_upstream_drains_every_store_third_quarter() {
    histories(2);
}

#[test]
fn on_a_full_disk_a_well_upstream_drains_every_store_last_quarter() {
    histories(3);
}

/// Sizes of segments as programs are told them, or told none.
const SEGMENTS: [u64; 3] = [SEGMENT_BYTES, 1_024 * 1_024, 64 * 1_024 * 1_024];

fn drains_from(segment_bytes: u64, payloads: &[usize]) {
    let mut counts = Counts::default();
    for bytes in payloads {
        for opened_with in SEGMENTS {
            for items_max in [50, 100, 500] {
                let case = (segment_bytes, *bytes, items_max);
                let drained = Run::of(case, &mut counts).fill_and_drain(opened_with);
                assert_eq!(drained, Ok(()), "{case:?}, drained with {opened_with}");
            }
        }
    }
    assert!(counts.refused_captures > 0, "{counts:?}");
}

#[test]
fn what_filled_a_disk_drains_whatever_size_of_segments_the_store_is_opened_with() {
    drains_from(SEGMENT_BYTES, &[200, 3_000]);
}

#[test]
fn what_filled_a_disk_with_large_segments_drains_whatever_size_it_is_opened_with() {
    drains_from(2 * SEGMENT_BYTES, &[3_000, 20_000]);
}

#[test]
fn events_of_few_bytes_that_filled_a_disk_drain() {
    drains_from(SEGMENT_BYTES, &[1, 64]);
}

#[test]
fn a_full_disk_whose_upstream_was_busy_and_refused_a_third_is_decided_on_and_drains() {
    const MIB: u64 = 1_024 * 1_024;
    // The segments and the disk, and what is captured.
    for (segment_bytes, disk_bytes, payload_bytes, items_max) in [
        (SEGMENT_BYTES, 3 * MIB, 64, 500),
        (SEGMENT_BYTES, 3 * MIB, 200, 100),
        (SEGMENT_BYTES, 3 * MIB, 3_000, 50),
        (MIB, 3 * MIB, 300, 100),
        (MIB, 12 * MIB, 5_000, 100),
    ] {
        let mut counts = Counts::default();
        let case = (segment_bytes, payload_bytes, items_max);
        let run = Run::of(case, &mut counts).on_disk_of(disk_bytes);
        let refused = run.busy_then_picky_then_well();
        assert!(refused.is_ok(), "{case:?} on {disk_bytes}: {refused:?}");
        // Of few bytes there are so many that forming batches once takes the room for reasons.
        let has_reasons = refused != Ok(0) || payload_bytes < 1_000;
        assert!(has_reasons && counts.refused_captures > 0, "control: {case:?}, {counts:?}");
    }
}

#[test]
fn a_full_disk_on_which_some_of_each_segment_is_settled_drains() {
    for payload_bytes in [200, 700] {
        let mut counts = Counts::default();
        let run = Run::of((SEGMENT_BYTES, payload_bytes, 100), &mut counts);
        let drained = run.on_disk_of(24 * SEGMENT_BYTES).settled_here_and_there();
        assert_eq!(drained, Ok(()), "{payload_bytes}");
        assert!(counts.refused_captures > 0, "control: the disk was full");
    }
}
