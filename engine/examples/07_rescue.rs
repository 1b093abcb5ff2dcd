//! A terminal is taken out of service: what it could not deliver goes along on a stick.
//!
//! `cargo run -p onceward --example 07_rescue`

use onceward::rescue::{BundleKey, Reason, SafeToWipe};
use onceward::{Config, ErrorKind, Event, Key, Payload, Scope, Store};

/// A sale of this amount.
fn sale(key: &str, amount: &str) -> Result<Event, onceward::Error> {
    let event = Event::new(Scope::new("sales")?, Key::new(key)?, Payload::json("{}")?);
    Ok(event.with_amount(amount.parse()?))
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let old = Store::open(dir.path().join("till-7"), Config::new())?;
    let new = Store::open(dir.path().join("till-8"), Config::new())?;
    old.capture(&sale("till-7-000041", "24.50")?)?;
    old.capture(&sale("till-7-000042", "3.80")?)?;

    // Somebody wants to reset the terminal: this is what would be lost.
    assert_eq!(old.rescue().summary().pending.to_string(), "2 with an amount of 28.30");
    let waiting = Reason::Pending(old.rescue().summary().pending);
    assert_eq!(old.rescue().safe_to_wipe(), SafeToWipe::NotSafe { why: vec![waiting] });

    // All of it, sealed; the old terminal sends and takes nothing more. On a real stick: sync the file.
    let key = BundleKey::from_passphrase("nine sandwiches, no onions")?;
    let mut stick = Vec::new();
    let exported = old.rescue().export(&mut stick, &key, true)?;
    let error = old.capture(&sale("till-7-000043", "1")?).expect_err("the store is left");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Fenced, "STORE_FENCED"));

    // Imported elsewhere, under the same keys; the stick may come twice.
    let imported = new.rescue().import(&mut stick.as_slice(), &key)?;
    assert_eq!((imported.fresh, imported.conflicts, imported.refused), (2, 0, 0));
    assert_eq!(imported.digest, exported.digest);
    let again = new.rescue().import(&mut stick.as_slice(), &key)?;
    assert_eq!((again.fresh, again.duplicates), (0, 2));
    assert_eq!(new.rescue().summary().pending, old.rescue().summary().pending);
    assert!(new.rescue().summary().imports.iter().any(|import| import.source == old.id()));

    // Had the stick been lost instead, a person would open the old terminal again.
    old.rescue().unfence(exported.bundle)?;
    old.capture(&sale("till-7-000043", "1")?)?;
    Ok(())
}
