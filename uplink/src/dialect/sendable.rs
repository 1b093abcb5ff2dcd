//! What a dialect can never send, for a store that refuses it at capture.

use onceward::sync::{KeyRule, Misfit};
use onceward::{BootId, Event, Lsn, State, StoredEvent};

use super::Dialect;

/// The check for [`Config::sendable`](onceward::Config::sendable) by which a store refuses at capture what
/// `dialect` can never send: what does not [fit](Dialect::fit), and what has no key by `rule`, which must be the one
/// that the events' session will have.
///
/// ```
/// use onceward::sync::KeyRule;
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward_uplink::{Wede, sendable};
///
/// # let dir = tempfile::tempdir()?;
/// let config = Config::new().sendable(sendable(Wede::new("till-7"), KeyRule::Bare));
/// let store = Store::open(dir.path().join("store"), config)?;
/// let twice = Payload::json(r#"{"total":1,"total":2}"#)?;
/// let event = Event::new(Scope::default(), Key::new("sale-1")?, twice);
/// let error = store.capture(&event).unwrap_err();
/// assert!(error.to_string().ends_with("payload.total: is there twice"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sendable(
    dialect: impl Dialect + 'static,
    rule: KeyRule,
) -> impl Fn(&Event, i64) -> Result<(), Misfit> + Send + Sync + 'static {
    move |event, captured_at_ms| {
        rule.wire_key(&event.scope, &event.key)?;
        let stored = StoredEvent {
            // No dialect sends the number that the store will give it.
            lsn: Lsn::FIRST,
            event: event.clone(),
            captured_at_ms: Some(captured_at_ms),
            boot: BootId::default(),
            mono_ms: 0,
            wall_ms: Some(captured_at_ms),
            state: State::Pending,
            receipt: None,
        };
        dialect.fit(&stored).map(drop)
    }
}
