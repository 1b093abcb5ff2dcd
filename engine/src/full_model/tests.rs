//! The normal run: so many histories, and what they reached.

#![expect(clippy::print_stdout, reason = "counts are part of the result")]

use super::run::{Counts, Run};

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
