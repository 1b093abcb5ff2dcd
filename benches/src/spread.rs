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
}
