//! How a host tests what it does when the disk is full, a key is forgotten, the power goes, or the upstream forgot.
//!
//! `cargo run -p onceward --features testing --example 10_testing`. In a host these are tests, and the feature is one
//! of its dev-dependencies: `onceward = { path = "../onceward/engine", features = ["testing"] }`.

use std::time::Duration;

use onceward::sync::{Options, Session, payloads};
use onceward::testing::{DiskError, DiskOperation, Machine, Mood, ScriptedUpstream, Unsynced};
use onceward::{Config, ErrorKind, Event, Key, Payload, Result, Scope, State, Store, Verdict};

/// One hour.
const HOUR: Duration = Duration::from_hours(1);

/// The part of the host that is tested: what the till shows after a sale.
fn shown(captured: &Result<Verdict>) -> &'static str {
    match captured {
        Ok(Verdict::Fresh { .. } | Verdict::Duplicate { .. }) => "sold",
        Ok(_) => "this receipt number is another sale's",
        Err(error) if error.in_doubt() => "restart the till, it may be sold",
        Err(error) if error.kind() == ErrorKind::Full => "no room: cash only, on paper",
        Err(_) => "not sold",
    }
}

/// The other part: what the till does with a sale that was in doubt, once it is started again.
fn is_sold(store: &Store, sale: &Event) -> Result<bool> {
    Ok(store.outcome(&sale.scope, &sale.key)?.state != State::Unknown)
}

fn sale(number: u32) -> Result<Event> {
    let payload = format!(r#"{{"total":24.50,"items":"{}"}}"#, "x".repeat(5_000));
    let key = Key::new(&format!("till-7-{number:06}"))?;
    Ok(Event::new(Scope::default(), key, Payload::json(&payload)?))
}

/// On a full disk the till says so, keeps what it has, and sells again once there is room.
fn a_full_disk() -> Result<()> {
    let machine = Machine::new();
    let store = machine.open(Config::new().with_segment_bytes(256 * 1024))?;
    store.capture(&sale(1)?)?;
    machine.disk().set_free_bytes(Some(0));
    // The store has some room of its own: it refuses when that is used.
    let mut number = 1;
    let shows = loop {
        number += 1;
        match shown(&store.capture(&sale(number)?)) {
            "sold" => {}
            shows => break shows,
        }
    };
    assert_eq!(shows, "no room: cash only, on paper");
    assert!(is_sold(&store, &sale(number - 1)?)?);
    assert!(!is_sold(&store, &sale(number)?)?, "refused is surely not stored");
    machine.disk().set_free_bytes(None);
    assert_eq!(shown(&store.capture(&sale(number)?)), "sold");
    Ok(())
}

/// A receipt number is remembered for its window after the sale was settled; then it may come again.
fn an_expired_key() -> Result<()> {
    let machine = Machine::new();
    let store = machine.open(Config::new().with_window(24 * HOUR))?;
    let (first, other) = (sale(1)?, Event { payload: Payload::json("3.80")?, ..sale(1)? });
    store.capture(&first)?;
    let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
    ScriptedUpstream::new().serve(&mut session, machine.clock())?;

    machine.clock().advance(23 * HOUR);
    store.tick()?;
    assert_eq!(shown(&store.capture(&other)), "this receipt number is another sale's");
    machine.clock().advance(2 * HOUR);
    store.tick()?;
    assert_eq!(shown(&store.capture(&other)), "sold");
    Ok(())
}

/// The power goes in the middle of a sale. Whatever the disk kept, the till and the store agree afterwards.
fn a_sale_in_doubt() -> Result<()> {
    let (before, sale) = (sale(1)?, sale(2)?);
    let (mut found, mut lost) = (0, 0);
    for seed in 0..16 {
        let machine = Machine::new();
        let store = machine.open(Config::new())?;
        store.capture(&before)?;
        machine.disk().fail_next(DiskOperation::Sync, DiskError::Failed);
        assert_eq!(shown(&store.capture(&sale)), "restart the till, it may be sold");

        // A failed sync leaves it open what is on the disk; so does the power cut.
        let machine = match seed {
            0 => machine.kill(),
            seed => machine.cut_power(Unsynced::Drawn { seed }),
        };
        let store = machine.open(Config::new())?;
        let was_sold = is_sold(&store, &sale)?;
        *(if was_sold { &mut found } else { &mut lost }) += 1;
        // To sell it again under its number is right in both cases.
        let again = store.capture(&sale)?;
        assert_eq!(matches!(again, Verdict::Duplicate { .. }), was_sold);
        assert_eq!(store.status().pending, 2);
    }
    assert!(found > 0 && lost > 0, "both happen: {found} and {lost} times");
    Ok(())
}

/// A reply was lost, and the line was away for longer than the upstream remembers keys: to send the sale again might
/// book it twice, so a person is asked.
fn a_horizon_that_passed() -> Result<()> {
    let machine = Machine::new();
    let store = machine.open(Config::new())?;
    let (old, new) = (sale(1)?, sale(2)?);
    store.capture(&old)?;
    let mut upstream = ScriptedUpstream::new();
    upstream.remember_keys_for(48 * HOUR);
    upstream.script([Mood::LosesReply]);
    let options = Options::new(Scope::default()).with_horizon(48 * HOUR);
    let mut session = Session::start(&store, options, payloads())?;
    upstream.serve(&mut session, machine.clock())?;
    assert_eq!(store.outcome(&old.scope, &old.key)?.state, State::InFlight);

    machine.clock().advance(49 * HOUR);
    store.capture(&new)?;
    session.on_online();
    upstream.serve(&mut session, machine.clock())?;
    assert_eq!(store.outcome(&new.scope, &new.key)?.state, State::Accepted);
    assert_eq!(store.outcome(&old.scope, &old.key)?.state, State::Uncertain);
    assert_eq!(store.reviews().get(&old.scope, &old.key)?.code, "HORIZON");
    assert_eq!(upstream.effects()[old.key.as_str()], 1, "it was booked, and not twice");
    Ok(())
}

/// Runs the example.
pub(crate) fn main() -> Result<()> {
    a_full_disk()?;
    an_expired_key()?;
    a_sale_in_doubt()?;
    a_horizon_that_passed()
}
