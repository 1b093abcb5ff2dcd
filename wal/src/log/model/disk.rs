//! A disk that takes its time, so that other threads come between, and that fails when told.

use std::io;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onceward_vfs::testing::{DiskCall, Hook, Operation, hooked};
use onceward_vfs::{SimVfs, Vfs};

use crate::sync::atomic::AtomicBool;

/// What was seen of the segments' files, and what is to happen to them.
#[derive(Debug, Default)]
pub(super) struct SlowDisk {
    /// Syncs that were begun.
    pub(super) syncs: AtomicU64,
    /// This write from now on, counting from 1, stores all but its last byte, then finds the disk
    /// full.
    pub(super) full_at: AtomicU64,
    /// This write or sync from now on, counting from 1, panics.
    pub(super) panic_at: AtomicU64,
    /// Reading it is what lets others go on.
    turn: AtomicBool,
}

/// Counts down; whether this was the one.
pub(super) fn is_due(left: &AtomicU64) -> bool {
    let now = left.load(Ordering::SeqCst);
    left.store(now.saturating_sub(1), Ordering::SeqCst);
    now == 1
}

impl SlowDisk {
    /// A slow disk over `inner`, and the handle that controls it.
    pub(super) fn over(inner: SimVfs) -> (Arc<dyn Vfs>, Arc<Self>) {
        let slow = Arc::default();
        (hooked(Arc::new(inner), &slow), slow)
    }

    /// Another thread may go on here, if the call changes the disk. Not a yield, which would be a reason to
    /// choose another one.
    fn pause(&self, call: &DiskCall<'_>) {
        match call.operation {
            Operation::Rename
            | Operation::Remove
            | Operation::SyncDir
            | Operation::Write(_)
            | Operation::SyncData
            | Operation::Allocate(_)
            | Operation::WriteZeros(_)
            | Operation::FillZeros(_) => {
                self.turn.load(Ordering::SeqCst);
            }
            _ => {}
        }
    }

    /// Panics if this call is to. Without the hook for panics, which would take it for the end of the model.
    fn panic_if_due(&self) {
        if is_due(&self.panic_at) {
            panic::resume_unwind(Box::new("planned"));
        }
    }
}

impl Hook for SlowDisk {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        let of_segment = call.file.filter(|_| call.name.starts_with("log/"));
        if of_segment.is_some() && matches!(call.operation, Operation::SyncData) {
            self.syncs.fetch_add(1, Ordering::SeqCst);
        }
        self.pause(call);
        match (call.operation, of_segment) {
            (Operation::Write(bytes), Some(file)) => {
                self.panic_if_due();
                if is_due(&self.full_at) {
                    let most = bytes.split_last().map_or(bytes, |(_last, most)| most);
                    file.write_all_at(call.offset, most)?;
                    self.pause(call);
                    return Err(io::Error::from(io::ErrorKind::StorageFull));
                }
            }
            (Operation::SyncData, Some(_)) => self.panic_if_due(),
            _ => {}
        }
        Ok(())
    }

    fn after(&self, call: &DiskCall<'_>) {
        self.pause(call);
    }
}
