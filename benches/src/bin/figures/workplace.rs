//! The directory in which is measured. Removed at the end, with what is in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory of this run's own.
#[derive(Debug)]
pub(crate) struct Workplace {
    /// `None` only while it is dropped.
    own: Option<TempDir>,
    /// What it is in.
    parent: PathBuf,
}

impl Workplace {
    /// Makes one in `parent`, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        let own = TempDir::new_in(parent)?;
        Ok(Self { own: Some(own), parent: parent.to_owned() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.own.as_ref().map_or(&self.parent, TempDir::path)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if let Some(own) = self.own.take()
            && let Err(error) = own.close()
        {
            eprintln!("figures: left behind in {}: {error}", self.parent.display());
            return;
        }
        // Stays if it holds anything else.
        fs::remove_dir(&self.parent).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_removed_and_what_stood_beside_it_stays() {
        let dir = tempfile::tempdir().unwrap();
        let parent = dir.path().join("figures");
        let place = Workplace::create(&parent).unwrap();
        fs::write(place.path().join("file"), "x").unwrap();
        drop(place);
        assert!(!parent.exists());

        fs::create_dir(&parent).unwrap();
        fs::write(parent.join("mine"), "x").unwrap();
        drop(Workplace::create(&parent).unwrap());
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 1);
    }
}
