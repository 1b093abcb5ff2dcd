//! The normal run: so many worlds, and what they reached; and an upstream that must be caught.

#![expect(clippy::print_stdout, reason = "counts are part of the result")]

use super::upstream::Memory;
use super::world::{Counts, World};

/// Worlds of each part.
const WORLDS: u64 = 125;
/// Outages of each world.
const OUTAGES: u64 = 20;

fn worlds(part: u64) {
    let mut counts = Counts::default();
    let begin = part * WORLDS;
    for seed in begin..begin + WORLDS {
        if let Err(why) = World::new(seed, Memory::All, &mut counts).live(OUTAGES) {
            panic!("world {seed}: {why}");
        }
    }
    println!("{counts:?}");
    assert_eq!(counts.outages, WORLDS * OUTAGES);
    // The case that everything is about came often enough.
    assert!(
        counts.unanswered > WORLDS && counts.late > WORLDS / 2 && counts.resent > WORLDS,
        "{counts:?}"
    );
    assert!(counts.crashes > WORLDS && counts.most_in_flight > 8, "{counts:?}");
}

#[test]
fn over_ten_thousand_outages_each_event_takes_effect_once_and_lanes_in_order_first_quarter() {
    worlds(0);
}

#[test]
fn over_ten_thousand_outages_each_event_takes_effect_once_and_lanes_in_order_second_quarter() {
    worlds(1);
}

#[test]
fn over_ten_thousand_outages_each_event_takes_effect_once_and_lanes_in_order_third_quarter() {
    worlds(2);
}

#[test]
fn over_ten_thousand_outages_each_event_takes_effect_once_and_lanes_in_order_last_quarter() {
    worlds(3);
}

/// The model must see what it is there for.
#[test]
fn an_upstream_that_forgets_early_and_does_not_say_so_is_caught() {
    let mut counts = Counts::default();
    let caught = (0..40).any(|seed| {
        let memory = Memory::For { ms: 10_000 };
        World::new(seed, memory, &mut counts).live(OUTAGES).is_err_and(|why| why.contains("times"))
    });
    assert!(caught, "{counts:?}");
}
