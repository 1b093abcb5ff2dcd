//! Why what is written would not be found again: the ground moved under an open tree.

use std::{error, fmt, io, path::PathBuf};

/// The change since a tree was opened because of which nothing is written any more.
///
/// It comes as the inner error of an [`io::Error`] of whatever writes: of a write before anything of
/// it was done, of a sync after what was written survives a crash, wherever that is now.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GroundMoved {
    /// This process is a fork of the one that opened the tree.
    Process {
        /// Number of the process that opened the tree.
        opener: u32,
    },
    /// The path of the tree's directory leads nowhere, or to another one.
    Directory(PathBuf),
    /// The name of the file is gone, or another file's.
    File(String),
}

impl GroundMoved {
    /// The reason, if it is why `error` came.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for GroundMoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { opener } => {
                write!(f, "this process is a fork of process {opener}, which opened the directory")
            }
            Self::Directory(path) => {
                let path = path.display();
                write!(f, "directory {path} was moved, removed, or something else took its place")
            }
            Self::File(name) => {
                write!(f, "{name} was moved, removed, or another file took its place")
            }
        }
    }
}

impl error::Error for GroundMoved {}

impl From<GroundMoved> for io::Error {
    fn from(moved: GroundMoved) -> Self {
        Self::other(moved)
    }
}
