//! Keys of which every second one is known, beside what LMDB takes for them.
//!
//! The limit that LMDB was compared with is asked in the same run, and the ratio of the two is taken from that
//! comparison. With the feature `peers` LMDB itself is asked in the same run, too, and told beside the limit.

use std::error::Error;
use std::path::Path;

use onceward_benches::index::floor::Limit;
use onceward_benches::index::keys::Key;
#[cfg(feature = "peers")]
use onceward_benches::index::lmdb::Lmdb;
use onceward_benches::index::samples::{Draws, Wanted};
use onceward_benches::index::stock::Stock;
use onceward_benches::pairing::{Plan, paired};
use onceward_benches::spread::Spread;
use onceward_benches::turns::Turns;

use super::lookups::SAMPLE;
use super::sides;
use crate::figure::{Asked, Must, Sheet};

/// What the unit says of LMDB's time.
const UNIT: &str = "times as fast as LMDB, by way of the limit that it was compared with";
/// What it says with LMDB in the same run.
const UNIT_BESIDE: &str = "times as fast as LMDB in the same run";

/// What was measured of LMDB and the limit in one run, in ns a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Published {
    /// The figure.
    pub(super) asked: Asked,
    /// The figure with LMDB in the same run.
    pub(super) beside: Asked,
    lmdb_ns: f64,
    limit_ns: f64,
}

/// With ten million keys. Through maps it is to be 8: each hit is a positioned read.
pub(super) const OF_10M: Published = Published {
    asked: Asked { figure: "half_hits_10m", unit: UNIT, must: Must::AtLeast(2.5) },
    beside: Asked { figure: "half_hits_10m_lmdb", unit: UNIT_BESIDE, must: Must::BeReported },
    lmdb_ns: 1_847.0,
    limit_ns: 141.0,
};
/// With one million.
pub(super) const OF_1M: Published = Published {
    asked: Asked { figure: "half_hits_1m", unit: UNIT, must: Must::BeReported },
    beside: Asked { figure: "half_hits_1m_lmdb", unit: UNIT_BESIDE, must: Must::BeReported },
    lmdb_ns: 1_325.0,
    limit_ns: 114.0,
};

impl Published {
    /// The figures that this program can measure.
    pub(super) fn figures(self) -> impl Iterator<Item = Asked> {
        [self.asked].into_iter().chain(cfg!(feature = "peers").then_some(self.beside))
    }
}

/// Measures them. The making of each key counts on both sides, as it did in the published comparison.
pub(super) fn measure(
    sheet: &mut Sheet,
    plan: Plan,
    published: Published,
    (stock, keys): (&Stock, u64),
    dir: &Path,
) -> Result<(), Box<dyn Error>> {
    let Published { asked, lmdb_ns, limit_ns, .. } = published;
    let dir = dir.join("rival");
    if sheet.wants(asked) {
        let limit = Limit::with_keys(&dir, keys)?;
        let turns = beside(plan, (stock, keys), |key| limit.lsn_of(key))?;
        let scale = lmdb_ns / limit_ns;
        let Spread { low, median, high } = turns.share;
        let times = Spread { low: low * scale, median: median * scale, high: high * scale };
        let mut detail = sides(&turns, keys);
        detail.insert("published_lmdb_ns", lmdb_ns);
        detail.insert("published_limit_ns", limit_ns);
        detail.insert("lmdb_ns", turns.floor.median * 1e9 * scale);
        detail.insert("published_lmdb_by_thing", lmdb_ns / (turns.thing.median * 1e9));
        sheet.add(asked, times, detail)?;
    }
    #[cfg(feature = "peers")]
    if sheet.wants(published.beside) {
        let lmdb = Lmdb::with_keys(&dir, keys)?;
        let turns = beside(plan, (stock, keys), |key| lmdb.lsn_of(key))?;
        sheet.add(published.beside, turns.share, sides(&turns, keys))?;
    }
    Ok(())
}

/// The index and a rival in turn.
fn beside(
    plan: Plan,
    (stock, keys): (&Stock, u64),
    mut rival: impl FnMut(&Key) -> u64,
) -> Result<Turns, String> {
    let draws = Draws::new(keys, Wanted::Half);
    let (mut of_thing, mut of_rival) = (draws, draws);
    paired(
        plan,
        || of_thing.draw(SAMPLE).timed_with_keys(|key| stock.lsn_of(key)),
        || of_rival.draw(SAMPLE).timed_with_keys(&mut rival),
    )
}
