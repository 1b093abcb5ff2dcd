//! How a thing and its floor are measured in turn: in short slices, so that both meet the same disk.

use std::time::{Duration, Instant};

use onceward_benches::turns::Turns;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Rounds: each gives one ratio.
    pub(crate) rounds: usize,
    /// Slices of each side in a round.
    pub(crate) slices: usize,
    /// Length of a slice.
    pub(crate) slice: Duration,
    /// After this no further round of a figure is begun, where there are [`ROUNDS_MIN`].
    pub(crate) most: Duration,
}

/// Rounds that make a figure, however slow the machine is.
const ROUNDS_MIN: usize = 3;

impl Plan {
    /// What a closing note quotes.
    pub(crate) const FULL: Self = Self {
        rounds: 9,
        slices: 16,
        slice: Duration::from_millis(50),
        most: Duration::from_secs(120),
    };
    /// What a developer runs between two changes.
    pub(crate) const QUICK: Self = Self {
        rounds: 7,
        slices: 4,
        slice: Duration::from_millis(50),
        most: Duration::from_secs(3),
    };

    /// As long, in slices of half the length.
    pub(crate) fn in_half_slices(self) -> Self {
        Self { slices: self.slices * 2, slice: self.slice / 2, ..self }
    }

    /// Whether `round` is begun: nothing, if a busy machine has used up the time.
    pub(crate) fn has_time_for(&self, round: usize, began: Instant) -> bool {
        let has = round < ROUNDS_MIN || began.elapsed() < self.most;
        if !has {
            eprintln!("figures: {round} rounds instead of {}: the machine is slow", self.rounds);
        }
        has
    }
}

/// What one slice gave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slice {
    /// Time that counts.
    pub(crate) seconds: f64,
    /// Events that were durable in it.
    pub(crate) events: f64,
}

impl Slice {
    /// `self` and `other` together.
    fn and(self, other: Self) -> Self {
        Self { seconds: self.seconds + other.seconds, events: self.events + other.events }
    }

    /// Seconds for each event.
    fn of_one(self) -> f64 {
        self.seconds / self.events
    }
}

/// Does `work`, which makes `events` durable, again and again for `slice`.
pub(crate) fn repeat(slice: Duration, events: usize, mut work: impl FnMut()) -> Slice {
    let began = Instant::now();
    let mut done = 0;
    loop {
        work();
        done += events;
        let took = began.elapsed();
        if took >= slice {
            return Slice { seconds: took.as_secs_f64(), events: done as f64 };
        }
    }
}

/// Measures both in each round, slice by slice; who goes first changes from slice to slice.
///
/// # Errors
///
/// A slice in which nothing was done.
pub(crate) fn paired(
    plan: Plan,
    mut thing: impl FnMut() -> Slice,
    mut floor: impl FnMut() -> Slice,
) -> Result<Turns, String> {
    let mut things = Vec::new();
    let mut floors = Vec::new();
    let began = Instant::now();
    for round in 0..plan.rounds {
        if !plan.has_time_for(round, began) {
            break;
        }
        let (mut of_thing, mut of_floor) = (Slice::default(), Slice::default());
        for slice in 0..plan.slices {
            if (round + slice).is_multiple_of(2) {
                of_thing = of_thing.and(thing());
                of_floor = of_floor.and(floor());
            } else {
                of_floor = of_floor.and(floor());
                of_thing = of_thing.and(thing());
            }
        }
        things.push(of_thing.of_one());
        floors.push(of_floor.of_one());
    }
    Turns::of(&things, &floors).ok_or_else(|| "a round measured nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn rounds_are_sums_of_slices_and_who_is_first_changes() {
        let plan = Plan { rounds: 2, slices: 2, slice: Duration::ZERO, most: Duration::MAX };
        let order = RefCell::new(String::new());
        let mut seconds = 0.0;
        let turns = paired(
            plan,
            || {
                order.borrow_mut().push('t');
                seconds += 1.0;
                Slice { seconds, events: 1.0 }
            },
            || {
                order.borrow_mut().push('f');
                Slice { seconds: 3.0, events: 4.0 }
            },
        )
        .unwrap();
        assert_eq!(*order.borrow(), "tfftfttf");
        // 1 + 2 seconds for two events, then 3 + 4; the floor always 6 for eight.
        assert!((turns.thing.low - 1.5).abs() < 1e-9, "{turns:?}");
        assert!((turns.thing.high - 3.5).abs() < 1e-9, "{turns:?}");
        assert!((turns.share.high - 0.5).abs() < 1e-9, "{turns:?}");
    }

    #[test]
    fn nothing_measured_is_an_error() {
        let plan = Plan { rounds: 1, slices: 1, slice: Duration::ZERO, most: Duration::MAX };
        let some = || Slice { seconds: 1.0, events: 1.0 };
        assert!(paired(plan, some, some).is_ok(), "control");
        assert!(paired(plan, Slice::default, some).is_err());
        assert!(paired(Plan { rounds: 0, ..plan }, some, some).is_err());
    }

    #[test]
    fn a_slow_machine_ends_a_figure_after_three_rounds() {
        let plan = Plan { rounds: 9, slices: 1, slice: Duration::ZERO, most: Duration::ZERO };
        let mut calls = 0;
        let some = || Slice { seconds: 1.0, events: 1.0 };
        let mut counted = || {
            calls += 1;
            some()
        };
        paired(plan, &mut counted, some).unwrap();
        assert_eq!(calls, 3);
    }

    #[test]
    fn work_is_repeated_at_least_once_and_counted() {
        let mut calls = 0_u32;
        let slice = repeat(Duration::ZERO, 500, || calls += 1);
        assert_eq!(calls, 1);
        assert!((slice.events - 500.0).abs() < f64::EPSILON);
    }
}
