//! What became of an event, by its key: every second key is known, and its event waits.

use std::error::Error;
use std::hint::black_box;
use std::str;

use onceward::config::IndexReading;
use onceward::{Key, Scope};
use onceward_benches::engine::till::Till;
use onceward_benches::idle::wait_until_idle;
use onceward_benches::index::floor::Floor;
use onceward_benches::index::samples::{Draws, Wanted};
use onceward_benches::pairing::{Plan, paired};

use super::made::{Made, config_of};
use super::{Setting, sides};
use crate::figure::{Asked, Must, Sheet};

/// Questions of a slice.
const SAMPLE: usize = 100_000;

/// What is asked of a store, and how it reads its index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) asked: Asked,
    reading: IndexReading,
}

/// What is asked of a store with so many keys: by position, as it reads unless it is told otherwise, and with maps.
const fn questions(positioned: &'static str, mapped: &'static str) -> [Question; 2] {
    let (unit, must) = ("times the floor of the index", Must::AtMost(2.0));
    [
        Question {
            asked: Asked { figure: positioned, unit, must },
            reading: IndexReading::Positioned,
        },
        Question { asked: Asked { figure: mapped, unit, must }, reading: IndexReading::Mapped },
    ]
}
/// With one million keys.
pub(super) const OF_1M: [Question; 2] = questions("outcome_1m", "outcome_1m_mapped");
/// With ten million.
pub(super) const OF_10M: [Question; 2] = questions("outcome_10m", "outcome_10m_mapped");

/// Asks the store in `made`, and closes it again. The making of each key counts on both sides.
pub(super) fn measure(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
    Question { asked, reading }: Question,
    made: &Made,
) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(asked) {
        return Ok(());
    }
    let keys = made.events as u64;
    let config = config_of(made.events).with_index_reading(reading);
    let till = Till::open(&made.dir, config, keys)?;
    wait_until_idle()?;
    let scope = Scope::default();
    let is_known = |key: &[u8]| {
        let key = Key::new(str::from_utf8(key).unwrap()).unwrap();
        till.store.outcome(&scope, black_box(&key)).unwrap().lsn.is_some()
    };
    let floor = Floor::with_keys(keys);
    let draws = Draws::new(keys, Wanted::Half);
    let (mut of_thing, mut of_floor) = (draws, draws);
    // What is read at first touch was read.
    of_thing.draw(SAMPLE).timed_with_keys_known(|key| is_known(key));
    of_floor.draw(SAMPLE).timed_with_keys(|key| floor.lsn_of(key));
    let turns = paired(
        Plan { slices: setting.plan.slices / 4, ..setting.plan },
        || of_thing.draw(SAMPLE).timed_with_keys_known(|key| is_known(key)),
        || of_floor.draw(SAMPLE).timed_with_keys(|key| floor.lsn_of(key)),
    )?;
    let mut detail = sides(&turns);
    detail.insert("keys", keys as f64);
    sheet.add(asked, turns.cost(), detail)?;
    Ok(till.store.close()?)
}
