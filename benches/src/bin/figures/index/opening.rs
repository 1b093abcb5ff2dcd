//! From a cold cache to the first verdicts: after a clean end, and after the process was killed.

use std::error::Error;
use std::fs;

use onceward_benches::index::keys::Picks;
use onceward_benches::index::killed::{self, Ended, Opening, TAIL_FRAMES};
use onceward_benches::index::process::{Emptied, empty_cache};
use onceward_benches::index::stock::INDEX_DIR;
use onceward_benches::spread::Spread;
use onceward_benches::wal::LOG_DIR;
use onceward_index::Until;

use super::{SLICES, Setting, flow};
use crate::child::Child;
use crate::figure::{Asked, Detail, Must, Sheet};

/// The unit of both.
const UNIT: &str = "ms from opening to the verdicts on a known and an unknown key, cold cache";
/// After a clean end.
const CLEAN: Asked = Asked { figure: "open_clean", unit: UNIT, must: Must::AtMost(50.0) };
/// After a kill.
const KILLED: Asked = Asked { figure: "open_killed", unit: UNIT, must: Must::AtMost(150.0) };

/// Has a process make a store, kills it, and opens that; then closes it, and opens that.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(CLEAN) && !sheet.wants(KILLED) {
        return Ok(());
    }
    let keys = setting.scale.keys;
    let dir = setting.dir.join("opening");
    let made: u64 = Child::IndexKilled.have_done("index", &dir, keys)?;
    assert_eq!(made, keys);
    if sheet.wants(KILLED) {
        let (spread, detail) = openings(setting, Ended::Killed)?;
        sheet.add(KILLED, spread, detail)?;
    }
    if sheet.wants(CLEAN) {
        let (stock, _) = killed::open(&dir, flow(SLICES, keys), Ended::Killed, keys)?;
        assert_eq!(stock.index.len(), keys);
        stock.index.checkpoint(stock.mark, Until::Close)?;
        drop(stock);
        let (spread, detail) = openings(setting, Ended::Closed)?;
        sheet.add(CLEAN, spread, detail)?;
    }
    Ok(fs::remove_dir_all(&dir)?)
}

/// Opens the store in its rounds. Opening changes no file, but for those that the kill left behind.
fn openings(setting: &Setting<'_>, ended: Ended) -> Result<(Spread, Detail), Box<dyn Error>> {
    let keys = setting.scale.keys;
    let dir = setting.dir.join("opening");
    let (index_dir, log_dir) = (dir.join(INDEX_DIR), dir.join(LOG_DIR));
    let mut picks = Picks::default();
    let mut rounds: Vec<Opening> = Vec::new();
    let mut emptied = Emptied::All;
    for _ in 0..setting.scale.plan.rounds {
        emptied = empty_cache(&[&index_dir, &log_dir])?;
        let known = picks.next(keys);
        let (_stock, opening) = killed::open(&dir, flow(SLICES, keys), ended, known)?;
        let expected = if ended == Ended::Killed { TAIL_FRAMES } else { 0 };
        assert_eq!(opening.frames, expected, "frames of the log");
        rounds.push(opening);
    }
    let of = |part: fn(&Opening) -> f64| {
        let samples: Vec<f64> = rounds.iter().map(|round| part(round) * 1e3).collect();
        Spread::of(&samples).ok_or("no rounds")
    };
    let detail = Detail::from([
        ("keys", keys as f64),
        ("frames_told_again", rounds.first().map_or(0.0, |round| round.frames as f64)),
        ("index_ms", of(|round| round.index_seconds)?.median),
        ("log_ms", of(|round| round.log_seconds)?.median),
        ("verdicts_ms", of(|round| round.verdict_seconds)?.median),
        ("whole_cache_was_emptied", if emptied == Emptied::All { 1.0 } else { 0.0 }),
    ]);
    Ok((of(|round| round.seconds)?, detail))
}
