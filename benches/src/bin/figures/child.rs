//! Work that is done in a process of its own: because all that the process has counts, or because it is killed.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use onceward_benches::index::killed;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine;
use crate::index::{SLICES, flow, grown};
use crate::instructions;
use crate::sync;

/// What such a process does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Child {
    /// Grows an index and reports what memory that took.
    IndexMemory,
    /// Makes a store, says so, and waits to be killed.
    IndexKilled,
    /// Opens a store, captures, and reports how long that took and what memory.
    EngineOpened,
    /// Fills a store, reports what memory that took, and closes it.
    EngineClosed,
    /// Fills a store, reports the same, and waits to be killed.
    EngineKilled,
    /// Opens a store that was filled, captures, reports the same as for any store, and closes it.
    EngineReopened,
    /// Captures in the loops that are counted.
    CountedCaptures,
    /// Drains a store by ranges, counted.
    CountedRange,
    /// Drains a store with receipts, counted.
    CountedReceipts,
    /// Drains a store with receipts by key, counted.
    CountedKeys,
    /// Serves a hub, says where, and waits to be killed.
    SyncHub,
    /// Drains a store to a hub, and reports how long that took and what else.
    SyncDrained,
}

impl Child {
    /// Does it. What is found is one line of JSON.
    ///
    /// # Errors
    ///
    /// It cannot be done.
    pub(crate) fn run(self, dir: &Path, keys: u64) -> Result<(), Box<dyn Error>> {
        match self {
            Self::IndexMemory => say(&grown(dir, keys)?),
            Self::EngineOpened => say(&engine::grown(dir, keys)?),
            Self::EngineClosed => {
                let (till, filled) = engine::filled(dir, keys)?;
                till.store.close()?;
                say(&filled)
            }
            Self::EngineReopened => say(&engine::opened(dir, keys)?),
            Self::CountedCaptures => say(&instructions::captured(dir, keys)?),
            Self::CountedRange | Self::CountedReceipts | Self::CountedKeys => {
                say(&instructions::drained(dir, keys, self)?)
            }
            Self::SyncHub => sync::serve(dir),
            Self::SyncDrained => say(&sync::drain(dir)?),
            Self::EngineKilled => {
                let (till, filled) = engine::filled(dir, keys)?;
                say(&filled)?;
                be_killed(till)
            }
            Self::IndexKilled => {
                let made = killed::make(dir, flow(SLICES, keys), keys)?;
                say(&keys)?;
                be_killed(made)
            }
        }
    }

    /// Has another process do it in `dir`, kills that as soon as it has said something, and returns what it said.
    ///
    /// # Errors
    ///
    /// It said nothing that is understood.
    pub(crate) fn have_done<T: DeserializeOwned>(
        self,
        area: &str,
        dir: &Path,
        keys: u64,
    ) -> Result<T, Box<dyn Error>> {
        let value = self.to_possible_value().ok_or("no such work")?;
        let mut process = Command::new(env::current_exe()?)
            .args([area, "--child", value.get_name(), "--keys", &keys.to_string(), "--dir"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let read = match process.stdout.take() {
            Some(output) => BufReader::new(output).read_line(&mut line),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        process.kill()?;
        process.wait()?;
        read?;
        serde_json::from_str(&line)
            .map_err(|error| format!("{value:?} said {line:?}: {error}").into())
    }
}

/// Keeps what was made until somebody kills this process.
fn be_killed<T>(made: T) -> Result<(), Box<dyn Error>> {
    // Ends only if nobody kills it.
    io::stdin().read_to_end(&mut Vec::new())?;
    drop(made);
    Err("this process was to be killed".into())
}

/// Prints what a process found.
fn say(found: &impl Serialize) -> Result<(), Box<dyn Error>> {
    println!("{}", serde_json::to_string(found)?);
    Ok(())
}
