//! A till that drains its store, in a process of its own.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use onceward::{Config, Scope, Store, sync};
use onceward_benches::idle::wait_until_idle;
use onceward_benches::index::process::anonymous_bytes;
use onceward_uplink::{Forloy, Line, Onceward, Secret, Timeouts, Uploader, Wede};
use serde::{Deserialize, Serialize};

use super::PATIENCE;
use super::hub::KEY;

/// File of the job in the till's directory.
const JOB: &str = "figures-job.json";

/// In what dialect is sent.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) enum Dialect {
    /// Up to 100 items.
    Forloy,
    /// Up to 500 events.
    Wede,
    /// The segment stream.
    Stream,
}

/// What is to be drained, and how.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Job {
    dialect: Dialect,
    /// Requests on their way at once.
    window: usize,
    /// Of the line.
    pub(super) round_trip_ms: u64,
    /// Of the line, each way; 0: as fast as it can.
    pub(super) bytes_per_s: u64,
    url: String,
}

impl Job {
    /// As a till does it by default.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, window: 16, round_trip_ms: 0, bytes_per_s: 0, url: String::new() }
    }

    /// The same over a line with this round trip, with so many requests on their way at once.
    pub(super) fn over(self, window: usize, round_trip_ms: u64) -> Self {
        Self { window, round_trip_ms, ..self }
    }

    /// The same over a line that carries no more.
    pub(super) fn at(self, bytes_per_s: u64) -> Self {
        Self { bytes_per_s, ..self }
    }

    /// Has it done by the till there.
    pub(super) fn write(&self, till: &Path, url: &str) -> Result<(), Box<dyn Error>> {
        let job = Self { url: url.to_owned(), ..self.clone() };
        fs::write(till.join(JOB), serde_json::to_vec(&job)?)?;
        Ok(())
    }
}

/// What came of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Drained {
    /// Confirmed.
    pub(super) events: u64,
    pub(super) seconds: f64,
    /// Of this process.
    pub(super) cpu_s: f64,
    /// Anonymous memory with the store open.
    pub(super) idle_bytes: u64,
    /// The most while it drained.
    pub(super) most_bytes: u64,
    /// To the hub; 0: nobody counted.
    #[serde(skip)]
    pub(super) bytes_up: f64,
    /// Both ways; 0: nobody counted.
    #[serde(skip)]
    pub(super) wire_bytes: f64,
    /// Of the payloads.
    #[serde(skip)]
    pub(super) payload_bytes: f64,
}

/// Drains the store in `dir` as its job says.
///
/// # Errors
///
/// It cannot.
pub(crate) fn drain(dir: &Path) -> Result<Drained, Box<dyn Error>> {
    let job: Job = serde_json::from_slice(&fs::read(dir.join(JOB))?)?;
    fs::remove_file(dir.join(JOB))?;
    let store = Store::open(dir, Config::new())?;
    let line = Line::new(&job.url, Some(Secret::new(KEY)), Timeouts::default())?;
    let options = sync::Options::new(Scope::default()).with_window(job.window);
    let uploader = match job.dialect {
        Dialect::Forloy => {
            let options = options.with_items_max(100);
            Uploader::new(store.clone(), line, Box::new(Forloy::new()), options)?
        }
        Dialect::Stream => {
            let options = options.with_items_max(4_096).with_bytes_max(1024 * 1024);
            Uploader::new(store.clone(), line, Box::new(Onceward::new()), options)?
        }
        Dialect::Wede => {
            let options = options.with_items_max(500);
            Uploader::new(store.clone(), line, Box::new(Wede::new("till-1")), options)?
        }
    };
    // What opening leaves to the store's threads is no part of draining.
    wait_until_idle()?;
    let idle_bytes = anonymous_bytes()?;
    let most = Arc::new(AtomicU64::new(idle_bytes));
    let theirs = Arc::clone(&most);
    let mut count = 0_u64;
    let observe = move |_: &sync::Report| {
        count += 1;
        // Reading it takes as long as sending some events.
        if count.is_multiple_of(64) {
            theirs.fetch_max(anonymous_bytes().unwrap_or(0), Ordering::Relaxed);
        }
    };
    let (began, cpu) = (Instant::now(), cpu_s()?);
    let running = uploader.spawn_observed(observe)?;
    running.flush(PATIENCE * 10);
    let (seconds, cpu_s) = (began.elapsed().as_secs_f64(), cpu_s()? - cpu);
    let report = running.stop()?;
    let events = report.accepted;
    if report.failures > 0 {
        return Err(format!("{report:?}").into());
    }
    let most_bytes = most.load(Ordering::Relaxed);
    store.close()?;
    Ok(Drained {
        events,
        seconds,
        cpu_s,
        idle_bytes,
        most_bytes,
        bytes_up: 0.0,
        wire_bytes: 0.0,
        payload_bytes: 0.0,
    })
}

/// Processor time of this process so far.
fn cpu_s() -> Result<f64, Box<dyn Error>> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(now.tv_sec as f64 + now.tv_nsec as f64 / 1e9)
}
