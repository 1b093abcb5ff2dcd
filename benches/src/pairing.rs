//! How a thing and its floor are measured in turn: in short slices, so that both meet the same disk.

use std::time::{Duration, Instant};

use crate::turns::Turns;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds: each gives one ratio.
    pub rounds: usize,
    /// Slices of each side in a round.
    pub slices: usize,
    /// Length of a slice.
    pub slice: Duration,
    /// After this no further round of a figure is begun, where there are three.
    pub most: Duration,
}

/// Rounds that make a figure, however slow the machine is.
const ROUNDS_MIN: usize = 3;

impl Plan {
    /// What a closing note quotes.
    pub const FULL: Self = Self {
        rounds: 9,
        slices: 16,
        slice: Duration::from_millis(50),
        most: Duration::from_secs(120),
    };
    /// What a developer runs between two changes.
    pub const QUICK: Self = Self {
        rounds: 7,
        slices: 4,
        slice: Duration::from_millis(50),
        most: Duration::from_secs(3),
    };

    /// As long, in slices of half the length.
    #[must_use]
    pub fn in_half_slices(self) -> Self {
        Self { slices: self.slices * 2, slice: self.slice / 2, ..self }
    }

    /// Whether `round` is begun: nothing, if a busy machine has used up the time.
    #[must_use]
    pub fn has_time_for(&self, round: usize, began: Instant) -> bool {
        let has = round < ROUNDS_MIN || began.elapsed() < self.most;
        if !has {
            eprintln!("{round} rounds instead of {}: the machine is slow", self.rounds);
        }
        has
    }
}

/// How much of one side is measured at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// Work that is begun before so much time is over; once at least.
    Lasting(Duration),
    /// This many pieces of work.
    Times(usize),
}

/// What was measured at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slice {
    /// Time that counts.
    pub seconds: f64,
    /// Events that were durable in it, or frames that were read.
    pub events: f64,
}

impl Slice {
    /// `self` and `other` together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { seconds: self.seconds + other.seconds, events: self.events + other.events }
    }

    /// Seconds for each event.
    fn of_one(self) -> f64 {
        self.seconds / self.events
    }
}

impl Extent {
    /// Whether work is to be begun after `done` pieces, the first of which began at `began`.
    fn has_room_after(self, done: usize, began: Instant) -> bool {
        match self {
            Self::Lasting(time) => done == 0 || began.elapsed() < time,
            Self::Times(times) => done < times,
        }
    }

    /// Calls `work` with 0, 1, ..; returns how often.
    pub fn count(self, mut work: impl FnMut(usize)) -> usize {
        let began = Instant::now();
        let mut done = 0;
        while self.has_room_after(done, began) {
            work(done);
            done += 1;
        }
        done
    }

    /// Times [`Extent::count`] of `work`, each piece of which is `events` events.
    pub fn of(self, events: usize, work: impl FnMut(usize)) -> Slice {
        let began = Instant::now();
        let done = self.count(work);
        Slice { seconds: began.elapsed().as_secs_f64(), events: (done * events) as f64 }
    }

    /// The same amount in parts of at most `most` pieces of work each. What lasts a time is one part.
    pub fn parts(self, most: usize) -> impl Iterator<Item = Self> {
        let (times, most) = match self {
            Self::Lasting(_) => (1, 1),
            Self::Times(times) => (times, most.max(1)),
        };
        (0..times).step_by(most).map(move |first| match self {
            Self::Lasting(_) => self,
            Self::Times(_) => Self::Times(most.min(times - first)),
        })
    }
}

/// Measures both in each round, slice by slice; who goes first changes from slice to slice.
///
/// # Errors
///
/// A slice in which nothing was done.
pub fn paired(
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
    fn work_that_lasts_is_done_at_least_once_and_its_events_count() {
        let mut calls = 0_u32;
        let slice = Extent::Lasting(Duration::ZERO).of(500, |_| calls += 1);
        assert_eq!(calls, 1);
        assert!((slice.events - 500.0).abs() < f64::EPSILON);
    }

    #[test]
    fn work_is_done_as_often_as_asked_and_told_its_number() {
        let mut seen = Vec::new();
        assert_eq!(Extent::Times(3).count(|number| seen.push(number)), 3);
        assert_eq!(seen, [0, 1, 2]);
        assert_eq!(Extent::Times(0).count(|_| panic!("not asked")), 0);
    }

    #[test]
    fn parts_are_together_what_was_asked() {
        let parts = |extent: Extent| extent.parts(4).collect::<Vec<_>>();
        let [whole, rest] = [4, 1].map(Extent::Times);
        assert_eq!(parts(Extent::Times(9)), [whole, whole, rest]);
        assert_eq!(parts(Extent::Times(4)), [whole]);
        assert_eq!(parts(Extent::Times(0)), []);
        let lasting = Extent::Lasting(Duration::from_secs(1));
        assert_eq!(parts(lasting), [lasting]);
    }
}
