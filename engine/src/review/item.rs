//! What waits for a person, as the store reports it.

use std::fmt;

use crate::Lsn;
use crate::base::shown::OnlyLength;
use crate::event::{Event, Key, Scope, StoredEvent};
use crate::outbox::frames::Rejection;

/// An event that waits for a person: the upstream refused it for good, or nobody knows whether it
/// took effect, as `stored.state` says.
///
/// ```
/// use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # let (scope, key) = (Scope::default(), Key::new("sale-1")?);
/// # store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
/// # let answer = Answer::Rejected { code: "NO_CARD".into(), message: "?".into(), reply: vec![] };
/// # store.settle(&[Settlement { scope: scope.clone(), key: key.clone(), answer }])?;
/// let item = store.reviews().get(&scope, &key)?;
/// assert_eq!((item.code.as_str(), item.event().payload.as_json()), ("NO_CARD", Some("{}")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReviewItem {
    /// The event's number.
    pub lsn: Lsn,
    /// The event's scope.
    pub scope: Scope,
    /// The event's key.
    pub key: Key,
    /// The upstream's code for the reason, such as `CARD_NOT_FOUND`; `UNREADABLE` if the disk lost
    /// the reason after the store was opened.
    pub code: String,
    /// The upstream's words.
    pub message: String,
    /// The beginning of the upstream's reply for this event, at most 1 KiB.
    pub reply: Vec<u8>,
    /// When it came into review, Unix milliseconds by the wall clock.
    pub since_ms: i64,
    /// The number of the frame that put it here: it differs each time the event comes into review,
    /// and a decision that names it is carried out only if nobody decided first.
    pub version: u64,
    /// The event as it is stored: with its state, and when it was captured.
    pub stored: StoredEvent,
}

impl fmt::Debug for ReviewItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lsn, code, message, reply, since_ms, version, stored, scope: _, key: _ } = self;
        f.debug_struct("ReviewItem")
            .field("lsn", lsn)
            .field("code", code)
            .field("message", message)
            .field("reply", &OnlyLength(reply))
            .field("since_ms", since_ms)
            .field("version", version)
            .field("stored", stored)
            .finish()
    }
}

impl ReviewItem {
    /// The event as the host captured it.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.stored.event
    }

    /// The item of an event and the reason why it waits.
    pub(crate) fn of(event: StoredEvent, review: Rejection) -> Self {
        Self {
            lsn: event.lsn,
            scope: event.event.scope.clone(),
            key: event.event.key.clone(),
            code: review.code,
            message: review.message,
            reply: review.reply,
            since_ms: review.since_ms,
            version: review.version,
            stored: event,
        }
    }
}

/// A file with a decision that was not carried out; see [`write_decision`](crate::review::write_decision).
///
/// ```
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.tick()?;
/// for trouble in store.status().decision_troubles {
///     println!("{}: {}", trouble.file, trouble.why);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DecisionTrouble {
    /// The file's name within `decisions`.
    pub file: String,
    /// Why it was refused.
    pub why: String,
}
