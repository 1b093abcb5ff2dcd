//! The normal run: so many histories, and what they reached.

#![expect(clippy::print_stdout, reason = "counts are part of the result")]

use super::run::{Counts, Run};
use crate::trial::SEGMENT_BYTES;

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
    let mut counts = Counts::default();
    let drained = Run::of((SEGMENT_BYTES, 20, 500), &mut counts).fill_and_drain(SEGMENTS[1]);
    assert_eq!(drained, Ok(()));
}
