//! Real files and the simulated disk behave alike as long as nothing crashes.
//! Method: one suite of checks on both; and deliberately broken trees, which the suite must refuse.

use std::{io, panic, sync::Arc};

use onceward_vfs::{
    File, LockError, LockGuard, Map, Mode, OsVfs, SimVfs, Vfs,
    conformance::{self, CHECKS},
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
delegate!(Forgetful, 0, |vfs: &SimVfs, from, _to: &str| vfs.remove(from), {});
delegate!(Mapless, 0, |vfs: &SimVfs, from, to| vfs.rename(from, to), {});
delegate!(Zeroing, 0, |vfs: &SimVfs, from, to| vfs.rename(from, to), {
    fn map(&self, name: &str) -> io::Result<Map> {
        Ok(Map::new(vec![0; self.0.map(name)?.len()]))
    }
});
