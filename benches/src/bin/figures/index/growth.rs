//! The longest that anybody waits for an insert while an index grows from nothing.

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use onceward_benches::index::growth::{grow_beside, longest_hiccup};
use onceward_benches::index::stock::Stock;
use onceward_benches::spread::{Spread, quantile};

use super::{SLICES, Setting, flow};
use crate::figure::{Asked, Detail, Must, Sheet};

/// What is asked. The least of all growths: what the machine does to a thread is in the others.
const ASKED: Asked = Asked {
    figure: "longest_insert",
    unit: "ms of the longest insert, in the best growth",
    must: Must::AtMost(1.0),
};

/// Grows indexes, and looks after each how long the machine keeps a thread that does nothing.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(ASKED) {
        return Ok(());
    }
    let keys = setting.scale.keys;
    let dir = setting.dir.join("growth");
    let (mut longest, mut hiccups, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.scale.growths {
        let stock = Stock::open(&dir, flow(SLICES, keys))?;
        let mut most = Duration::ZERO;
        let began = Instant::now();
        grow_beside(&stock, (1, keys), |took| {
            most = most.max(took);
            // Enough of them for the quantiles that are reported.
            if all.len() < ROOM {
                all.push(took.as_secs_f64());
            }
        })?;
        let length = began.elapsed();
        assert_eq!(stock.index.len(), keys);
        drop(stock);
        fs::remove_dir_all(&dir)?;
        longest.push(most.as_secs_f64() * 1e3);
        hiccups.push(longest_hiccup(length).as_secs_f64() * 1e3);
    }
    let of_all = Spread::of(&longest).ok_or("no growths")?;
    let hiccup = Spread::of(&hiccups).ok_or("no growths")?;
    let in_us = |share| quantile(&all, share).unwrap_or(0.0) * 1e6;
    let detail = Detail::from([
        ("keys", keys as f64),
        ("growths", longest.len() as f64),
        ("median_of_growths", of_all.median),
        ("hiccup_low", hiccup.low),
        ("hiccup_median", hiccup.median),
        ("hiccup_high", hiccup.high),
        ("insert_us_p50", in_us(0.5)),
        ("insert_us_p99_9", in_us(0.999)),
        ("insert_us_p99_999", in_us(0.99999)),
    ]);
    let Spread { low, high, .. } = of_all;
    Ok(sheet.add(ASKED, Spread { low, median: low, high }, detail)?)
}

/// Inserts whose times are kept.
const ROOM: usize = 10_000_000;
