//! How long every single operation took.

use std::time::Instant;

use onceward_benches::pairing::{Extent, Plan, Slice};
use onceward_benches::spread::Spread;

/// How long each operation took, of one side.
#[derive(Debug, Default)]
pub(super) struct Laps {
    /// Seconds, of all slices.
    all: Vec<f64>,
    /// Where a slice ends in `all`.
    ends: Vec<usize>,
}

impl Laps {
    /// Times every call of `work` in a slice.
    pub(super) fn slice(&mut self, plan: Plan, mut work: impl FnMut()) -> Slice {
        let slice = Extent::Lasting(plan.slice).of(1, |_| {
            let began = Instant::now();
            work();
            self.push(began.elapsed().as_secs_f64());
        });
        self.end_slice();
        slice
    }

    /// Takes one in.
    pub(super) fn push(&mut self, seconds: f64) {
        self.all.push(seconds);
    }

    /// Ends a slice.
    pub(super) fn end_slice(&mut self) {
        self.ends.push(self.all.len());
    }

    /// Medians, round by round.
    pub(super) fn medians(&self, plan: Plan) -> Option<Vec<f64>> {
        let mut start = 0;
        let rounds = self.ends.chunks(plan.slices).map(|ends| {
            let end = ends.last().copied().unwrap_or(start);
            let round = self.all.get(start..end).unwrap_or_default();
            start = end;
            Some(Spread::of(round)?.median)
        });
        rounds.collect()
    }

    /// The latency that `share` of all operations stayed below.
    pub(super) fn quantile_us(&self, share: f64) -> f64 {
        let mut sorted = self.all.clone();
        sorted.sort_by(f64::total_cmp);
        let below = sorted
            .iter()
            .enumerate()
            .take_while(|(rank, _)| (*rank as f64) < share * sorted.len() as f64);
        below.last().map_or(0.0, |(_, seconds)| seconds * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn medians_are_those_of_the_rounds_and_quantiles_those_of_all() {
        let plan = Plan { rounds: 2, slices: 2, slice: Duration::ZERO, most: Duration::MAX };
        let all = vec![1.0, 2.0, 9.0, 4.0, 4.0];
        let laps = Laps { all, ends: vec![1, 3, 4, 5] };
        assert_eq!(laps.medians(plan), Some(vec![2.0, 4.0]));
        assert!((laps.quantile_us(0.5) - 4e6).abs() < 1.0);
        assert!((laps.quantile_us(0.99) - 9e6).abs() < 1.0);
        assert!((laps.quantile_us(0.2) - 1e6).abs() < 1.0);
        let empty = Laps { all: vec![], ends: vec![0, 0] };
        assert_eq!(empty.medians(plan), None);
    }
}
