//! The events that a dialect can never send, for a store that refuses it at capture.

use onceward::sync::{KeyRule, Misfit};
use onceward::{Event, StoredEvent};

use super::Dialect;

/// The check for [`Config::with_sendable`](onceward::Config::with_sendable) by which a store refuses at capture what
/// `dialect` can never send: what [forms](Dialect::form) no item, and what has no key by `rule`, which must be the one
/// that the events' session will have.
///
/// ```
/// use onceward::sync::KeyRule;
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward_uplink::{Wede, sendable};
///
/// # let dir = tempfile::tempdir()?;
/// let config = Config::new().with_sendable(sendable(Wede::new("till-7"), KeyRule::Bare));
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
        let wire_key = rule.wire_key(&event.scope, &event.key)?;
        // No dialect sends the number that the store will give it.
        let event = event.clone().with_captured_at_ms(captured_at_ms);
        let stored = StoredEvent::as_if_captured(event, captured_at_ms);
        dialect.form(&stored, &wire_key, &mut Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use onceward::wire::ITEM_BYTES_MAX;
    use onceward::{Key, Payload, Scope};

    use super::*;
    use crate::{Forloy, Wede};

    /// Most bytes of a note with which a purchase of that scope passes.
    fn longest(check: impl Fn(&Event, i64) -> Result<(), Misfit>, scope: &str) -> usize {
        let passes = |bytes: &usize| {
            let note = "n".repeat(*bytes);
            let text = format!(
                r#"{{"qr_code_data":"q","location_id":"l","staff_user_id":"u","purchase_amount":1,"transaction_notes":"{note}"}}"#
            );
            let key = Key::new("sale-1").unwrap();
            let event = Event::new(Scope::new(scope).unwrap(), key, Payload::json(&text).unwrap());
            check(&event, 0).is_ok()
        };
        let lengths: Vec<usize> = (ITEM_BYTES_MAX - 1_024..=ITEM_BYTES_MAX).collect();
        let count = lengths.partition_point(passes);
        assert!(count > 0 && count < lengths.len(), "control");
        lengths[count - 1]
    }

    #[test]
    fn an_item_has_the_key_with_its_scope_and_is_so_much_shorter_at_most() {
        let (bare, scoped) = (KeyRule::Bare, KeyRule::ScopePrefix);
        let more = "~tips/".len();
        let wede = |rule, scope| longest(sendable(Wede::new("d"), rule), scope);
        assert_eq!(wede(bare, "default") - wede(scoped, "tips"), more);
        let forloy = |rule, scope| longest(sendable(Forloy::new(), rule), scope);
        assert_eq!(forloy(bare, "default") - forloy(scoped, "tips"), more);
    }
}
