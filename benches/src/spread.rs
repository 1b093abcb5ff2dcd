//! The middle of repeated measurements, and how far they lie apart. No clock here.

/// Repeated measurements of one figure, all in one unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub low: f64,
    /// The one in the middle; of an even number, the lower of the two.
    pub median: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    /// Sums up `samples`, in any order. `None` if there are none, or one is not a number.
    ///
    /// The median is a measurement that was made, never a mean of two.
    #[must_use]
    pub fn of(samples: &[f64]) -> Option<Self> {
        if samples.iter().any(|sample| sample.is_nan()) {
            return None;
        }
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let low = *sorted.first()?;
        let high = *sorted.last()?;
        let median = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self { low, median, high })
    }
}

/// What `share` of all `samples` stay below or at, in any order. `None` without samples.
#[must_use]
pub fn quantile(samples: &[f64], share: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let below = sorted.iter().enumerate().take_while(|(rank, _)| (*rank as f64) < share * count);
    below.last().map(|(_, sample)| *sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_that_of_the_samples_in_any_order() {
        for samples in [[1.0, 2.0, 9.0], [9.0, 1.0, 2.0], [2.0, 9.0, 1.0]] {
            assert_eq!(Spread::of(&samples), Some(Spread { low: 1.0, median: 2.0, high: 9.0 }));
        }
        let even = Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert!((even.median - 2.0).abs() < f64::EPSILON, "{even:?}");
    }

    #[test]
    fn no_samples_and_what_is_no_number_give_no_figure() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn a_quantile_is_a_sample_that_was_measured() {
        let samples: Vec<f64> = (1..=1_000).rev().map(f64::from).collect();
        for (share, expected) in [(0.001, 1.0), (0.5, 500.0), (0.999, 999.0), (1.0, 1_000.0)] {
            assert_eq!(quantile(&samples, share), Some(expected));
        }
        assert_eq!(quantile(&[], 0.5), None);
    }
}
