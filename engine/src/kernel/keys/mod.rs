//! The keys that are remembered: the index, and how the log is applied to it.
//!
//! The index has files of its own, so opening applies only what they do not cover. The files can be made anew
//! from the log: when they do not fit it they are given up and the whole log is applied.

mod anew;
mod asking;
mod carry;
mod coverage;
mod frames;
mod lost;
mod more;
mod moved;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use onceward_index::{
    Discarded, Entry, Expired, Fingerprint, Index, KeyBatch, KnownKey, OpenedIndex, Options,
    SliceId, Window,
};

pub(crate) use asking::Asking;
pub(crate) use carry::keys_of;
use coverage::Coverage;
pub(crate) use frames::{KeyEntry, KeysFrame};
pub(crate) use lost::{LostKeys, Strays, frames_of_lost};
use replay::KeyReplay;
pub(crate) use windows::Windows;

use crate::base::{Error, ErrorKind, Result};

mod release;
mod replay;
mod settle;
mod taking;
mod windows;

/// What a host chooses of the keys.
#[derive(Clone, Debug)]
pub(crate) struct KeySettings {
    /// How long the keys of each scope are remembered.
    pub(crate) windows: Windows,
    /// Memory that the index may take, bytes.
    pub(crate) memory_bytes_max: u64,
    /// How the index reads its files.
    pub(crate) reading: onceward_index::ReadMode,
}

impl KeySettings {
    /// What the index is opened with.
    pub(crate) fn options(&self) -> Options {
        let (memory_bytes_max, reading) = (self.memory_bytes_max, self.reading);
        Options { memory_bytes_max, reading, ..Options::default() }
    }
}

/// The index, and what of the log it knows.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    index: Arc<Index>,
    windows: Windows,
    coverage: Coverage,
    /// The log is being read.
    is_replaying: bool,
    /// Why no answer can be trusted any more.
    broken: Option<String>,
    /// Why the index must be made anew before it answers.
    damaged: Option<String>,
    /// Keys that were given back meanwhile, each with the frame that says so.
    unreleased: Vec<(Fingerprint, u64)>,
    /// What was answered last of where a slice begins, which each capture asks twice.
    begun: Cell<SliceBegun>,
}

/// A window and a moment, and when the slice began that is of both.
type SliceBegun = (Option<(Window, u64)>, u64);

/// A slice of keys that an unsettled event holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SliceHold {
    /// `None` while the log is read: its keys were carried elsewhere.
    pub(crate) slice: Option<SliceId>,
    /// The key's window, and when the slice began in which the log has the event.
    pub(crate) window: Window,
    pub(crate) begin: u64,
}

/// A key that a frame takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reservation {
    pub(crate) entry: Entry,
    pub(crate) window: Window,
}

impl KeyIndex {
    /// Without keys, in memory only.
    ///
    /// # Errors
    ///
    /// `Invalid`: the window or the memory is outside its range.
    pub(crate) fn in_memory(settings: &KeySettings) -> Result<Self> {
        let invalid =
            |refused: &dyn ToString| Error::invalid("CONFIG_INVALID", refused.to_string());
        let index = Index::new(settings.options()).map_err(|refused| invalid(&refused))?;
        Ok(Self {
            index: Arc::new(index),
            windows: settings.windows.clone(),
            coverage: Coverage::new(0, 0),
            is_replaying: true,
            broken: None,
            damaged: None,
            unreleased: Vec::new(),
            begun: Cell::default(),
        })
    }

    /// With what the files of an index hold.
    ///
    /// # Errors
    ///
    /// As [`KeyIndex::in_memory`].
    pub(crate) fn opened(opened: OpenedIndex, settings: &KeySettings) -> Result<Self> {
        let OpenedIndex { index, covered, mark } = opened;
        let (index, coverage) = (Arc::new(index), Coverage::new(covered, mark));
        Ok(Self { index, coverage, ..Self::in_memory(settings)? })
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

    /// What of the log the index's files know.
    pub(crate) fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// What of the log the index's files know, to note more of it while the log is read.
    pub(crate) fn coverage_mut(&mut self) -> &mut Coverage {
        &mut self.coverage
    }

    /// Access for what frames say of keys while the log is read.
    pub(crate) fn replay(&mut self) -> KeyReplay<'_> {
        KeyReplay { keys: self }
    }

    /// The log was read: why the index's files do not fit it, if they do not.
    pub(crate) fn misfit(&self) -> Option<String> {
        let other = |info: &onceward_index::SliceInfo| {
            !self.windows.all().any(|window| window == info.window)
        };
        if let Some(why) = &self.broken {
            Some(why.clone())
        } else if !self.coverage.fits() {
            Some("it was written beside another log".to_owned())
        } else if self.coverage.upto() > 0 && self.index.slices().iter().any(other) {
            Some("its keys have another window".to_owned())
        } else {
            None
        }
    }

    /// The log was read.
    pub(crate) fn end_replay(&mut self) {
        self.is_replaying = false;
    }

    /// What is remembered of a key.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(crate) fn find(&self, key: Fingerprint) -> Result<Option<KnownKey>> {
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

    /// The frames from the first to the last are durable.
    pub(crate) fn confirm(&self, lsns: RangeInclusive<u64>) {
        KeyBatch::of(&self.index).confirm_range(*lsns.start(), *lsns.end());
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

    /// When the slice of this window began that a key of this moment is in.
    pub(crate) fn slice_begin(&self, window: Window, trusted_ms: u64) -> u64 {
        let (asked, known) = self.begun.get();
        if asked == Some((window, trusted_ms)) {
            return known;
        }
        let begin = self.index.slice_begin(window, trusted_ms);
        self.begun.set((Some((window, trusted_ms)), begin));
        begin
    }

    /// Whether the log is being read and applied to the index.
    pub(crate) fn is_replaying(&self) -> bool {
        self.is_replaying
    }

    /// The LSN of the unsettled event that has a key already, where that can be said at no cost: while
    /// the whole log is applied to an empty index.
    pub(crate) fn taken_by(&self, key: Fingerprint) -> Option<u64> {
        if self.coverage.upto() > 0 {
            return None;
        }
        self.index.find(key).ok().flatten().map(|found| found.lsn)
    }

    /// Notes that a frame was applied that takes no key: the next checkpoint of the index covers it.
    pub(crate) fn mark_applied(&self, frame: u64) {
        self.index.mark_applied(frame);
    }

    /// Holds the slice of a key that was carried, of an event that is still unsettled.
    pub(crate) fn hold_carried(&mut self, key: Option<Fingerprint>, held: &mut SliceHold) {
        if let Some(key) = key {
            self.hold_if_known(key, held);
        }
        if held.slice.is_none() {
            self.give_up("it lacks the key of an unsettled event");
        }
    }

    /// Forgets the slices that are over; returns those of which unsettled events must be carried.
    pub(crate) fn expire(&self, trusted_ms: u64) -> Expired {
        self.index.expire(trusted_ms)
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

    fn restore(&mut self, reservation: Reservation, frame: u64, begin: u64) -> SliceId {
        let slice = self.index.slice(reservation.window, begin);
        if let Err(error) = self.index.restore(slice, reservation.entry, frame) {
            self.missed(&error);
        }
        slice
    }

    /// A frame could not be applied to the index. In an open store the index is made anew before the next answer,
    /// from the log, which has that frame; while the log is read the index does not fit.
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

    /// Judges no key from now on: the store must be opened again, which applies the whole log.
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
