//! Many events with few waits for the disk: a group that is kept whole, and captures that are waited
//! for later.
//!
//! `cargo run -p onceward --example 02_group_of_captures`

use onceward::{Config, Event, Key, Payload, Scope, Store, Verdict};

/// One line of a receipt.
fn line(receipt: u32, number: u32) -> Result<Event, onceward::Error> {
    let key = Key::new(&format!("receipt-{receipt}-line-{number}"))?;
    Ok(Event::new(Scope::new("sales")?, key, Payload::json(&format!(r#"{{"line":{number}}}"#))?))
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path().join("store"), Config::new())?;

    // All lines of a receipt, or none: one write and one sync.
    let receipt = (1..=3).map(|number| line(1, number)).collect::<Result<Vec<_>, _>>()?;
    let verdicts = store.capture_batch(&receipt)?;
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Fresh { .. })));

    // Readings that come one after the other: each is queued at once, and one wait is for all.
    let mut tickets = Vec::new();
    for number in 1..=100 {
        tickets.push(store.capture_deferred(&line(2, number)?)?);
    }
    for ticket in tickets {
        // The first one waits for the disk; the others were made durable with it.
        assert!(matches!(ticket.wait()?, Verdict::Fresh { .. }));
    }

    // Nobody needs to know: durable a fifth of a second later, with the next capture that is waited for,
    // or when the store is closed.
    drop(store.capture_deferred(&line(3, 1)?)?);
    store.close()?;

    let store = Store::open(dir.path().join("store"), Config::new())?;
    assert_eq!(store.status().pending, 104);
    Ok(())
}
