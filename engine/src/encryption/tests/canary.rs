//! Nothing that the host gives stands readable in any file of an encrypted store.
//! Method: a host uses every area, with a canary in every text; then all bytes of all files are searched. The same
//! host without encryption finds them, so the search can fail.

#![expect(
    clippy::disallowed_methods,
    reason = "files of a real directory are searched from outside"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use onceward_vfs::Survival;

use super::{Keys, files, rig_with, segments, stands_in, without_keys};
use crate::capture::Effect;
use crate::inbox::{Delivery, Received, WindowId, WindowKey};
use crate::inspect::repair::repair_on;
use crate::limits::{Limits, WhenFull};
use crate::records::{LeaseReply, LeaseRequest};
use crate::review::{Decision, write_decision};
use crate::sync::payloads;
use crate::sync::{Options, Session, Step};
use crate::testing::{Rig, SEGMENT_BYTES};
use crate::{Answer, Settlement};
use crate::{Class, Config, Event, Headers, Key, Kind, Lane, Lsn, Payload, Receipt, Scope, Store};

/// What every text begins with.
const CANARY: &str = "canary";

fn scope() -> Scope {
    Scope::new("canary-scope").unwrap()
}

fn event(name: &str) -> Event {
    let payload = Payload::json(&format!(r#"{{"canary-payload":"canary-{name}"}}"#)).unwrap();
    let headers = Headers::new().with("canary-header", "canary-value").unwrap();
    Event::new(scope(), key(name), payload)
        .with_kind(Kind::new("canary-kind").unwrap())
        .with_lane(Lane::new("canary-lane").unwrap())
        .with_headers(headers)
}

fn key(name: &str) -> Key {
    Key::new(&format!("canary-key-{name}")).unwrap()
}

fn body() -> Payload {
    Payload::json(r#"{"canary-body":"canary"}"#).unwrap()
}

fn receipt() -> Receipt {
    Receipt::new(b"canary-receipt").unwrap()
}

fn config(config: Config) -> Config {
    config.with_limits(Limits::new().with_count(50).with_when_full(WhenFull::EvictOldest))
}

/// Uses every area.
fn work(store: &Store) {
    for n in 0..8 {
        store.capture(&event(&format!("single-{n}"))).unwrap();
    }
    store.capture_batch(&[event("batch-1"), event("batch-2")]).unwrap();
    let effect = Effect { event: event("effect"), receipt: receipt() };
    store.apply_batch(&[effect]).unwrap();
    store.capture_deferred(&event("deferred")).unwrap().wait().unwrap();
    store.cancel(&scope(), &key("single-7")).unwrap();
    records(store);
    inbox(store);
    reviews(store);
    let mut session = Session::start(
        store,
        Options::new(scope()).with_keys(crate::sync::KeyRule::Conveyed),
        payloads(),
    )
    .unwrap();
    let Step::Send(batch) = session.next(0).unwrap() else { panic!("there is something to send") };
    assert!(batch.items().len() > 0);
    drop(session);
    churn(store);
}

fn records(store: &Store) {
    let asks =
        |name: &str| LeaseRequest::new(scope(), key(name)).with_request(b"canary-request".to_vec());
    let LeaseReply::Acquired(lease) = store.records().begin(&asks("record")).unwrap() else {
        panic!("taken")
    };
    store.records().complete(&lease, &body()).unwrap();
    let LeaseReply::Acquired(lease) = store.records().begin(&asks("released")).unwrap() else {
        panic!("taken")
    };
    store.records().release(&lease).unwrap();
    assert!(matches!(store.records().begin(&asks("held")).unwrap(), LeaseReply::Acquired(_)));
}

fn inbox(store: &Store) {
    let window = WindowId::new("canary-window").unwrap();
    store.inbox().open_window(&window, Duration::from_hours(1)).unwrap();
    let receive = |n: u32| -> Lsn {
        let delivery = Delivery::new(&format!("canary-delivery-{n}"), body()).unwrap();
        let within =
            WindowKey::new("canary-subject", &format!("canary-{n}"), window.clone()).unwrap();
        let delivery = delivery.with_steps(3).unwrap().with_window(within);
        let delivery = delivery.with_external_id(&format!("canary-external-{n}")).unwrap();
        match store.inbox().receive(&delivery).unwrap() {
            Received::Fresh { lsn } => lsn,
            other => panic!("{other:?}"),
        }
    };
    let (open, acked, failed) = (receive(1), receive(2), receive(3));
    store.inbox().progress(open, 1).unwrap();
    store.inbox().ack(acked).unwrap();
    store.inbox().fail(failed, "canary-error").unwrap();
}

fn reviews(store: &Store) {
    for (n, name) in ["single-1", "single-2", "single-3", "single-4"].into_iter().enumerate() {
        let (code, message) = ("CANARY_canary".to_owned(), "canary-message".to_owned());
        let answer = if n == 3 {
            Answer::Uncertain { code, message }
        } else {
            Answer::Rejected { code, message, reply: b"canary-reply".to_vec() }
        };
        store.settle(&[Settlement { scope: scope(), key: key(name), answer }]).unwrap();
    }
    store.reviews().resolve(&scope(), &key("single-1"), "canary-note").unwrap();
    let decision = Decision::retry(scope(), key("single-2")).with_note("canary-why");
    store.reviews().decide(&decision.with_person("canary-who")).unwrap();
    let answer = Answer::Accepted { receipt: Some(receipt()) };
    store.settle(&[Settlement { scope: scope(), key: key("single-5"), answer }]).unwrap();
}

/// Fills segments, drops what may be dropped, and cleans, with much of what is above carried.
fn churn(store: &Store) {
    let before = store.inner.log.segments()[0].number;
    let filling = format!(r#"{{"canary-filling":"{}"}}"#, "canary".repeat(2_000));
    let filling = Payload::json(&filling).unwrap();
    for n in 0..3_000 {
        let event = Event { payload: filling.clone(), ..event(&format!("churn-{n}")) };
        let settles = n % 3 != 0;
        store.capture(&if settles { event } else { event.with_class(Class::Evictable) }).unwrap();
        if settles {
            let answer = Answer::Accepted { receipt: Some(receipt()) };
            let key = key(&format!("churn-{n}"));
            store.settle(&[Settlement { scope: scope(), key, answer }]).unwrap();
        }
        if n % 50 == 0 {
            store.tick().unwrap();
        }
        if store.status().evicted > 3 && store.inner.log.segments()[0].number > before + 3 {
            return;
        }
    }
    panic!("nothing is cleaned: {:?}", store.status());
}

/// Works, crashes, is damaged, repaired and works again.
fn live(rig: &Rig) -> (Rig, [u8; 16]) {
    let rig = Rig { config: config(rig.config.clone()), ..rig.clone() };
    let store = rig.open();
    work(&store);
    let secret = *store.inner.log.identity().secret.first_chunk().unwrap();
    // A batch that is not synced: what is whole of it is kept in quarantine.
    let deferred: Vec<Event> = (0..20).map(|n| event(&format!("unsynced-{n}"))).collect();
    let ticket = store.capture_batch_deferred(&deferred).unwrap();
    rig.disk.cut_power_at(rig.disk.op_count() + 2);
    drop(ticket.wait());
    drop(store);
    let rig = rig.after_power_cut(&Survival::Torn { whole: 0, bytes: 1_500 });
    let store = rig.open();
    assert!(store.recovery().damage.is_empty());
    let waiting = store.status().in_review + store.status().uncertain;
    assert_eq!(waiting, 2, "control: what was there still is");
    for n in 0..4 {
        store.capture(&event(&format!("later-{n}"))).unwrap();
    }
    let last = store.inner.log.segments().last().unwrap().number;
    store.close().unwrap();
    let name = segments(&rig.disk).into_iter().find(|name| name[4..20] == format!("{last:016x}"));
    // In the body of the first frame behind the run frame.
    rig.disk.flip_bit(&name.unwrap(), 4_340, 0);
    let done = repair_on(&rig.disk, &rig.config.sealing()).unwrap();
    assert_eq!((done.left.len(), done.kept.len()), (0, 2), "{done:?}");
    let store = rig.open();
    store.tick().unwrap();
    store.capture(&event("last")).unwrap();
    store.close().unwrap();
    (rig, secret)
}

/// The files in which a canary stands, in name or bytes, and those with the secret.
fn search(files: &BTreeMap<String, Vec<u8>>, secret: [u8; 16]) -> (Vec<&str>, Vec<&str>) {
    let holding = |what: &[u8]| {
        let holds = |(name, bytes): &(&String, &Vec<u8>)| {
            stands_in(name.as_bytes(), what) || stands_in(bytes, what)
        };
        files.iter().filter(holds).map(|(name, _)| name.as_str()).collect()
    };
    (holding(CANARY.as_bytes()), holding(&secret))
}

#[test]
fn no_file_of_an_encrypted_store_holds_what_the_host_gave_nor_the_secret() {
    let rig = rig_with(&Keys::with(1));
    let (rig, secret) = live(&rig);
    let found = files(&rig.disk);
    for dir in ["log/", "index/", "quarantine/", "meta"] {
        assert!(
            found.keys().any(|name| name.starts_with(dir)),
            "control: {dir} {:?}",
            found.keys()
        );
    }
    assert_eq!(search(&found, secret), (vec![], vec![]));
    // Nor the keys: neither that of the host nor, which nobody could name, others by its pattern.
    assert!(!found.values().any(|bytes| stands_in(bytes, &[1; 32])));
}

#[test]
fn the_search_of_the_encryption_test_finds_what_a_plain_store_holds() {
    let (rig, secret) = live(&without_keys(&rig_with(&Keys::with(1))));
    let found = files(&rig.disk);
    let (canaries, secrets) = search(&found, secret);
    assert!(canaries.iter().any(|name| name.starts_with("log/")), "{canaries:?}");
    assert!(canaries.iter().any(|name| name.starts_with("quarantine/")), "{canaries:?}");
    assert!(secrets.contains(&"meta") && secrets.len() > 2, "{secrets:?}");
}

/// All files below a real directory.
fn real_files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

/// A store in a real directory, where the catalog would have files: while it is open, and closed.
fn live_in(dir: &Path, config: Config) -> (Vec<BTreeMap<String, Vec<u8>>>, [u8; 16]) {
    let config = self::config(config.with_segment_bytes(SEGMENT_BYTES));
    let store = Store::open(dir, config.clone()).unwrap();
    work(&store);
    let secret = *store.inner.log.identity().secret.first_chunk().unwrap();
    let mut found = vec![real_files(dir)];
    store.close().unwrap();
    let store = Store::open(dir, config).unwrap();
    assert!(store.reviews().list(&crate::review::ReviewFilter::new()).unwrap().len() >= 2);
    store.close().unwrap();
    found.push(real_files(dir));
    (found, secret)
}

#[test]
fn an_encrypted_store_in_a_directory_keeps_its_catalog_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, encrypted) = (dir.path().join("plain"), dir.path().join("encrypted"));
    let (found, secret) = live_in(&plain, Config::new());
    for found in &found {
        let (canaries, _) = search(found, secret);
        assert!(canaries.iter().any(|name| name.starts_with("catalog")), "control: {canaries:?}");
    }
    let (found, secret) = live_in(&encrypted, Config::new().with_encryption(Keys::with(1)));
    for found in &found {
        assert_eq!(search(found, secret), (vec![], vec![]));
    }
}

#[test]
fn no_decision_is_left_in_the_clear_beside_an_encrypted_store() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("store");
    let keys: Arc<Keys> = Keys::with(1);
    let store = Store::open(&dir, Config::new().with_encryption(keys)).unwrap();
    let decision = Decision::resolve(scope(), key("x"), "canary-note").with_version(7);
    assert_eq!(write_decision(&dir, &decision).unwrap_err().code(), "ENCRYPTED");
    store.close().unwrap();
    assert_eq!(search(&real_files(&dir), [3; 16]).0, Vec::<&str>::new());
}
