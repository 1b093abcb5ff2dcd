//! The replacement of `place` and `sled` in a build without the feature `sled`: no directories and no
//! database. Nothing of this module is ever made, so the catalog is in memory, as that of a store without a place for
//! files is, and files that another build left are not touched.

use std::io;
use std::path::{Path, PathBuf};

use super::{Catalog, Change, Trouble, Visit};

/// The catalog's directories: there are none.
#[derive(Clone, Debug)]
pub(crate) enum NoDirectories {}

impl NoDirectories {
    /// None, whatever the store's directory is.
    pub(crate) fn within(_store: &Path) -> Option<Self> {
        None
    }

    pub(crate) fn current(&self) -> PathBuf {
        match *self {}
    }

    pub(crate) fn next(&self) -> PathBuf {
        match *self {}
    }

    pub(crate) fn exists(&self) -> bool {
        match *self {}
    }

    pub(crate) fn check(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn clean(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn discard(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn set_aside(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn switch(&self) -> io::Result<()> {
        match *self {}
    }
}

/// A catalog on disk: there is none.
#[derive(Debug)]
pub(crate) enum NoSled {}

impl NoSled {
    /// Refuses: this build has nothing that opens a directory.
    pub(crate) fn open(_dir: &Path) -> Result<Self, Trouble> {
        Err(Trouble::Machine("this program was built without the feature `sled`".to_owned()))
    }
}

impl Catalog for NoSled {
    fn value(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        match *self {}
    }

    fn scan(&self, _from: &[u8], _visit: Visit<'_>) -> Result<(), Trouble> {
        match *self {}
    }

    fn write(&mut self, _changes: &[Change]) -> Result<(), Trouble> {
        match *self {}
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        match *self {}
    }

    fn disk_bytes(&self) -> Result<u64, Trouble> {
        match *self {}
    }
}
