//! raft-engine, a log without an index for keys: a map in memory remembers them.
//!
//! Each writer has a region of its own, because a region's entries have to come in the order of their numbers.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use protobuf::well_known_types::BytesValue;
use raft_engine::env::DefaultFileSystem;
use raft_engine::{Command, Config, Engine, LogBatch, MessageExt, ReadableSize};

use super::remembered::Remembered;
use super::{Capture, Peer, Result, Settling, text_of};

/// Writers that have regions.
const WRITERS_MAX: usize = 64;
/// Batches that are settled before files that are not needed are given back.
const PURGE_BATCHES: u64 = 100;

/// Entries that begin with their number.
struct Numbered;

impl MessageExt for Numbered {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        entry.value.first_chunk().map_or(0, |number| u64::from_le_bytes(*number))
    }
}

/// The peer.
pub struct RaftEngine {
    engine: Engine<DefaultFileSystem>,
    keys: Remembered,
    regions: Vec<Mutex<Region>>,
}

/// What is known of a region.
#[derive(Debug, Default)]
struct Region {
    last: u64,
    settled_to: u64,
    batches: u64,
}

impl RaftEngine {
    /// Makes one in `dir`.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub fn open(dir: &Path) -> Result<Self> {
        let config = Config {
            dir: text_of(&dir.join("log"))?,
            // The payloads are as random bytes are: trying would only take time.
            batch_compression_threshold: ReadableSize(0),
            // The least that is allowed: files are given back as soon as they can be.
            purge_threshold: ReadableSize::mb(128),
            ..Config::default()
        };
        let regions = (0..WRITERS_MAX).map(|_| Mutex::default()).collect();
        Ok(Self { engine: Engine::open(config)?, keys: Remembered::default(), regions })
    }

    /// What is known of a region, for who changes it alone.
    fn region(&self, writer: usize) -> Result<MutexGuard<'_, Region>> {
        let region = self.regions.get(writer).ok_or("too many writers")?;
        region.lock().map_err(|error| error.to_string().into())
    }

    /// Takes events as one batch.
    fn capture(&self, writer: usize, events: &[Capture<'_>], is_synced: bool) -> Result<usize> {
        let fresh = self.keys.fresh(events);
        let mut region = self.region(writer)?;
        let mut entries = Vec::with_capacity(fresh.len());
        for event in &fresh {
            region.last += 1;
            let mut entry = BytesValue::new();
            entry.value =
                [&region.last.to_le_bytes(), event.key.as_slice(), event.payload].concat();
            entries.push(entry);
        }
        let mut batch = LogBatch::with_capacity(1);
        batch.add_entries::<Numbered>(writer as u64 + 1, &entries)?;
        self.engine.write(&mut batch, is_synced)?;
        Ok(fresh.len())
    }
}

impl Peer for RaftEngine {
    fn capture_durable(&self, writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        self.capture(writer, events, true)
    }

    fn capture_unsynced(&self, events: &[Capture<'_>]) -> Result<usize> {
        self.capture(0, events, false)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.engine.sync()?)
    }

    /// Compaction is how a log of raft settles; it also lets go of files.
    fn drain(&self, count: usize, _settling: Settling) -> Result<usize> {
        let mut region = self.region(0)?;
        let from = region.settled_to + 1;
        let end = (region.last + 1).min(from + count as u64);
        if end <= from {
            return Ok(0);
        }
        let mut entries = Vec::with_capacity(count);
        self.engine.fetch_entries_to::<Numbered>(1, from, end, None, &mut entries)?;
        let mut batch = LogBatch::with_capacity(1);
        batch.add_command(1, Command::Compact { index: end });
        self.engine.write(&mut batch, true)?;
        region.settled_to = end - 1;
        region.batches += 1;
        if region.batches.is_multiple_of(PURGE_BATCHES) {
            self.engine.purge_expired_files()?;
        }
        Ok(entries.len())
    }

    fn end_draining(&self) -> Result<()> {
        self.engine.purge_expired_files()?;
        Ok(())
    }
}
