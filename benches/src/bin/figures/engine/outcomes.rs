//! What became of an event, by its key: every second key is known, and its event waits.

use std::error::Error;
use std::hint::black_box;
use std::str;

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

/// What is asked of a store with so many keys.
const fn asked(figure: &'static str) -> Asked {
    Asked { figure, unit: "times the floor of the index", must: Must::AtMost(2.0) }
}
/// With one million keys.
pub(super) const OF_1M: Asked = asked("outcome_1m");
/// With ten million.
pub(super) const OF_10M: Asked = asked("outcome_10m");

/// Asks the store in `made`, and closes it again. The making of each key counts on both sides.
pub(super) fn measure(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
    asked: Asked,
    made: &Made,
) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(asked) {
        return Ok(());
    }
    let keys = made.events as u64;
    let till = Till::open(&made.dir, config_of(made.events), keys)?;
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
