//! A disk that says of every call that it is about to be made, so that a test can count, wait, act or refuse.

use std::{fmt::Debug, io, sync::Arc};

use crate::{Expected, File, LockError, LockGuard, Map, Mode, Pace, Usurper, Vfs};

/// An operation of a disk or of an open file: the method of [`Vfs`] or [`File`] of that name.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// Opening or creating a file.
    Open(Mode),
    /// Mapping a file.
    Map,
    /// Listing a directory.
    List,
    /// Asking whether there is an entry.
    Exists,
    /// Creating a directory.
    CreateDir,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Syncing a directory.
    SyncDir,
    /// Taking the lock.
    Lock,
    /// Looking whether the tree is where it was opened.
    CheckGround,
    /// Looking what has the place of something else.
    Usurper,
    /// Moving such a thing away.
    SetAside,
    /// Asking for the free space.
    FreeBytes,
    /// Reading up to so many bytes.
    Read(usize),
    /// Writing these bytes.
    Write(&'a [u8]),
    /// Syncing a file.
    SyncData,
    /// Asking for a file's length.
    Len,
    /// Changing a file's length.
    SetLen,
    /// Taking space for a file up to this length.
    Allocate(u64),
    /// Writing so many zeros.
    WriteZeros(u64),
    /// Filling a file with zeros up to this length.
    FillZeros(u64),
}

/// One call of a disk or of an open file.
#[derive(Clone, Copy, Debug)]
pub struct DiskCall<'a> {
    /// The operation.
    pub operation: Operation<'a>,
    /// Name of the file or directory; the old one of a renaming.
    pub name: &'a str,
    /// First byte that is read or written; 0 for anything else.
    pub offset: u64,
    /// The open file, of its operations.
    pub file: Option<&'a dyn File>,
}

/// The part of a test that acts at each call of a disk.
pub trait Hook: Debug + Send + Sync + 'static {
    /// Runs before a call, and may take as long as it likes.
    ///
    /// # Errors
    ///
    /// What the caller is to see; then the call is not made.
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()>;

    /// Runs before a file is filled with zeros, with the pace that is asked for.
    fn before_fill(&self, _pace: &dyn Fn() -> Pace) {}

    /// Runs after a call that was made, whatever its result.
    fn after(&self, _call: &DiskCall<'_>) {}
}

/// A disk, or an open file of it, with its hook.
#[derive(Debug)]
struct Hooked<T: ?Sized, H: ?Sized> {
    inner: Arc<T>,
    hook: Arc<H>,
    /// Name of the open file.
    name: String,
}

/// The disk `inner`, with a hook at each of its calls.
pub fn hooked<H: Hook>(inner: Arc<dyn Vfs>, hook: &Arc<H>) -> Arc<dyn Vfs> {
    Arc::new(Hooked { inner, hook: Arc::clone(hook), name: String::new() })
}

impl<H: Hook> Hooked<dyn Vfs, H> {
    fn call<T, E: From<io::Error>>(
        &self,
        operation: Operation<'_>,
        name: &str,
        work: impl FnOnce(&dyn Vfs) -> Result<T, E>,
    ) -> Result<T, E> {
        let call = DiskCall { operation, name, offset: 0, file: None };
        self.hook.before(&call)?;
        let result = work(&*self.inner);
        self.hook.after(&call);
        result
    }
}

impl<H: Hook> Hooked<dyn File, H> {
    fn call<T>(
        &self,
        operation: Operation<'_>,
        offset: u64,
        work: impl FnOnce(&dyn File) -> io::Result<T>,
    ) -> io::Result<T> {
        let call = DiskCall { operation, name: &self.name, offset, file: Some(&*self.inner) };
        self.hook.before(&call)?;
        let result = work(&*self.inner);
        self.hook.after(&call);
        result
    }
}

impl<H: Hook> Vfs for Hooked<dyn Vfs, H> {
    fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        let inner = self.call(Operation::Open(mode), name, |disk| disk.open(name, mode))?;
        Ok(Arc::new(Hooked { inner, hook: Arc::clone(&self.hook), name: name.to_owned() }))
    }

    fn map(&self, name: &str) -> io::Result<Map> {
        self.call(Operation::Map, name, |disk| disk.map(name))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.call(Operation::List, dir, |disk| disk.list(dir))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.call(Operation::Exists, name, |disk| disk.exists(name))
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.call(Operation::CreateDir, dir, |disk| disk.create_dir(dir))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call(Operation::Rename, from, |disk| disk.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call(Operation::Remove, name, |disk| disk.remove(name))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.call(Operation::SyncDir, dir, |disk| disk.sync_dir(dir))
    }

    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.call(Operation::Lock, name, |disk| disk.lock(name))
    }

    fn check_ground(&self) -> io::Result<()> {
        self.call(Operation::CheckGround, "", |disk| disk.check_ground())
    }

    fn usurper(&self, name: &str, expected: Expected) -> io::Result<Option<Usurper>> {
        self.call(Operation::Usurper, name, |disk| disk.usurper(name, expected))
    }

    fn set_aside(&self, from: &str, to: &str) -> io::Result<()> {
        self.call(Operation::SetAside, from, |disk| disk.set_aside(from, to))
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.call(Operation::FreeBytes, "", |disk| disk.free_bytes())
    }
}

impl<H: Hook> File for Hooked<dyn File, H> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.call(Operation::Read(buf.len()), offset, |file| file.read_at(offset, buf))
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.call(Operation::Write(bytes), offset, |file| file.write_all_at(offset, bytes))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call(Operation::SyncData, 0, |file| file.sync_data())
    }

    fn len(&self) -> io::Result<u64> {
        self.call(Operation::Len, 0, |file| file.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.call(Operation::SetLen, 0, |file| file.set_len(len))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.call(Operation::Allocate(len), 0, |file| file.allocate(len))
    }

    fn write_zeros(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.call(Operation::WriteZeros(bytes), offset, |file| file.write_zeros(offset, bytes))
    }

    fn fill_zeros(&self, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()> {
        self.call(Operation::FillZeros(len), 0, |file| {
            self.hook.before_fill(pace);
            file.fill_zeros(len, pace)
        })
    }
}
