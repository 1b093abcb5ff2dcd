//! What is made in a directory belongs to whom the directory belongs, and nobody else may read it.
//! Method: directories of other users and groups, as root; as anybody else, of our own.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

use onceward_vfs::{Mode, OsVfs, Vfs, replace};
use rustix::process::{getegid, geteuid};

/// Somebody who is not root: they need no name.
const SOMEBODY: (u32, u32) = (54_321, 54_322);

/// User, group and permission bits.
fn of(path: &Path) -> io::Result<(u32, u32, u32)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777))
}

/// To whom directories can be given here.
fn somebody() -> (u32, u32) {
    if geteuid().is_root() { SOMEBODY } else { (geteuid().as_raw(), getegid().as_raw()) }
}

/// Makes a file in each way there is.
fn make_all(vfs: &OsVfs) -> io::Result<()> {
    vfs.create_dir("dir/inner")?;
    vfs.open("file", Mode::CreateNew)?;
    vfs.open("dir/inner/file", Mode::CreateNew)?;
    replace(vfs, "replaced", b"new")?;
    drop(vfs.lock("lock").map_err(io::Error::other)?);
    Ok(())
}

#[test]
fn what_is_made_belongs_to_the_owner_of_the_directory_whoever_makes_it() {
    let (uid, gid) = somebody();
    for (of_root, of_files, of_directories) in [
        (0o700, 0o600, 0o700),
        (0o755, 0o600, 0o700),
        (0o770, 0o660, 0o770),
        (0o2775, 0o660, 0o770),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        fs::create_dir(&root).unwrap();
        chown(&root, Some(uid), Some(gid)).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(of_root)).unwrap();
        let vfs = OsVfs::create(&root).unwrap();
        for _ in 0..2 {
            make_all(&vfs).unwrap();
            for file in ["file", "dir/inner/file", "replaced", "lock"] {
                assert_eq!(
                    of(&root.join(file)).unwrap(),
                    (uid, gid, of_files),
                    "{file} in {of_root:o}"
                );
            }
            for dir in ["dir", "dir/inner"] {
                let (found_uid, found_gid, mode) = of(&root.join(dir)).unwrap();
                assert_eq!((found_uid, found_gid), (uid, gid), "{dir} in {of_root:o}");
                assert_eq!(mode & 0o777, of_directories, "{dir} in {of_root:o}");
            }
            vfs.remove("file").unwrap();
            vfs.remove("dir/inner/file").unwrap();
        }
        assert_eq!(of(&root).unwrap(), (uid, gid, of_root), "the owner's choice");
    }
}

#[test]
fn a_directory_that_root_makes_belongs_to_the_owner_of_the_one_it_is_in() {
    let (uid, gid) = somebody();
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(uid), Some(gid)).unwrap();
    let root = home.join("deep/store");
    let vfs = OsVfs::create(&root).unwrap();
    make_all(&vfs).unwrap();
    for made in [home.join("deep"), root.clone(), root.join("dir")] {
        assert_eq!(of(&made).unwrap(), (uid, gid, 0o700), "{}", made.display());
    }
    assert_eq!(of(&root.join("file")).unwrap(), (uid, gid, 0o600));
}

#[test]
fn what_others_may_write_to_is_not_mapped() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let vfs = OsVfs::create(&root).unwrap();
    replace(&vfs, "file", b"bytes").unwrap();
    assert!(vfs.is_only_ours());
    assert_eq!(&*vfs.map("file").unwrap(), b"bytes", "control");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o770)).unwrap();
    let vfs = OsVfs::open(&root).unwrap();
    assert!(!vfs.is_only_ours());
    assert_eq!(vfs.map("file").unwrap_err().kind(), io::ErrorKind::Unsupported);
}

#[test]
fn a_file_that_is_there_is_given_to_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let vfs = OsVfs::create(&root).unwrap();
    let theirs = dir.path().join("theirs");
    fs::write(&theirs, b"").unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o644)).unwrap();
    fs::hard_link(&theirs, root.join("lock")).unwrap();
    let (uid, gid) = somebody();
    chown(&root, Some(uid), Some(gid)).unwrap();
    let before = of(&theirs).unwrap();
    drop(OsVfs::open(&root).unwrap().lock("lock").unwrap());
    assert_eq!(of(&theirs).unwrap(), before, "a link to another's file in the place of the lock");
    drop(vfs);
}
