//! A directory of small files, each replaced whole: for hosts that keep something beside a store.

use std::io;
use std::path::Path;

use crate::{OsVfs, read_all, replace};

/// A directory of small files, each replaced whole.
#[derive(Debug)]
pub struct SmallFiles(OsVfs);

impl SmallFiles {
    /// Opens the directory, or makes it.
    ///
    /// # Durability
    ///
    /// After `Ok` the directory survives a crash.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn open(dir: &Path) -> io::Result<Self> {
        OsVfs::create(dir).map(Self)
    }

    /// The content of a file of at most `bytes_max` bytes; `None`: there is none.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is longer.
    pub fn read(&self, name: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        match read_all(&self.0, name, bytes_max) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// Replaces the content of a file.
    ///
    /// # Durability
    ///
    /// After `Ok` the new content survives a crash; after an error the old one is there, or the new one.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        replace(&self.0, name, content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_it_was_replaced_with_last() {
        let dir = tempfile::tempdir().unwrap();
        let files = SmallFiles::open(&dir.path().join("files")).unwrap();
        assert_eq!(files.read("a", 9).unwrap(), None);
        files.replace("a", b"one").unwrap();
        files.replace("a", b"two").unwrap();
        let again = SmallFiles::open(&dir.path().join("files")).unwrap();
        assert_eq!(again.read("a", 9).unwrap().as_deref(), Some(b"two".as_slice()));
        assert!(again.read("a", 2).is_err(), "too long");
    }
}
