//! Many threads that each append one event and wait until it is durable.

use std::error::Error;

use onceward_benches::gathering::Gathering;
use onceward_benches::pairing::{Extent, Plan, paired};
use onceward_benches::raw::RawFile;
use onceward_benches::spread::Spread;
use onceward_benches::wal::commits;
use onceward_benches::wal::events::PAYLOADS;

use super::{Setting, sides};
use crate::figure::{Asked, Must, Sheet};

/// What is asked of `writers` threads.
fn asked(writers: usize) -> Asked {
    let figure = match writers {
        2 => "writers_2",
        8 => "writers_8",
        _ => "writers_64",
    };
    Asked { figure, unit: "ratio to gathering group commit", must: Must::AtLeast(0.95) }
}

/// Measures `writers` threads beside the gathering floor, and that beside the raw limit.
pub(super) fn measure(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
    (gathering, raw): (&Gathering, &mut RawFile),
    writers: usize,
) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(asked(writers)) {
        return Ok(());
    }
    let Setting { plan, payloads, stock, .. } = setting;
    let one = payloads.for_floor(PAYLOADS);
    let all = payloads.for_floor(writers);
    let extent = Extent::Lasting(plan.slice * 2);
    let mut limits = Vec::new();
    let turns = paired(
        Plan { slices: plan.slices.div_ceil(2), ..*plan },
        || commits::writers(stock, writers, extent),
        || {
            limits.push(commits::raw(raw, &all, writers, Extent::Lasting(plan.slice / 4)));
            commits::gathered(gathering, &one, writers, extent)
        },
    )?;
    let limits: Vec<f64> = limits.iter().map(|limit| limit.seconds / limit.events).collect();
    let limit = Spread::of(&limits).ok_or("no rounds")?.median;
    let mut detail = sides(&turns);
    detail.insert("limit_events_per_s", 1.0 / limit);
    detail.insert("thing_of_limit", limit / turns.thing.median);
    detail.insert("floor_of_limit", limit / turns.floor.median);
    Ok(sheet.add(asked(writers), turns.share, detail)?)
}
