//! A disk on which something else happens while a key file is read.
//! Method: a hook that acts before the first read of a key file after it is set, and once only.

use std::{
    fmt, io,
    sync::{Arc, Mutex},
};

use onceward_vfs::{
    SimVfs, Vfs,
    testing::{DiskCall, Hook, Operation, hooked},
};

type Action = Box<dyn FnOnce() + Send>;

/// What is to happen.
#[derive(Default)]
pub(crate) struct OnRead(Mutex<Option<Action>>);

impl OnRead {
    /// A simulated disk on which it happens.
    pub(crate) fn disk() -> (Arc<dyn Vfs>, Arc<Self>) {
        let hook = Arc::default();
        (hooked(Arc::new(SimVfs::new()), &hook), hook)
    }

    pub(crate) fn when_a_key_file_is_read(&self, action: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(action));
    }
}

impl fmt::Debug for OnRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRead")
    }
}

impl Hook for OnRead {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        if matches!(call.operation, Operation::Read(_)) && call.name.contains("keys-") {
            // The action may read itself.
            let action = self.0.lock().unwrap().take();
            if let Some(action) = action {
                action();
            }
        }
        Ok(())
    }
}
