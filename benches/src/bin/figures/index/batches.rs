//! A hundred keys at once beside as many single ones.

use std::error::Error;

use onceward_benches::index::keys::{Key, key};
use onceward_benches::index::samples::{Draws, Wanted};
use onceward_benches::index::stock::{BatchRoom, Stock};
use onceward_benches::pairing::{Extent, Plan, Slice, paired};
use onceward_index::Reserved;

use super::lookups::SAMPLE;
use super::sides;
use crate::figure::{Asked, Must, Sheet};

/// Keys of a batch.
const BATCH: usize = 100;
/// Keys that are taken in one slice.
const TAKEN: usize = 40 * BATCH;

/// Keys that are new.
const MISSES: Asked = Asked {
    figure: "batch_100_misses",
    unit: "ratio to as many single lookups",
    must: Must::AtMost(0.8),
};
/// Keys that are taken, and confirmed.
const INSERTS: Asked = Asked {
    figure: "batch_100_inserts",
    unit: "ratio to as many single reservations",
    must: Must::BeReported,
};
/// The figures.
pub(super) const ASKED: [Asked; 2] = [MISSES, INSERTS];

/// Measures both in an index that knows the keys `1..=keys`. It knows more after that.
pub(super) fn measure(
    sheet: &mut Sheet,
    plan: Plan,
    stock: &Stock,
    keys: u64,
) -> Result<(), Box<dyn Error>> {
    if sheet.wants(MISSES) {
        let draws = Draws::new(keys, Wanted::Misses);
        let (mut of_batch, mut of_single) = (draws, draws);
        let mut room = BatchRoom::default();
        let turns = paired(
            plan,
            || {
                let ask = |keys: &[Key], found: &mut _| stock.judge_batch(keys, &mut room, found);
                of_batch.draw(SAMPLE).timed_in_batches(BATCH, ask)
            },
            || of_single.draw(SAMPLE).timed(|key| stock.lsn_of(key)),
        )?;
        sheet.add(MISSES, turns.cost(), sides(&turns, keys))?;
    }
    if sheet.wants(INSERTS) {
        let last = std::cell::Cell::new(keys);
        let turns = paired(
            plan,
            || taken(stock, &last, |first, keys| at_once(stock, first, keys)),
            || taken(stock, &last, |first, keys| one_by_one(stock, first, keys)),
        )?;
        sheet.add(INSERTS, turns.cost(), sides(&turns, keys))?;
    }
    Ok(())
}

/// Times `take` of new keys behind `last`; settling and a checkpoint come after the time that counts.
fn taken(
    stock: &Stock,
    last: &std::cell::Cell<u64>,
    take: impl Fn(u64, &[Key]) -> Vec<Reserved>,
) -> Slice {
    let first = last.get() + 1;
    let keys: Vec<Key> = (first..first + TAKEN as u64).map(key).collect();
    last.set(last.get() + TAKEN as u64);
    let batches: Vec<(u64, &[Key])> =
        (first..).step_by(BATCH).zip(keys.chunks_exact(BATCH)).collect();
    let mut reserved = Vec::with_capacity(TAKEN);
    let slice = Extent::Times(batches.len())
        .of(BATCH, |at| reserved.extend(take(batches[at].0, batches[at].1)));
    for (lsn, reserved) in (first..).zip(reserved) {
        let Reserved::Taken(slice) = reserved else { panic!("key {lsn} was known") };
        stock.settle(lsn, slice);
    }
    stock.checkpoint().unwrap();
    slice
}

/// As one batch.
fn at_once(stock: &Stock, first: u64, keys: &[Key]) -> Vec<Reserved> {
    stock.take_batch(first, keys).unwrap()
}

/// Each on its own.
fn one_by_one(stock: &Stock, first: u64, keys: &[Key]) -> Vec<Reserved> {
    (first..).zip(keys).map(|(lsn, key)| Reserved::Taken(stock.take(lsn, key).unwrap())).collect()
}
