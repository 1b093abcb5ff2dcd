//! The simulated disk as a [`Vfs`].

use std::{io, process, sync::Arc};

use parking_lot::Mutex;

use super::{
    SimVfs,
    disk::{DiskState, raw},
    fault::{FaultOp, errno},
    handle::SimFile,
    map::SimMap,
    names::{DirEntry, NameChange},
    operations::Detail,
};
use crate::{
    File, LockError, LockGuard, Map, Mode, Vfs,
    name::{self, Name},
};

impl Vfs for SimVfs {
    fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        Name::parse(name)?;
        let mut disk = self.disk.lock();
        let label = if mode == Mode::CreateNew { "create" } else { "open" };
        disk.operations.pass((label, FaultOp::Open), name, Detail::None)?;
        let file = match mode {
            Mode::Read | Mode::Write => disk.find_file(name)?.1,
            Mode::CreateNew => match disk.find(name)? {
                (_, Some(_)) => return Err(raw(errno::EXISTS)),
                (place, None) => disk.create(place)?,
            },
        };
        let inode = disk.inode(file)?;
        inode.handles += 1;
        let failed_syncs = inode.failed_syncs;
        let (shared, name) = (Arc::clone(&self.disk), name.to_owned());
        Ok(Arc::new(SimFile::new(shared, file, name, mode, failed_syncs)))
    }

    /// Two operations, an opening and a read. The whole file is read at once, so that a planned read
    /// error is returned: there are no signals here.
    ///
    /// # Panics
    ///
    /// If the file has unsynced changes. So does every later change of it while the map lives.
    fn map(&self, name: &str) -> io::Result<Map> {
        Name::parse(name)?;
        let mut disk = self.disk.lock();
        disk.operations.pass(("open", FaultOp::Open), name, Detail::None)?;
        let (_, file) = disk.find_file(name)?;
        disk.operations.pass(("map", FaultOp::Read), name, Detail::None)?;
        let lies = disk.medium.lying_syncs;
        let inode = disk.inode(file)?;
        let synced = inode.pending.is_empty() || lies;
        assert!(synced, "{name} is mapped with unsynced changes: sync it first");
        // On a real disk the first use of that page would be a signal.
        inode.readable(0, inode.live.len())?;
        inode.maps += 1;
        let bytes = inode.live.to_vec();
        Ok(Map::new(SimMap::new(Arc::clone(&self.disk), file, bytes)))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        name::check_dir(dir)?;
        let mut disk = self.disk.lock();
        disk.operations.pass(("list", FaultOp::Look), dir, Detail::None)?;
        disk.check_dir(dir)?;
        Ok(disk.names.live.dir(dir).into_iter().flat_map(|it| it.keys().cloned()).collect())
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Name::parse(name)?;
        let mut disk = self.disk.lock();
        disk.operations.pass(("exists", FaultOp::Look), name, Detail::None)?;
        match disk.find(name) {
            Ok((_, found)) => Ok(found.is_some()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        name::check_dir(dir)?;
        let mut parent = String::new();
        for part in name::parts(dir) {
            let path = name::join(&parent, part);
            {
                let mut disk = self.disk.lock();
                disk.operations.pass(("create_dir", FaultOp::Open), &path, Detail::None)?;
                match disk.find(&path)? {
                    (_, Some(DirEntry::Dir)) => {}
                    (_, Some(DirEntry::File(_))) => return Err(raw(errno::NOT_A_DIRECTORY)),
                    (at, None) => {
                        disk.refuse_if_full()?;
                        disk.change_names(NameChange::Add { at, what: DirEntry::Dir });
                    }
                }
            }
            self.sync_dir(&parent)?;
            parent = path;
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Name::parse(from)?;
        Name::parse(to)?;
        let mut disk = self.disk.lock();
        disk.operations.pass(("rename", FaultOp::Rename), from, Detail::To(to.to_owned()))?;
        let (from, file) = disk.find_file(from)?;
        let (to, replaced) = disk.find(to)?;
        match replaced {
            Some(DirEntry::Dir) => return Err(raw(errno::IS_A_DIRECTORY)),
            Some(DirEntry::File(same)) if same == file => return Ok(()),
            Some(DirEntry::File(other)) => disk.credit(other),
            None => {}
        }
        disk.change_names(NameChange::Move { from, to, file });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Name::parse(name)?;
        let mut disk = self.disk.lock();
        disk.operations.pass(("remove", FaultOp::Remove), name, Detail::None)?;
        let (at, file) = disk.find_file(name)?;
        disk.credit(file);
        disk.change_names(NameChange::Remove { at, file });
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        name::check_dir(dir)?;
        let mut disk = self.disk.lock();
        disk.operations.pass(("sync_dir", FaultOp::SyncDir), dir, Detail::None)?;
        disk.check_dir(dir)?;
        if !disk.medium.lying_syncs {
            disk.names.sync(dir);
            disk.forget_nameless();
        }
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
        Name::parse(name)?;
        let mut disk = self.disk.lock();
        disk.operations.pass(("lock", FaultOp::Open), name, Detail::None)?;
        let (at, found) = disk.find(name)?;
        let dir = at.dir.clone();
        if disk.locks.contains(&dir) {
            return Err(LockError::Held { pid: Some(process::id()) });
        }
        match found {
            Some(DirEntry::Dir) => return Err(raw(errno::IS_A_DIRECTORY).into()),
            Some(DirEntry::File(_)) => {}
            None => {
                disk.create(at)?;
            }
        }
        disk.locks.insert(dir.clone());
        Ok(Box::new(SimLock { disk: Arc::clone(&self.disk), dir }))
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        let mut disk = self.disk.lock();
        disk.operations.pass(("free_bytes", FaultOp::Look), "", Detail::None)?;
        Ok(disk.free_bytes)
    }
}

/// A held lock of a simulated disk.
#[derive(Debug)]
struct SimLock {
    /// The disk.
    disk: Arc<Mutex<DiskState>>,
    /// The directory that it locks.
    dir: String,
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.lock().locks.remove(&self.dir);
    }
}
