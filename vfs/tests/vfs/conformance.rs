//! Real files and the simulated disk behave alike as long as nothing crashes.
//! Method: one suite of checks on both; and deliberately broken trees, which the suite must refuse.

use std::{
    io, panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use onceward_vfs::{
    File, LockError, LockGuard, Map, Mode, OsVfs, SimVfs, Vfs,
    conformance::{self, CHECKS},
    testing::{DiskCall, Hook, hooked},
};
use tempfile::TempDir;

#[test]
fn the_simulated_disk_conforms() {
    conformance::run(&|| Box::new(SimVfs::new()));
}

#[test]
fn real_files_conform() {
    conformance::run(&|| Box::new(Temporary::new()));
}

#[test]
fn the_simulated_disk_conforms_after_a_kill() {
    conformance::run(&|| Box::new(SimVfs::new().after_kill()));
}

/// Counts calls, and refuses those of one file.
#[derive(Debug, Default)]
struct Counting {
    before: AtomicUsize,
    after: AtomicUsize,
}

impl Hook for Counting {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        self.before.fetch_add(1, Ordering::Relaxed);
        if call.name == "refused" { Err(io::ErrorKind::QuotaExceeded.into()) } else { Ok(()) }
    }

    fn after(&self, _call: &DiskCall<'_>) {
        self.after.fetch_add(1, Ordering::Relaxed);
    }
}

/// A disk with a hook, as the suite wants it.
#[derive(Debug)]
struct Shared(Arc<dyn Vfs>);

#[test]
fn a_disk_with_a_hook_conforms_and_makes_no_call_that_is_refused() {
    let hook = Arc::new(Counting::default());
    let counts = || (hook.before.load(Ordering::Relaxed), hook.after.load(Ordering::Relaxed));
    conformance::run(&|| Box::new(Shared(hooked(Arc::new(SimVfs::new()), &hook))));
    let (before, after) = counts();
    assert!(before > 100 && before == after, "{before} calls, {after} were made");

    let disk = SimVfs::new();
    let vfs = hooked(Arc::new(disk.clone()), &hook);
    let error = vfs.open("refused", Mode::CreateNew).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
    assert!(!disk.exists("refused").unwrap());
    assert_eq!(counts(), (before + 1, after));
}

#[test]
fn the_suite_refuses_a_tree_whose_rename_forgets_the_file() {
    let broken = || -> Box<dyn Vfs> { Box::new(Forgetful(SimVfs::new())) };
    let failed = CHECKS.iter().filter(|(_, check)| check(broken().as_ref()).is_err()).count();
    assert!(failed >= 3, "only {failed} checks noticed");
    assert!(panic::catch_unwind(|| conformance::run(&broken)).is_err());
}

#[test]
fn a_tree_without_maps_conforms_and_one_with_wrong_maps_does_not() {
    conformance::run(&|| Box::new(Mapless(SimVfs::new())));
    let broken = || -> Box<dyn Vfs> { Box::new(Zeroing(SimVfs::new())) };
    let failed = CHECKS.iter().filter(|(_, check)| check(broken().as_ref()).is_err()).count();
    assert_eq!(failed, 3);
}

/// Real files in a directory that goes away with the tree.
#[derive(Debug)]
struct Temporary {
    vfs: OsVfs,
    _dir: TempDir,
}

impl Temporary {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let vfs = OsVfs::create(&dir.path().join("store")).unwrap();
        Self { vfs, _dir: dir }
    }
}

/// A tree whose `rename` only removes.
#[derive(Debug)]
struct Forgetful(SimVfs);

/// A tree with the `map` of the trait, which offers none.
#[derive(Debug)]
struct Mapless(SimVfs);

/// A tree whose maps hold zeros.
#[derive(Debug)]
struct Zeroing(SimVfs);

/// Implements `Vfs` by an inner tree, with the given `rename` and `more`.
macro_rules! delegate {
    ($type:ty, $inner:tt, $rename:expr, {$($more:item)*}) => {
        impl Vfs for $type {
            fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
                self.$inner.open(name, mode)
            }
            fn list(&self, dir: &str) -> io::Result<Vec<String>> {
                self.$inner.list(dir)
            }
            fn exists(&self, name: &str) -> io::Result<bool> {
                self.$inner.exists(name)
            }
            fn create_dir(&self, dir: &str) -> io::Result<()> {
                self.$inner.create_dir(dir)
            }
            fn rename(&self, from: &str, to: &str) -> io::Result<()> {
                $rename(&self.$inner, from, to)
            }
            fn remove(&self, name: &str) -> io::Result<()> {
                self.$inner.remove(name)
            }
            fn sync_dir(&self, dir: &str) -> io::Result<()> {
                self.$inner.sync_dir(dir)
            }
            fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
                self.$inner.lock(name)
            }
            fn free_bytes(&self) -> io::Result<Option<u64>> {
                self.$inner.free_bytes()
            }
            $($more)*
        }
    };
}

delegate!(Temporary, vfs, |vfs: &OsVfs, from, to| vfs.rename(from, to), {
    fn map(&self, name: &str) -> io::Result<Map> {
        self.vfs.map(name)
    }
});
delegate!(Shared, 0, |vfs: &Arc<dyn Vfs>, from, to| vfs.rename(from, to), {
    fn map(&self, name: &str) -> io::Result<Map> {
        self.0.map(name)
    }
});
delegate!(Forgetful, 0, |vfs: &SimVfs, from, _to: &str| vfs.remove(from), {});
delegate!(Mapless, 0, |vfs: &SimVfs, from, to| vfs.rename(from, to), {});
delegate!(Zeroing, 0, |vfs: &SimVfs, from, to| vfs.rename(from, to), {
    fn map(&self, name: &str) -> io::Result<Map> {
        Ok(Map::new(vec![0; self.0.map(name)?.len()]))
    }
});
