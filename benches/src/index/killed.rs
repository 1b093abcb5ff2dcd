//! A store whose process is killed: its index, and a log with frames that no checkpoint covers.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use onceward_index::Until;
use onceward_vfs::OsVfs;
use onceward_wal::{
    Follower, Frame, KIND_HOST_MIN, Log, NewFrame, Preparation, Purpose, SEGMENT_BYTES_DEFAULT,
    frame_bytes,
};

use super::CHECKPOINT_KEYS;
use super::keys::{Key, UNKNOWN, key};
use super::stock::{Flow, Stock, location};
use crate::wal::events::{PAYLOAD_BYTES, Payloads};
use crate::wal::stock::new_log;

/// Bytes of a frame's body: a number, a key and an event.
const BODY_BYTES: usize = NUMBER_BYTES + KEY_BYTES + PAYLOAD_BYTES;
/// Bytes of a key's number, by which it is known in the index.
const NUMBER_BYTES: usize = 8;
/// Bytes of a key.
const KEY_BYTES: usize = size_of::<Key>();
/// Bytes of frames that no checkpoint covers.
const TAIL_BYTES: usize = 8 << 20;
/// Frames that no checkpoint covers.
pub const TAIL_FRAMES: u64 = (TAIL_BYTES / frame_bytes(BODY_BYTES)) as u64;
/// Checkpoints since the last one that wrote a table file: as many as there can be.
const CHECKPOINTS_BESIDE: u64 = 3;
/// Frames of one commit.
const BATCH: usize = 100;

/// Makes the store with `keys` keys, as it is when it is killed at the worst moment. What is returned must not be
/// closed.
///
/// # Errors
///
/// What index and log say.
pub fn make(dir: &Path, flow: Flow, keys: u64) -> Result<(Stock, Log), Box<dyn Error>> {
    let log = new_log(dir, SEGMENT_BYTES_DEFAULT, Preparation::OnDemand)?;
    let stock = Stock::open(dir, flow)?;
    let covered = keys - TAIL_FRAMES;
    let listed = covered - CHECKPOINTS_BESIDE * CHECKPOINT_KEYS;
    stock.grow(1, listed)?;
    stock.index.checkpoint(0, Until::Close)?;
    for checkpoint in 1..CHECKPOINTS_BESIDE {
        let first = listed + 1 + (checkpoint - 1) * CHECKPOINT_KEYS;
        take(&stock, first, first + CHECKPOINT_KEYS - 1)?;
        stock.checkpoint()?;
    }
    let mark = capture(&stock, &log, covered + 1 - CHECKPOINT_KEYS, covered)?;
    stock.index.checkpoint(mark, Until::Later)?;
    capture(&stock, &log, covered + 1, keys)?;
    // What the log's own thread does when it is idle: without it the last commit is judged, not shown.
    log.mark()?;
    Ok((stock, log))
}

/// Gives the index keys without a checkpoint.
fn take(stock: &Stock, first: u64, last: u64) -> Result<(), Box<dyn Error>> {
    for number in first..=last {
        let slice = stock.take(number, &key(number))?;
        stock.settle(number, slice);
    }
    Ok(())
}

/// Gives keys to the log and the index. Returns the log's last LSN.
fn capture(stock: &Stock, log: &Log, first: u64, last: u64) -> Result<u64, Box<dyn Error>> {
    let payloads = Payloads::default();
    let mut lsn = 0;
    for start in (first..=last).step_by(BATCH) {
        let numbers = start..=last.min(start + BATCH as u64 - 1);
        let heads: Vec<_> =
            numbers.clone().map(|number| (number.to_le_bytes(), key(number))).collect();
        let parts: Vec<[&[u8]; 3]> = heads
            .iter()
            .enumerate()
            .map(|(at, (number, key))| [&number[..], &key[..], &payloads.at(at)[..]])
            .collect();
        let frames: Vec<_> =
            parts.iter().map(|parts| NewFrame { kind: KIND_HOST_MIN, flags: 0, parts }).collect();
        lsn = log.append_batch(&frames, 0, Purpose::Capture)?.last.get();
        take(stock, *numbers.start(), *numbers.end())?;
    }
    Ok(lsn)
}

/// How long opening took.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// From the beginning to the last verdict, in seconds.
    pub seconds: f64,
    /// The index alone.
    pub index_seconds: f64,
    /// Frames of the log, and the keys in them.
    pub log_seconds: f64,
    /// The verdicts.
    pub verdict_seconds: f64,
    /// Frames that were replayed.
    pub frames: u64,
}

/// How the store ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// With [`Until::Close`]: the index needs nothing of the log.
    Closed,
    /// The store was killed.
    Killed,
}

/// Opens the index in `dir`, replays what its last checkpoint does not cover, and asks for a key that is known
/// and for one that is not.
///
/// # Errors
///
/// What index and log say.
///
/// # Panics
///
/// If a verdict is wrong.
pub fn open(
    dir: &Path,
    flow: Flow,
    ended: Ended,
    known: u64,
) -> Result<(Stock, Opening), Box<dyn Error>> {
    let (known_key, unknown_key) = (key(known), key(UNKNOWN + known));
    let location = location(dir)?;
    let began = Instant::now();
    let stock = Stock::open_at(location, flow)?;
    let opened = Instant::now();
    let frames = match ended {
        Ended::Closed => 0,
        Ended::Killed => replay(&stock, dir)?,
    };
    let replayed = Instant::now();
    assert_eq!(stock.lsn_of(&known_key), known);
    assert_eq!(stock.lsn_of(&unknown_key), 0);
    let judged = Instant::now();
    let opening = Opening {
        seconds: (judged - began).as_secs_f64(),
        index_seconds: (opened - began).as_secs_f64(),
        log_seconds: (replayed - opened).as_secs_f64(),
        verdict_seconds: (judged - replayed).as_secs_f64(),
        frames,
    };
    Ok((stock, opening))
}

/// Replays into the index the log's frames behind its last checkpoint; returns how many they are.
fn replay(stock: &Stock, dir: &Path) -> Result<u64, Box<dyn Error>> {
    let mut failed = None;
    let mut frames = 0;
    let mut each = |frame: &Frame<'_>| {
        if frame.kind == KIND_HOST_MIN && failed.is_none() {
            frames += 1;
            failed = restore(stock, frame.body).err();
        }
    };
    let followed = Follower::after(stock.mark).look(&OsVfs::open(dir)?, &mut each)?;
    let followed = followed.ok_or("the log is missing")?;
    if let Some(error) = failed {
        return Err(error);
    }
    if !followed.damage.is_empty() {
        return Err(format!("damage: {:?}", followed.damage).into());
    }
    Ok(frames)
}

/// Replays one frame into the index.
fn restore(stock: &Stock, body: &[u8]) -> Result<(), Box<dyn Error>> {
    let (number, rest) = body.split_first_chunk::<NUMBER_BYTES>().ok_or("a short frame")?;
    let (key, _event) = rest.split_first_chunk::<KEY_BYTES>().ok_or("a short frame")?;
    stock.restore(u64::from_le_bytes(*number), key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_was_not_closed_knows_every_key_again() {
        let dir = tempfile::tempdir().unwrap();
        let keys = 200_000;
        let flow = Flow { slice_count: 24, keys_a_window: keys };
        let (stock, log) = make(dir.path(), flow, keys).unwrap();
        assert_eq!(stock.index.unwritten(), TAIL_FRAMES);
        drop((stock, log));
        let (stock, opening) = open(dir.path(), flow, Ended::Killed, 77_777).unwrap();
        assert_eq!(opening.frames, TAIL_FRAMES);
        assert_eq!(stock.index.len(), keys);
        stock.touch(keys);

        stock.index.checkpoint(stock.mark, Until::Close).unwrap();
        drop(stock);
        let (stock, opening) = open(dir.path(), flow, Ended::Closed, 77_777).unwrap();
        assert_eq!((stock.covered, opening.frames), (keys, 0));
        stock.touch(keys);
    }
}
