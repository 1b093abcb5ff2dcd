//! A disk on which something else happens while a key file is read.
//! Method: calls a hook before the first read of a key file after it is set, and once only.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use onceward_vfs::{File, LockError, LockGuard, Map, Mode, Pace, SimVfs, Vfs};

type Hook = Box<dyn FnOnce() + Send>;

/// A simulated disk with a hook.
#[derive(Clone, Default)]
pub(crate) struct Hooked {
    disk: SimVfs,
    on_read: Arc<Mutex<Option<Hook>>>,
}

impl Hooked {
    pub(crate) fn when_a_key_file_is_read(&self, hook: impl FnOnce() + Send + 'static) {
        *self.on_read.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hook));
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(f)
    }
}

impl Vfs for Hooked {
    fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        let file = self.disk.open(name, mode)?;
        if name.contains("keys-") && mode == Mode::Read {
            return Ok(Arc::new(HookedFile { file, on_read: Arc::clone(&self.on_read) }));
        }
        Ok(file)
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
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.disk.lock(name)
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.disk.free_bytes()
    }
}

struct HookedFile {
    file: Arc<dyn File>,
    on_read: Arc<Mutex<Option<Hook>>>,
}

impl fmt::Debug for HookedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl File for HookedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let hook = self.on_read.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(hook) = hook {
            hook();
        }
        self.file.read_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(offset, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn fill_zeros(&self, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()> {
        self.file.fill_zeros(len, pace)
    }
}
