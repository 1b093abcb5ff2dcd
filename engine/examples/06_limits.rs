//! How much may wait while the line is down: what is refused, and what is dropped to make room.
//!
//! `cargo run -p onceward --example 06_limits`

use onceward::capture::WouldAccept;
use onceward::limits::{Limit, Limits, WhenFull};
use onceward::{Class, Config, ErrorKind, Event, Key, Payload, Scope, State, Store};

/// A sale of this amount.
fn sale(key: &str, amount: &str) -> Result<Event, onceward::Error> {
    let event = Event::new(Scope::new("sales")?, Key::new(key)?, Payload::json("{}")?);
    Ok(event.with_amount(amount.parse()?))
}

/// The temperature of the fridge: the latest count most.
fn reading(key: &str) -> Result<Event, onceward::Error> {
    let event = Event::new(Scope::new("readings")?, Key::new(key)?, Payload::json("{}")?);
    Ok(event.with_class(Class::Evictable))
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let limits = Limits::new()
        .with_count(3)
        .with_amount("50".parse()?)
        .with_sum("80".parse()?)
        .with_when_full(WhenFull::EvictOldest);
    let store = Store::open(dir.path().join("store"), Config::new().with_limits(limits))?;

    // Nobody confirms while the line is down, so the risk that the shop takes is bounded.
    store.capture(&sale("sale-1", "45")?)?;
    let error = store.capture(&sale("sale-2", "51")?).expect_err("more than 50 at once");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Full, "LIMIT_AMOUNT"));
    let too_much = store.would_accept(&sale("sale-3", "36")?)?;
    assert_eq!(too_much, WouldAccept::Refused { limit: Limit::Sum });

    // Readings make room for others, oldest first; sales never do.
    for key in ["reading-1", "reading-2", "reading-3"] {
        store.capture(&reading(key)?)?;
    }
    store.capture(&sale("sale-4", "10")?)?;
    let dropped: Vec<_> = store.losses(None, 10)?.into_iter().filter_map(|it| it.key).collect();
    assert_eq!(dropped, [Key::new("reading-1")?, Key::new("reading-2")?]);
    assert_eq!(store.status().evicted, 2);

    // What was dropped stays known: to capture it again is no new event.
    let outcome = store.outcome(&Scope::new("readings")?, &Key::new("reading-1")?)?;
    assert_eq!(outcome.state, State::Expired);
    store.close()?;
    Ok(())
}
