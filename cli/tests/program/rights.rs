//! What an administrator does as root locks nobody out, and a limit for files ends no program.
//! Method: run the built binary as root in another user's directory, then as that user; and under `ulimit -f`.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
};

use tempfile::tempdir;

use crate::process::{Ended, capture, lines, on_store, onceward, run};

/// The numbers of `nobody`.
const NOBODY: u32 = 65_534;

/// Captures as another user, where we may become one.
fn capture_as(user: Option<u32>, store: &Path, input: &str) -> Ended {
    let Some(user) = user else { return capture(store, input) };
    let mut program = Command::new("setpriv");
    let user = user.to_string();
    program.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
    program.arg(onceward().get_program()).args(["capture", "--store"]).arg(store);
    run(&mut program, input.as_bytes())
}

#[test]
fn a_user_goes_on_where_root_was_and_the_other_way_round() {
    let dir = tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    let is_root = fs::metadata(&home).unwrap().uid() == 0;
    let user = is_root.then_some(NOBODY);
    if is_root {
        chown(&home, user, user).unwrap();
    }
    let store = home.join("store");
    let all = lines(6, "x");
    let mut each = all.lines().map(|line| format!("{line}\n"));
    for user in [None, user, None, user, user, None] {
        capture_as(user, &store, &each.next().unwrap()).expect(0);
    }
    assert_eq!(on_store("dump", &store).expect(0).column("key").len(), 6);
    let mut left = vec![store];
    let owner = fs::metadata(&home).unwrap();
    while let Some(path) = left.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        let mode = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!((found.uid(), found.gid()), (owner.uid(), owner.gid()), "{}", path.display());
        assert_eq!(found.mode() & 0o777, mode, "{}", path.display());
        if found.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

#[test]
fn who_may_not_write_to_a_store_is_told_which_one_and_that_it_is_that() {
    let dir = tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let store = dir.path().join("store");
    capture(&store, &lines(1, "x")).expect(0);
    let is_root = fs::metadata(&store).unwrap().uid() == 0;
    fs::set_permissions(&store, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(store.join("meta"), fs::Permissions::from_mode(0o0)).unwrap();
    let refused = capture_as(is_root.then_some(NOBODY), &store, &lines(1, "y")).expect(1);
    let place = store.display().to_string();
    assert!(
        refused.err.contains(&format!("cannot open {place}: cannot read meta: ")),
        "{}",
        refused.err
    );
    assert!(
        refused.err.contains("; the user of this process may not read and write there"),
        "{}",
        refused.err
    );
    assert_eq!(refused.err.matches(&place).count(), 1, "{}", refused.err);
    assert_eq!(refused.err.matches("ermission denied").count(), 1, "{}", refused.err);
}

#[test]
fn no_directory_that_is_made_gets_its_mode_by_a_path_that_could_lead_elsewhere_by_then() {
    let dir = tempdir().unwrap();
    let (trace, store) = (dir.path().join("trace"), dir.path().join("new").join("store"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=mkdir,mkdirat,chmod,fchmodat,fchmod", "-o"]).arg(&trace);
    strace.arg(onceward().get_program()).args(["capture", "--store"]).arg(&store);
    run(&mut strace, lines(1, "x").as_bytes()).expect(0);
    let traced = fs::read_to_string(trace).expect("strace must be installed: scripts/test does it");
    assert!(traced.contains("mkdir") && traced.contains(" fchmod("), "control: {traced}");
    assert!(!traced.contains(" chmod(") && !traced.contains("fchmodat("), "{traced}");
}

#[test]
fn a_limit_for_files_is_a_full_disk_and_no_signal() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    let captured = capture(&store, &lines(1, "x"));
    captured.expect(0);
    let limited = |blocks: u32, input: &str| {
        let mut shell = Command::new("sh");
        // Inherited: the program itself need not change what the signal does.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script]).arg(onceward().get_program());
        run(shell.args(["capture", "--store"]).arg(&store), input.as_bytes())
    };
    for blocks in [8, 64, 300] {
        let ended = limited(blocks, &lines(400, &"y".repeat(900)));
        assert_eq!(ended.code, Some(7), "{blocks}: {}", ended.err);
    }
    // What was reported as stored is there.
    capture(&store, &lines(1, "x")).expect(0);
    on_store("verify", &store).expect(0);
}
