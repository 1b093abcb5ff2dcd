//! okaywal, a log without an index for keys: a map in memory remembers them.
//!
//! The log is used again from time to time, and hands what it held to its owner before. Events that wait for their
//! upstream must not be lost with it: the owner keeps them in a second file.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use okaywal::{Entry, EntryId, LogManager, SegmentReader, WriteAheadLog};

use super::remembered::Remembered;
use super::{Capture, Peer, Result};

/// The peer.
#[derive(Debug)]
pub struct Okaywal {
    log: WriteAheadLog,
    keys: Remembered,
}

/// Keeps what the log would forget.
#[derive(Debug)]
struct Owner(File);

impl LogManager for Owner {
    fn recover(&mut self, _entry: &mut Entry<'_>) -> io::Result<()> {
        // No run opens a log that has entries.
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        _last: EntryId,
        entries: &mut SegmentReader,
        _log: &WriteAheadLog,
    ) -> io::Result<()> {
        let mut kept = Vec::new();
        while let Some(mut entry) = entries.read_entry()? {
            for chunk in entry.read_all_chunks()?.into_iter().flatten() {
                kept.extend_from_slice(&chunk);
            }
        }
        self.0.write_all(&kept)?;
        self.0.sync_data()
    }
}

impl Okaywal {
    /// Makes one in `dir`.
    ///
    /// # Errors
    ///
    /// What the log or the operating system says.
    pub fn open(dir: &Path) -> Result<Self> {
        let owner = Owner(File::create_new(dir.join("kept"))?);
        let log = WriteAheadLog::recover(dir.join("log"), owner)?;
        Ok(Self { log, keys: Remembered::default() })
    }
}

impl Peer for Okaywal {
    fn capture_durable(&self, _writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        let fresh = self.keys.fresh(events);
        let mut entry = self.log.begin_entry()?;
        for event in &fresh {
            let bytes = event.key.len() + event.payload.len();
            let mut chunk = entry.begin_chunk(u32::try_from(bytes)?)?;
            chunk.write_all(&event.key)?;
            chunk.write_all(event.payload)?;
            chunk.finish()?;
        }
        entry.commit()?;
        Ok(fresh.len())
    }
}
