//! What a good engineer writes in an afternoon: a map, a growing file with checksums, and a mutex around both.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use super::{Capture, Peer, Result, Settling};
use crate::index::keys::Key;

/// Bytes of a record before the key: its checksum and the length of key and payload.
const HEAD_BYTES: usize = 8;
/// Bytes of a key.
const KEY_BYTES: usize = size_of::<Key>();

/// Appends an event to `bytes`.
pub(super) fn encode(event: &Capture<'_>, bytes: &mut Vec<u8>) {
    let length = u32::try_from(KEY_BYTES + event.payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut checksum = crc32fast::Hasher::new();
    for part in [length.as_slice(), &event.key, event.payload] {
        checksum.update(part);
    }
    bytes.extend_from_slice(&checksum.finalize().to_le_bytes());
    for part in [length.as_slice(), &event.key, event.payload] {
        bytes.extend_from_slice(part);
    }
}

/// The bytes that the first record in `bytes` takes, if it is whole.
fn record_bytes(bytes: &[u8]) -> Result<Option<usize>> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *head;
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3]))?;
    if rest.len() < length {
        return Ok(None);
    }
    if crc32fast::hash(&bytes[4..HEAD_BYTES + length]) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err("a record is damaged".into());
    }
    Ok(Some(HEAD_BYTES + length))
}

/// The peer.
#[derive(Debug)]
pub struct Naive(Mutex<Held>);

/// What the mutex is around.
#[derive(Debug)]
struct Held {
    keys: HashMap<String, u64>,
    file: BufWriter<File>,
    /// Eight bytes: where in the file the events begin that wait.
    settled: File,
    read_to: u64,
    encoded: Vec<u8>,
    read: Vec<u8>,
}

impl Naive {
    /// Makes one in `dir`.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn open(dir: &Path) -> Result<Self> {
        let create = |name: &str| {
            OpenOptions::new().read(true).write(true).create_new(true).open(dir.join(name))
        };
        let (file, settled) = (create("events")?, create("settled")?);
        settled.write_all_at(&0_u64.to_le_bytes(), 0)?;
        settled.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(Self(Mutex::new(Held {
            keys: HashMap::new(),
            file: BufWriter::with_capacity(64 << 10, file),
            settled,
            read_to: 0,
            encoded: Vec::new(),
            read: Vec::new(),
        })))
    }

    /// What the mutex is around.
    fn held(&self) -> Result<MutexGuard<'_, Held>> {
        self.0.lock().map_err(|error| error.to_string().into())
    }
}

impl Held {
    /// Takes events into the buffer.
    fn capture(&mut self, events: &[Capture<'_>]) -> Result<usize> {
        let before = self.keys.len();
        for event in events {
            let number = self.keys.len() as u64 + 1;
            let key = str::from_utf8(&event.key)?;
            if self.keys.contains_key(key) {
                continue;
            }
            self.keys.insert(key.to_owned(), number);
            self.encoded.clear();
            encode(event, &mut self.encoded);
            self.file.write_all(&self.encoded)?;
        }
        Ok(self.keys.len() - before)
    }

    /// Notes how far events are settled.
    fn settle(&mut self, read_to: u64) -> Result<()> {
        self.settled.write_all_at(&read_to.to_le_bytes(), 0)?;
        self.settled.sync_data()?;
        self.read_to = read_to;
        Ok(())
    }
}

impl Peer for Naive {
    fn capture_durable(&self, _writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        let mut held = self.held()?;
        let fresh = held.capture(events)?;
        held.file.flush()?;
        held.file.get_ref().sync_data()?;
        Ok(fresh)
    }

    fn capture_unsynced(&self, events: &[Capture<'_>]) -> Result<usize> {
        self.held()?.capture(events)
    }

    fn sync(&self) -> Result<()> {
        let mut held = self.held()?;
        held.file.flush()?;
        Ok(held.file.get_ref().sync_data()?)
    }

    fn seen(&self, key: &Key) -> Result<u64> {
        Ok(self.held()?.keys.get(str::from_utf8(key)?).copied().unwrap_or(0))
    }

    fn drain(&self, count: usize, settling: Settling) -> Result<usize> {
        if settling == Settling::Remove {
            return Err("the file only grows".into());
        }
        let mut held = self.held()?;
        let mut read = std::mem::take(&mut held.read);
        // Events of one size: as many bytes as that many take.
        read.resize(count * (HEAD_BYTES + KEY_BYTES + crate::engine::PAYLOAD_BYTES), 0);
        let filled = held.file.get_ref().read_at(&mut read, held.read_to)?;
        let (mut at, mut events) = (0, 0);
        while events < count
            && let Some(length) = record_bytes(&read[at..filled])?
        {
            at += length;
            events += 1;
        }
        held.read = read;
        if events > 0 {
            let read_to = held.read_to + at as u64;
            held.settle(read_to)?;
        }
        Ok(events)
    }

    fn rewind(&self) -> Result<()> {
        self.held()?.settle(0)
    }
}
