//! Every command closes its store in order, however it ends, and says what it could not do on a disk that fails.
//! Method: run commands into their refusals and look whether the store was closed; and make one sync of the disk after
//! the other fail with `strace`, at each that a command makes.

use std::{fs, net::TcpListener, path::Path, process::Command};

use serde_json::Value;
use tempfile::tempdir;

use crate::process::{Ended, ask, capture, lines, on_store, onceward, reviewed, run};
use crate::upstreams::copy;

/// Whether the store was closed in order.
fn is_closed(store: &Path) -> bool {
    let status = on_store("status", store).expect(0).last_json();
    status.pointer("/recovery/clean") == Some(&true.into())
}

#[test]
fn a_store_is_closed_in_order_also_where_the_command_is_refused() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (store, key, there) = (path("store"), path("key"), path("there"));
    capture(Path::new(&store), &lines(1, "a")).expect(0);
    fs::write(&key, "5a".repeat(32)).unwrap();
    fs::write(&there, "holiday").unwrap();
    assert!(is_closed(Path::new(&store)), "control");
    let no_bundle = "00".repeat(16);
    let to =
        ["sync", "--once", "--to", "http://127.0.0.1:1", "--dialect", "wede", "--store", &store];
    for (code, args) in [
        (2, &[&to[..], &["--scope", "tips"]].concat()[..]),
        (1, &["export", "--store", &store, "--file", &there, "--key-file", &key]),
        (3, &["import", "--store", &store, "--file", &there, "--key-file", &key]),
        (1, &["unfence", "--store", &store, "--bundle", &no_bundle]),
        (1, &["review", "retry", "--store", &store, "k9"]),
        (1, &["review", "resolve", "--store", &store, "k9", "--note", "n"]),
        (5, &["summary", "--store", &store]),
    ] {
        ask(args).expect(code);
        assert!(is_closed(Path::new(&store)), "{args:?}");
    }
}

#[test]
fn a_hub_listens_at_a_name_and_says_so_where_the_name_has_no_address() {
    let dir = tempdir().unwrap();
    let served = |listen: &str| {
        let mut command = onceward();
        command.args([
            "serve",
            "--api-key",
            "k",
            "--until-stdin-ends",
            "--listen",
            listen,
            "--data",
        ]);
        run(command.arg(dir.path().join("data")), b"")
    };
    assert!(served("localhost:0").expect(0).out.starts_with("listening on http://"));
    assert!(served("no-such-name.invalid:0").expect(1).err.contains("cannot listen on no-such"));
    served("localhost").expect(2);
}

#[test]
fn a_hub_that_cannot_listen_closes_its_stores_in_order() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = onceward();
    command.args(["serve", "--api-key", "k", "--listen", &address, "--data"]).arg(&data);
    assert!(run(&mut command, b"").expect(1).err.contains("cannot listen"));
    assert!(is_closed(&data.join("tenants").join("default")));
}

/// Whose syncs fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failing {
    /// Those of the thread that runs the command.
    TheCommand,
    /// Those of every thread, each counted by itself.
    EveryThread,
}

/// The command on a disk whose `number`th sync of a file fails, counted from 1; `None` if it makes fewer.
pub(crate) fn with_failing_sync(
    (whose, number): (Failing, u32),
    args: &[&str],
    input: &str,
) -> Option<Ended> {
    let dir = tempdir().unwrap();
    let trace = dir.path().join("trace");
    let mut strace = Command::new("strace");
    if matches!(whose, Failing::EveryThread) {
        strace.arg("-f");
    }
    strace.args(["-qq", "-e", "trace=fdatasync", "-o"]).arg(&trace);
    strace.args(["-e", &format!("inject=fdatasync:error=EIO:when={number}")]);
    strace.arg(env!("CARGO_BIN_EXE_onceward")).args(args).env_remove("ONCEWARD_API_KEY");
    let ended = run(&mut strace, input.as_bytes());
    let traced = fs::read_to_string(trace).expect("strace must be installed: scripts/test does it");
    traced.contains("INJECTED").then_some(ended)
}

/// Runs a command on as many copies of a store as it makes syncs, each with another one that fails; `after` judges
/// what a run left. At least one of them must say that what it did is in doubt, in `words`.
fn at_every_sync(
    store: &Path,
    args: &[&str],
    (input, words): (&str, &str),
    after: impl Fn(&Path, &Ended),
) {
    let mut said = Vec::new();
    for whose in [Failing::TheCommand, Failing::EveryThread] {
        for number in 1.. {
            let dir = tempdir().unwrap();
            let damaged = dir.path().join("store");
            copy(store, &damaged);
            let args = [args, &["--store", damaged.to_str().unwrap()]].concat();
            let Some(ended) = with_failing_sync((whose, number), &args, input) else { break };
            assert!(!ended.err.contains("panicked"), "{}", ended.err);
            after(&damaged, &ended);
            if ended.code != Some(0) {
                let ended = ended.expect(1);
                said.push(format!("{}{}", ended.out, ended.err));
            }
        }
    }
    assert!(said.iter().any(|said| said.contains(words)), "{said:#?}");
}

#[test]
fn capture_says_which_events_are_in_doubt_after_a_failed_sync() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(1, "a")).expect(0);
    let new = "{\"key\":\"new\",\"payload\":1}\n";
    at_every_sync(
        dir.path(),
        &["capture"],
        (new, "it may be stored all the same"),
        |store, ended| {
            let is_fresh = ended.json_lines().iter().any(|answer| answer["verdict"] == "fresh");
            let again = capture(store, new).expect(0).last_json();
            assert!(!is_fresh || again["verdict"] == "duplicate", "told fresh and gone: {ended:?}");
        },
    );
}

#[test]
fn decisions_are_said_to_be_in_doubt_after_a_failed_sync() {
    let dir = tempdir().unwrap();
    let store = reviewed(dir.path(), &["k1"]);
    for args in [&["review", "retry", "k1"][..], &["review", "resolve", "k1", "--note", "cash"]] {
        at_every_sync(&store, args, ("", "; it is in doubt"), |store, ended| {
            let left = on_store("review list", store).expect(0).json_lines().len();
            assert!(ended.code != Some(0) || left == 0, "told done and is not: {ended:?}");
        });
    }
}

#[test]
fn unfencing_is_said_to_be_in_doubt_after_a_failed_sync() {
    let dir = tempdir().unwrap();
    let [store, key, file] = ["store", "key", "bundle"].map(|name| dir.path().join(name));
    capture(&store, &lines(1, "a")).expect(0);
    fs::write(&key, "5a".repeat(32)).unwrap();
    let mut export = onceward();
    export.arg("export").arg("--store").arg(&store).arg("--file").arg(&file);
    let left = run(export.arg("--key-file").arg(&key), b"").expect(0).last_json();
    let args = ["unfence", "--bundle", left["bundle"].as_str().unwrap()];
    at_every_sync(&store, &args, ("", "; it is in doubt"), |store, ended| {
        let fence = on_store("status", store).expect(0).last_json()["fence"].clone();
        let is_open = fence == Value::Null;
        assert!(ended.code != Some(0) || is_open, "told done and is not: {ended:?}");
    });
}

#[test]
fn a_close_that_fails_is_told_beside_what_failed_before() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    let (mut told, scope) = (0, ["--scope", "tips", "--store"]);
    let mut tip = onceward();
    run(tip.arg("capture").args(scope).arg(&store), lines(1, "a").as_bytes()).expect(0);
    for number in 1.. {
        let copied = dir.path().join(number.to_string());
        copy(&store, &copied);
        let to = ["sync", "--once", "--to", "http://127.0.0.1:1", "--dialect", "wede"];
        let args = [&to[..], &scope, &[copied.to_str().unwrap()]].concat();
        let Some(ended) = with_failing_sync((Failing::EveryThread, number), &args, "") else {
            break;
        };
        let is_refused = ended.err.contains("--wire-keys");
        told += usize::from(is_refused && ended.err.contains("; and cannot close the store: "));
    }
    assert!(told > 0, "some sync is that of the end");
}
