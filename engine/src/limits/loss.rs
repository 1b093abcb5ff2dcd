//! Events that were dropped to make room, as the store reports them.

use std::fmt;

use crate::Lsn;
use crate::event::{Key, Scope};

/// What a store knows a key by: a fingerprint that only this store makes. Prints as 32 hexadecimal
/// digits.
///
/// ```
/// use onceward::{Class, Config, Event, Key, Payload, Scope, Store};
/// use onceward::limits::{Limits, WhenFull};
///
/// let limits = Limits::new().with_count(1).with_when_full(WhenFull::EvictOldest);
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new().with_limits(limits))?;
/// for key in ["reading-1", "reading-2"] {
///     let event = Event::new(Scope::default(), Key::new(key)?, Payload::json("21.5")?);
///     store.capture(&event.with_class(Class::Evictable))?;
/// }
/// // Of an event whose bytes are gone the fingerprint is left.
/// assert_eq!(store.losses(None, 10)?[0].fingerprint.to_string().len(), 32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct KeyFingerprint(pub(crate) u128);

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyFingerprint").field(&format_args!("{self}")).finish()
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// An event that was dropped to make room; see [`Store::losses`](crate::Store::losses).
///
/// ```
/// use onceward::{Class, Config, Event, Key, Payload, Scope, Store};
/// use onceward::limits::{Limits, WhenFull};
///
/// let limits = Limits::new().with_count(1).with_when_full(WhenFull::EvictOldest);
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new().with_limits(limits))?;
/// for key in ["reading-1", "reading-2"] {
///     let event = Event::new(Scope::default(), Key::new(key)?, Payload::json("21.5")?);
///     store.capture(&event.with_class(Class::Evictable))?;
/// }
/// let loss = &store.losses(None, 10)?[0];
/// assert_eq!(loss.key.as_ref().map(|key| key.as_str()), Some("reading-1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Loss {
    /// The event's number.
    pub lsn: Lsn,
    /// The event's scope.
    pub scope: Scope,
    /// The event's key, while the log still has it.
    pub key: Option<Key>,
    /// What the store knows the key by.
    pub fingerprint: KeyFingerprint,
    /// When it was dropped, Unix milliseconds by the wall clock.
    pub dropped_ms: i64,
}
