//! A disk that tells of every call before it is made, so that a test can count, wait, act or refuse.
//! Method: asks a hook first, then passes the call on to another disk.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use onceward_vfs::{File, LockError, LockGuard, Mode, Pace, Vfs};

/// What the disk is asked to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'a> {
    Open(Mode),
    List,
    Exists,
    CreateDir,
    Rename,
    Remove,
    SyncDir,
    Lock,
    FreeBytes,
    /// Up to so many bytes.
    Read(usize),
    Write(&'a [u8]),
    SyncData,
    Len,
    SetLen,
    FillZeros(u64),
}

/// A call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) what: What<'a>,
    /// Of the file or directory; the old one of a renaming.
    pub(crate) name: &'a str,
    /// First byte that is read or written; 0 for anything else.
    pub(crate) offset: u64,
    /// The file behind it, where one is open.
    pub(crate) file: Option<&'a dyn File>,
}

/// What a test does before each call.
pub(crate) trait Hook: Debug + Send + Sync + 'static {
    /// May take as long as it likes. An error is what the caller sees, and then the call is not made.
    fn before(&self, call: &Call<'_>) -> io::Result<()>;

    /// The same before a file is filled with zeros, with the pace that is asked for.
    fn before_fill(&self, _pace: &dyn Fn() -> Pace) {}
}

/// The disk, or an open file of it.
#[derive(Debug)]
struct Hooked<T: ?Sized, H: ?Sized> {
    inner: Arc<T>,
    hook: Arc<H>,
    /// Of the open file.
    name: String,
}

/// The disk `inner`, with a hook before each of its calls.
pub(crate) fn hooked<H: Hook>(inner: Arc<dyn Vfs>, hook: &Arc<H>) -> Arc<dyn Vfs> {
    Arc::new(Hooked { inner, hook: Arc::clone(hook), name: String::new() })
}

impl<H: Hook> Hooked<dyn Vfs, H> {
    fn before(&self, what: What<'_>, name: &str) -> io::Result<&dyn Vfs> {
        self.hook.before(&Call { what, name, offset: 0, file: None })?;
        Ok(&*self.inner)
    }
}

impl<H: Hook> Hooked<dyn File, H> {
    fn before(&self, what: What<'_>, offset: u64) -> io::Result<&dyn File> {
        let file = Some(&*self.inner);
        self.hook.before(&Call { what, name: &self.name, offset, file })?;
        Ok(&*self.inner)
    }
}

impl<H: Hook> Vfs for Hooked<dyn Vfs, H> {
    fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        let inner = self.before(What::Open(mode), name)?.open(name, mode)?;
        Ok(Arc::new(Hooked { inner, hook: Arc::clone(&self.hook), name: name.to_owned() }))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.before(What::List, dir)?.list(dir)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.before(What::Exists, name)?.exists(name)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.before(What::CreateDir, dir)?.create_dir(dir)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.before(What::Rename, from)?.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.before(What::Remove, name)?.remove(name)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.before(What::SyncDir, dir)?.sync_dir(dir)
    }

    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.before(What::Lock, name)?.lock(name)
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.before(What::FreeBytes, "")?.free_bytes()
    }
}

impl<H: Hook> File for Hooked<dyn File, H> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.before(What::Read(buf.len()), offset)?.read_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.before(What::Write(bytes), offset)?.write_all_at(offset, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.before(What::SyncData, 0)?.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.before(What::Len, 0)?.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.before(What::SetLen, 0)?.set_len(len)
    }

    fn fill_zeros(&self, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()> {
        let inner = self.before(What::FillZeros(len), 0)?;
        self.hook.before_fill(pace);
        inner.fill_zeros(len, pace)
    }
}
