//! A machine that has no threads left, and a catalog that is of no use, are reported in words and cost nothing else.
//! Method: run the program as a user with few threads, as the kernel counts them, and on a catalog whose bytes are bad.

use std::{
    fs,
    os::unix::fs::chown,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::tempdir;

use crate::process::{
    Guarded, capture, content, first_line, on_store, onceward, reviewed, reviewed_and_said, run,
};

/// Owns the files where the tests run as root, whom no limit on threads binds. Each test has its own, for the kernel
/// counts the threads of a user.
fn user() -> u32 {
    static TESTS: AtomicU32 = AtomicU32::new(0);
    thread_local! { static TEST: u32 = TESTS.fetch_add(1, Ordering::Relaxed); }
    // A test has a thread of its own; the runner may have one process for all of them.
    100_000 + (std::process::id() % 1_000_000) * 16 + TEST.with(|number| number % 16)
}

/// The program with at most so many threads; where the tests do not run as root, with none but its first.
fn limited(threads: usize, dir: &Path) -> Command {
    let mut command = Command::new("prlimit");
    if fs::metadata("/proc/self").unwrap().uid_of() == 0 {
        give(dir);
        command.arg(format!("--nproc={threads}:{threads}"));
        let user = user().to_string();
        command.args(["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
    } else {
        command.arg("--nproc=1:1");
    }
    command.arg(env!("CARGO_BIN_EXE_onceward")).env_remove("ONCEWARD_API_KEY");
    command
}

/// Gives the directory and all that is in it to the user.
fn give(dir: &Path) {
    chown(dir, Some(user()), Some(user())).unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            give(&path);
        } else {
            chown(path, Some(user()), Some(user())).unwrap();
        }
    }
}

trait Owner {
    fn uid_of(&self) -> u32;
}

impl Owner for fs::Metadata {
    fn uid_of(&self) -> u32 {
        std::os::unix::fs::MetadataExt::uid(self)
    }
}

#[test]
fn where_no_thread_can_be_started_the_catalog_is_given_up_and_nothing_waits_for_ever() {
    let dir = tempdir().unwrap();
    let store = reviewed(dir.path(), &["k1", "k2", "k3", "k4", "k5", "k6"]);
    let mut retried = 0;
    for threads in 1..=6 {
        let key = format!("k{threads}");
        let mut command = limited(threads, dir.path());
        command.args(["review", "retry", &key, "--store"]).arg(&store);
        let ended = run(&mut command, b"");
        assert!(!ended.err.contains("panicked") && !ended.err.contains("defect"), "{}", ended.err);
        match ended.code {
            Some(0) => retried += 1,
            _ => assert!(ended.expect(1).err.contains("thread"), "{threads} threads"),
        }
    }
    let left = on_store("review list", &store).expect(0).json_lines().len();
    assert_eq!(left, 6 - retried);
    on_store("review retry --all", &store).expect(0);
    assert_eq!(on_store("review list", &store).expect(0).out, "");
}

#[test]
fn a_command_that_needs_no_thread_runs_without_one_and_others_say_why_they_do_not() {
    let dir = tempdir().unwrap();
    let store = reviewed(dir.path(), &["k1"]);
    let mut command = limited(1, dir.path());
    command.args(["status", "--store"]).arg(&store);
    assert_eq!(run(&mut command, b"").expect(0).last_json()["in_review"], 1);
    let mut command = limited(1, dir.path());
    command.args(["tail", "--store"]).arg(&store);
    assert!(run(&mut command, b"").expect(1).err.contains("thread"));
}

#[test]
fn a_hub_that_gets_no_threads_says_so_and_ends_with_1() {
    let dir = tempdir().unwrap();
    let mut refusals = 0;
    for threads in 1..=12 {
        let mut command = limited(threads, dir.path());
        command.args(["serve", "--listen", "127.0.0.1:0", "--api-key", "k", "--data"]);
        command.arg(dir.path().join("data"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Guarded(command.spawn().unwrap());
        if first_line(child.0.stdout.take().unwrap()).starts_with("listening on") {
            break;
        }
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.0.stderr.take().unwrap(), &mut said).unwrap();
        assert_eq!(child.0.wait().unwrap().code(), Some(1), "{threads} threads: {said}");
        assert!(said.contains("thread") && !said.contains("panicked"), "{said}");
        refusals += 1;
    }
    assert!(refusals > 0, "control");
}

#[test]
fn a_catalog_that_fails_while_the_store_is_open_is_told_and_costs_nothing() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, "").expect(0);
    // What is no directory can hold no files.
    fs::write(store.join("catalog"), "holiday").unwrap();
    let (store, said) = reviewed_and_said(dir.path(), &["k1", "k2"]);
    assert!(said.contains("the files of the catalog failed"), "{said}");
    assert_eq!(on_store("review list", &store).expect(0).column("key"), ["k1", "k2"]);
}

#[test]
fn a_catalog_of_bad_bytes_is_given_up_and_told_without_a_panic() {
    let dir = tempdir().unwrap();
    let store = reviewed(dir.path(), &["k1", "k2", "k3"]);
    let catalog = content(&store.join("catalog"));
    assert!(!catalog.is_empty());
    for mask in [0x01, 0x80, 0xff] {
        for (file, bytes) in &catalog {
            let damaged: Vec<u8> = bytes.iter().map(|byte| byte ^ mask).collect();
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, damaged).unwrap();
        }
        let mut command = onceward();
        command.args(["review", "resolve", "--note", "cash", "--store"]).arg(&store);
        let key = match mask {
            0x01 => "k1",
            0x80 => "k2",
            _ => "k3",
        };
        let ended = run(command.arg(key), b"").expect(0);
        assert!(!ended.err.contains("panicked") && !ended.err.contains("sled-"), "{}", ended.err);
        assert!(ended.err.contains("catalog"), "{}", ended.err);
    }
}
