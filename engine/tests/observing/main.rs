//! What a store reports to `tracing` and `metrics` has the names of OBSERVING.md, and nothing of what it keeps.
//!
//! Method: collect all spans, events and metrics of a store's life, whose keys, payloads, scopes, amounts, receipts,
//! rejections and decisions are marked; compare the names with the document, and search everything for the marks.
//!
//! What is collected is all of the target `onceward`, TRACE included, with the feature `sled` and an item in review. It
//! is not what sled itself logs through the crate `log`, under targets `sled::*`: that has the marks, at TRACE, and a
//! host turns it off (see OBSERVING.md).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "plays damage from outside; a failure of the disk is one of the test"
)]

mod collected;
#[cfg(feature = "testing")]
mod failures;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use collected::{Collected, Everything};
use onceward::limits::Limits;
use onceward::rescue::BundleKey;
use onceward::review::ReviewFilter;
use onceward::sync::{Item, ItemOutcome, Options, Reply, Session, Step, payloads};
use onceward::{Answer, Config, Event, Key, Payload, Receipt, Scope, Settlement, Store};

/// What no report may contain: in all texts that a store is given.
const MARK: &str = "marked-7351";
/// The amounts of the events, as they are written and as they are stored.
const AMOUNT_MARKS: [&str; 2] = ["73519.42", "735194200"];

fn event(scope: &Scope, number: u64) -> Event {
    let key = Key::new(&format!("{MARK}-{number}")).unwrap();
    let payload = format!(r#"{{"note":"{MARK}","padding":"{}"}}"#, "x".repeat(4_000));
    Event::new(scope.clone(), key, Payload::json(&payload).unwrap())
        .with_amount("73519.42".parse().unwrap())
}

/// Captures of every verdict, and one that is refused.
fn capture(store: &Store, scope: &Scope) {
    store.capture(&event(scope, 0)).unwrap();
    store.capture(&event(scope, 0)).unwrap();
    let other = Payload::json(&format!(r#"{{"other":"{MARK}"}}"#)).unwrap();
    store.capture(&Event { payload: other, ..event(scope, 0) }).unwrap();
    let ticket = store.capture_deferred(&event(scope, 1)).unwrap();
    ticket.wait().unwrap();
    let long = Payload::bytes(MARK.repeat(10_000).into_bytes());
    store.capture(&Event { payload: long, ..event(scope, 2) }).unwrap_err();
}

/// Sends what waits in the default scope, and has it all taken.
fn send(store: &Store) {
    store.capture(&event(&Scope::default(), 0)).unwrap();
    let options = Options::new(Scope::default());
    let mut session = Session::start(store, options, payloads()).unwrap();
    while let Step::Send(batch) = session.next(0).unwrap() {
        let taken = |item: Item<'_>| (item.key.to_owned(), ItemOutcome::Accepted { receipt: None });
        let reply = Reply::of(batch.items().map(taken).collect());
        session.on_reply(batch.id, &reply, 0).unwrap();
    }
}

/// Fills segments with events, and settles them: their segments go.
fn fill_and_settle(store: &Store, scope: &Scope) {
    let events: Vec<Event> = (10..310).map(|number| event(scope, number)).collect();
    for some in events.chunks(30) {
        store.capture_batch(some).unwrap();
    }
    let settlement = |event: &Event| {
        let (scope, key) = (event.scope.clone(), event.key.clone());
        Settlement { scope, key, answer: Answer::Accepted { receipt: None } }
    };
    store.settle(&events.iter().map(settlement).collect::<Vec<_>>()).unwrap();
    for _ in 0..20 {
        store.tick().unwrap();
    }
    let (message, reply) = (MARK.to_owned(), MARK.as_bytes().to_vec());
    let answer = Answer::Rejected { code: MARK.to_owned(), message, reply };
    let key = event(scope, 1).key;
    store.settle(&[Settlement { scope: scope.clone(), key, answer }]).unwrap();
    // Looked at as a program does that shows it, while it is in the catalog.
    assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap().len(), 1);
}

/// A person decides on what is in review; then the upstream confirms an event with a receipt.
fn decide(store: &Store, scope: &Scope) {
    store.reviews().retry(scope, &event(scope, 1).key).unwrap();
    let answer =
        Answer::Rejected { code: MARK.to_owned(), message: MARK.to_owned(), reply: vec![] };
    let settlement = |answer| Settlement { scope: scope.clone(), key: event(scope, 1).key, answer };
    store.settle(&[settlement(answer)]).unwrap();
    store.reviews().resolve(scope, &event(scope, 1).key, MARK).unwrap();
    let receipt = Some(Receipt::new(MARK.as_bytes()).unwrap());
    let key = event(scope, 0).key;
    let answer = Answer::Accepted { receipt };
    store.settle(&[Settlement { scope: scope.clone(), key, answer }]).unwrap();
}

/// Flips a bit of the last event that was captured, wherever its key is.
fn damage(dir: &Path) {
    let key = format!("{MARK}-4");
    for entry in fs::read_dir(dir.join("log")).unwrap() {
        let file = entry.unwrap().path();
        let mut bytes = fs::read(&file).unwrap();
        let places: Vec<usize> =
            (0..bytes.len()).filter(|at| bytes[*at..].starts_with(key.as_bytes())).collect();
        places.into_iter().for_each(|at| bytes[at] ^= 1);
        fs::write(file, bytes).unwrap();
    }
}

#[test]
fn reports_have_the_names_of_the_document_and_nothing_of_what_is_kept() {
    let collected = Collected::default();
    tracing::subscriber::set_global_default(Everything::new(collected.clone())).unwrap();
    metrics::set_global_recorder(collected.clone()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let scope = Scope::new(MARK).unwrap();
    let config = || {
        Config::new().with_segment_bytes(256 * 1024).with_limits(Limits::new().with_count(10_000))
    };
    let store = Store::open(dir.path(), config()).unwrap();
    let at_opening = collected.all().0;
    for gauge in ["onceward_unsettled_events stage=pending 0", "onceward_log_bytes "] {
        assert!(at_opening.contains(gauge), "{gauge}:\n{at_opening}");
    }
    capture(&store, &scope);
    send(&store);
    fill_and_settle(&store, &scope);
    decide(&store, &scope);
    let key = BundleKey::from_bytes([7; 32]);
    let exported = store.rescue().export(&mut Vec::new(), &key, true).unwrap();
    store.capture(&event(&scope, 3)).unwrap_err();
    store.rescue().unfence(exported.bundle).unwrap();
    store.capture(&event(&scope, 4)).unwrap();
    store.close().unwrap();
    damage(dir.path());
    let store = Store::open(dir.path(), config()).unwrap();
    assert!(store.status().damaged_ranges > 0, "control");
    drop(store);

    let (text, names) = collected.all();
    let document = include_str!("../../OBSERVING.md");
    let documented: BTreeSet<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name))
        .collect();
    for name in &names {
        assert!(documented.contains(name.as_str()), "{name} is not in OBSERVING.md");
    }
    // An index that is damaged while the store is open is not had here. A disk that fails or is full: see `failures`.
    let not_here = [
        "checkpoint_failed",
        "disk_failed",
        "disk_full",
        "index_made_anew",
        "poisoned",
        "onceward_disk_failures_total",
        "onceward_disk_full_total",
        "onceward_indexes_made_anew_total",
        "onceward_poisoned_total",
    ];
    for name in documented {
        assert!(names.contains(name) != not_here.contains(&name), "{name}: {names:?}");
    }
    for seen in [
        "captured fresh=1 duplicate=0 conflict=0",
        "captured fresh=0 duplicate=1 conflict=0",
        "captured fresh=0 duplicate=0 conflict=1",
        "capture_refused code=\"PAYLOAD_TOO_LONG\" in_doubt=false",
        "capture_refused code=\"STORE_FENCED\" in_doubt=false",
        "onceward_captures_refused_total code=STORE_FENCED 1",
        "onceward_captures_total verdict=fresh 30",
        "onceward_unsettled_events stage=in_review 1",
        "fence is_up=true",
        "fence is_up=false",
        "batches_formed batches=1 events=1",
        "opened clean=false frames=0",
        "damage_found file=",
    ] {
        assert!(text.contains(seen), "{seen}:\n{text}");
    }
    for mark in [&[MARK][..], &AMOUNT_MARKS].concat() {
        assert!(!text.contains(mark), "{mark} was reported");
    }
}
