//! A real write that the system cuts short is continued, and fails only with what it says then.
//! Method: a child process under a limit of file size, which makes the system write up to the limit.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use onceward_vfs::{Mode, OsVfs, Vfs, read_all};

/// Tells the child where to write.
const CHILD_DIR: &str = "ONCEWARD_VFS_TEST_SHORT_DIR";

/// Runs the child, whose files may have so many blocks of 512 or 1024 bytes, as the shell counts.
fn run_child(blocks: &str, dir: &Path) -> std::io::Result<Output> {
    Command::new("sh")
        // The signal that comes with the error is ignored: the error is what is looked at.
        .args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe()?)
        .args(["--exact", "short_writes::write_as_much_as_the_limit_allows", "--ignored", "--nocapture"])
        .env(CHILD_DIR, dir)
        .output()
}

#[test]
fn a_write_up_to_a_limit_is_cut_short_then_refused_and_keeps_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let output = run_child("8", dir.path()).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let bytes = read_all(&OsVfs::open(dir.path()).unwrap(), "file", 1 << 20).unwrap();
    assert!([4096, 8192].contains(&bytes.len()), "{} bytes", bytes.len());
    assert!(bytes[..1000].iter().all(|byte| *byte == 1));
    assert!(bytes[1000..].iter().all(|byte| *byte == 2), "the first part was written");
}

#[test]
#[ignore = "plays the process under a limit; the other one starts it"]
fn write_as_much_as_the_limit_allows() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else { return };
    let vfs = OsVfs::open(&dir).unwrap();
    let file = vfs.open("file", Mode::CreateNew).unwrap();
    file.write_all_at(0, &[1; 1000]).unwrap();
    let error = file.write_all_at(1000, &[2; 100_000]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    let mut seen = [0; 1001];
    assert_eq!(file.read_at(0, &mut seen).unwrap(), 1001, "the handle goes on");
    file.sync_data().unwrap();
}
