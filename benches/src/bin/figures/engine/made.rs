//! Stores that are made once and used by many figures.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use onceward::Config;
use onceward_benches::engine::till::{Till, config};
use onceward_benches::index::process::{Emptied, anonymous_bytes, empty_cache};
use serde::{Deserialize, Serialize};

use crate::child::Child;

/// Events above which a store has segments of 64 MiB, and not those of the default size: thousands of files are
/// nobody's choice.
const IN_DEFAULT_SEGMENTS: usize = 2_000_000;

/// How a store of so many events is opened.
pub(super) fn config_of(events: usize) -> Config {
    if events > IN_DEFAULT_SEGMENTS { config() } else { Config::new() }
}

/// The report of a process that filled a store.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Filled {
    /// Anonymous memory that this took.
    pub(super) bytes: u64,
    /// Events that wait.
    pub(super) pending: u64,
}

/// Fills a new store in `dir`. What is returned must not be closed where a killed store is wanted.
pub(crate) fn filled(dir: &Path, events: u64) -> Result<(Till, Filled), Box<dyn Error>> {
    let before = anonymous_bytes()?;
    let events = usize::try_from(events)?;
    let till = Till::open(dir, config_of(events), 0)?;
    till.fill(events)?;
    onceward_benches::idle::wait_until_idle()?;
    let bytes = anonymous_bytes()?.saturating_sub(before);
    let pending = till.store.status().pending;
    Ok((till, Filled { bytes, pending }))
}

/// A store whose events all wait, that nobody has open.
#[derive(Debug)]
pub(super) struct Made {
    /// Where it is.
    pub(super) dir: PathBuf,
    /// Events that it has.
    pub(super) events: usize,
    /// What the process that made it said.
    pub(super) filled: Filled,
}

impl Made {
    /// Has a process make it in `dir`, which closes it or is killed.
    pub(super) fn by(child: Child, dir: PathBuf, events: usize) -> Result<Self, Box<dyn Error>> {
        let filled: Filled = child.have_done("engine", &dir, events as u64)?;
        assert_eq!(filled.pending, events as u64);
        Ok(Self { dir, events, filled })
    }

    /// Copies it to `to`, on the disk when this returns, and opens the copy.
    pub(super) fn copied(&self, to: &Path) -> Result<Till, Box<dyn Error>> {
        copy(&self.dir, to)?;
        rustix::fs::sync();
        Ok(Till::open(to, config_of(self.events), self.events as u64)?)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("figures: left behind in {}: {error}", self.dir.display());
        }
    }
}

/// Copies a directory with all that is in it.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Has the system forget what it knows of a store's files.
pub(super) fn chill(dir: &Path) -> io::Result<Emptied> {
    empty_cache(&[dir, &dir.join("log"), &dir.join("index"), &dir.join("summaries")])
}
