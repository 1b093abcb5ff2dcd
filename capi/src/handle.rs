//! The handle that C holds: a store that may be closed while the handle lives. No pointers from C here.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use onceward::Store;

use crate::abi::Status;
use crate::failure::Failure;

/// An opened store; `ow_store` in C, which sees nothing of it.
///
/// Calls from several threads run side by side; closing waits for those that run.
#[derive(Debug)]
pub struct Handle {
    /// `None` once closed.
    store: RwLock<Option<Store>>,
    /// A call panicked, so what the store holds in memory may be half changed. Shared with its exchanges.
    panicked: Arc<AtomicBool>,
    /// The process that opened it.
    process: u32,
}

impl Handle {
    /// Wraps an opened store.
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store: RwLock::new(Some(store)),
            panicked: Arc::default(),
            process: std::process::id(),
        }
    }

    /// Runs `work` on the store.
    ///
    /// After a panic in one call every later one is refused: what is on disk is sound, but an
    /// answer from half changed memory might not be.
    pub(crate) fn with<T>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        refuse_if_forked(self.process)?;
        refuse_if_panicked(&self.panicked)?;
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let Some(store) = &*store else { return Err(closed()) };
        catch_unwind(AssertUnwindSafe(|| work(store))).unwrap_or_else(|said| {
            self.panicked.store(true, Ordering::Release);
            resume_unwind(said)
        })
    }

    /// Closes the store in order. The handle refuses everything from now on, also after an error.
    pub(crate) fn close(&self) -> Result<(), Failure> {
        refuse_if_forked(self.process)?;
        let taken = self.store.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(store) = taken else { return Err(closed()) };
        // Dropping the store without the clean mark is to it as a crash is.
        refuse_if_panicked(&self.panicked)?;
        store.close().map_err(Failure::from)
    }

    /// Whether a call panicked: for what works on the same store.
    pub(crate) fn panicked(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.panicked)
    }
}

/// Refuses work after a panic.
pub(crate) fn refuse_if_panicked(panicked: &AtomicBool) -> Result<(), Failure> {
    if panicked.load(Ordering::Acquire) {
        let message = "an earlier call met a bug in onceward: close and reopen the store";
        return Err(Failure::new(Status::Poisoned, "PANICKED", message));
    }
    Ok(())
}

/// Refuses work in a process that was forked from this one, which opened the store.
pub(crate) fn refuse_if_forked(process: u32) -> Result<(), Failure> {
    if process == std::process::id() {
        return Ok(());
    }
    let message =
        "the store was opened by the process from which this one was forked: open it after fork()";
    Err(Failure::new(Status::Poisoned, "GROUND_MOVED", message))
}

/// The answer on a closed handle.
fn closed() -> Failure {
    Failure::invalid("CLOSED", "store: was closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::guard;
    use onceward::Config;

    #[test]
    fn after_a_panic_the_handle_refuses_and_the_store_can_be_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let handle = Handle::new(Store::open(dir.path(), Config::new()).unwrap());
        let ask = || guard(|| handle.with(|_| Ok(())));
        assert_eq!(ask(), Status::Ok, "control: before the panic");
        assert_eq!(guard(|| handle.with(|_| -> Result<(), _> { panic!("x") })), Status::Panic);
        assert_eq!(ask(), Status::Poisoned);
        assert_eq!(guard(|| handle.close()), Status::Poisoned);
        assert_eq!(guard(|| handle.close()), Status::Invalid, "closed by the first");
        assert!(Store::open(dir.path(), Config::new()).is_ok());
    }

    #[test]
    fn a_closed_handle_refuses_everything() {
        let dir = tempfile::tempdir().unwrap();
        let handle = Handle::new(Store::open(dir.path(), Config::new()).unwrap());
        assert_eq!(guard(|| handle.close()), Status::Ok);
        assert_eq!(guard(|| handle.with(|_| Ok(()))), Status::Invalid);
        assert_eq!(guard(|| handle.close()), Status::Invalid);
        let again = Store::open(dir.path(), Config::new()).unwrap();
        assert!(again.recovery().clean);
    }
}
