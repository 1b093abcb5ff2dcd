//! A disk that counts syncs, and can run full in the middle of a write.
//! Method: a hook that counts, waits at a gate, and writes most of what was to be written.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use onceward_vfs::Vfs;

use onceward_vfs::testing::{DiskCall, Hook, Operation, hooked};

/// What was seen and what is planned; of the files in `log/`.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Syncs.
    pub(crate) syncs: AtomicU64,
    /// This write from now on, counting from 1, stores all but its last byte, then finds the disk full.
    pub(crate) full_at: AtomicU64,
    /// Names of the threads that wrote zeros.
    pub(crate) filled_by: Mutex<Vec<String>>,
    /// Zeros that were written.
    pub(crate) zeros: AtomicU64,
    /// Syncs do not return while somebody holds this.
    pub(crate) gate: Mutex<()>,
    /// Syncs that have begun.
    pub(crate) began: AtomicU64,
}

impl Watch {
    /// Watches `inner`.
    pub(crate) fn over(inner: Arc<dyn Vfs>) -> (Arc<dyn Vfs>, Arc<Self>) {
        let watch = Arc::default();
        (hooked(inner, &watch), watch)
    }
}

impl Hook for Watch {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        let Some(file) = call.file.filter(|_| call.name.starts_with("log/")) else { return Ok(()) };
        match call.operation {
            Operation::Write(bytes) => {
                let left = self.full_at.load(Ordering::SeqCst);
                self.full_at.store(left.saturating_sub(1), Ordering::SeqCst);
                if left == 1 {
                    let most = bytes.get(..bytes.len() - 1).unwrap_or_default();
                    file.write_all_at(call.offset, most)?;
                    return Err(io::Error::from(io::ErrorKind::StorageFull));
                }
            }
            Operation::SyncData => {
                self.began.fetch_add(1, Ordering::SeqCst);
                drop(self.gate.lock().unwrap());
                self.syncs.fetch_add(1, Ordering::SeqCst);
                // Gives others a chance to queue behind this sync, as a slow disk does.
                (0..50).for_each(|_| std::thread::yield_now());
            }
            Operation::WriteZeros(_) => {
                let thread = std::thread::current().name().unwrap_or("?").to_owned();
                self.filled_by.lock().unwrap().push(thread);
            }
            _ => {}
        }
        Ok(())
    }

    fn after(&self, call: &DiskCall<'_>) {
        if let Operation::WriteZeros(bytes) = call.operation {
            self.zeros.fetch_add(bytes, Ordering::SeqCst);
        }
    }
}
