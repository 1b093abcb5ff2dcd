//! Steps and segments.

use onceward_wal::Place;

use super::places::Places;
use super::*;

fn at(offset: u32, segment: u64) -> Located {
    Located { place: Place { segment, offset }, bytes: 64, lsn: 1 }
}

#[test]
fn the_next_step_is_the_one_behind_the_last_that_is_done() {
    assert_eq!(next_step(0, 5), Some(1));
    assert_eq!(next_step(2, 5), Some(3));
    assert_eq!(next_step(5, 5), None);
    assert_eq!(next_step(7, 0), Some(8), "how many there are was not told");
    assert_eq!(next_step(u32::MAX, 0), None);
}

#[test]
fn a_frame_is_needed_until_the_last_item_that_needs_it_is_gone() {
    let mut places = Places::default();
    let (one, two, elsewhere) = (at(0, 1), at(64, 1), at(0, 2));
    places.add(&one);
    places.add(&one);
    places.add(&two);
    places.add(&elsewhere);
    assert_eq!(places.count(1), 2);
    places.remove(&one);
    assert!(places.has(&one));
    places.remove(&one);
    places.remove(&one);
    assert!(!places.has(&one) && places.has(&two));
    places.forget(1);
    assert_eq!((places.count(1), places.count(2)), (0, 1));
}
