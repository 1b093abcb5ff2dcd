//! From a key's bytes to its verdict, of keys that are new and of known ones, one by one.

use std::error::Error;
use std::fs;

use onceward_benches::index::floor::Floor;
use onceward_benches::index::samples::{Draws, Wanted};
use onceward_benches::index::stock::Stock;
use onceward_benches::pairing::{Plan, paired};
use onceward_benches::turns::Turns;

use super::half::{self, Published};
use super::{SLICES, Setting, batches, flow, sides};
use crate::figure::{Asked, Must, Sheet};

/// Keys that are asked for in one slice.
pub(super) const SAMPLE: usize = 1 << 16;
/// The unit of the ratios.
const UNIT: &str = "ratio to a plain table behind the same hash";

/// A ratio to the floor.
const fn asked(figure: &'static str, must: Must) -> Asked {
    Asked { figure, unit: UNIT, must }
}

/// An index, and what is asked of it.
struct Of {
    keys: u64,
    slice_count: u32,
    miss: Asked,
    hit: Asked,
    /// Whether misses and inserts are measured in batches too.
    batches: bool,
    half: Option<Published>,
}

/// Measures them in an index of each kind.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    let keys = setting.scale.keys;
    let reported = Must::BeReported;
    let kinds = [
        Of {
            keys,
            slice_count: SLICES,
            miss: asked("miss_24", Must::AtMost(1.5)),
            // One positioned read; through maps it is below 2.
            hit: asked("hit_24", Must::AtMost(6.0)),
            batches: true,
            half: Some(half::OF_10M),
        },
        Of {
            keys,
            slice_count: 720,
            miss: asked("miss_720", Must::AtMost(2.0)),
            hit: asked("hit_720", reported),
            batches: false,
            half: None,
        },
        Of {
            keys,
            slice_count: 1,
            miss: asked("miss_1", reported),
            hit: asked("hit_1", reported),
            batches: false,
            half: None,
        },
        Of {
            keys: 1_000_000,
            slice_count: SLICES,
            miss: asked("miss_of_1m", reported),
            hit: asked("hit_of_1m", reported),
            batches: false,
            half: Some(half::OF_1M),
        },
        Of {
            keys: 1_000,
            slice_count: SLICES,
            miss: asked("miss_of_1k", reported),
            hit: asked("hit_of_1k", reported),
            batches: false,
            half: None,
        },
    ];
    // Not twice the same.
    let kinds = kinds.iter().enumerate().filter(|(at, kind)| *at < 3 || kind.keys < keys);
    kinds.map(|(_, kind)| kind).try_for_each(|kind| kind.measure(sheet, setting))
}

impl Of {
    /// The figures of this index.
    fn asked(&self) -> Vec<Asked> {
        let batches: &[Asked] = if self.batches { &batches::ASKED } else { &[] };
        let half = self.half.into_iter().flat_map(Published::figures);
        [self.miss, self.hit].into_iter().chain(half).chain(batches.iter().copied()).collect()
    }

    /// Makes the index and its floor, if a figure is wanted, and measures.
    fn measure(&self, sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
        if !self.asked().into_iter().any(|asked| sheet.wants(asked)) {
            return Ok(());
        }
        let dir = setting.dir.join("lookups");
        let plan = setting.scale.plan;
        let stock = &Stock::with_keys(&dir, flow(self.slice_count, self.keys), self.keys)?;
        stock.touch(self.keys);
        let singles_wanted: Vec<_> = [(self.miss, Wanted::Misses), (self.hit, Wanted::Hits)]
            .into_iter()
            .filter(|(asked, _)| sheet.wants(*asked))
            .collect();
        if !singles_wanted.is_empty() {
            let floor = Floor::with_keys(self.keys);
            for (asked, wanted) in singles_wanted {
                let turns = singles(plan, stock, &floor, Draws::new(self.keys, wanted))?;
                sheet.add(asked, turns.cost(), sides(&turns, self.keys))?;
            }
        }
        if let Some(published) = self.half {
            half::measure(sheet, plan, published, (stock, self.keys), setting.dir)?;
        }
        if self.batches {
            batches::measure(sheet, plan, stock, self.keys)?;
        }
        Ok(fs::remove_dir_all(&dir)?)
    }
}

/// Single lookups beside the floor's.
fn singles(plan: Plan, stock: &Stock, floor: &Floor, draws: Draws) -> Result<Turns, String> {
    let (mut of_thing, mut of_floor) = (draws, draws);
    paired(
        plan,
        || of_thing.draw(SAMPLE).timed(|key| stock.lsn_of(key)),
        || of_floor.draw(SAMPLE).timed(|key| floor.lsn_of(key)),
    )
}
