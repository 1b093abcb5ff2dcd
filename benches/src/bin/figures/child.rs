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

/// What such a process does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Child {
    /// Grows an index and reports what memory that took.
    IndexMemory,
    /// Makes a store, says so, and waits to be killed.
    IndexKilled,
    /// Opens a store, captures, and reports how long that took and what memory.
    EngineOpened,
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
            Self::IndexKilled => {
                let made = killed::make(dir, flow(SLICES, keys), keys)?;
                say(&keys)?;
                // Ends only if nobody kills it.
                io::stdin().read_to_end(&mut Vec::new())?;
                drop(made);
                Err("this process was to be killed".into())
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

/// Prints what a process found.
fn say(found: &impl Serialize) -> Result<(), Box<dyn Error>> {
    println!("{}", serde_json::to_string(found)?);
    Ok(())
}
