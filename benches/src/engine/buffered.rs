//! The limit of captures that are not synced one by one: xxh3, a table that was made large enough at
//! once, a checksum, a copy, and a write for each MiB. It keeps no secret and syncs nothing.

use std::error::Error;
use std::fs::File;
use std::hash::BuildHasherDefault;
use std::io::{self, Write};
use std::path::Path;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use twox_hash::XxHash3_128;

use crate::index::floor::LowBits;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 1 << 20;

/// Keys, and a file.
#[derive(Debug)]
pub struct Buffered {
    seen: HashMap<u128, u64, BuildHasherDefault<LowBits>>,
    file: File,
    buffer: Vec<u8>,
    next: u64,
}

impl Buffered {
    /// With room for this many keys.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn create(path: &Path, keys: usize) -> Result<Self, Box<dyn Error>> {
        let buffer = Vec::with_capacity(2 * WRITE_BYTES);
        let seen = HashMap::with_capacity_and_hasher(keys, BuildHasherDefault::default());
        Ok(Self { seen, file: File::create(path)?, buffer, next: 0 })
    }

    /// Touches all memory of the table: that the system gives each page on its first use is no cost of an event.
    pub fn touch(&mut self) {
        self.seen.extend((0..self.seen.capacity()).map(|number| (number as u128, 0)));
        self.seen.clear();
    }

    /// Takes an event, unless its key was seen; returns whether it was fresh.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    pub fn capture(&mut self, key: &[u8], payload: &[u8]) -> bool {
        let Entry::Vacant(free) = self.seen.entry(XxHash3_128::oneshot(key)) else { return false };
        free.insert(self.next);
        self.next += 1;
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(key);
        checksum.update(payload);
        self.buffer.extend_from_slice(&checksum.finalize().to_le_bytes());
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(payload);
        if self.buffer.len() >= WRITE_BYTES {
            self.file.write_all(&self.buffer).unwrap();
            self.buffer.clear();
        }
        true
    }

    /// Puts what was written on the disk: not what the limit does, but what those beside it must not be made to do.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
