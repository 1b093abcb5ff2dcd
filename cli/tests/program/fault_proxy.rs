//! A bad line that the program runs for tests is as bad as it was asked to be, and `sync` gets everything through it.
//! Method: run the built program between its own uploader and its own hub, and read what each of them says.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::Value;
use tempfile::tempdir;

use crate::process::{
    Ended, Guarded, KEY, ask, capture, first_line, lines, on_store, onceward, run, send, serve,
    terminate,
};

/// The arguments of a proxy to `upstream`.
fn proxy(upstream: &str, args: &[&str]) -> Command {
    let upstream = upstream.strip_prefix("http://").unwrap();
    let mut command = onceward();
    command.args(["fault-proxy", "--listen", "127.0.0.1:0", "--upstream", upstream]).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts it, and returns its URL too.
fn started(mut command: Command) -> (Guarded, String) {
    let mut child = Guarded(command.spawn().unwrap());
    let line = first_line(child.0.stdout.take().unwrap());
    (child, line.strip_prefix("listening on ").unwrap().trim().to_owned())
}

/// One run of `sync` to `url`.
fn sync(store: &Path, url: &str) -> Ended {
    let mut command = onceward();
    command.args(["sync", "--once", "--now", "--dialect", "wede", "--to", url, "--store"]);
    run(command.arg(store).env("ONCEWARD_API_KEY", KEY), b"")
}

#[test]
fn everything_gets_through_a_bad_line_once_and_each_request_is_told_of() {
    let dir = tempdir().unwrap();
    let (store, data, script) =
        (dir.path().join("store"), dir.path().join("data"), dir.path().join("script"));
    let faults =
        "1 lost_reply\n2 cut_reply bytes=30\n3 twice\n4 status_503 retry_after=0\n5 html_200";
    fs::write(&script, format!("{faults}\n* delay ms=1 # and slow")).unwrap();
    capture(&store, &lines(50, "a")).expect(0);
    let hub = serve(&data, None);
    let (mut child, url) =
        started(proxy(&hub.url, &["--script", script.to_str().unwrap(), "--fault", "pass"]));

    let mut runs = 0;
    while sync(&store, &url).code != Some(0) {
        runs += 1;
        assert!(runs < 10, "nothing gets through");
    }
    assert_eq!(on_store("status", &store).expect(0).last_json()["pending"], 0);

    terminate(&child);
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    let said = child.said();
    let told: Vec<_> = said.lines().collect();
    assert_eq!(told[0], "1 POST /v1/sync/batch lost_reply -> no reply");
    assert_eq!(told[1], "2 POST /v1/sync/batch cut_reply bytes=30 -> 200");

    drop(hub);
    assert_each_is_there_once(&data, 50);
}

/// Checks that the hub has so many events, each once.
fn assert_each_is_there_once(data: &Path, count: usize) {
    let dump = on_store("dump", &data.join("tenants/default")).expect(0);
    let keys: Vec<_> = dump.column("key").into_iter().filter(|key| key.starts_with('k')).collect();
    assert_eq!(keys.len(), count);
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>().len(), count);
}

/// How many of two events are left pending by a run whose every request meets this fault.
fn left_by(fault: &str) -> &'static [u64] {
    match fault {
        "pass" | "delay" | "rate" | "late_copy" | "close_after" => &[0],
        // There is no older reply.
        "old_reply" => &[0],
        "items_shuffled" | "stranger_added" | "drip_head" | "drip_body" => &[0],
        "item_dropped" | "item_doubled" => &[1],
        // One of the replies may be that the hub still works on it.
        "twice" => &[0, 2],
        _ => &[2],
    }
}

/// A count that a run of `sync` printed.
fn count_of(ended: &Ended, name: &str) -> u64 {
    ended.last_json().get(name).and_then(Value::as_u64).unwrap()
}

/// Sends two events of a new store through this fault, and then without it.
fn send_through(fault: &str, number: usize, dir: &Path, hub: &str) {
    let told = match fault {
        "drip_head" | "drip_body" | "refuse" => format!("{fault} ms=1"),
        _ => fault.to_owned(),
    };
    let store = dir.join(fault);
    let line = |n: usize| format!("{{\"key\":\"k{n}\",\"payload\":{{\"n\":{n}}}}}\n");
    capture(&store, &format!("{}{}", line(2 * number), line(2 * number + 1))).expect(0);
    let (child, url) = started(proxy(hub, &["--quiet", "--fault", &told]));
    let through = sync(&store, &url);
    let pending = count_of(&through, "pending");
    assert!(left_by(fault).contains(&pending), "{fault}: {pending}, {}", through.err);
    drop(child);
    let without = sync(&store, hub).expect(0);
    let left = (count_of(&without, "pending"), count_of(&without, "in_review"));
    assert_eq!(left, (0, 0), "{fault}: {}", without.err);
}

#[test]
fn no_fault_of_the_table_confirms_more_than_was_confirmed_and_each_event_is_there_once() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    let hub = serve(&data, None);
    // A terminal waits a quarter of a minute for these.
    let is_short = |name: &String| !["hang", "endless_body"].contains(&name.as_str());
    let names = ask(&["fault-proxy", "--list", "--json"]).expect(0).column("name");
    let names: Vec<_> = names.into_iter().filter(is_short).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(name) = names.get(number) else { break };
                    send_through(name, number, dir.path(), &hub.url);
                }
            });
        }
    });
    drop(hub);
    assert_each_is_there_once(&data, 2 * names.len());
}

/// Faults that are tried at once: most of the time a run waits.
const THREADS: usize = 8;

#[test]
fn a_proxy_says_nothing_if_it_is_to_and_ends_by_each_signal() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, &lines(1, "a")).expect(0);
    for signal in ["-INT", "-TERM", "-HUP"] {
        let args = ["--quiet", "--fault", "status_401", "--rate-kbit", "8000", "--delay-ms", "1"];
        let (mut child, url) = started(proxy("http://127.0.0.1:1", &args));
        sync(&store, &url).expect(6);
        send(signal, &child);
        assert_eq!(child.0.wait().unwrap().code(), Some(0), "{signal}");
        assert_eq!(child.said(), "", "{signal}");
    }
}

#[test]
fn the_same_seed_is_the_same_line() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, &lines(1, "a")).expect(0);
    let told = |seed: &str| {
        let args = ["--seed", seed, "--fault", "status_429", "--fault", "status_502"];
        let (mut child, url) = started(proxy("http://127.0.0.1:1", &args));
        (0..5).for_each(|_| drop(sync(&store, &url)));
        terminate(&child);
        child.0.wait().unwrap();
        child.said()
    };
    let first = told("5");
    assert!(first.contains("status_429") || first.contains("status_502"), "{first}");
    assert_eq!(first, told("5"));
    assert_ne!(first, told("6"));
}

#[test]
fn the_table_is_printed_for_people_and_for_programs() {
    let table = ask(&["fault-proxy", "--list"]).expect(0).out;
    let line = table.lines().find(|line| line.starts_with("status_503 ")).unwrap();
    assert!(line.ends_with("Retry-After [applied=no code=UNAVAILABLE retry_after=1]"), "{line}");
    let rows = ask(&["fault-proxy", "--list", "--json"]).expect(0).json_lines();
    assert_eq!(rows.len(), table.lines().count());
    let row = rows.iter().find(|row| row["name"] == "twice").unwrap();
    assert_eq!(row["arguments"][0]["default"], "1");
}

#[test]
fn what_means_nothing_is_a_failure_of_usage_and_names_its_place() {
    let dir = tempdir().unwrap();
    let script = dir.path().join("script");
    fs::write(&script, "1 pass\n2 lost_socks\n").unwrap();
    let with = |args: &[&str]| run(&mut proxy("http://127.0.0.1:1", args), b"");
    let wrong = with(&["--script", script.to_str().unwrap()]).expect(2);
    assert!(wrong.err.contains("line 2, \"lost_socks\": no fault has this name"), "{}", wrong.err);
    assert!(
        with(&["--fault", "delay s=1"]).expect(2).err.contains("\"s=1\": the fault has no such")
    );
    with(&["--script", dir.path().join("none").to_str().unwrap()]).expect(1);
    with(&["--rate-kbit", "0"]).expect(2);
    ask(&["fault-proxy", "--listen", "127.0.0.1:0"]).expect(2);
    ask(&["fault-proxy", "--listen", "127.0.0.1:0", "--list"]).expect(2);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    ask(&["fault-proxy", "--listen", &taken, "--upstream", "127.0.0.1:1"]).expect(1);
}

#[test]
fn a_url_for_the_upstream_and_a_fault_without_a_name_are_told_with_what_helps() {
    let at = ["fault-proxy", "--listen", "127.0.0.1:0", "--upstream"];
    let refused = ask(&[&at[..], &["http://127.0.0.1:9/path"]].concat()).expect(2);
    let said = "wants HOST:PORT and no http:// URL, such as 127.0.0.1:9";
    assert!(refused.err.contains(said), "{}", refused.err);
    let refused = ask(&[&at[..], &["127.0.0.1:9", "--fault", "lost_socks"]].concat()).expect(2);
    let said = "no fault has this name; `onceward fault-proxy --list` has them";
    assert!(refused.err.contains(said), "{}", refused.err);
    let dir = tempdir().unwrap();
    let script = dir.path().join("script");
    fs::write(&script, "1 lost_socks\n").unwrap();
    let script = ["127.0.0.1:9", "--script", script.to_str().unwrap()];
    let refused = ask(&[&at[..], &script].concat()).expect(2);
    assert!(refused.err.contains(said), "{}", refused.err);
}
