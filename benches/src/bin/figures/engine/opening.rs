//! Events that wait: how long opening a store with many of them takes, and what memory they do.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use onceward_benches::engine::till::Till;
use onceward_benches::index::process::{Emptied, anonymous_bytes};
use onceward_benches::spread::Spread;
use serde::{Deserialize, Serialize};

use super::made::{Made, chill, config_of, copy};
use super::{Setting, outcomes};
use crate::child::Child;
use crate::figure::{Asked, Detail, Must, Sheet};
use crate::index;

/// The unit of openings.
const OPENING: &str = "s from opening to the first capture, cold cache";
/// A million, after the store was closed.
const CLOSED: Asked =
    Asked { figure: "open_million_closed", unit: OPENING, must: Must::AtMost(0.2) };
/// A million, after its process was killed.
const KILLED: Asked =
    Asked { figure: "open_million_killed", unit: OPENING, must: Must::AtMost(0.3) };
/// Ten million, after the store was closed.
const TEN_MILLION: Asked =
    Asked { figure: "ten_million_open", unit: OPENING, must: Must::AtMost(0.5) };
/// Memory of each, without the index.
const WAITING: Asked = Asked {
    figure: "waiting_memory",
    unit: "bytes of anonymous memory for each event that waits, beside the 14 that the index may take",
    must: Must::AtMost(16.0),
};
/// Memory of ten million, with everything.
const TEN_MILLION_MEMORY: Asked = Asked {
    figure: "ten_million_memory",
    unit: "MB of anonymous memory with ten million events that wait, captured or opened",
    must: Must::AtMost(350.0),
};
/// Bytes of memory that the index may take for a key: `memory_per_key` of the index's own figures.
const INDEX_BYTES_MAX: f64 = 14.0;
/// How often a store is opened, and how often in a quick run.
const OPENINGS: (usize, usize) = (5, 3);

/// The report of a process about a store that it opened.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Opened {
    /// Until it was open.
    open_seconds: f64,
    /// Until the verdict on a first capture.
    seconds: f64,
    /// Anonymous memory that it took.
    bytes: u64,
}

/// Opens the store in `dir`, which has `events`, captures one more, and closes it again.
pub(crate) fn opened(dir: &Path, events: u64) -> Result<Opened, Box<dyn Error>> {
    let before = anonymous_bytes()?;
    let config = config_of(usize::try_from(events)?);
    let began = Instant::now();
    // Not one of those that it has, however often it is opened.
    let till = Till::open(dir, config, events + u64::from(std::process::id()))?;
    let open_seconds = began.elapsed().as_secs_f64();
    till.capture_one();
    let seconds = began.elapsed().as_secs_f64();
    onceward_benches::idle::wait_until_idle()?;
    let bytes = anonymous_bytes()?.saturating_sub(before);
    till.store.close()?;
    Ok(Opened { open_seconds, seconds, bytes })
}

/// Measures all that needs a million events, or as many as there are in a quick run.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if sheet.wants(WAITING) {
        waiting(sheet, setting)?;
    }
    if sheet.wants(CLOSED) {
        openings(setting, setting.million()?, Reopened::InPlace)?.add(sheet, CLOSED)?;
    }
    if sheet.wants(KILLED) {
        let dir = setting.dir.join("killed");
        let made = Made::by(Child::EngineKilled, dir, setting.waiting)?;
        openings(setting, &made, Reopened::FromCopies(&setting.dir.join("copy")))?
            .add(sheet, KILLED)?;
    }
    Ok(())
}

/// Measures what needs ten million.
pub(super) fn measure_ten_million(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
) -> Result<(), Box<dyn Error>> {
    let [by_position, with_maps] = outcomes::OF_10M.map(|question| question.asked);
    let asked = [by_position, with_maps, TEN_MILLION, TEN_MILLION_MEMORY];
    if !asked.into_iter().any(|asked| sheet.wants(asked)) {
        return Ok(());
    }
    if setting.is_quick {
        let names = asked.map(|asked| asked.figure).join(", ");
        eprintln!("left out of a quick run: {names}");
        return Ok(());
    }
    let dir = setting.dir.join("ten-million");
    let made = Made::by(Child::EngineClosed, dir, 10 * setting.waiting)?;
    if sheet.wants(TEN_MILLION) || sheet.wants(TEN_MILLION_MEMORY) {
        let openings = openings(setting, &made, Reopened::InPlace)?;
        if sheet.wants(TEN_MILLION_MEMORY) {
            let (captured, opened) = (made.filled.bytes as f64 / 1e6, openings.bytes / 1e6);
            let detail = Detail::from([("captured_mb", captured), ("opened_mb", opened)]);
            let most = Spread::of(&[captured.max(opened)]).ok_or("no process")?;
            sheet.add(TEN_MILLION_MEMORY, most, detail)?;
        }
        if sheet.wants(TEN_MILLION) {
            openings.add(sheet, TEN_MILLION)?;
        }
    }
    outcomes::OF_10M
        .into_iter()
        .try_for_each(|question| outcomes::measure(sheet, setting, question, &made))
}

/// Takes from the memory of the process that captured the events what as many keys take in an index alone.
fn waiting(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    let made = setting.million()?;
    let events = made.events as f64;
    let dir = setting.dir.join("index-alone");
    let grown: index::Grown = Child::IndexMemory.have_done("index", &dir, made.events as u64)?;
    std::fs::remove_dir_all(&dir)?;
    let (all, of_index) = (made.filled.bytes as f64 / events, grown.index_bytes as f64 / events);
    let detail = Detail::from([
        ("events", events),
        ("bytes_with_the_index", all),
        ("bytes_of_the_index", of_index),
    ]);
    let beside = all - INDEX_BYTES_MAX;
    Ok(sheet.add(WAITING, Spread::of(&[beside]).ok_or("no process")?, detail)?)
}

/// What openings took.
#[derive(Debug)]
struct Openings {
    seconds: Spread,
    open_seconds: f64,
    bytes: f64,
    events: f64,
    emptied: Emptied,
}

/// How a store is opened again as it was.
#[derive(Clone, Copy, Debug)]
enum Reopened<'a> {
    /// The process that opened it closes it.
    InPlace,
    /// Each time a copy, at this place: opening changes what a kill left.
    FromCopies(&'a Path),
}

/// Opens a store some times, each time in a new process with a cold cache.
fn openings(
    setting: &Setting<'_>,
    made: &Made,
    reopened: Reopened<'_>,
) -> Result<Openings, Box<dyn Error>> {
    let (mut all, mut emptied) = (Vec::new(), Emptied::All);
    for _ in 0..if setting.is_quick { OPENINGS.1 } else { OPENINGS.0 } {
        let dir = match reopened {
            Reopened::InPlace => &made.dir,
            Reopened::FromCopies(dir) => {
                copy(&made.dir, dir)?;
                dir
            }
        };
        emptied = chill(dir)?;
        let opened: Opened = Child::EngineReopened.have_done("engine", dir, made.events as u64)?;
        all.push(opened);
        if let Reopened::FromCopies(dir) = reopened {
            std::fs::remove_dir_all(dir)?;
        }
    }
    let of = |part: fn(&Opened) -> f64| {
        Spread::of(&all.iter().map(part).collect::<Vec<_>>()).ok_or("no openings")
    };
    Ok(Openings {
        seconds: of(|opened| opened.seconds)?,
        open_seconds: of(|opened| opened.open_seconds)?.median,
        bytes: of(|opened| opened.bytes as f64)?.median,
        events: made.events as f64,
        emptied,
    })
}

impl Openings {
    fn add(&self, sheet: &mut Sheet, asked: Asked) -> Result<(), Box<dyn Error>> {
        let detail = Detail::from([
            ("events", self.events),
            ("open_s", self.open_seconds),
            ("memory_bytes_of_each_event", self.bytes / self.events),
            ("whole_cache_was_emptied", if self.emptied == Emptied::All { 1.0 } else { 0.0 }),
        ]);
        Ok(sheet.add(asked, self.seconds, detail)?)
    }
}
