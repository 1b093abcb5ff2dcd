//! Everything that the program writes: data to stdout, chatter to stderr. Never panics on a closed or full pipe.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde::Serialize;

use crate::exit::Failure;

/// How data is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// One JSON value a line.
    Json,
    /// For a person at a terminal.
    Table,
}

impl Style {
    /// JSON when it was asked for or when no person is looking.
    #[must_use]
    pub fn choose(json_asked: bool) -> Self {
        if json_asked || !io::stdout().is_terminal() { Self::Json } else { Self::Table }
    }
}

/// Standard output, buffered; what was written is shown by [`Output::flush`].
#[derive(Debug)]
pub struct Output {
    /// Where the bytes go.
    out: BufWriter<StdoutLock<'static>>,
}

impl Output {
    /// Takes standard output for this command.
    #[must_use]
    pub fn stdout() -> Self {
        Self { out: BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()) }
    }

    /// Writes `value` as one line of JSON.
    ///
    /// # Errors
    ///
    /// The value has no JSON form, or stdout refused.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::failed(format!("cannot write as JSON: {error}")))?;
        self.line(&text)
    }

    /// Writes `text` and a line end.
    ///
    /// # Errors
    ///
    /// Stdout refused.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{text}").map_err(|error| Failure::output(&error))
    }

    /// Hands everything written so far to the reader.
    ///
    /// # Errors
    ///
    /// Stdout refused.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::output(&error))
    }
}

/// Says something to the person at stderr.
pub fn chatter(text: &str) {
    if writeln!(io::stderr().lock(), "{text}").is_err() {
        // Stderr is where failures are told; there is no place left to tell this one.
    }
}

/// Says on stderr why the program does not end with 0.
pub fn complain(text: &str) {
    chatter(&format!("onceward: {text}"));
}

/// Enough for a batch of answers in one write.
const BUFFER_BYTES: usize = 64 * 1024;
