//! What is sent together: the events of a batch, each formed once for an attempt.

use std::fmt;
use std::sync::Arc;

use super::{KeyRule, Misfit, Upstream};
use crate::Lsn;
use crate::event::{Scope, StoredEvent};

/// The number of a batch: that of the frame that fixed its content.
///
/// ```
/// use onceward::sync::{Options, Session, Step, payloads};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
/// let Step::Send(batch) = session.next(0)? else { panic!("an event waits") };
/// assert!(batch.idempotency_key.ends_with(&format!("-{}", batch.id)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BatchId(pub(crate) Lsn);

impl BatchId {
    /// The number itself.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Appends an event's item to the bytes that are sent, under the key by which the upstream gets it ([`Item::key`]), or
/// reports why the event cannot form one. What it appended before it failed is taken off again.
///
/// Each event is formed once for an attempt. One that cannot be is never sent: it goes to review when the upstream took
/// others in the session, and stays pending until then. With a wrong dialect no event can, and none of them is at
/// fault.
///
/// ```
/// use std::sync::Arc;
///
/// use onceward::sync::Form;
///
/// let form: Form = Arc::new(|event, key, item| {
///     item.extend_from_slice(key.as_bytes());
///     item.push(b' ');
///     item.extend_from_slice(event.event.payload.as_bytes());
///     Ok(())
/// });
/// # let _ = form;
/// ```
pub type Form = Arc<dyn Fn(&StoredEvent, &str, &mut Vec<u8>) -> Result<(), Misfit> + Send + Sync>;

/// The [`Form`] by which each event is sent as its payload.
///
/// ```
/// use onceward::sync::{Options, Session, payloads};
/// use onceward::{Config, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new())?;
/// let session = Session::start(&store, Options::new(Scope::default()), payloads())?;
/// # drop(session);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn payloads() -> Form {
    Arc::new(|event, _key, item| {
        item.extend_from_slice(event.event.payload.as_bytes());
        Ok(())
    })
}

/// One event of a batch, as it is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Item<'a> {
    /// The event's number.
    pub lsn: Lsn,
    /// The key under which the upstream gets it, and by which its reply names it.
    pub key: &'a str,
    /// What the [`Form`] made of it.
    pub body: &'a [u8],
    /// When it was captured, Unix milliseconds; `None`: nobody knows.
    pub captured_at_ms: Option<i64>,
    /// With [history](super::Options::with_history): the event before it in its lane, if that has no answer and is
    /// not in this batch.
    pub behind: Option<Lsn>,
}

/// Where the parts of an item end, and what is known of it besides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct FormedItem {
    lsn: Lsn,
    key_end: usize,
    body_end: usize,
    captured_at_ms: Option<i64>,
    behind: Option<Lsn>,
}

/// The items of a batch, their keys and bodies one behind the other.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::sync) struct Items {
    entries: Vec<FormedItem>,
    keys: String,
    bodies: Vec<u8>,
}

/// How much longer than the first item of a batch the others may be before their room has to grow.
const SPARE_BYTES: usize = 8;
/// Most room that is made before it is needed, bytes.
const ROOM_BYTES_MAX: usize = 1024 * 1024;

impl Items {
    /// None yet, and room for so many.
    pub(in crate::sync) fn with_capacity(count: usize) -> Self {
        Self { entries: Vec::with_capacity(count), ..Self::default() }
    }

    /// Forms an event's item behind the others. Returns its size in bytes. After an error it is as it was.
    pub(in crate::sync) fn push(
        &mut self,
        event: &StoredEvent,
        (rule, scope): (KeyRule, &Scope),
        form: &Form,
    ) -> Result<usize, Misfit> {
        let (key_start, start) = (self.keys.len(), self.bodies.len());
        let formed = rule.push_wire_key(scope, &event.event.key, &mut self.keys).and_then(|()| {
            let key = self.keys.get(key_start..).unwrap_or_default();
            form(event, key, &mut self.bodies)
        });
        if let Err(misfit) = formed {
            self.keys.truncate(key_start);
            self.bodies.truncate(start);
            return Err(misfit);
        }
        let (key_end, body_end) = (self.keys.len(), self.bodies.len());
        let captured_at_ms = event.captured_at_ms;
        let (lsn, behind) = (event.lsn, None);
        if self.entries.is_empty() {
            // The others are likely to be as long, or nearly.
            let others = self.entries.capacity().saturating_sub(1);
            let room = |one: usize| others.saturating_mul(one.saturating_add(SPARE_BYTES));
            self.keys.reserve(room(key_end).min(ROOM_BYTES_MAX));
            self.bodies.reserve(room(body_end).min(ROOM_BYTES_MAX));
        }
        self.entries.push(FormedItem { lsn, key_end, body_end, captured_at_ms, behind });
        Ok(body_end.saturating_sub(start))
    }

    /// Notes the events before these in their lanes that have no answer, in their order.
    pub(in crate::sync) fn set_behind(&mut self, before: Vec<Option<u64>>) {
        let lsns: Vec<u64> = self.lsns().collect();
        let is_here = |lsn: &u64| lsns.binary_search(lsn).is_ok();
        for (entry, before) in self.entries.iter_mut().zip(before) {
            entry.behind = before.filter(|lsn| !is_here(lsn)).and_then(Lsn::from_u64);
        }
    }

    /// Leaves the first `count` of them.
    pub(in crate::sync) fn truncate(&mut self, count: usize) {
        self.entries.truncate(count);
        let (key_end, body_end) = self.ends(count);
        self.keys.truncate(key_end);
        self.bodies.truncate(body_end);
    }

    /// How many there are.
    pub(in crate::sync) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub(in crate::sync) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all of them.
    pub(in crate::sync) fn bytes(&self) -> usize {
        self.bodies.len()
    }

    /// Their numbers, ascending.
    pub(in crate::sync) fn lsns(&self) -> impl ExactSizeIterator<Item = u64> {
        self.entries.iter().map(|entry| entry.lsn.get())
    }

    /// All of them, in the order of their numbers.
    pub(in crate::sync) fn iter(&self) -> impl ExactSizeIterator<Item = Item<'_>> {
        self.entries.iter().enumerate().map(|(at, entry)| {
            let (key_start, start) = self.ends(at);
            Item {
                lsn: entry.lsn,
                key: self.keys.get(key_start..entry.key_end).unwrap_or_default(),
                body: self.bodies.get(start..entry.body_end).unwrap_or_default(),
                captured_at_ms: entry.captured_at_ms,
                behind: entry.behind,
            }
        })
    }

    /// Items of so many bytes, numbered from 1.
    #[cfg(test)]
    pub(in crate::sync) fn of_sizes(sizes: &[usize]) -> Self {
        let mut items = Self::default();
        for (lsn, size) in (1..).filter_map(Lsn::from_u64).zip(sizes) {
            items.bodies.resize(items.bodies.len() + size, b'x');
            let (key_end, body_end) = (0, items.bodies.len());
            items.entries.push(FormedItem {
                lsn,
                key_end,
                body_end,
                captured_at_ms: None,
                behind: None,
            });
        }
        items
    }

    /// Where the keys and the bodies of the first `count` end.
    fn ends(&self, count: usize) -> (usize, usize) {
        let last = count.checked_sub(1).and_then(|last| self.entries.get(last));
        last.map_or((0, 0), |entry| (entry.key_end, entry.body_end))
    }
}

/// Events that are sent together. Content and number are durable before the first attempt, so a
/// resend, also after a crash, is the same batch.
///
/// ```
/// use onceward::sync::{Options, Session, Step, payloads};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
/// let Step::Send(batch) = session.next(0)? else { panic!("an event waits") };
/// let sent: Vec<_> = batch.items().map(|item| (item.key, item.body)).collect();
/// assert_eq!((sent.as_slice(), batch.attempt), ([("sale-1", b"{}".as_slice())].as_slice(), 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Batch {
    /// The batch's number.
    pub id: BatchId,
    /// The scope of all its events.
    pub scope: Scope,
    /// Which attempt of this session this is, from 1.
    pub attempt: u32,
    /// `<store id>-<opening>-<batch number>`: the same for every resend. The opening is the random
    /// number, as 16 hex digits, of the opening of the store that formed the batch: a copy of a store
    /// forms batches with the same numbers.
    pub idempotency_key: String,
    /// The upstream for which the batch was formed.
    pub upstream: Upstream,
    /// How the keys of its events are kept apart from those of other scopes; see [`Item::key`].
    pub keys: KeyRule,
    /// The [settings](super::Options::with_settings) with which it was formed. The request is made of
    /// these and not of what the host has set now.
    pub settings: String,
    /// With [history](super::Options::with_history): what the upstream wants to be reminded of, from its last reply.
    pub mark: String,
    /// With history: the keys of the other batches that are this store's own and that the upstream may have: those that
    /// are not answered, and those in whose place others are.
    pub own: Vec<String>,
    /// With history: the key of the batch before this one, if that is on its way.
    pub after: Option<String>,
    /// Its events, as they are sent; shared with the session, which compares the reply with them.
    pub(in crate::sync) items: Arc<Items>,
}

impl Batch {
    /// A batch of these events as a session would form it for the first attempt: for trying a dialect. The other
    /// fields may be set.
    ///
    /// ```
    /// use onceward::sync::{Batch, payloads};
    /// use onceward::{Event, Key, Payload, Scope, StoredEvent};
    ///
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?);
    /// let stored = [StoredEvent::as_if_captured(sale, 1_800_000_000_000)];
    /// let batch = Batch::as_if_formed("store-1-7", &stored, &payloads()).map_err(|misfit| misfit.message)?;
    /// assert_eq!((batch.items().len(), batch.bytes()), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Why an event cannot form an item.
    pub fn as_if_formed(
        idempotency_key: &str,
        events: &[StoredEvent],
        form: &Form,
    ) -> Result<Self, Misfit> {
        let first = events.first();
        let scope = first.map_or_else(Scope::default, |first| first.event.scope.clone());
        let mut items = Items::with_capacity(events.len());
        for event in events {
            items.push(event, (KeyRule::Bare, &scope), form)?;
        }
        Ok(Self {
            id: BatchId(Lsn::FIRST),
            scope,
            attempt: 1,
            idempotency_key: idempotency_key.to_owned(),
            upstream: Upstream::default(),
            keys: KeyRule::Bare,
            settings: String::new(),
            mark: String::new(),
            own: Vec::new(),
            after: None,
            items: Arc::new(items),
        })
    }

    /// The events, as they are sent, in the order of their numbers.
    pub fn items(&self) -> impl ExactSizeIterator<Item = Item<'_>> {
        self.items.iter()
    }

    /// The keys of its items.
    #[cfg(test)]
    pub(crate) fn item_keys(&self) -> Vec<String> {
        self.items().map(|item| item.key.to_owned()).collect()
    }

    /// Bytes of all items together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.items.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Key, Payload};

    fn event(lsn: u64, key: &str) -> StoredEvent {
        let event =
            Event::new(Scope::default(), Key::new(key).unwrap(), Payload::bytes(vec![b'x']));
        StoredEvent { lsn: Lsn::from_u64(lsn).unwrap(), ..StoredEvent::as_if_captured(event, 5) }
    }

    #[test]
    fn what_cannot_be_formed_leaves_nothing_behind() {
        let rule = (KeyRule::Bare, &Scope::default());
        let form: Form = Arc::new(|event, key, item| {
            item.extend_from_slice(key.as_bytes());
            if event.lsn.get() == 2 {
                let (code, message) = ("NO".to_owned(), String::new());
                return Err(Misfit { code, message });
            }
            Ok(())
        });
        let mut items = Items::with_capacity(3);
        assert_eq!(items.push(&event(1, "a"), rule, &form).ok(), Some(1));
        assert!(items.push(&event(2, "bb"), rule, &form).is_err());
        assert_eq!(items.push(&event(3, "ccc"), rule, &form).ok(), Some(3));
        let all: Vec<_> = items.iter().map(|item| (item.lsn.get(), item.key, item.body)).collect();
        assert_eq!(all, [(1, "a", b"a".as_slice()), (3, "ccc", b"ccc".as_slice())]);
        assert_eq!((items.len(), items.bytes()), (2, 4));
        items.truncate(1);
        assert_eq!((items.lsns().collect::<Vec<_>>(), items.bytes()), (vec![1], 1));
        items.truncate(0);
        assert!(items.is_empty() && items.keys.is_empty());
    }
}
