//! What the upstream refused for good waits for a person: list it, decide on it, and let a console
//! in another process decide while this one has the store.
//!
//! `cargo run -p onceward --example 05_review`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onceward::review::{Decision, ReviewFilter, write_decision};
use onceward::{Answer, Config, ErrorKind, Event, Key, Payload, Scope, Settlement, State, Store};

/// Runs the example.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let dir = dir.path().join("store");
    let store = Store::open(&dir, Config::new())?;
    let scope = Scope::default();

    // Somebody wants to know when a decision is needed.
    let bell = Arc::new(AtomicU64::new(0));
    let rings = Arc::clone(&bell);
    let _watch = store.reviews().watch(Arc::new(move |_notice| {
        rings.fetch_add(1, Ordering::Relaxed);
    }));

    // Three sales; the upstream refuses all of them, as a session or the host's own delivery hears.
    for (key, code) in
        [("sale-1", "CARD_UNKNOWN"), ("sale-2", "CARD_UNKNOWN"), ("sale-3", "CLOSED")]
    {
        let key = Key::new(key)?;
        store.capture(&Event::new(scope.clone(), key.clone(), Payload::json(r#"{"total":5}"#)?))?;
        let message = "see the list".to_owned();
        let answer = Answer::Rejected { code: code.to_owned(), message, reply: b"{}".to_vec() };
        store.settle(&[Settlement { scope: scope.clone(), key, answer }])?;
    }
    assert_eq!(bell.load(Ordering::Relaxed), 3);

    // A page of them, and the next one.
    let filter = ReviewFilter::new().with_code("CARD_UNKNOWN").with_max(1);
    let first = store.reviews().list(&filter)?;
    let last = first.last().ok_or("nothing waits")?;
    let second = store.reviews().list(&filter.with_after(last.version, last.lsn))?;
    assert_eq!((first.len(), second.len()), (1, 1));

    // The card was added: the sale is sent again, under the same key.
    let item = store.reviews().get(&scope, &Key::new("sale-1")?)?;
    let retry = Decision::retry(scope.clone(), item.key.clone())
        .with_person("anna")
        .with_note("the card was added")
        .with_version(item.version);
    store.reviews().decide(&retry)?;
    assert_eq!(store.outcome(&scope, &item.key)?.state, State::Pending);

    // A colleague who saw the same item comes second, and is told.
    let late = Decision::resolve(scope.clone(), item.key.clone(), "refunded")
        .with_person("ben")
        .with_version(item.version);
    match store.reviews().decide(&late) {
        Err(error) if error.kind() == ErrorKind::Fenced => {
            assert!(error.to_string().contains("anna decided first"));
        }
        other => return Err(format!("{other:?}").into()),
    }

    // A console in another process writes its decision beside the store; the next tick takes it up.
    let item = store.reviews().get(&scope, &Key::new("sale-3")?)?;
    let resolve = Decision::resolve(scope.clone(), item.key.clone(), "the shop is closed")
        .with_person("cleo")
        .with_version(item.version);
    write_decision(&dir, &resolve)?;
    store.tick()?;
    assert_eq!(store.outcome(&scope, &item.key)?.state, State::Rejected);

    // Who decided what, and why.
    let made = store.reviews().decisions(None, 10)?;
    let who: Vec<&str> = made.iter().map(|made| made.decision.who.as_str()).collect();
    assert_eq!(who, ["anna", "cleo"]);
    assert_eq!(store.reviews().count(None), 1);
    store.close()?;
    Ok(())
}
