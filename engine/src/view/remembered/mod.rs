//! The keys that are remembered: the index, and how the log is told to it.
//!
//! The index has files of its own, so opening tells it only what they do not cover. They are a view
//! like any other: when they do not fit the log they are given up and the whole log is told again.

mod anew;
mod lost;
mod more;
mod moved;

use std::collections::BTreeSet;
use std::sync::Arc;

use onceward_index::{
    ContentHash, Discarded, Entry, Expired, Fingerprint, Index, KnownKey, Lookup, OpenedIndex,
    Options, Reserved, SliceId, Window,
};

pub(crate) use lost::{LostKeys, Strays};

use super::Windows;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

mod release;
mod settle;

/// The index, and what of the log it knows.
#[derive(Debug)]
pub(crate) struct Remembered {
    index: Arc<Index>,
    windows: Windows,
    /// Frames up to and including this LSN were told when the index's files were written.
    covered: u64,
    /// The opening in which they were written.
    mark: u64,
    /// Whether the log knows that opening.
    is_mark_known: bool,
    /// The last opening that was read.
    last_opening: u64,
    /// The log is being read.
    is_replaying: bool,
    /// Why no answer can be trusted any more.
    broken: Option<String>,
    /// Why it must be made anew before it answers.
    damaged: Option<String>,
    /// Keys that were given back meanwhile, each with the frame that says so.
    unreleased: Vec<(Fingerprint, u64)>,
}

/// A slice of keys that an unsettled event holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Held {
    /// `None` while the log is read: its keys were carried elsewhere.
    pub(crate) slice: Option<SliceId>,
    /// Its window, and when the slice began in which the log has the event.
    pub(crate) window: Window,
    pub(crate) begin: u64,
}

/// A key that a frame takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taking {
    pub(crate) entry: Entry,
    pub(crate) window: Window,
}

impl Remembered {
    /// Without keys, in memory only.
    ///
    /// # Errors
    ///
    /// `Invalid`: the window or the memory is outside its range.
    pub(crate) fn in_memory(config: &Config) -> Result<Self> {
        let invalid =
            |refused: &dyn ToString| Error::invalid("CONFIG_INVALID", refused.to_string());
        let index = Index::new(options(config)).map_err(|refused| invalid(&refused))?;
        Ok(Self {
            index: Arc::new(index),
            windows: Windows::of_config(config)?,
            covered: 0,
            mark: 0,
            is_mark_known: true,
            last_opening: 0,
            is_replaying: true,
            broken: None,
            damaged: None,
            unreleased: Vec::new(),
        })
    }

    /// With what the files of an index hold.
    ///
    /// # Errors
    ///
    /// As [`Remembered::in_memory`].
    pub(crate) fn opened(opened: OpenedIndex, config: &Config) -> Result<Self> {
        let OpenedIndex { index, covered, mark } = opened;
        let is_mark_known = covered == 0;
        let index = Arc::new(index);
        Ok(Self { index, covered, mark, is_mark_known, ..Self::in_memory(config)? })
    }

    /// How long the keys of each scope are remembered.
    pub(crate) fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The index itself, for checkpoints.
    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Why the index began empty although it had files.
    pub(crate) fn discarded(&self) -> Option<&Discarded> {
        self.index.discarded()
    }

    /// Frames up to and including this LSN were durable once: the index's files know them.
    pub(crate) fn covered(&self) -> u64 {
        self.covered
    }

    /// The log knows this opening.
    pub(crate) fn saw_opening(&mut self, opening: u64) {
        self.is_mark_known |= opening == self.mark;
        self.last_opening = opening;
    }

    /// The last opening that the log knows.
    pub(crate) fn last_opening(&self) -> u64 {
        self.last_opening
    }

    /// The log was read: why the index's files do not fit it, if they do not.
    pub(crate) fn misfit(&self) -> Option<String> {
        let other = |info: &onceward_index::SliceInfo| {
            !self.windows.all().any(|window| window == info.window)
        };
        if let Some(why) = &self.broken {
            Some(why.clone())
        } else if !self.is_mark_known {
            Some("it was written beside another log".to_owned())
        } else if self.covered > 0 && self.index.slices().iter().any(other) {
            Some("its keys have another window".to_owned())
        } else {
            None
        }
    }

    /// The log was read.
    pub(crate) fn end_replay(&mut self) {
        self.is_replaying = false;
    }

    /// Judges the keys of a call.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(super) fn lookup(&self, keys: &[(Fingerprint, ContentHash)]) -> Result<Vec<Lookup>> {
        self.refuse_if_unusable()?;
        let mut verdicts = Vec::with_capacity(keys.len());
        self.index.lookup_batch(keys, &mut verdicts).map_err(|error| failed(&error))?;
        Ok(verdicts)
    }

    /// What is remembered of a key.
    ///
    /// # Errors
    ///
    /// As [`Remembered::lookup`].
    pub(super) fn find(&self, key: Fingerprint) -> Result<Option<KnownKey>> {
        self.refuse_if_unusable()?;
        self.index.find(key).map_err(|error| failed(&error))
    }

    /// Refuses if so many more keys may not find room.
    ///
    /// # Errors
    ///
    /// `Full`.
    pub(crate) fn check_room(&self, count: usize) -> Result<()> {
        self.index
            .check_room(count)
            .map_err(|error| Error::new(ErrorKind::Full, "INDEX_FULL", error.to_string()))
    }

    /// Takes keys for frames that are queued. The caller judged them in the same critical section.
    pub(crate) fn take(&mut self, takings: &[Taking], trusted_ms: u64) -> Vec<Held> {
        let mut all = Vec::with_capacity(takings.len());
        let mut reserved = Vec::with_capacity(takings.len());
        for same in takings.chunk_by(|one, two| one.window == two.window) {
            let Some(Taking { window, .. }) = same.first().copied() else { continue };
            let entries: Vec<Entry> = same.iter().map(|taking| taking.entry).collect();
            reserved.clear();
            let done = self.index.insert_batch(&entries, window, trusted_ms, &mut reserved);
            if let Err(error) = done {
                self.give_up(&error.to_string());
            }
            let held = |at: usize| match reserved.get(at) {
                Some(Reserved::Taken(slice)) => Some(*slice),
                Some(Reserved::Known(_)) | None => None,
            };
            let begin = self.index.slice_begin(window, trusted_ms);
            all.extend((0..same.len()).map(|at| Held { slice: held(at), window, begin }));
        }
        if all.iter().any(|held| held.slice.is_none()) {
            self.give_up("a key that was judged new was not taken");
        }
        all
    }

    /// The frames are durable.
    pub(crate) fn confirm(&self, lsns: impl IntoIterator<Item = u64>) {
        self.index.confirm_batch(lsns);
    }

    /// The frame was not stored: its key is free again, if it still is that frame's.
    pub(crate) fn withdraw(&mut self, key: Fingerprint, lsn: u64) -> bool {
        match self.index.withdraw(key, lsn) {
            Ok(is_withdrawn) => is_withdrawn,
            Err(error) => {
                self.give_up(&error.to_string());
                false
            }
        }
    }

    /// The log tells, in the frame `frame`, of an event whose slice began at `begin`.
    pub(crate) fn replay_event(&mut self, taking: Taking, frame: u64, begin: u64) -> Held {
        let Taking { entry, window } = taking;
        // Not the frame: one that cleaning carried tells of an event that came before.
        if entry.lsn <= self.covered {
            return Held { slice: self.index.hold_covered(window, begin), window, begin };
        }
        let slice = self.restore(taking, frame, begin);
        self.index.hold_slice(slice);
        Held { slice: Some(slice), window, begin }
    }

    /// When the slice of this window began that a key of this moment is in.
    pub(crate) fn slice_begin(&self, window: Window, trusted_ms: u64) -> u64 {
        self.index.slice_begin(window, trusted_ms)
    }

    /// The log tells of the key of a settled event whose frame is gone.
    pub(crate) fn replay_key(&mut self, taking: Taking, frame: u64, begin: u64, settled_ms: u64) {
        // A key that came before is in the index's files, or was forgotten since.
        if taking.entry.lsn > self.covered {
            self.restore(taking, frame, begin);
        }
        self.index.raise_settled(taking.window, begin, settled_ms);
    }

    /// Whether the log is being read, so that the index is told what is in it.
    pub(crate) fn is_replaying(&self) -> bool {
        self.is_replaying
    }

    /// The LSN of the unsettled event that has a key already, where that can be said at no cost: while
    /// the whole log is told to an empty index.
    pub(crate) fn taken_by(&self, key: Fingerprint) -> Option<u64> {
        if self.covered > 0 {
            return None;
        }
        self.index.find(key).ok().flatten().map(|found| found.lsn)
    }

    /// A frame that takes no key was applied.
    pub(crate) fn tell(&self, frame: u64) {
        self.index.tell(frame);
    }

    /// Holds the slice of a key that was carried, of an event that is still unsettled.
    pub(crate) fn hold_carried(&mut self, key: Fingerprint, held: &mut Held) {
        self.hold_if_known(key, held);
        if held.slice.is_none() {
            self.give_up("it does not know the key of an unsettled event");
        }
    }

    /// Forgets the slices that are over; returns those of which unsettled events must be carried.
    pub(crate) fn expire(&self, trusted_ms: u64) -> Expired {
        self.index.expire(trusted_ms)
    }

    /// Moves the key of an unsettled event into the current slice.
    pub(crate) fn carry(&mut self, key: Fingerprint, held: &mut Held, trusted_ms: u64) {
        let Some(from) = held.slice else { return };
        match self.index.carry(key, from, trusted_ms) {
            Ok(Some(slice)) => {
                held.slice = Some(slice);
                held.begin = self.index.slice_info(slice).map_or(held.begin, |info| info.begin);
            }
            Ok(None) => self.give_up("it does not know the key of an unsettled event"),
            // The disk does not answer now: the slice waits until it does.
            Err(error) if error.kind() == onceward_index::ErrorKind::Io => {}
            // Or until it was made anew.
            Err(error) => self.missed(&error),
        }
    }

    /// When the slice of a key began, and when it was last settled.
    pub(crate) fn slice_times(&self, slice: SliceId) -> Option<(u64, u64)> {
        let info = self.index.slice_info(slice)?;
        Some((info.begin, info.last_settled.unwrap_or(info.begin)))
    }

    /// The slices that are not forgotten: their windows, and when they began.
    pub(crate) fn live_slices(&self) -> BTreeSet<(Window, u64)> {
        self.index.slices().iter().map(|slice| (slice.window, slice.begin)).collect()
    }

    /// Keys that are remembered.
    pub(crate) fn len(&self) -> u64 {
        self.index.len()
    }

    fn restore(&mut self, taking: Taking, frame: u64, begin: u64) -> SliceId {
        let slice = self.index.slice(taking.window, begin);
        if let Err(error) = self.index.restore(slice, taking.entry, frame) {
            self.missed(&error);
        }
        slice
    }

    /// It could not be told of a frame. In an open store it is made anew before the next answer, from the log, which
    /// has that frame; while the log is read it does not fit.
    fn missed(&mut self, error: &onceward_index::Error) {
        let is_unreadable = match error.kind() {
            onceward_index::ErrorKind::Corrupt | onceward_index::ErrorKind::Io => true,
            onceward_index::ErrorKind::Full | onceward_index::ErrorKind::Invalid => false,
        };
        if is_unreadable && !self.is_replaying {
            self.index.stop_writing();
            self.damaged.get_or_insert_with(|| error.to_string());
        } else {
            self.give_up(&error.to_string());
        }
    }

    /// From now on no key is judged: the store must be opened again, and the log is told anew.
    fn give_up(&mut self, why: &str) {
        let discarded = if self.is_replaying { Ok(()) } else { self.index.give_up_files() };
        let and = discarded.map_or_else(|error| format!("; {error}"), |()| String::new());
        self.broken.get_or_insert_with(|| format!("{why}{and}"));
    }

    fn refuse_if_unusable(&self) -> Result<()> {
        if let Some(why) = &self.broken {
            let message = format!("the index cannot be used: {why}; open the store again");
            return Err(Error::new(ErrorKind::Poisoned, "INDEX_UNUSABLE", message));
        }
        self.damaged.as_ref().map_or(Ok(()), |why| Err(damaged(why)))
    }
}

/// The index could not answer. Damaged files stay until others took their place: nothing else may know the keys in
/// them that can still be read.
fn failed(error: &onceward_index::Error) -> Error {
    match error.kind() {
        onceward_index::ErrorKind::Corrupt => damaged(&error.to_string()),
        onceward_index::ErrorKind::Full => {
            Error::new(ErrorKind::Full, "INDEX_FULL", error.to_string())
        }
        onceward_index::ErrorKind::Invalid | onceward_index::ErrorKind::Io => {
            Error::new(ErrorKind::Io, "INDEX_IO", error.to_string())
        }
    }
}

fn damaged(why: &str) -> Error {
    let message = format!("the index is damaged, and is made anew from the log: {why}");
    Error::new(ErrorKind::Corrupt, "INDEX_DAMAGED", message)
}

/// The index's options.
pub(crate) fn options(config: &Config) -> Options {
    let memory_bytes_max = config.index_memory_bytes_max;
    let reading = config.index_reading.into();
    Options { memory_bytes_max, reading, ..Options::default() }
}
