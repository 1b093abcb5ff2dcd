//! Keys of which every second one is known, beside what LMDB takes for them.
//!
//! With the feature `peers` LMDB is asked in the same run. Without it the limit that LMDB was compared with is,
//! and the ratio of the two is taken from that comparison.

use std::error::Error;
use std::path::Path;

#[cfg(not(feature = "peers"))]
use onceward_benches::index::floor::Limit as Rival;
#[cfg(feature = "peers")]
use onceward_benches::index::lmdb::Lmdb as Rival;
use onceward_benches::index::samples::{Draws, Wanted};
use onceward_benches::index::stock::Stock;
use onceward_benches::pairing::{Plan, paired};
use onceward_benches::spread::Spread;

use super::lookups::SAMPLE;
use super::sides;
use crate::figure::{Asked, Must, Sheet};

/// What the unit says of LMDB's time.
#[cfg(feature = "peers")]
const UNIT: &str = "times as fast as LMDB in the same run";
#[cfg(not(feature = "peers"))]
const UNIT: &str = "times as fast as LMDB, by way of the limit that it was compared with";

/// What was measured of LMDB and the limit in one run, in ns a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Published {
    /// The figure.
    pub(super) asked: Asked,
    lmdb_ns: f64,
    limit_ns: f64,
}

/// With ten million keys. Through maps it is to be 8: each hit is a positioned read.
pub(super) const OF_10M: Published = Published {
    asked: Asked { figure: "half_hits_10m", unit: UNIT, must: Must::AtLeast(2.5) },
    lmdb_ns: 1_847.0,
    limit_ns: 141.0,
};
/// With one million.
pub(super) const OF_1M: Published = Published {
    asked: Asked { figure: "half_hits_1m", unit: UNIT, must: Must::BeReported },
    lmdb_ns: 1_325.0,
    limit_ns: 114.0,
};

/// Measures them. The making of each key counts on both sides, as it did in the published comparison.
pub(super) fn measure(
    sheet: &mut Sheet,
    plan: Plan,
    published: Published,
    (stock, keys): (&Stock, u64),
    dir: &Path,
) -> Result<(), Box<dyn Error>> {
    let Published { asked, lmdb_ns, limit_ns } = published;
    if !sheet.wants(asked) {
        return Ok(());
    }
    let dir = dir.join("rival");
    let rival = Rival::with_keys(&dir, keys)?;
    let draws = Draws::new(keys, Wanted::Half);
    let (mut of_thing, mut of_rival) = (draws, draws);
    let turns = paired(
        plan,
        || of_thing.draw(SAMPLE).timed_with_keys(|key| stock.lsn_of(key)),
        || of_rival.draw(SAMPLE).timed_with_keys(|key| rival.lsn_of(key)),
    )?;
    drop(rival);
    let is_lmdb = cfg!(feature = "peers");
    let scale = if is_lmdb { 1.0 } else { lmdb_ns / limit_ns };
    let Spread { low, median, high } = turns.share;
    let times = Spread { low: low * scale, median: median * scale, high: high * scale };
    let mut detail = sides(&turns, keys);
    detail.insert("floor_is_lmdb_in_this_run", if is_lmdb { 1.0 } else { 0.0 });
    detail.insert("published_lmdb_ns", lmdb_ns);
    detail.insert("published_limit_ns", limit_ns);
    detail.insert("lmdb_ns", turns.floor.median * 1e9 * scale);
    detail.insert("published_lmdb_by_thing", lmdb_ns / (turns.thing.median * 1e9));
    Ok(sheet.add(asked, times, detail)?)
}
