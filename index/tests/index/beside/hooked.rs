//! A disk on which something else happens in the middle of an operation.
//! Method: counts the calls that change the disk, and calls the hook before the one that it is set to.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use onceward_vfs::{File, LockError, LockGuard, Map, Mode, SimVfs, Vfs};

type Hook = Box<dyn FnOnce() + Send>;

/// A simulated disk with a hook.
#[derive(Clone)]
pub(crate) struct Hooked {
    pub(crate) disk: SimVfs,
    set: Arc<Mutex<(u64, Option<Hook>)>>,
}

impl Hooked {
    pub(crate) fn new(disk: SimVfs) -> Self {
        Self { disk, set: Arc::default() }
    }

    /// Calls `hook` before the call that comes after `calls` others.
    pub(crate) fn after(&self, calls: u64, hook: Hook) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = (calls, Some(hook));
    }

    /// Whether the hook is still to be called.
    pub(crate) fn is_set(&self) -> bool {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).1.is_some()
    }

    fn strike(&self) {
        let hook = {
            let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *set {
                (0, hook) => hook.take(),
                (calls, _) => {
                    *calls -= 1;
                    None
                }
            }
        };
        if let Some(hook) = hook {
            hook();
        }
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(f)
    }
}

impl Vfs for Hooked {
    fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        self.strike();
        self.disk.open(name, mode)
    }

    fn map(&self, name: &str) -> io::Result<Map> {
        self.disk.map(name)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.disk.exists(name)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.strike();
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.strike();
        self.disk.remove(name)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.strike();
        self.disk.sync_dir(dir)
    }

    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.disk.lock(name)
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.disk.free_bytes()
    }
}
