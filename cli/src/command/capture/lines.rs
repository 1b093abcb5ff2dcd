//! Cuts standard input into numbered lines as they arrive. Knows no JSON and no store.

use std::io::{self, Read};

/// The longest line that is looked at, without its line end.
pub(super) const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A line of input.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// Counts from 1.
    pub(super) number: u64,
    /// The content of the line.
    pub(super) content: Content,
}

/// The content of a line.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Content {
    /// The bytes before the line end.
    Bytes(Vec<u8>),
    /// A line of more than [`LINE_BYTES_MAX`] bytes, which were not kept.
    TooLong,
}

impl Line {
    /// Size of what is held in memory for it.
    #[must_use]
    pub(super) fn size_bytes(&self) -> usize {
        match &self.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::TooLong => 0,
        }
    }
}

/// Cuts a stream of chunks into lines; holds at most one unfinished line of [`LINE_BYTES_MAX`].
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// Lines that were finished so far.
    count: u64,
    /// The unfinished line.
    rest: Vec<u8>,
    /// Whether the unfinished line is already too long, so that its bytes are dropped.
    overflowing: bool,
    /// Whether the unfinished line has any byte.
    begun: bool,
}

impl Cutter {
    /// Takes a chunk and returns the lines that it finishes.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    self.extend(end);
                    lines.push(self.finish());
                }
                None => self.extend(piece),
            }
        }
        lines
    }

    /// The last line, if the input did not end with a line end.
    pub(super) fn end(&mut self) -> Option<Line> {
        self.begun.then(|| self.finish())
    }

    /// Adds to the unfinished line, or drops it when it gets too long.
    fn extend(&mut self, bytes: &[u8]) {
        self.begun = true;
        if self.overflowing || self.rest.len().saturating_add(bytes.len()) > LINE_BYTES_MAX {
            self.overflowing = true;
            self.rest = Vec::new();
        } else {
            self.rest.extend_from_slice(bytes);
        }
    }

    /// Ends the unfinished line.
    fn finish(&mut self) -> Line {
        self.count = self.count.saturating_add(1);
        self.begun = false;
        let bytes = std::mem::take(&mut self.rest);
        let content = match std::mem::take(&mut self.overflowing) {
            true => Content::TooLong,
            false => Content::Bytes(bytes),
        };
        Line { number: self.count, content }
    }
}

/// Reads to the end and hands over the lines of each read at once; stops early when `deliver` says so.
///
/// # Errors
///
/// Reading failed. The lines before it were handed over; an unfinished one was not.
pub(super) fn read_all(
    mut input: impl Read,
    mut deliver: impl FnMut(Vec<Line>) -> Flow,
) -> io::Result<()> {
    let mut cutter = Cutter::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let lines = cutter.feed(chunk.get(..count).unwrap_or_default());
        if !lines.is_empty() && deliver(lines) == Flow::Stop {
            return Ok(());
        }
    }
    if let Some(last) = cutter.end() {
        deliver(vec![last]);
    }
    Ok(())
}

/// Whether reading goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flow {
    /// More lines are wanted.
    Continue,
    /// Nobody takes lines any more.
    Stop,
}

/// One read: as much as a pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, text: &str) -> Line {
        Line { number, content: Content::Bytes(text.as_bytes().to_vec()) }
    }

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_arrive() {
        let input = b"one\n\ntwo\r\nlast";
        let expected = vec![line(1, "one"), line(2, ""), line(3, "two\r"), line(4, "last")];
        for chunk_bytes in 1..=input.len() {
            let mut cutter = Cutter::default();
            let mut lines = Vec::new();
            for chunk in input.chunks(chunk_bytes) {
                lines.extend(cutter.feed(chunk));
            }
            lines.extend(cutter.end());
            assert_eq!(lines, expected, "in chunks of {chunk_bytes}");
        }
    }

    #[test]
    fn a_line_end_at_the_end_begins_no_further_line() {
        let mut cutter = Cutter::default();
        assert_eq!(cutter.feed(b"a\n").len(), 1);
        assert_eq!(cutter.end(), None);
    }

    #[test]
    fn a_line_over_the_limit_is_dropped_and_its_neighbours_are_not() {
        let mut cutter = Cutter::default();
        let longest = vec![b'x'; LINE_BYTES_MAX];
        let mut input = longest.clone();
        input.extend_from_slice(b"\n");
        input.extend_from_slice(&longest);
        input.extend_from_slice(b"y\nafter\n");
        let mut lines = Vec::new();
        for chunk in input.chunks(CHUNK_BYTES) {
            lines.extend(cutter.feed(chunk));
            assert!(cutter.rest.len() <= LINE_BYTES_MAX);
        }
        assert_eq!(lines[0], Line { number: 1, content: Content::Bytes(longest) });
        assert_eq!(lines[1], Line { number: 2, content: Content::TooLong });
        assert_eq!(lines[2], line(3, "after"));
    }
}
