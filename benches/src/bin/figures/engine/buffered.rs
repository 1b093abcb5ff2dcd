//! Captures that nobody waits for, from one thread: of events that were made before, and as a host makes them.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use onceward::Event;
use onceward_benches::engine::buffered::Buffered;
use onceward_benches::engine::events::payload;
use onceward_benches::engine::till::{Till, config};
use onceward_benches::idle::wait_until_idle;
use onceward_benches::index::keys::key;
use onceward_benches::pairing::{Extent, Plan, Slice, paired};

use super::{Setting, sides};
use crate::figure::{Asked, Must, Sheet};

/// One by one, synced by others.
const BUFFERED: Asked = Asked {
    figure: "buffered",
    unit: "ratio to the limit that keeps no secret and syncs nothing",
    must: Must::AtLeast(0.80),
};
/// The same in a new store that nobody settles, with the events made in the time that counts.
const DEFERRED: Asked = Asked {
    figure: "deferred",
    unit: "ratio to the limit that keeps no secret and syncs nothing",
    must: Must::AtLeast(0.50),
};
/// Captures of a slice: several times what may wait to be synced.
const CAPTURES: usize = 100_000;
/// Events that are made beforehand, not counted.
const MADE: usize = 1_000;

/// Measures both.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    measure_settled(sheet, setting)?;
    measure_deferred(sheet, setting)
}

/// Measures captures that are never settled.
fn measure_deferred(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(DEFERRED) {
        return Ok(());
    }
    let dir = setting.dir.join("deferred");
    let plan = setting.once_a_round();
    let till = Till::open(&dir.join("till"), config(), 0)?;
    let mut limit = Buffered::create(&dir.join("limit"), plan.rounds * CAPTURES)?;
    let mut number = 0;
    let turns = paired(
        plan,
        || {
            let slice = Extent::Times(1).of(CAPTURES, |_| till.capture_deferred(CAPTURES));
            wait_until_idle().unwrap();
            slice
        },
        || {
            let slice = Extent::Times(CAPTURES).of(1, |_| {
                number += 1;
                assert!(limit.capture(black_box(&key(number)), &payload(number)));
            });
            // So that the store's syncs do not write the limit's bytes.
            limit.sync().unwrap();
            slice
        },
    )?;
    sheet.add(DEFERRED, turns.share, sides(&turns))?;
    drop(till);
    Ok(std::fs::remove_dir_all(&dir)?)
}

/// Measures captures of events that were made beforehand, in segments that come free again.
fn measure_settled(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(BUFFERED) {
        return Ok(());
    }
    let dir = setting.dir.join("buffered");
    let mut till = Till::with_keys(&dir.join("till"), 0)?;
    let plan = Plan { slices: 1, rounds: setting.plan.rounds.min(5), ..setting.plan };
    let mut limit = Buffered::create(&dir.join("limit"), plan.rounds * CAPTURES)?;
    // Of keys that the store never sees: the two take turns.
    let mut others = Till::with_keys(&dir.join("others"), 0)?;
    let turns = paired(
        plan,
        || captured(&mut till),
        || {
            each(&mut others, |event| {
                let (key, payload) = (event.key.as_str(), event.payload.as_bytes());
                assert!(limit.capture(black_box(key.as_bytes()), payload));
            })
        },
    )?;
    sheet.add(BUFFERED, turns.share, sides(&turns))?;
    drop((till, others));
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// Captures events, and waits at the end until all of them are durable. Settling them is not counted.
fn captured(till: &mut Till) -> Slice {
    let store = till.store.clone();
    let mut last = None;
    let mut slice = each(till, |event| last = Some(store.capture_deferred(event).unwrap()));
    let began = Instant::now();
    last.map(|ticket| ticket.wait().unwrap()).unwrap();
    slice.seconds += began.elapsed().as_secs_f64();
    till.settle_all().unwrap();
    slice
}

/// Times what is done with each of many new events.
fn each(till: &mut Till, mut capture: impl FnMut(&Event)) -> Slice {
    let mut spent = Duration::ZERO;
    for _ in 0..CAPTURES / MADE {
        let events = till.events(MADE);
        let began = Instant::now();
        events.iter().for_each(&mut capture);
        spent += began.elapsed();
    }
    Slice { seconds: spent.as_secs_f64(), events: CAPTURES as f64 }
}
