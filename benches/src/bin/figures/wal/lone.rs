//! One writer, one event for each sync.

use std::error::Error;

use onceward_benches::pairing::{Extent, paired};
use onceward_benches::raw::RawFile;
use onceward_benches::spread::Spread;
use onceward_benches::wal::commits;

use super::laps::Laps;
use super::{Setting, sides};
use crate::figure::{Asked, Must, Sheet};

/// Rate of one writer, beside the limit's.
const RATE: Asked =
    Asked { figure: "one_writer", unit: "ratio to raw limit", must: Must::AtLeast(0.95) };
/// Median latency of one writer, beside the limit's.
const LATENCY: Asked = Asked {
    figure: "one_writer_median_latency",
    unit: "ratio to raw limit",
    must: Must::AtMost(1.05),
};

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
    commits::raw(raw, &bytes, 1, Extent::Lasting(plan.slice));
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
