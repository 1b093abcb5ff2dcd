//! A disk that is full ends no `sync` that runs on: it waits, says why once, and goes on when there is room.
//! And what a hub without room did not take is not overtaken by what is behind it.
//! Method: a limit for the size of files, which is a full disk, lifted while the program runs.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use onceward_hub::ledger;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tempfile::tempdir;

use crate::process::{Guarded, KEY, capture, on_store, onceward, run, serve, terminate};
use crate::sync::purchases;

#[test]
fn a_full_disk_ends_no_sync_and_it_goes_on_when_there_is_room() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    // More than the limit below, in one segment.
    capture(&store, &purchases(3_000)).expect(0);
    let hub = serve(&data, None);
    let mut command = Command::new("sh");
    let sync = "exec \"$0\" sync --dialect forloy --to \"$1\" --store \"$2\"";
    command.arg("-c").arg(format!("ulimit -S -f 400; {sync}"));
    command.args([env!("CARGO_BIN_EXE_onceward"), &hub.url]).arg(&store);
    command.env("ONCEWARD_API_KEY", KEY).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Guarded(command.spawn().unwrap());
    let mut said = BufReader::new(child.0.stderr.take().unwrap()).lines();
    let why = said.next().unwrap().unwrap();
    assert!(why.contains("full"), "{why}");
    let none = Rlimit { current: None, maximum: None };
    prlimit(Some(Pid::from_child(&child.0)), Resource::Fsize, none).unwrap();
    // The runner's limit ends a failure.
    loop {
        let status = on_store("status", &store).expect(0).last_json();
        if status["pending"] == 0 && status["in_flight"] == 0 {
            break;
        }
        assert_eq!(child.0.try_wait().unwrap(), None, "it ended");
    }
    terminate(&child);
    let ended = child.0.wait().unwrap();
    let more: Vec<String> = said.map(Result::unwrap).collect();
    assert!(!more.iter().any(|line| line.contains("full")), "told again: {more:?}");
    assert_eq!(ended.code(), Some(0), "{more:?}");
}

#[test]
fn what_is_behind_an_event_in_its_lane_for_which_the_hub_had_no_room_waits_for_it() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    let lane = |range: std::ops::Range<u32>| -> String {
        let line =
            |n| format!("{{\"key\":\"k{n}\",\"payload\":{{\"n\":{n}}},\"lane\":\"card-7\"}}\n");
        range.map(line).collect()
    };
    let hub = serve(&data, None);
    let sync = || {
        let mut command = onceward();
        command.args(["sync", "--once", "--dialect", "onceward", "--to", &hub.url, "--store"]);
        run(command.arg(&store).env("ONCEWARD_API_KEY", KEY), b"")
    };
    capture(&store, &lane(0..1)).expect(0);
    sync().expect(0);
    // Two writes of a thousand events, for which there is no room, and one of a single event, for which there is.
    capture(&store, &lane(1..2_002)).expect(0);
    let limit = |bytes: Option<u64>| {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(Pid::from_child(&hub.child.0)), Resource::Fsize, limit).unwrap();
    };
    limit(Some(40_000));
    assert_eq!(sync().last_json()["accepted"], 0, "nothing of the lane overtakes");
    limit(None);
    sync().expect(0);
    let expected: Vec<String> = (0..2_002).map(|n| format!("k{n}")).collect();
    let keys: Vec<String> =
        ledger(&data, "default").unwrap().into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys, expected);
}
