//! Durable captures while slices are forgotten beside them.

use std::error::Error;
use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use onceward_benches::index::keys::key;
use onceward_benches::index::stock::Stock;
use onceward_benches::spread::{Spread, quantile};
use onceward_benches::wal::events::Payloads;
use onceward_benches::wal::stock::Stock as LogStock;

use super::expiry::over;
use super::{SLICES, Setting, flow};
use crate::figure::{Asked, Detail, Must, Sheet};

/// Indexes whose slices are all forgotten, one after the other.
const INDEXES: usize = 5;
/// Captures of each while none is forgotten; about as many as there are while all are.
const ALONE: u64 = 500;
/// The share of captures that is looked at.
const SHARE: f64 = 0.999;
/// What is asked.
const ASKED: Asked = Asked {
    figure: "capture_p99_9",
    unit: "ratio to the same captures while no slice is forgotten",
    must: Must::AtMost(2.0),
};

/// Captures while none of an index's slices is forgotten, and while all of them are.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(ASKED) {
        return Ok(());
    }
    let keys = setting.scale.keys_expiring;
    let payloads = &Payloads::default();
    let log = LogStock::create(&setting.dir.join("captures-log"), None, payloads)?;
    let dir = setting.dir.join("captures");
    let (mut beside, mut alone, mut ratios, mut expiries) = (vec![], vec![], vec![], vec![]);
    for _ in 0..INDEXES {
        let stock = &Stock::with_keys(&dir, flow(SLICES, keys), keys)?;
        log.make_room()?;
        // Before, not after: the file system is busy with the removed files for a while.
        let quiet = while_quiet(stock, &log, keys);
        let last = keys + quiet.len() as u64;
        let (forgetting, took) = while_forgetting(stock, keys, &log, last)?;
        let of = |samples: &[f64]| quantile(samples, SHARE).ok_or("no captures");
        ratios.push(of(&forgetting)? / of(&quiet)?);
        beside.extend(forgetting);
        alone.extend(quiet);
        expiries.extend(took);
        fs::remove_dir_all(&dir)?;
    }
    let us = |samples: &[f64], share| quantile(samples, share).map(|seconds| seconds * 1e6);
    let detail = Detail::from([
        ("captures", beside.len() as f64),
        ("slices_forgotten", expiries.len() as f64),
        ("expire_slice_ms", Spread::of(&expiries).ok_or("no slices")?.median * 1e3),
        ("p50_us", us(&beside, 0.5).ok_or("none")?),
        ("p99_us", us(&beside, 0.99).ok_or("none")?),
        ("p99_9_us", us(&beside, SHARE).ok_or("none")?),
        ("longest_us", us(&beside, 1.0).ok_or("none")?),
        ("alone_p50_us", us(&alone, 0.5).ok_or("none")?),
        ("alone_p99_us", us(&alone, 0.99).ok_or("none")?),
        ("alone_p99_9_us", us(&alone, SHARE).ok_or("none")?),
        ("alone_longest_us", us(&alone, 1.0).ok_or("none")?),
    ]);
    let all = us(&beside, SHARE).zip(us(&alone, SHARE)).map(|(beside, alone)| beside / alone);
    let Spread { low, high, .. } = Spread::of(&ratios).ok_or("no indexes")?;
    let median = all.ok_or("no captures")?;
    Ok(sheet.add(ASKED, Spread { low: low.min(median), median, high: high.max(median) }, detail)?)
}

/// Captures while nobody does anything else; from a thread of their own, as beside expiry. Returns how long each
/// took.
fn while_quiet(stock: &Stock, log: &LogStock<'_>, last: u64) -> Vec<f64> {
    thread::scope(|scope| {
        let numbers = last + 1..=last + ALONE;
        let capturing = scope.spawn(|| numbers.map(|number| capture(stock, log, number)).collect());
        capturing.join().expect("a capture panicked")
    })
}

/// Captures as long as it takes to forget all slices of a full window, one after the other. Returns how long each
/// capture took, and each slice.
fn while_forgetting(
    stock: &Stock,
    keys: u64,
    log: &LogStock<'_>,
    last: u64,
) -> Result<(Vec<f64>, Vec<f64>), Box<dyn Error>> {
    thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        let capturing = scope.spawn(move || {
            let mut took = Vec::new();
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                took.push(capture(stock, log, last + 1 + took.len() as u64));
                begun.send(()).unwrap_or_default();
            }
            took
        });
        begins.recv()?;
        let mut expiries = Vec::new();
        for slice in 0..SLICES as usize {
            let began = Instant::now();
            assert_eq!(stock.expire(over(keys, slice)), 1, "one slice goes");
            stock.checkpoint()?;
            expiries.push(began.elapsed().as_secs_f64());
        }
        drop(stop);
        Ok((capturing.join().expect("a capture panicked"), expiries))
    })
}

/// What a store does for one event: judges its key, queues its frame, takes its key, and waits until the frame is
/// durable. Returns the seconds until then.
fn capture(stock: &Stock, log: &LogStock<'_>, number: u64) -> f64 {
    let key = key(number);
    let began = Instant::now();
    assert_eq!(stock.lsn_of(&key), 0, "the key is new");
    let ticket = log.queue(usize::try_from(number).unwrap());
    let slice = stock.reserve(number, &key).unwrap();
    ticket.wait().unwrap();
    stock.index.confirm(number);
    let took = began.elapsed().as_secs_f64();
    stock.settle(number, slice);
    took
}
