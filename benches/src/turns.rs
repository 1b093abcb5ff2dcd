//! The thing and its floor, measured in turn. No clock here: the caller measures.

use std::fmt;

use crate::spread::Spread;

/// What rounds of measuring gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turns {
    /// Seconds that the thing takes.
    pub thing: Spread,
    /// Seconds that the floor takes.
    pub floor: Spread,
    /// Floor by thing, round by round: the share of the possible rate that is reached, 1 at most but
    /// for noise.
    pub share: Spread,
}

impl Turns {
    /// Measures both in each of `rounds` rounds, and who goes first changes from round to round, so
    /// that neither always finds the machine as the other left it.
    ///
    /// `None` without rounds, or where a measurement is not a number above 0.
    pub fn take(
        rounds: usize,
        mut thing: impl FnMut() -> f64,
        mut floor: impl FnMut() -> f64,
    ) -> Option<Self> {
        let mut things = Vec::new();
        let mut floors = Vec::new();
        for round in 0..rounds {
            if round % 2 == 0 {
                things.push(thing());
                floors.push(floor());
            } else {
                floors.push(floor());
                things.push(thing());
            }
        }
        Self::of(&things, &floors)
    }

    /// Sums up rounds that were measured: seconds that thing and floor took in each, as many of one as
    /// of the other.
    ///
    /// `None` without rounds, or where a measurement is not a number above 0.
    #[must_use]
    pub fn of(things: &[f64], floors: &[f64]) -> Option<Self> {
        if things.len() != floors.len()
            || things.iter().chain(floors).any(|seconds| *seconds <= 0.0)
        {
            return None;
        }
        let shares: Vec<f64> =
            things.iter().zip(floors).map(|(thing, floor)| floor / thing).collect();
        let (thing, floor) = (Spread::of(things)?, Spread::of(floors)?);
        Some(Self { thing, floor, share: Spread::of(&shares)? })
    }

    /// How much more time the thing takes than its floor: for a ratio that is to be low.
    #[must_use]
    pub fn cost(&self) -> Spread {
        let Spread { low, median, high } = self.share;
        Spread { low: 1.0 / high, median: 1.0 / median, high: 1.0 / low }
    }

    /// True if the floor's rounds lie so far apart that something else had the machine: the share then
    /// says nothing about the thing.
    #[must_use]
    pub fn is_noisy(&self) -> bool {
        self.floor.high > NOISE_MAX * self.floor.low
    }
}

impl fmt::Display for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thing, floor, share } = self;
        write!(
            f,
            "{:.3} us, limit {:.3} us: {:.2} of the limit's rate ({:.2} to {:.2})",
            thing.median * 1e6,
            floor.median * 1e6,
            share.median,
            share.low,
            share.high
        )?;
        if self.is_noisy() {
            f.write_str("; NOISY: the limit itself varied, repeat on a quiet machine")?;
        }
        Ok(())
    }
}

/// The floor's slowest round by its fastest, above which the figures are not believed.
const NOISE_MAX: f64 = 2.0;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn the_share_is_taken_round_by_round_and_who_is_first_changes() {
        let order = RefCell::new(String::new());
        let mut slowness = 0.0;
        let turns = Turns::take(
            3,
            || {
                order.borrow_mut().push('t');
                slowness += 4.0;
                slowness
            },
            || {
                order.borrow_mut().push('f');
                2.0
            },
        )
        .unwrap();
        assert_eq!(*order.borrow(), "tfftt".to_owned() + "f");
        assert_eq!(turns.thing, Spread { low: 4.0, median: 8.0, high: 12.0 });
        assert_eq!(turns.floor, Spread { low: 2.0, median: 2.0, high: 2.0 });
        assert_eq!(turns.share, Spread { low: 2.0 / 12.0, median: 0.25, high: 0.5 });
        assert_eq!(turns.cost(), Spread { low: 2.0, median: 4.0, high: 6.0 });
    }

    #[test]
    fn no_rounds_and_no_time_give_no_figure() {
        assert!(Turns::take(1, || 1.0, || 1.0).is_some(), "control");
        assert_eq!(Turns::take(0, || 1.0, || 1.0), None);
        assert_eq!(Turns::take(1, || 0.0, || 1.0), None);
        assert_eq!(Turns::take(1, || 1.0, || f64::NAN), None);
        assert!(Turns::of(&[1.0], &[1.0]).is_some(), "control");
        assert_eq!(Turns::of(&[1.0], &[]), None, "a round without its floor");
    }

    #[test]
    fn a_limit_that_varies_too_much_is_said_so() {
        let of = |slow: f64| {
            let mut round = 0;
            let floor = || {
                round += 1;
                if round == 2 { slow } else { 1.0 }
            };
            Turns::take(3, || 1.0, floor).unwrap()
        };
        assert!(!of(2.0).is_noisy(), "control");
        assert!(of(2.1).is_noisy());
        assert!(!of(2.0).to_string().contains("NOISY"));
        assert!(of(2.1).to_string().contains("NOISY"));
    }
}
