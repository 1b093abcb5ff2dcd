//! What of the log the index's files know, and whether they were written beside this log.

/// How far the files of the index go.
#[derive(Debug)]
pub(crate) struct Coverage {
    /// Frames up to and including this LSN were known when the files were written.
    upto: u64,
    /// The opening in which they were written.
    mark: u64,
    /// Whether the log knows that opening.
    is_mark_known: bool,
    /// The last opening that was read.
    last_opening: u64,
}

impl Coverage {
    /// Files that know frames up to `upto`, and were written in the opening `mark`; 0: there are none.
    pub(super) fn new(upto: u64, mark: u64) -> Self {
        Self { upto, mark, is_mark_known: upto == 0, last_opening: 0 }
    }

    /// Frames up to and including this LSN were durable once: the index's files know them.
    pub(crate) fn upto(&self) -> u64 {
        self.upto
    }

    /// The log knows this opening.
    pub(crate) fn note_opening(&mut self, opening: u64) {
        self.is_mark_known |= opening == self.mark;
        self.last_opening = opening;
    }

    /// The last opening that the log knows.
    pub(crate) fn last_opening(&self) -> u64 {
        self.last_opening
    }

    /// The log was read: whether the files were written beside it.
    pub(super) fn fits(&self) -> bool {
        self.is_mark_known
    }
}
