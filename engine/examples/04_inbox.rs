//! What the upstream delivers takes effect once, step by step, and its end travels back.

use std::error::Error;
use std::time::Duration;

use onceward::inbox::{Delivery, DropReason, Received, WindowId, WindowKey};
use onceward::{Config, Payload, Result, Scope, Store};

/// Everything in one go.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let dir = dir.path().join("store");
    let store = Store::open(&dir, Config::new())?;

    // A delivery arrives, twice, because the first answer was lost. The work is in three steps.
    let price_list = Delivery::new("6f1c2c1e", Payload::json(r#"{"prices":[2.40,3.10]}"#)?)?
        .with_external_id("evt_1Nx")?
        .with_steps(3)?;
    let Received::Fresh { lsn } = store.inbox().receive(&price_list)? else {
        return Err("a new store has seen nothing".into());
    };
    assert!(
        matches!(store.inbox().receive(&price_list)?, Received::Duplicate { lsn: of, .. } if of == lsn)
    );

    // Two steps are done when the power goes. Opened again, the store says where to go on.
    store.inbox().progress(lsn, 1)?;
    store.inbox().progress(lsn, 2)?;
    drop(store);
    let store = Store::open(&dir, Config::new())?;
    for delivery in store.inbox().list(None, 100)? {
        assert_eq!(delivery.next_step, Some(3));
        store.inbox().progress(delivery.lsn, 3)?;
        // The end is an event: it is sent with everything else, and survives as everything else.
        store.inbox().ack(delivery.lsn)?;
    }
    let answers = store.pending(&Scope::new("inbox")?, None, 100)?;
    let keys: Vec<&str> = answers.iter().map(|answer| answer.event.key.as_str()).collect();
    assert_eq!(keys, ["ack:6f1c2c1e"]);

    // Once in a window that the upstream issues, and once more in the next one.
    let tour = |window: &WindowId| -> Result<Delivery> {
        let within = WindowKey::new("user-17", "onboarding-tour", window.clone())?;
        Ok(Delivery::of_window(within, Payload::json("{}")?))
    };
    let (session, next) = (WindowId::new("session-1")?, WindowId::new("session-2")?);
    store.inbox().open_window(&session, Duration::from_mins(30))?;
    assert!(matches!(store.inbox().receive(&tour(&session)?)?, Received::Fresh { .. }));
    assert!(matches!(store.inbox().receive(&tour(&session)?)?, Received::Duplicate { .. }));
    // What nobody finished in its window is dropped, and said so.
    assert_eq!(store.inbox().close_window(&session)?.len(), 1);
    assert!(store.inbox().dropped().iter().any(|dropped| dropped.id == "onboarding-tour"));
    let late = store.inbox().receive(&tour(&session)?)?;
    assert_eq!(late, Received::Dropped { why: DropReason::WindowNotOpen });
    store.inbox().open_window(&next, Duration::from_mins(30))?;
    assert!(matches!(store.inbox().receive(&tour(&next)?)?, Received::Fresh { .. }));

    store.close()?;
    Ok(())
}
