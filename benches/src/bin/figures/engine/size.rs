//! What a store takes: time and memory to open with many events that wait, memory and disk with few.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use onceward::{Config, Event, Payload, Scope, Store};
use onceward_benches::engine::events::{event, event_key};
use onceward_benches::engine::till::config;
use onceward_benches::index::process::{Emptied, anonymous_bytes, dir_bytes, empty_cache};
use onceward_benches::spread::Spread;
use serde::{Deserialize, Serialize};

use super::Setting;
use crate::child::Child;
use crate::figure::{Asked, Detail, Must, Sheet};

/// From a cold cache to the first capture.
const OPEN: Asked = Asked {
    figure: "open_unsettled",
    unit: "s from opening to the first capture, a million events not settled, cold cache",
    must: Must::AtMost(1.0),
};
/// Memory after that.
const MEMORY: Asked = Asked {
    figure: "open_memory",
    unit: "ratio of memory with payloads of 1,000 bytes to that with 100",
    must: Must::AtMost(1.05),
};
/// A small store's files.
const SMALL_DISK: Asked = Asked {
    figure: "small_disk",
    unit: "MB of files with 1,000 events and the default settings",
    must: Must::AtMost(10.0),
};
/// A small store's memory.
const SMALL_MEMORY: Asked = Asked {
    figure: "small_memory",
    unit: "MB of anonymous memory with 1,000 events and the default settings",
    must: Must::AtMost(8.0),
};
/// Events of a small store.
const SMALL: u64 = 1_000;
/// Events that are captured together while a store is filled.
const FILLING: u64 = 500;
/// How often a store is opened.
const OPENINGS: usize = 5;
/// Payloads of the stores whose memory is compared.
const PAYLOADS: [usize; 2] = [100, 1_000];

/// The report of a process about a store that it opened or made.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Grown {
    /// From opening to the verdict on a first capture.
    seconds: f64,
    /// Anonymous memory that it took.
    bytes: u64,
    /// Events that wait.
    pending: u64,
}

/// Opens the store in `dir`, captures `count` events, and reports on it.
pub(crate) fn grown(dir: &Path, count: u64) -> Result<Grown, Box<dyn Error>> {
    let before = anonymous_bytes()?;
    let began = Instant::now();
    let store = Store::open(dir, if count == 1 { config() } else { Config::new() })?;
    let numbers = 1 << 32..(1 << 32) + count;
    for number in numbers {
        store.capture(&event(number))?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let bytes = anonymous_bytes()?.saturating_sub(before);
    Ok(Grown { seconds, bytes, pending: store.status().pending })
}

/// Measures all of them.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    measure_small(sheet, setting)?;
    if !sheet.wants(OPEN) && !sheet.wants(MEMORY) {
        return Ok(());
    }
    let mut memory = Vec::new();
    for payload_bytes in PAYLOADS {
        let dir = setting.dir.join(format!("unsettled-{payload_bytes}"));
        fill(&dir, setting.unsettled, payload_bytes)?;
        let (mut seconds, mut bytes, mut emptied) = (Vec::new(), Vec::new(), Emptied::All);
        for _ in 0..OPENINGS {
            emptied = empty_cache(&[&dir.join("log"), &dir.join("index")])?;
            let opened: Grown = Child::EngineOpened.have_done("engine", &dir, 1)?;
            seconds.push(opened.seconds);
            bytes.push(opened.bytes as f64);
        }
        let bytes = Spread::of(&bytes).ok_or("no openings")?.median;
        if payload_bytes == PAYLOADS[0] {
            let detail = Detail::from([
                ("events", setting.unsettled as f64),
                ("memory_bytes_of_each_event", bytes / setting.unsettled as f64),
                ("whole_cache_was_emptied", if emptied == Emptied::All { 1.0 } else { 0.0 }),
            ]);
            sheet.add(OPEN, Spread::of(&seconds).ok_or("no openings")?, detail)?;
        }
        memory.push(bytes);
        fs::remove_dir_all(&dir)?;
    }
    let ratio = memory[1] / memory[0];
    let detail =
        Detail::from([("small_payloads_mb", memory[0] / 1e6), ("large_mb", memory[1] / 1e6)]);
    Ok(sheet.add(MEMORY, Spread::of(&[ratio]).ok_or("no openings")?, detail)?)
}

/// Makes a store of 1,000 events.
fn measure_small(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(SMALL_DISK) && !sheet.wants(SMALL_MEMORY) {
        return Ok(());
    }
    let dir = setting.dir.join("small");
    let grown: Grown = Child::EngineOpened.have_done("engine", &dir, SMALL)?;
    assert_eq!(grown.pending, SMALL);
    let disk = tree_bytes(&dir)? as f64 / 1e6;
    sheet.add(SMALL_DISK, Spread::of(&[disk]).ok_or("no store")?, Detail::new())?;
    let memory = grown.bytes as f64 / 1e6;
    sheet.add(SMALL_MEMORY, Spread::of(&[memory]).ok_or("no store")?, Detail::new())?;
    Ok(fs::remove_dir_all(&dir)?)
}

/// Bytes of all files below a directory.
fn tree_bytes(dir: &Path) -> Result<u64, Box<dyn Error>> {
    let mut bytes = dir_bytes(dir)?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            bytes += tree_bytes(&path)?;
        }
    }
    Ok(bytes)
}

/// Makes a store of `count` events with such payloads, none of them settled.
fn fill(dir: &Path, count: u64, payload_bytes: usize) -> Result<(), Box<dyn Error>> {
    let store = Store::open(dir, config())?;
    let payload = Payload::bytes(vec![0x5a; payload_bytes]);
    for first in (0..count).step_by(usize::try_from(FILLING)?) {
        let numbers = first..(first + FILLING).min(count);
        let event = |n| Event::new(Scope::default(), event_key(n), payload.clone());
        store.capture_batch(&numbers.map(event).collect::<Vec<_>>())?;
    }
    // As after a crash: nobody wrote what closing writes.
    drop(store);
    Ok(())
}
