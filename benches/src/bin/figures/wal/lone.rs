//! One writer, one event for each sync.

use std::error::Error;
use std::time::Instant;

use onceward_benches::raw::RawFile;
use onceward_benches::spread::Spread;

use super::stock::raw_slice;
use super::{Setting, sides};
use crate::figure::{Asked, Must, Sheet};
use crate::pairing::{Plan, Slice, paired, repeat};

/// Rate of one writer, beside the limit's.
const RATE: Asked =
    Asked { figure: "one_writer", unit: "ratio to raw limit", must: Must::AtLeast(0.95) };
/// Median latency of one writer, beside the limit's.
const LATENCY: Asked = Asked {
    figure: "one_writer_median_latency",
    unit: "ratio to raw limit",
    must: Must::AtMost(1.05),
};

/// How long each operation took, of one side.
#[derive(Debug, Default)]
struct Laps {
    /// Seconds, of all slices.
    all: Vec<f64>,
    /// Where a slice ends in `all`.
    ends: Vec<usize>,
}

impl Laps {
    /// Times every call of `work` in a slice.
    fn slice(&mut self, plan: Plan, mut work: impl FnMut()) -> Slice {
        let slice = repeat(plan.slice, 1, || {
            let began = Instant::now();
            work();
            self.all.push(began.elapsed().as_secs_f64());
        });
        self.ends.push(self.all.len());
        slice
    }

    /// Medians, round by round.
    fn medians(&self, plan: Plan) -> Option<Vec<f64>> {
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
    fn quantile_us(&self, share: f64) -> f64 {
        let mut sorted = self.all.clone();
        sorted.sort_by(f64::total_cmp);
        let below = sorted
            .iter()
            .enumerate()
            .take_while(|(rank, _)| (*rank as f64) < share * sorted.len() as f64);
        below.last().map_or(0.0, |(_, seconds)| seconds * 1e6)
    }
}

/// Measures rate and latency in the same slices.
pub(super) fn measure(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
    raw: &mut RawFile,
) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(RATE) && !sheet.wants(LATENCY) {
        return Ok(());
    }
    let Setting { plan, payloads, stock, .. } = setting;
    let plan = *plan;
    let bytes = payloads.for_floor(1);
    let (mut of_thing, mut of_floor) = (Laps::default(), Laps::default());
    // Warm: the first append of a run has a frame before it.
    stock.append(0);
    raw_slice(raw, &bytes, 1, plan.slice);
    let mut number = 0;
    let turns = paired(
        plan,
        || {
            stock.make_room().unwrap();
            of_thing.slice(plan, || {
                number += 1;
                stock.append(number);
            })
        },
        || of_floor.slice(plan, || raw.write_synced(&bytes).unwrap()),
    )?;
    sheet.add(RATE, turns.share, sides(&turns))?;

    let (things, floors) = (of_thing.medians(plan), of_floor.medians(plan));
    let (Some(things), Some(floors)) = (things, floors) else {
        return Err("a slice without operations".into());
    };
    let ratios: Vec<f64> = things.iter().zip(&floors).map(|(thing, floor)| thing / floor).collect();
    let spread = Spread::of(&ratios).ok_or("no rounds")?;
    let mut detail = sides(&turns);
    detail.retain(|name, _| name.starts_with("floor_varied"));
    for (share, thing, floor) in [
        (0.5, "thing_us_p50", "floor_us_p50"),
        (0.99, "thing_us_p99", "floor_us_p99"),
        (0.999, "thing_us_p999", "floor_us_p999"),
    ] {
        detail.insert(thing, of_thing.quantile_us(share));
        detail.insert(floor, of_floor.quantile_us(share));
    }
    Ok(sheet.add(LATENCY, spread, detail)?)
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
