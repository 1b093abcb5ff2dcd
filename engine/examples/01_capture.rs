//! Keeps a sale durably, and answers a repetition of it as one.
//!
//! `cargo run -p onceward --example 01_capture`

use onceward::{Config, Event, Headers, Key, Kind, Payload, Scope, State, Store, Verdict};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path().join("store"), Config::new())?;

    // The key names the sale: the till knows it before anything is stored, and uses it for every retry.
    // Where there is no such name, `Key::generate()` makes one.
    let sale = Event::new(
        Scope::new("sales")?,
        Key::new("till-7-receipt-000042")?,
        Payload::json(r#"{ "article": "coffee", "total": 2.80 }"#)?,
    )
    .with_kind(Kind::new("PURCHASE")?)
    .with_amount("2.80".parse()?)
    .with_headers(Headers::new().with("trace-id", "4bf92f3577b34da6")?);

    // Once this returns, the sale survives a power cut.
    let verdict = store.capture(&sale)?;
    let Verdict::Fresh { lsn } = verdict else { return Err(format!("{verdict:?}").into()) };

    // The button was pressed twice, or the till was restarted before it saw the answer.
    let again = store.capture(&sale)?;
    assert_eq!(again, Verdict::Duplicate { lsn, state: State::Pending });

    // Another sale under the same key is a mistake, and said to be one.
    let other = Event { payload: Payload::json(r#"{"article":"tea"}"#)?, ..sale.clone() };
    assert_eq!(store.capture(&other)?, Verdict::Conflict { lsn });

    // A sale that is called off before it was sent.
    let called_off = Event { key: Key::generate(), ..sale.clone() };
    store.capture(&called_off)?;
    store.cancel(&called_off.scope, &called_off.key)?;
    assert_eq!(store.outcome(&called_off.scope, &called_off.key)?.state, State::Cancelled);

    let waiting = store.pending(&sale.scope, None, 10)?;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting.first().map(|stored| &stored.event), Some(&sale));
    store.close()?;
    Ok(())
}
