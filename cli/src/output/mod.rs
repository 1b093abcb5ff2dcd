//! Everything that the program writes: data to stdout, chatter to stderr. Never panics on a closed or full
//! pipe, never waits for a reader once a signal came, and shows nothing from outside as it is: a key may
//! hold what a terminal obeys.

mod escape;
mod pipe;

use std::io::{self, IsTerminal};

use comfy_table::Table;
use serde::Serialize;

use self::pipe::Pipe;
use crate::exit::Failure;

pub use self::escape::shown;

/// How data is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// One JSON value a line.
    Json,
    /// Text for a person at a terminal.
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
    out: Pipe,
    /// Bytes that are not written yet.
    waiting: Vec<u8>,
    /// Whether a person is looking.
    is_terminal: bool,
}

impl Output {
    /// Takes standard output for this command.
    #[must_use]
    pub fn stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self { out: Pipe::stdout(), waiting: Vec::with_capacity(BUFFER_BYTES), is_terminal }
    }

    /// Writes `value` as one line of JSON. At a terminal, escapes replace what it would obey;
    /// the values are the same.
    ///
    /// # Errors
    ///
    /// The value has no JSON form, or stdout refused.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::failed(format!("cannot write as JSON: {error}")))?;
        if self.is_terminal { self.push(&escape::json(&text)) } else { self.push(&text) }
    }

    /// Writes `text`, escaped, and a line end.
    ///
    /// # Errors
    ///
    /// Stdout refused.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.push(&shown(text))
    }

    /// Writes a text of several lines.
    ///
    /// # Errors
    ///
    /// Stdout refused.
    pub fn paragraph(&mut self, text: &str) -> Result<(), Failure> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// Writes a listing.
    ///
    /// # Errors
    ///
    /// Stdout refused.
    pub fn listing(&mut self, listing: &Listing) -> Result<(), Failure> {
        // Its cells are escaped by now.
        listing.0.to_string().lines().try_for_each(|line| self.push(line))
    }

    /// Hands everything written so far to the reader.
    ///
    /// # Errors
    ///
    /// Stdout refused, or a signal came while its reader did not read.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let written = self.out.write_all(&self.waiting);
        self.waiting.clear();
        written.map_err(|error| Failure::output(&error))
    }

    /// Whether anybody can still read what is written.
    #[must_use]
    pub fn has_reader(&self) -> bool {
        self.out.has_reader()
    }

    /// Writes a line as it is.
    fn push(&mut self, line: &str) -> Result<(), Failure> {
        self.waiting.extend_from_slice(line.as_bytes());
        self.waiting.push(b'\n');
        if self.waiting.len() < BUFFER_BYTES { Ok(()) } else { self.flush() }
    }
}

/// Rows of cells for a person.
#[derive(Debug)]
pub struct Listing(Table);

impl Listing {
    /// A listing without a row.
    #[must_use]
    pub fn new() -> Self {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        Self(table)
    }

    /// Names the columns.
    pub fn head<const COLUMNS: usize>(&mut self, names: [&str; COLUMNS]) {
        self.0.set_header(names);
    }

    /// Adds a row; its cells are shown escaped.
    pub fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.0.add_row(cells.into_iter().map(|cell| shown(cell.as_ref()).into_owned()));
    }
}

impl Default for Listing {
    fn default() -> Self {
        Self::new()
    }
}

/// So many of something, with the word for one or for several: `1 event`, `2 events`.
#[must_use]
pub fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// Says something to the person at stderr, in one line.
pub fn chatter(text: &str) {
    if Pipe::stderr().write_all(format!("{}\n", shown(text)).as_bytes()).is_err() {
        // Stderr is where failures are reported; there is no place left to report this one.
    }
}

/// Says on stderr why the program does not end with 0. A text of several lines is one of this program's own.
pub fn complain(text: &str) {
    chatter(&format!("onceward: {text}"));
}

/// As [`complain`], for a text of several lines.
pub fn complain_at_length(text: &str) {
    let mut lines = text.lines();
    complain(lines.next().unwrap_or_default());
    lines.for_each(chatter);
}

/// Enough for a batch of answers in one write.
const BUFFER_BYTES: usize = 64 * 1024;
