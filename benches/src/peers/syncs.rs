//! How many syncs a commit of a peer really has: counted by strace in a process of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::job::Job;
use super::kind::Kind;
use super::workload::Work;
use super::{Mode, Result};

/// The calls that put bytes on the disk. `sync_file_range` is none: it leaves the device's cache alone.
const SYNCS: [&str; 3] = ["fsync", "fdatasync", "msync"];
/// Commits that are counted.
const COMMITS: usize = 200;

/// Syncs for each commit of a peer, of one event each; what opening and closing take is not among them.
///
/// `program` is `figures`, and `dir` is empty.
///
/// # Errors
///
/// strace is missing, or the program failed under it.
pub fn for_each_commit(program: &Path, dir: &Path, kind: Kind, mode: Mode) -> Result<f64> {
    let work = |count| match mode {
        Mode::Durable => Work::Commits(count),
        Mode::Unsynced => Work::UnsyncedCommits(count),
    };
    let count = |name: &str, commits| {
        let dir = dir.join(name);
        fs::create_dir_all(&dir)?;
        let job = Job { kind, work: work(commits), seconds: 0.0, events: 0 };
        let calls = traced(program, &dir, &job);
        fs::remove_dir_all(&dir)?;
        calls
    };
    let (none, some) = (count("none", 0)?, count("some", COMMITS)?);
    Ok((some as f64 - none as f64) / COMMITS as f64)
}

/// Syncs of a process that does `job`.
fn traced(program: &Path, dir: &Path, job: &Job) -> Result<usize> {
    let (trace, place) = (dir.join("trace"), dir.join("place"));
    fs::create_dir_all(&place)?;
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", &format!("trace={}", SYNCS.join(",")), "-o"])
        .args([trace.as_path(), program])
        .args(["peers", "--job", &serde_json::to_string(job)?, "--dir"])
        .arg(&place)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("strace: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{job:?} under strace, {}: {said}", output.status).into());
    }
    Ok(calls(&fs::read_to_string(trace)?))
}

/// Calls in the lines of a trace. One that another thread interrupts has two lines, and counts once.
fn calls(trace: &str) -> usize {
    let begins = |line: &&str| {
        let call = line.trim_start_matches(|char: char| char.is_ascii_digit()).trim_start();
        SYNCS.into_iter().any(|name| call.strip_prefix(name).is_some_and(|c| c.starts_with('(')))
    };
    trace.lines().filter(begins).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_once_and_ends_of_others_are_not() {
        let trace = "12  fdatasync(3)                      = 0\n\
                     13  fsync(4 <unfinished ...>\n\
                     12  fdatasync(3)  = 0\n\
                     13  <... fsync resumed>) = 0\n\
                     12  msync(0x7f, 4096, MS_SYNC) = 0\n\
                     12  sync_file_range(3, 0, 0, 2) = 0\n\
                     12  +++ exited with 0 +++\n";
        assert_eq!(calls(trace), 4);
        assert_eq!(calls(""), 0);
    }
}
