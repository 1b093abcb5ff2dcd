//! Where a demo keeps its files: a temporary directory that is always removed, or one that is kept.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tempfile::TempDir;

use super::dialect::Particulars;
use crate::{exit::Failure, outside};

/// The directory of one demo.
#[derive(Debug)]
pub(super) struct Site {
    /// The directory itself.
    dir: PathBuf,
    /// Removes it at the end, unless it is kept.
    temporary: Option<TempDir>,
}

/// What a kept demo remembers besides its stores, so that it can be compared again.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    /// Purchases that were to be captured.
    pub(super) rows: u64,
    /// Keys that were ever in review.
    pub(super) reviewed: Vec<String>,
    /// Requests that reached the line.
    pub(super) upload_requests: u64,
    /// Replies that the uploader never had whole.
    pub(super) replies_lost: u64,
    /// How often the terminal, the uploader and the hub were killed in the middle of their work.
    pub(super) kills: u64,
    /// How long it took.
    pub(super) seconds: f64,
    /// What its dialect makes different.
    #[serde(default)]
    pub(super) dialect: Particulars,
}

impl Site {
    /// A new directory, removed at the end unless `keep` names one that is to stay.
    ///
    /// # Errors
    ///
    /// It cannot be created, or is there already with something in it.
    pub(super) fn create(keep: Option<&Path>) -> Result<Self, Failure> {
        let refused =
            |error| Failure::failed(format!("cannot create a directory for the demo: {error}"));
        let Some(dir) = keep else {
            let temporary =
                tempfile::Builder::new().prefix("onceward-demo-").tempdir().map_err(refused)?;
            return Ok(Self { dir: temporary.path().to_owned(), temporary: Some(temporary) });
        };
        fs::create_dir_all(dir).map_err(refused)?;
        if fs::read_dir(dir).map_err(refused)?.next().is_some() {
            return Err(Failure::usage(format!("--keep: {} is not empty", dir.display())));
        }
        Ok(Self { dir: dir.to_owned(), temporary: None })
    }

    /// A directory that was kept.
    #[must_use]
    pub(super) fn kept(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), temporary: None }
    }

    /// Removes the directory unless it is kept.
    ///
    /// # Errors
    ///
    /// Something of it stays behind.
    pub(super) fn remove(self) -> Result<(), Failure> {
        let Some(temporary) = self.temporary else { return Ok(()) };
        let left = format!("cannot remove {}", self.dir.display());
        temporary.close().map_err(|error| Failure::failed(format!("{left}: {error}")))
    }

    /// The terminal's store.
    #[must_use]
    pub(super) fn terminal(&self) -> PathBuf {
        self.dir.join("terminal")
    }

    /// The hub's data.
    #[must_use]
    pub(super) fn hub(&self) -> PathBuf {
        self.dir.join("hub")
    }

    /// The hub's cards.
    #[must_use]
    pub(super) fn cards(&self) -> PathBuf {
        self.dir.join("cards.jsonl")
    }

    /// What the terminal's log held when everything was captured and nothing sent.
    #[must_use]
    pub(super) fn captured(&self) -> PathBuf {
        self.dir.join("captured.jsonl")
    }

    /// The items that were in review.
    #[must_use]
    pub(super) fn reviewed(&self) -> PathBuf {
        self.dir.join("reviewed.jsonl")
    }

    /// What the children said on stderr.
    fn chatter(&self) -> PathBuf {
        self.dir.join("chatter.txt")
    }

    /// Where a child's stderr goes.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub(super) fn chatter_file(&self) -> Result<File, Failure> {
        let file = OpenOptions::new().create(true).append(true).open(self.chatter());
        file.map_err(|error| Failure::failed(format!("cannot open a file of the demo: {error}")))
    }

    /// The last lines that children said on stderr, to explain a failure.
    #[must_use]
    pub(super) fn last_chatter(&self) -> String {
        let bytes = outside::read(&self.chatter(), FILE_BYTES_MAX).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut last: Vec<&str> = text.lines().rev().take(CHATTER_LINES_SHOWN).collect();
        last.reverse();
        last.join("\n")
    }

    /// Replaces a file in one step, so that whoever reads it sees the old content or the new.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(super) fn replace(&self, file: &Path, content: &str) -> Result<(), Failure> {
        let temporary = file.with_extension("new");
        let written = File::create(&temporary)
            .and_then(|mut new| new.write_all(content.as_bytes()))
            .and_then(|()| fs::rename(&temporary, file));
        written
            .map_err(|error| Failure::failed(format!("cannot write {}: {error}", file.display())))
    }

    /// Remembers the run in a kept directory.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(super) fn write_run(&self, run: &Run) -> Result<(), Failure> {
        let text = serde_json::to_string(run)
            .map_err(|error| Failure::failed(format!("cannot write as JSON: {error}")))?;
        self.replace(&self.dir.join(RUN), &text)
    }

    /// What a kept directory remembers of its run.
    ///
    /// # Errors
    ///
    /// The directory is not one that `--keep` made.
    pub(super) fn read_run(&self) -> Result<Run, Failure> {
        let mut lines: Vec<Run> = read_lines(&self.dir.join(RUN))?;
        lines.pop().ok_or_else(|| Failure::failed(format!("{RUN} is empty")))
    }
}

/// Reads a file of JSON lines.
///
/// # Errors
///
/// It cannot be read, or a line is not what it should be.
pub(super) fn read_lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>, Failure> {
    let refused = |why: String| Failure::failed(format!("cannot read {}: {why}", file.display()));
    let bytes = outside::read(file, FILE_BYTES_MAX).map_err(|error| refused(error.to_string()))?;
    let text = str::from_utf8(&bytes).map_err(|error| refused(error.to_string()))?;
    let values = text.lines().map(serde_json::from_str).collect::<serde_json::Result<Vec<T>>>();
    values.map_err(|error| refused(error.to_string()))
}

/// Largest file of a demo that is read, bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The file that remembers the run.
const RUN: &str = "run.json";

/// How much of the children's chatter explains a failure.
const CHATTER_LINES_SHOWN: usize = 5;
