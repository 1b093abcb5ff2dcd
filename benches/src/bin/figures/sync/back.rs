//! How soon a terminal sends when the line is back.

use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use onceward::sync::{Answered, Drain, Failure, LineOptions, Options, Step, payloads};
use onceward::{Config, Event, Key, Payload, Scope, Store};
use onceward_benches::spread::Spread;
use onceward_uplink::{Forloy, Line, Timeouts, Uploader};

use super::PATIENCE;
use crate::figure::{Asked, Detail, Must, Sheet};

const SIGNAL: Asked = Asked { figure: "signal_ms", unit: "ms", must: Must::AtMost(100.0) };
const BACK: Asked = Asked { figure: "line_back_s", unit: "s", must: Must::AtMost(5.0) };

/// Terminals whose outages are simulated.
const TERMINALS: u64 = 200;
/// How long an outage is.
const OUTAGE_MS: u64 = 150_000;

/// Measures both.
pub(super) fn measure(sheet: &mut Sheet, dir: &Path, rounds: usize) -> Result<(), Box<dyn Error>> {
    if sheet.wants(SIGNAL) {
        let times: Result<Vec<f64>, _> = (0..rounds.max(3)).map(|n| signal(dir, n)).collect();
        sheet.add(SIGNAL, Spread::of(&times?).ok_or("no rounds")?, Detail::new())?;
    }
    if sheet.wants(BACK) {
        let dir = dir.join("back");
        let times: Result<Vec<f64>, _> = (0..TERMINALS).map(|seed| back(&dir, seed)).collect();
        let times = times?;
        let longest = times.iter().copied().fold(0.0, f64::max);
        let detail = Detail::from([("longest_s", longest), ("terminals", TERMINALS as f64)]);
        sheet.add(BACK, Spread::of(&times).ok_or("no rounds")?, detail)?;
    }
    Ok(())
}

fn sale() -> Result<Event, Box<dyn Error>> {
    let text =
        r#"{"qr_code_data":"q","location_id":"l","staff_user_id":"u","purchase_amount":1.50}"#;
    Ok(Event::new(Scope::default(), Key::new("sale-1")?, Payload::json(text)?))
}

/// Milliseconds from the host's word to the first byte at the upstream, of a till that waits out a long backoff.
fn signal(dir: &Path, n: usize) -> Result<f64, Box<dyn Error>> {
    let dir = dir.join(format!("signal-{n}"));
    let store = Store::open(&dir, Config::new())?;
    store.capture(&sale()?)?;
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let line = Line::new(&format!("http://{address}"), None, Timeouts::default())?;
    let options = Options::new(Scope::default())
        .with_backoff(Duration::from_secs(300), Duration::from_secs(300));
    let uploader = Uploader::new(store, line, Box::new(Forloy::new()), options)?.spawn()?;
    let began = Instant::now();
    while uploader.report().failures == 0 {
        if began.elapsed() > PATIENCE {
            return Err("the line did not fail".into());
        }
        std::thread::yield_now();
    }
    let listener = TcpListener::bind(address)?;
    let began = Instant::now();
    uploader.online();
    loop {
        let (stream, _) = listener.accept()?;
        // A probe sends nothing.
        if stream.peek(&mut [0; 1])? > 0 {
            break;
        }
    }
    let ms = began.elapsed().as_secs_f64() * 1e3;
    drop(listener);
    uploader.stop()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(ms)
}

/// Seconds from the return of the line to the first request, of one terminal that hears nothing of it.
fn back(dir: &Path, seed: u64) -> Result<f64, Box<dyn Error>> {
    let store = Store::open(dir, Config::new().with_segment_bytes(256 * 1_024))?;
    store.capture(&sale()?)?;
    let mut drain = Drain::new(&store, LineOptions::new().with_seed(seed));
    drain.add(Options::new(Scope::default()).with_seed(seed), payloads(), 1)?;
    // The outages begin at moments that have nothing to do with the terminal's own.
    let back_ms = OUTAGE_MS + seed * 37 % 5_000;
    let mut now_ms = 0;
    loop {
        let is_back = now_ms >= back_ms;
        match drain.next(now_ms)? {
            Step::Send(_) if is_back => {
                drop(drain);
                store.close()?;
                std::fs::remove_dir_all(dir)?;
                return Ok((now_ms - back_ms) as f64 / 1e3);
            }
            Step::Send(batch) => {
                let (why, answered) = ("no route".to_owned(), Answered::Nobody);
                let failure = Failure::Unavailable { why, retry_after_ms: None, answered };
                drain.on_failure(&batch, &failure, now_ms)?;
            }
            Step::Probe => drop(drain.on_probe(is_back, now_ms)),
            Step::Wait { until_ms } => now_ms = until_ms,
            step => return Err(format!("{step:?}").into()),
        }
    }
}
