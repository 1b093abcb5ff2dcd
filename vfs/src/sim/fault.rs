//! Faults that a test plans, and the errors that they look like.

use std::{io, path::PathBuf};

use crate::GroundMoved;

/// Error numbers of Linux; what real disks say must be said here too.
pub(super) mod errno {
    /// No such file or directory.
    pub(crate) const NOT_FOUND: i32 = 2;
    /// A signal came.
    pub(crate) const INTERRUPTED: i32 = 4;
    /// The disk failed.
    pub(crate) const IO: i32 = 5;
    /// The handle does not allow this.
    pub(crate) const BAD_HANDLE: i32 = 9;
    /// The name is taken.
    pub(crate) const EXISTS: i32 = 17;
    /// A file where a directory should be.
    pub(crate) const NOT_A_DIRECTORY: i32 = 20;
    /// A directory where a file should be.
    pub(crate) const IS_A_DIRECTORY: i32 = 21;
    /// The offset is beyond what a file can have.
    pub(crate) const TOO_BIG: i32 = 27;
    /// The disk is full.
    pub(crate) const NO_SPACE: i32 = 28;
}

/// Which operations a fault can hit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FaultOp {
    /// `read_at`.
    Read,
    /// `write_all_at`, `write_zeros`, `set_len`, `allocate`, and the steps of `fill_zeros`.
    Write,
    /// `sync_data`, also within `fill_zeros`.
    SyncData,
    /// `sync_dir`, also within `create_dir`.
    SyncDir,
    /// `open`, `create_dir`, `lock`.
    Open,
    /// `rename`; the name is the old one.
    Rename,
    /// `remove`.
    Remove,
    /// `len`, `list`, `exists`, `free_bytes`.
    Look,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FaultKind {
    /// The disk failed (EIO); nothing was done.
    Eio,
    /// The disk is full (ENOSPC); nothing was done.
    Enospc,
    /// This many bytes are written, then the disk failed (EIO). As `Eio` where nothing is written.
    ShortWrite(u64),
    /// This many bytes are read, then the disk failed (EIO). As `Eio` where nothing is read.
    ShortRead(u64),
    /// A signal came after this many bytes. A read or write goes on with the rest, which is one more
    /// operation: a power cut, or another fault, may come in between. A sync fails with EINTR, as
    /// with any other error. On anything else it has no effect.
    Interrupted(u64),
    /// The tree's directory is not where it was opened ([`GroundMoved`]). A sync was done all the same, of
    /// anything else nothing.
    Moved,
}

impl FaultKind {
    /// The error that the caller sees.
    pub(super) fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            Self::Moved => return GroundMoved::Directory(PathBuf::from("simulated")).into(),
            Self::Eio | Self::ShortWrite(_) | Self::ShortRead(_) => errno::IO,
            Self::Interrupted(_) => errno::INTERRUPTED,
            Self::Enospc => errno::NO_SPACE,
        })
    }

    /// How many bytes a read or write moves before this hits it; an interruption lets at least
    /// `count_min` pass.
    pub(super) fn moved(self, op: FaultOp, count_min: u64) -> u64 {
        match (self, op) {
            (Self::ShortWrite(count), FaultOp::Write) | (Self::ShortRead(count), FaultOp::Read) => {
                count
            }
            (Self::Interrupted(count), _) => count.max(count_min),
            (
                Self::Eio | Self::Enospc | Self::Moved | Self::ShortWrite(_) | Self::ShortRead(_),
                _,
            ) => 0,
        }
    }

    /// Whether a read or write goes on with the rest.
    pub(super) fn is_continued(self) -> bool {
        matches!(self, Self::Interrupted(_))
    }

    /// The fault's name in a trace.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Eio => "EIO",
            Self::Enospc => "ENOSPC",
            Self::ShortWrite(_) => "short write, EIO",
            Self::ShortRead(_) => "short read, EIO",
            Self::Interrupted(_) => "interrupted",
            Self::Moved => "moved",
        }
    }
}

/// A planned fault; see [`SimVfs::plan`](crate::SimVfs::plan).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The operation to hit.
    pub op: FaultOp,
    /// Only where the name contains this; `""` is everywhere.
    pub name_contains: String,
    /// Which of the matching operations from now on, counting from 0.
    pub nth: u64,
    /// How it fails.
    pub kind: FaultKind,
    /// Whether every later matching operation fails too.
    pub forever: bool,
}

/// The planned faults of a disk.
#[derive(Debug, Default)]
pub(super) struct FaultPlan {
    /// Each with the number of matching operations that are still to pass.
    faults: Vec<Fault>,
}

impl FaultPlan {
    /// Adds a fault.
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Counts an operation, and says how it fails. Every matching fault counts it, the first that
    /// is due decides.
    pub(super) fn strike(&mut self, op: FaultOp, name: &str) -> Option<FaultKind> {
        let mut struck = None;
        self.faults.retain_mut(|fault| {
            if fault.op != op || !name.contains(&fault.name_contains) {
                return true;
            }
            if fault.nth > 0 {
                fault.nth -= 1;
                return true;
            }
            struck = struck.or(Some(fault.kind));
            fault.forever
        });
        struck
    }
}
