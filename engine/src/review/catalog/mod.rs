//! Rare things in order: what waits for a person and what persons decided, by time, scope and code.
//!
//! Nothing of its own: everything in it is in the log, and losing it loses nothing. It answers
//! what the log could only answer by being read. It says up to which frame it has applied the log,
//! in the same transaction as what it applied; opening feeds it what is missing, compares what it
//! holds with what the log says, and makes it anew if they differ.
//!
//! | file | what |
//! |---|---|
//! | `rows` | keys and values |
//! | `shelf` | what is asked and given, whatever holds it |
//! | `memory` | a catalog in memory: for simulated disks, without the feature `sled`, and when the files fail |
//! | `sled` | a catalog on disk; the only file that names sled |
//! | `hand` | a thread that waits for sled, so that nobody else waits for ever |
//! | `place` | its directories: leftovers, setting aside, switching |
//! | `no_files` | replaces the last three in a build without the feature `sled` |
//!
//! Formed batches are not here: each synchronisation forms one, so they are not rare, and memory
//! has them whole. Nor are payloads and keys: an item leads to its event in the log.

#[cfg(feature = "sled")]
mod hand;
mod memory;
#[cfg(not(feature = "sled"))]
mod no_files;
#[cfg(feature = "sled")]
mod place;
mod rows;
mod shelf;
#[cfg(feature = "sled")]
mod sled;

use std::fmt;
use std::ops::ControlFlow;

pub(crate) use memory::Memory;
#[cfg(not(feature = "sled"))]
pub(crate) use no_files::{NoDirectories as Directories, NoSled as Sled};
#[cfg(feature = "sled")]
pub(crate) use place::Directories;
pub(crate) use rows::{AppliedUpTo, ReviewRow, RowId};
pub(crate) use shelf::{Fact, Query, Shelf};
#[cfg(feature = "sled")]
pub(crate) use sled::Sled;

/// Why a catalog cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    /// The catalog's files are of no use: they are set aside and made anew.
    Files(String),
    /// The machine has no thread for it, or it does not answer: its files are left as they are, and
    /// are not tried again before the store is opened again.
    Machine(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Files(why) | Self::Machine(why)) = self;
        f.write_str(why)
    }
}

/// What a visit of pairs does with one of them: stop or go on.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// One change of a catalog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// The key has this value now.
    Put(Vec<u8>, Vec<u8>),
    /// The key is gone.
    Remove(Vec<u8>),
}

/// Pairs of keys and values in the order of the keys.
pub(crate) trait Catalog: Send + fmt::Debug {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// The files cannot be read: the catalog is of no use any more.
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Trouble>;

    /// Visits the pairs with `from` and behind it, until the visit stops.
    ///
    /// # Errors
    ///
    /// As [`Catalog::value`].
    fn scan(&self, from: &[u8], visit: Visit<'_>) -> Result<(), Trouble>;

    /// Makes changes: all of them or none, also after a crash.
    ///
    /// # Durability
    ///
    /// They may be gone after a crash, until [`Catalog::flush`]; then all later ones are gone too.
    ///
    /// # Errors
    ///
    /// As [`Catalog::value`].
    fn write(&mut self, changes: &[Change]) -> Result<(), Trouble>;

    /// Writes what is in memory, so that opening has less to feed. Nothing depends on it.
    ///
    /// # Errors
    ///
    /// As [`Catalog::value`].
    fn flush(&mut self) -> Result<(), Trouble>;

    /// Bytes of its files.
    ///
    /// # Errors
    ///
    /// As [`Catalog::value`].
    fn disk_bytes(&self) -> Result<u64, Trouble>;
}
