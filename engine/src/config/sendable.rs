//! What an upstream can never take is refused at capture, where it can still be mended.

use std::fmt;
use std::sync::Arc;

use super::Config;
use crate::event::Event;
use crate::upstreams::Misfit;

/// Returns why an upstream can never take an event that was captured at a moment, Unix milliseconds.
type Check = dyn Fn(&Event, i64) -> Result<(), Misfit> + Send + Sync;

/// A host's check.
#[derive(Clone)]
pub(crate) struct Sendable(Arc<Check>);

impl fmt::Debug for Sendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sendable").finish_non_exhaustive()
    }
}

impl Sendable {
    /// Why an event must not be captured now.
    pub(crate) fn refusal(&self, event: &Event, now_ms: i64) -> Option<String> {
        let found = (self.0)(event, event.captured_at_ms.unwrap_or(now_ms)).err()?;
        Some(format!("the upstream can never take this: {}", found.message))
    }
}

impl Config {
    /// Refuses at capture what `check` says that the upstream can never take; nothing is refused so by
    /// default. The uplink has one for each dialect.
    ///
    /// `check` is given the event and the moment of its capture, Unix milliseconds. A capture of what it
    /// refuses is `Invalid`, code `UNSENDABLE`, unless the key is known already: then it is answered as ever.
    /// What was captured before, or came from another store, is never sent, and goes to review once the upstream took
    /// others in the same session: see [`Form`](crate::sync::Form).
    ///
    /// ```
    /// use onceward::sync::Misfit;
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let check = |event: &Event, _captured_at_ms: i64| match event.payload.as_json() {
    ///     Some(text) if text.starts_with('{') => Ok(()),
    ///     _ => Err(Misfit { code: "INVALID_ITEM".to_owned(), message: "is no object".to_owned() }),
    /// };
    /// let store = Store::open(dir.path().join("store"), Config::new().with_sendable(check))?;
    /// let event = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("[]")?);
    /// assert_eq!(store.capture(&event).unwrap_err().code(), "UNSENDABLE");
    /// assert_eq!(store.status().pending, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_sendable(
        mut self,
        check: impl Fn(&Event, i64) -> Result<(), Misfit> + Send + Sync + 'static,
    ) -> Self {
        self.sendable = Some(Sendable(Arc::new(check)));
        self
    }
}
