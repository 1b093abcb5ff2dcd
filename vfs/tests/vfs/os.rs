//! Real files are ours alone, inside their directory, and locked against a second process.
//! Method: put what an intruder or a second process would put there, and look at modes and answers.

use std::{
    fs,
    io::{self, BufRead, BufReader, ErrorKind, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use onceward_vfs::{File, LockError, Mode, OsVfs, Pace, Vfs};
use rustix::fs::{CWD, FileType, Mode as Permissions, mknodat};

/// Tells the test that plays the second process which directory to lock.
const CHILD_DIR: &str = "ONCEWARD_VFS_TEST_LOCK_DIR";

/// What the second process says when it has the lock.
const LOCKED: &str = "locked";

/// The permission bits of a path.
fn mode_of(path: &Path) -> io::Result<u32> {
    Ok(fs::symlink_metadata(path)?.mode() & 0o7777)
}

#[test]
fn files_and_directories_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("deep/store");
    let vfs = OsVfs::create(&root).unwrap();
    vfs.open("file", Mode::CreateNew).unwrap();
    vfs.create_dir("inner").unwrap();
    let _guard = vfs.lock("lock").unwrap();
    assert_eq!(mode_of(&root).unwrap(), 0o700);
    assert_eq!(mode_of(&dir.path().join("deep")).unwrap(), 0o700);
    assert_eq!(mode_of(&root.join("inner")).unwrap(), 0o700);
    assert_eq!(mode_of(&root.join("file")).unwrap(), 0o600);
    assert_eq!(mode_of(&root.join("lock")).unwrap(), 0o600);
    assert_eq!(vfs.path(), root);
}

#[test]
fn create_keeps_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    OsVfs::create(&root).unwrap().open("file", Mode::CreateNew).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o750)).unwrap();
    assert_eq!(OsVfs::create(&root).unwrap().list("").unwrap(), ["file"]);
    assert_eq!(mode_of(&root).unwrap(), 0o750, "the owner's choice");
}

#[test]
fn opening_needs_a_directory_that_not_everybody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let missing = OsVfs::open(&dir.path().join("none")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    assert_eq!(OsVfs::open(&file).unwrap_err().kind(), ErrorKind::NotADirectory);
    assert_eq!(OsVfs::create(&file).unwrap_err().kind(), ErrorKind::NotADirectory);
    assert!(OsVfs::open(dir.path()).is_ok(), "control");
    for mode in [0o702, 0o777] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        let error = OsVfs::open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("writable by everybody"), "{error}");
    }
}

#[test]
fn symbolic_links_below_the_root_are_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let vfs = OsVfs::open(dir.path()).unwrap();
    symlink(outside.path().join("secret"), dir.path().join("link")).unwrap();
    symlink(outside.path().join("new"), dir.path().join("dangling")).unwrap();
    symlink(outside.path(), dir.path().join("dir")).unwrap();

    assert_eq!(vfs.list("").unwrap(), ["dangling", "dir", "link"]);
    assert_eq!(vfs.open("link", Mode::Read).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(vfs.open("link", Mode::Write).is_err());
    assert!(vfs.open("dangling", Mode::CreateNew).is_err());
    assert!(vfs.lock("dangling").is_err());
    assert!(vfs.open("dir/secret", Mode::Read).is_err());
    assert!(vfs.open("dir/new", Mode::CreateNew).is_err());
    assert!(vfs.list("dir").is_err());
    assert!(vfs.remove("dir/secret").is_err());
    assert!(vfs.create_dir("dir/inner").is_err());
    assert!(vfs.rename("link", "dir/link").is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert!(vfs.exists("dangling").unwrap(), "the entry is there, whatever it leads to");
}

#[test]
fn a_pipe_in_place_of_a_file_is_refused_and_makes_nobody_wait() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Permissions::RUSR | Permissions::WUSR, 0).unwrap();
    let vfs = OsVfs::open(dir.path()).unwrap();
    assert_eq!(vfs.open("pipe", Mode::Read).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(vfs.open("pipe", Mode::Write).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_tree_opened_for_looking_reads_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    OsVfs::open(dir.path()).unwrap().open("file", Mode::CreateNew).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let vfs = OsVfs::open_read_only(dir.path()).unwrap();
    assert!(vfs.open("file", Mode::Read).unwrap().is_empty().unwrap());
    assert!(vfs.exists("file").unwrap());
    let refusals = [
        vfs.open("file", Mode::Write).map(drop),
        vfs.open("new", Mode::CreateNew).map(drop),
        vfs.create_dir("dir"),
        vfs.rename("file", "new"),
        vfs.remove("file"),
        vfs.sync_dir(""),
    ];
    for refusal in refusals {
        assert_eq!(refusal.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    }
    assert!(matches!(vfs.lock("lock"), Err(LockError::Io(_))));
    assert_eq!(vfs.list("").unwrap(), ["file"]);
}

#[test]
fn filled_space_is_allocated() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = OsVfs::open(dir.path()).unwrap();
    vfs.open("file", Mode::CreateNew).unwrap().fill_zeros(300_000, &|| Pace::Gentle).unwrap();
    let metadata = fs::metadata(dir.path().join("file")).unwrap();
    assert_eq!(metadata.len(), 300_000);
    assert!(metadata.blocks() * 512 >= 300_000, "only {} blocks", metadata.blocks());
}

#[test]
fn free_space_is_what_the_file_system_says() {
    let dir = tempfile::tempdir().unwrap();
    let free_bytes = OsVfs::open(dir.path()).unwrap().free_bytes().unwrap();
    assert!(free_bytes.is_some_and(|bytes| bytes > 0), "{free_bytes:?}");
}

#[test]
fn the_same_process_is_refused_also_by_another_path() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let vfs = OsVfs::create(&root).unwrap();
    let other_path = dir.path().join("alias");
    symlink(&root, &other_path).unwrap();
    let guard = vfs.lock("lock").unwrap();
    let other = OsVfs::open(&other_path).unwrap();
    let error = other.lock("lock").unwrap_err();
    assert!(matches!(error, LockError::Held { pid } if pid == Some(std::process::id())));
    drop(guard);
    assert!(other.lock("lock").is_ok());
}

#[test]
fn another_process_is_named_while_it_lives_and_no_obstacle_once_killed() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = OsVfs::open(dir.path()).unwrap();
    let mut child = spawn_holder(dir.path()).unwrap();
    let pid = child.id();
    for _ in 0..2 {
        let error = vfs.lock("lock").unwrap_err();
        assert_eq!(error.to_string(), format!("locked by process {pid}"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(vfs.lock("lock").is_ok());
}

/// T53.
#[test]
fn another_process_is_refused_although_the_lock_file_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = OsVfs::open(dir.path()).unwrap();
    let mut child = spawn_holder(dir.path()).unwrap();
    fs::remove_file(dir.path().join("lock")).unwrap();
    for _ in 0..2 {
        assert!(matches!(vfs.lock("lock"), Err(LockError::Held { .. })));
    }
    fs::write(dir.path().join("lock"), b"").unwrap();
    assert!(matches!(vfs.lock("lock"), Err(LockError::Held { .. })), "a new file is no new lock");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(vfs.lock("lock").is_ok());
}

#[test]
fn a_lock_file_full_of_nonsense_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("lock"), [0xff; 5000]).unwrap();
    let vfs = OsVfs::open(dir.path()).unwrap();
    let mut child = spawn_holder(dir.path()).unwrap();
    let named = vfs.lock("lock").unwrap_err();
    assert!(matches!(named, LockError::Held { pid } if pid == Some(child.id())));
    fs::write(dir.path().join("lock"), b"not a number\n").unwrap();
    assert!(matches!(vfs.lock("lock"), Err(LockError::Held { pid: None })));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_umask_takes_nothing_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn_holder_under("0277", dir.path()).unwrap();
    assert_eq!(mode_of(&dir.path().join("lock")).unwrap(), 0o600);
    assert_eq!(mode_of(&dir.path().join("created/file")).unwrap(), 0o600);
    assert_eq!(mode_of(&dir.path().join("created")).unwrap(), 0o700);
    assert_eq!(mode_of(&dir.path().join("created/dir")).unwrap(), 0o700);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "plays the second process; the others start it"]
fn hold_the_lock_until_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else { return };
    let vfs = OsVfs::open(&dir).unwrap();
    let _guard = vfs.lock("lock").unwrap();
    let created = OsVfs::create(&dir.join("created")).unwrap();
    created.create_dir("dir").unwrap();
    created.open("file", Mode::CreateNew).unwrap();
    writeln!(io::stdout(), "\n{LOCKED}").unwrap();
    // Ends with the pipe, should the other side be gone without killing us.
    io::stdin().read_line(&mut String::new()).unwrap();
}

/// Starts a second process, and returns once it holds the lock.
fn spawn_holder(dir: &Path) -> io::Result<Child> {
    spawn_holder_under("022", dir)
}

/// Starts a second process under a umask, and returns once it holds the lock.
fn spawn_holder_under(umask: &str, dir: &Path) -> io::Result<Child> {
    let mut child = Command::new("sh")
        .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe()?)
        .args(["--exact", "os::hold_the_lock_until_killed", "--ignored", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
    for line in BufReader::new(stdout).lines() {
        if line? == LOCKED {
            return Ok(child);
        }
    }
    Err(io::Error::other("the second process ended without the lock"))
}

#[test]
fn one_file_serves_several_threads() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = OsVfs::open(dir.path()).unwrap();
    let file = vfs.open("file", Mode::CreateNew).unwrap();
    std::thread::scope(|scope| {
        for number in 0..8_u8 {
            let file: &dyn File = file.as_ref();
            scope.spawn(move || file.write_all_at(u64::from(number) * 1000, &[number; 1000]));
        }
    });
    let mut bytes = [0xff; 8000];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), 8000);
    for (number, piece) in (0..8_u8).zip(bytes.chunks(1000)) {
        assert!(piece.iter().all(|byte| *byte == number), "piece {number}");
    }
}
