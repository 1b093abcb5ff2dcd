//! The naive file with group commit: who finds nobody writing writes what all wait for.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Condvar, Mutex};

use super::naive::encode;
use super::{Capture, Peer, Result};

/// The peer.
#[derive(Debug)]
pub struct NaiveGc {
    held: Mutex<Held>,
    written: Condvar,
    /// Taken by the one who writes.
    file: Mutex<File>,
}

/// What threads share.
#[derive(Debug, Default)]
struct Held {
    /// Keys and their groups.
    keys: HashMap<String, u64>,
    bytes: Vec<u8>,
    /// Number of the group that forms.
    forming: u64,
    /// All groups below are on disk.
    synced: u64,
    writing: bool,
    failed: bool,
}

impl NaiveGc {
    /// Makes one in `dir`.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn open(dir: &Path) -> Result<Self> {
        let file = Mutex::new(File::create_new(dir.join("events"))?);
        File::open(dir)?.sync_all()?;
        Ok(Self { held: Mutex::default(), written: Condvar::new(), file })
    }

    /// Writes and syncs a group.
    fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut file = self.file.lock().map_err(|error| error.to_string())?;
        file.write_all(bytes)?;
        Ok(file.sync_data()?)
    }
}

impl Peer for NaiveGc {
    fn capture_durable(&self, _writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        let mut held = self.held.lock().map_err(|error| error.to_string())?;
        let forming = held.forming;
        let (mut fresh, mut wanted) = (0, 0);
        for event in events {
            let key = str::from_utf8(&event.key)?;
            let group = match held.keys.get(key) {
                Some(group) => *group,
                None => {
                    held.keys.insert(key.to_owned(), forming);
                    encode(event, &mut held.bytes);
                    fresh += 1;
                    forming
                }
            };
            wanted = wanted.max(group + 1);
        }
        while held.synced < wanted {
            if held.failed {
                return Err("a write failed".into());
            }
            if held.writing {
                held = self.written.wait(held).map_err(|error| error.to_string())?;
                continue;
            }
            held.writing = true;
            held.forming += 1;
            let (group, bytes) = (held.forming, std::mem::take(&mut held.bytes));
            drop(held);
            let done = self.write(&bytes);
            held = self.held.lock().map_err(|error| error.to_string())?;
            held.writing = false;
            held.failed |= done.is_err();
            if done.is_ok() {
                held.synced = group;
            }
            self.written.notify_all();
            done?;
        }
        Ok(fresh)
    }
}
