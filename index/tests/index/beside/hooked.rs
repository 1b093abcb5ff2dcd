//! A disk on which something else happens in the middle of an operation.
//! Method: counts the calls that change the names on the disk, or open a file, and acts before the one that is set.

use std::{
    fmt, io,
    sync::{Arc, Mutex},
};

use onceward_vfs::{
    SimVfs, Vfs,
    testing::{DiskCall, Hook, Operation, hooked},
};

type Action = Box<dyn FnOnce() + Send>;

/// How many calls are left, and what is to happen before the one after them.
#[derive(Default)]
pub(crate) struct Between(Mutex<(u64, Option<Action>)>);

impl Between {
    /// A disk like this one on which it happens.
    pub(crate) fn over(disk: &SimVfs) -> (Arc<dyn Vfs>, Arc<Self>) {
        let hook = Arc::default();
        (hooked(Arc::new(disk.clone()), &hook), hook)
    }

    /// Does this before the call that comes after `calls` others.
    pub(crate) fn after(&self, calls: u64, action: Action) {
        *self.0.lock().unwrap() = (calls, Some(action));
    }

    /// Whether it is still to happen.
    pub(crate) fn is_set(&self) -> bool {
        self.0.lock().unwrap().1.is_some()
    }
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Between")
    }
}

impl Hook for Between {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        if !matches!(
            call.operation,
            Operation::Open(_) | Operation::Rename | Operation::Remove | Operation::SyncDir
        ) {
            return Ok(());
        }
        // The action makes calls itself.
        let action = match &mut *self.0.lock().unwrap() {
            (0, action) => action.take(),
            (calls, _) => {
                *calls -= 1;
                None
            }
        };
        if let Some(action) = action {
            action();
        }
        Ok(())
    }
}
