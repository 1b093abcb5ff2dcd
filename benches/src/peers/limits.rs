//! What the machine can do for the work of the peers, without the rest of it. Only the last one remembers keys.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;
use std::hash::BuildHasherDefault;
use twox_hash::XxHash3_128;

use super::{Capture, EVENT_BYTES, Peer, Result, Settling};
use crate::engine::SEGMENT_BYTES;
use crate::engine::buffered::Buffered;
use crate::gathering::Gathering;
use crate::index::floor::LowBits;
use crate::index::keys::Key;
use crate::raw::RawFile;

/// Keys for which the limit of unsynced captures has room.
const UNSYNCED_KEYS: usize = 2_000_000;

/// One write and one sync of as many bytes, on blocks that were written before.
#[derive(Debug)]
pub struct Raw(Mutex<(RawFile, Vec<u8>)>);

impl Raw {
    /// Makes the file.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Self(Mutex::new((RawFile::create(&dir.join("raw"), SEGMENT_BYTES)?, Vec::new()))))
    }
}

impl Peer for Raw {
    fn capture_durable(&self, _writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (raw, bytes) = &mut *held;
        bytes.resize(events.len() * EVENT_BYTES, 0x5a);
        raw.write_synced(black_box(bytes))?;
        Ok(events.len())
    }
}

/// The same for many threads: a gathering group commit.
#[derive(Debug)]
pub struct Gathered(Gathering);

impl Gathered {
    /// Makes the file.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Self(Gathering::new(RawFile::create(&dir.join("raw"), SEGMENT_BYTES)?)))
    }
}

impl Peer for Gathered {
    fn capture_durable(&self, _writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        let bytes = [0x5a; EVENT_BYTES];
        for _ in events {
            self.0.commit(black_box(&bytes))?;
        }
        Ok(events.len())
    }
}

/// xxh3, a table that was made large enough, a checksum, a copy, and a write for each MiB; no sync.
#[derive(Debug)]
pub struct Unsynced(Mutex<Buffered>);

impl Unsynced {
    /// Makes table and file.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn open(dir: &Path) -> Result<Self> {
        let buffered = Buffered::create(&dir.join("events"), UNSYNCED_KEYS);
        let mut buffered = buffered.map_err(|error| error.to_string())?;
        buffered.touch();
        Ok(Self(Mutex::new(buffered)))
    }
}

impl Peer for Unsynced {
    fn capture_durable(&self, _writer: usize, _events: &[Capture<'_>]) -> Result<usize> {
        Err("this limit syncs nothing".into())
    }

    fn capture_unsynced(&self, events: &[Capture<'_>]) -> Result<usize> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(events.iter().filter(|event| held.capture(&event.key, event.payload)).count())
    }
}

/// Lookups: xxh3 and a table. Draining: events are read and their checksums computed, and 8 bytes are synced.
#[derive(Debug)]
pub struct Held {
    table: Mutex<HashMap<u128, u64, BuildHasherDefault<LowBits>>>,
    events: File,
    event_bytes: AtomicU64,
    drained_bytes: AtomicU64,
    cursor: Mutex<RawFile>,
    read: Mutex<Vec<u8>>,
}

impl Held {
    /// Makes table and files.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn open(dir: &Path) -> Result<Self> {
        let table = HashMap::with_capacity_and_hasher(1_000_000, BuildHasherDefault::default());
        Ok(Self {
            table: Mutex::new(table),
            events: File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(dir.join("events"))?,
            event_bytes: AtomicU64::new(0),
            drained_bytes: AtomicU64::new(0),
            cursor: Mutex::new(RawFile::create(&dir.join("cursor"), 1)?),
            read: Mutex::default(),
        })
    }
}

impl Peer for Held {
    fn capture_durable(&self, _writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let before = table.len();
        for event in events {
            let number = table.len() as u64 + 1;
            table.entry(XxHash3_128::oneshot(&event.key)).or_insert(number);
        }
        let bytes = vec![0x5a; events.len() * EVENT_BYTES];
        let at = self.event_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.events.write_all_at(&bytes, at)?;
        Ok(table.len() - before)
    }

    fn seen(&self, key: &Key) -> Result<u64> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(table.get(&XxHash3_128::oneshot(key)).copied().unwrap_or(0))
    }

    fn drain(&self, count: usize, _settling: Settling) -> Result<usize> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.resize(count * EVENT_BYTES, 0);
        let at = self.drained_bytes.load(Ordering::Relaxed);
        let filled = self.events.read_at(&mut read, at)?;
        let events = read.get(..filled).unwrap_or_default().chunks_exact(EVENT_BYTES);
        let count = events.len();
        for event in events {
            black_box(crc32fast::hash(event));
        }
        if count > 0 {
            let settled = at + (count * EVENT_BYTES) as u64;
            let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
            cursor.write_synced(&settled.to_le_bytes())?;
            self.drained_bytes.store(settled, Ordering::Relaxed);
        }
        Ok(count)
    }

    fn rewind(&self) -> Result<()> {
        self.drained_bytes.store(0, Ordering::Relaxed);
        Ok(())
    }
}
