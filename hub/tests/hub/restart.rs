//! What a hub confirmed is there after any restart, and what it did not confirm is there once or not.
//! Method: stop hubs in order, lose replies, and kill hubs that run as child processes.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use onceward::ErrorKind;
use onceward::inspect::Inspection;
use onceward_hub::{Hub, ledger};

use crate::running::{
    API_KEY, Client, FORLOY, Running, WEDE, batch, data, event, head, options, purchase, purchases,
};

#[test]
fn a_restarted_hub_knows_every_key_and_gives_the_same_transaction() {
    // T28
    let dir = tempfile::tempdir().unwrap();
    let body = purchases(&[purchase("a", "c", "1.00"), purchase("b", "c", "2.00")]);
    let hub = Running::start(dir.path());
    let first = hub.client().post(FORLOY, &body);
    hub.stop().unwrap();
    for _ in 0..2 {
        let hub = Running::start(dir.path());
        let again = hub.client().post(FORLOY, &body);
        for index in 0..2 {
            assert_eq!(again.result(index)["idempotent"], true);
            let id = "transaction_id";
            assert_eq!(again.result(index)[id], first.result(index)[id]);
        }
        let other = hub.client().post(FORLOY, &purchases(&[purchase("a", "c", "1.01")]));
        assert_eq!(other.result(0)["error"], "IDEMPOTENCY_KEY_REUSED");
        hub.stop().unwrap();
    }
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 2);
}

#[test]
fn an_item_whose_frame_is_damaged_never_takes_effect_again_and_both_dialects_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let items = purchases(&[purchase("a", "c", "1.00"), purchase("b", "c", "2.00")]);
    let events = batch(&[event("e", r#"{"amount":3.21}"#), event("f", r#"{"amount":4.32}"#)]);
    let hub = Running::start(dir.path());
    hub.client().post(FORLOY, &items);
    hub.client().post(WEDE, &events);
    hub.stop().unwrap();
    let store = data(dir.path()).join("tenants/default");
    for needle in [r#"_amount":1.00"#, r#"{"amount":3.21}"#] {
        flip(&store, needle);
    }
    for _ in 0..2 {
        let hub = Running::start(dir.path());
        let again = hub.client().post(FORLOY, &items);
        assert_eq!(again.result(0)["error"], "OUTCOME_UNKNOWN", "{again:?}");
        assert_eq!(again.result(0)["success"], false);
        assert_eq!(again.result(1)["idempotent"], true, "{again:?}");
        let again = hub.client().post(WEDE, &events).json();
        let of = |n: usize| again["data"]["events"][n].clone();
        assert_eq!(
            (&of(0)["status"], &of(0)["reason"]),
            (&"rejected".into(), &"OUTCOME_UNKNOWN".into())
        );
        assert_eq!(of(1)["status"], "duplicate");
        hub.stop().unwrap();
    }
    let seen = Inspection::open(&store).unwrap();
    let keys = seen.events().filter_map(Result::ok).map(|stored| stored.event.key.to_string());
    let keys: Vec<String> = keys.filter(|key| key.len() == 1).collect();
    assert_eq!(keys, ["b", "f"], "neither of the lost ones was applied again");
}

/// Flips a bit of the place where `needle` is in a store's log.
fn flip(store: &Path, needle: &str) {
    for entry in fs::read_dir(store.join("log")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let found = bytes.windows(needle.len()).position(|some| some == needle.as_bytes());
        if let Some(at) = found {
            bytes[at + 3] ^= 1;
            fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("{needle} is nowhere");
}

#[test]
fn a_second_hub_on_the_same_directory_is_refused() {
    // T53
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::open(options(dir.path())).unwrap();
    assert_eq!(Hub::open(options(dir.path())).unwrap_err().kind(), ErrorKind::Locked);
    hub.close().unwrap();
    Hub::open(options(dir.path())).unwrap().close().unwrap();
}

#[test]
fn a_lost_reply_is_made_good_by_sending_again() {
    // T39
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let body = purchases(&[purchase("a", "c", "1.00")]);
    let headers =
        ["content-type: application/json".to_owned(), format!("authorization: Bearer {API_KEY}")];
    for _ in 0..5 {
        let mut stream = hub.client().connect().unwrap();
        let head = head("POST", FORLOY, &headers, body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    }
    let answer = hub.client().post(FORLOY, &body);
    assert_eq!(answer.result(0)["success"], true);
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 1);
}

#[test]
fn a_bad_option_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut empty_key = options(dir.path());
    empty_key.api_key = "".into();
    let error = Hub::open(empty_key).unwrap_err();
    assert!(error.to_string().starts_with("api_key: must be"), "{error}");
    let error = Hub::open(options(dir.path()).with_segment_bytes(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn the_ledger_of_a_tenant_that_does_not_exist_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    Hub::open(options(dir.path())).unwrap().close().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap(), [], "control");
    assert_eq!(ledger(&data(dir.path()), "other").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(ledger(&data(dir.path()), "../x").unwrap_err().kind(), ErrorKind::Invalid);
}

/// Makes a test process a hub, and says where.
const CHILD_DIR: &str = "ONCEWARD_HUB_TEST_CHILD_DIR";

/// A hub in a process of its own.
struct ChildHub {
    process: Child,
    client: Client,
}

impl ChildHub {
    /// Starts this test program again, as a hub in `dir`.
    fn start(dir: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "restart::child_serves_until_it_is_killed", "--nocapture"])
            .env(CHILD_DIR, dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listening on ").map(|(_, at)| at.to_owned()));
        let address: SocketAddr = address.unwrap().parse().unwrap();
        Self { process, client: Client { address } }
    }

    /// Ends it without a chance to close anything.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn child_serves_until_it_is_killed() {
    // In an ordinary run there is no such variable, and nothing to do.
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let hub = Running::start(Path::new(&dir));
    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", hub.address).unwrap();
    out.flush().unwrap();
    loop {
        thread::park();
    }
}

#[test]
fn a_hub_killed_at_any_moment_has_what_it_confirmed_and_nothing_twice() {
    // T1, T39, T53: the lock of a hub that was killed keeps nobody out.
    const ROUNDS: usize = 6;
    const PURCHASES: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let body = |number: usize| purchases(&[purchase(&format!("k{number}"), "c", "1.00")]);
    let mut confirmed: Vec<Option<String>> = vec![None; PURCHASES];
    for round in 1..=ROUNDS {
        let hub = ChildHub::start(dir.path());
        let client = hub.client;
        // Killed as soon as this many were answered, while others are on their way.
        let quota = if round == ROUNDS { usize::MAX } else { round * 8 };
        let answered = AtomicUsize::new(0);
        let mut hub = Some(hub);
        let results: Vec<(usize, Option<String>)> = thread::scope(|scope| {
            let (sender, done) = std::sync::mpsc::channel();
            for worker in 0..4 {
                let (sender, answered) = (sender.clone(), &answered);
                scope.spawn(move || {
                    for number in (worker..PURCHASES).step_by(4) {
                        let id = post_once(client, &body(number));
                        if id.is_some() {
                            answered.fetch_add(1, Ordering::SeqCst);
                        }
                        sender.send((number, id)).unwrap();
                    }
                });
            }
            drop(sender);
            done.into_iter()
                .inspect(|_| {
                    if answered.load(Ordering::SeqCst) >= quota {
                        hub.take().into_iter().for_each(ChildHub::kill);
                    }
                })
                .collect()
        });
        for (number, id) in results {
            let Some(id) = id else { continue };
            let before = confirmed[number].get_or_insert_with(|| id.clone());
            assert_eq!(*before, id, "the transaction of k{number} changed in round {round}");
        }
        hub.take().into_iter().for_each(ChildHub::kill);
    }
    assert!(confirmed.iter().all(Option::is_some), "the last round confirms all");
    let ledger = ledger(&data(dir.path()), "default").unwrap();
    let mut keys: Vec<_> = ledger.iter().map(|entry| entry.key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!((ledger.len(), keys.len()), (PURCHASES, PURCHASES));
}

/// The transaction's id, if the hub lived long enough to answer.
fn post_once(client: Client, body: &str) -> Option<String> {
    let headers =
        ["content-type: application/json".to_owned(), format!("authorization: Bearer {API_KEY}")];
    let head = head("POST", FORLOY, &headers, body.len());
    let answer = client.raw(format!("{head}{body}").as_bytes()).ok()?;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.result(0)["transaction_id"].as_str().map(str::to_owned)
}
