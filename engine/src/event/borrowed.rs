//! Events that are captured where their bytes are, without copies of their own.

use std::borrow::Cow;
use std::fmt;

use super::layout::View;
use super::payload::{PayloadForm, checked_json};
use super::{Amount, Class, Event, Headers, Key, Kind, Lane, Payload, Scope};
use crate::base::Result;

/// An event whose key, payload and other parts are where the host has them: what a host captures that would make an
/// [`Event`] only to capture it.
///
/// Its parts are checked as those of an [`Event`] are, with the same errors, when they are given. [`Store::capture`]
/// and the others take both alike, and store the same bytes.
///
/// ```
/// use onceward::{Config, EventRef, PayloadRef, Scope, Store, Verdict};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let scope = Scope::new("readings")?;
/// // One buffer, as a request left it.
/// let received = "gate-4-000017 {\"celsius\":21.5}";
/// let (key, json) = received.split_once(' ').ok_or("a key and a value")?;
/// let reading = EventRef::new(&scope, key, PayloadRef::json(json)?)?.with_kind("READING")?;
/// assert!(matches!(store.capture(&reading)?, Verdict::Fresh { .. }));
/// // The event itself is the same one.
/// assert!(matches!(store.capture(&reading.to_event())?, Verdict::Duplicate { .. }));
/// assert_eq!(EventRef::new(&scope, "", PayloadRef::json("{}")?).unwrap_err().code(), "KEY_INVALID");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Store::capture`]: crate::Store::capture
#[derive(Clone, Debug)]
pub struct EventRef<'a> {
    pub(in crate::event) scope: &'a Scope,
    pub(in crate::event) key: &'a str,
    pub(in crate::event) kind: &'a str,
    pub(in crate::event) payload: PayloadRef<'a>,
    pub(in crate::event) captured_at_ms: Option<i64>,
    pub(in crate::event) amount: Option<Amount>,
    pub(in crate::event) lane: Option<&'a str>,
    pub(in crate::event) class: Class,
    pub(in crate::event) headers: &'a Headers,
}

/// The content of an [`EventRef`]: JSON text or bytes, as a [`Payload`] has it.
///
/// Its `Debug` says how long it is, and nothing of the content.
///
/// ```
/// use onceward::PayloadRef;
///
/// // What is compact already is borrowed; of other JSON a compact copy is made.
/// assert_eq!(PayloadRef::json(r#"{ "total": 1.50 }"#)?.as_bytes(), br#"{"total":1.50}"#);
/// assert_eq!(PayloadRef::json("{").unwrap_err().code(), "PAYLOAD_INVALID");
/// assert!(!PayloadRef::bytes(&[0xff, 0]).is_json());
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct PayloadRef<'a> {
    bytes: Cow<'a, [u8]>,
    form: PayloadForm,
}

/// What most events have.
static NO_HEADERS: Headers = Headers::none();

impl<'a> EventRef<'a> {
    /// Makes an event of kind `event`, captured now, with no amount, no lane and no headers.
    ///
    /// # Errors
    ///
    /// As [`Key::new`].
    pub fn new(scope: &'a Scope, key: &'a str, payload: PayloadRef<'a>) -> Result<Self> {
        Ok(Self {
            scope,
            key: Key::check(key)?,
            kind: Kind::DEFAULT,
            payload,
            captured_at_ms: None,
            amount: None,
            lane: None,
            class: Class::Keep,
            headers: &NO_HEADERS,
        })
    }

    /// Sets the kind.
    ///
    /// # Errors
    ///
    /// As [`Kind::new`].
    pub fn with_kind(mut self, kind: &'a str) -> Result<Self> {
        self.kind = Kind::check(kind)?;
        Ok(self)
    }

    /// Sets the amount.
    #[must_use]
    pub fn with_amount(mut self, amount: Amount) -> Self {
        self.amount = Some(amount);
        self
    }

    /// Sets when it happened, Unix milliseconds.
    #[must_use]
    pub fn with_captured_at_ms(mut self, captured_at_ms: i64) -> Self {
        self.captured_at_ms = Some(captured_at_ms);
        self
    }

    /// Sets the lane.
    ///
    /// # Errors
    ///
    /// As [`Lane::new`].
    pub fn with_lane(mut self, lane: &'a str) -> Result<Self> {
        self.lane = Some(Lane::check(lane)?);
        Ok(self)
    }

    /// Sets the class.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Sets the headers.
    #[must_use]
    pub fn with_headers(mut self, headers: &'a Headers) -> Self {
        self.headers = headers;
        self
    }

    /// The idempotency key.
    #[must_use]
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// An event with copies of all parts.
    #[must_use]
    pub fn to_event(&self) -> Event {
        Event {
            scope: self.scope.clone(),
            key: Key::of_checked(self.key),
            kind: Kind::of_checked(self.kind),
            payload: self.payload.to_payload(),
            captured_at_ms: self.captured_at_ms,
            amount: self.amount,
            lane: self.lane.map(Lane::of_checked),
            class: self.class,
            headers: self.headers.clone(),
        }
    }
}

impl<'a> From<&'a Event> for EventRef<'a> {
    fn from(event: &'a Event) -> Self {
        let Event { scope, key, kind, payload, captured_at_ms, amount, lane, class, headers } =
            event;
        Self {
            scope,
            key: key.as_str(),
            kind: kind.as_str(),
            payload: payload.into(),
            captured_at_ms: *captured_at_ms,
            amount: *amount,
            lane: lane.as_ref().map(Lane::as_str),
            class: *class,
            headers,
        }
    }
}

impl<'a> PayloadRef<'a> {
    /// Takes one JSON value.
    ///
    /// # Errors
    ///
    /// As [`Payload::json`].
    pub fn json(text: &'a str) -> Result<Self> {
        Ok(Self { bytes: checked_json(text)?, form: PayloadForm::Json })
    }

    /// Takes any bytes.
    #[must_use]
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes), form: PayloadForm::Bytes }
    }

    /// The content as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it was given as JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.form == PayloadForm::Json
    }

    /// The same content, borrowed from this one: a clone would copy what was made compact.
    #[must_use]
    pub fn reborrow(&self) -> PayloadRef<'_> {
        PayloadRef { bytes: Cow::Borrowed(&self.bytes), form: self.form }
    }

    /// A payload with a copy of the content.
    fn to_payload(&self) -> Payload {
        Payload::stored(self.bytes.to_vec(), self.form)
    }
}

impl<'a> From<&'a Payload> for PayloadRef<'a> {
    fn from(payload: &'a Payload) -> Self {
        Self { bytes: Cow::Borrowed(payload.as_bytes()), form: payload.form() }
    }
}

impl fmt::Debug for PayloadRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PayloadRef");
        shown.field("bytes", &self.bytes.len()).field("is_json", &self.is_json()).finish()
    }
}

/// What a store captures: an [`Event`], or an [`EventRef`] whose parts are elsewhere. Nothing else is one.
pub trait AnyEvent: fields::Fields {}

impl AnyEvent for Event {}

impl AnyEvent for EventRef<'_> {}

impl<E: AnyEvent + ?Sized> AnyEvent for &E {}

/// What the crate asks of any event.
pub(crate) mod fields {
    use super::{Cow, Event, EventRef, View};

    /// The parts of an event, where they are.
    #[expect(unnameable_types, private_interfaces, reason = "sealed: nobody else has an event")]
    pub trait Fields {
        /// What its frame is made of.
        fn view(&self) -> View<'_>;
        /// The event, a copy where it is none.
        fn event(&self) -> Cow<'_, Event>;
    }

    #[expect(private_interfaces, reason = "sealed: nobody else has an event")]
    impl Fields for Event {
        fn view(&self) -> View<'_> {
            View::of(self)
        }

        fn event(&self) -> Cow<'_, Event> {
            Cow::Borrowed(self)
        }
    }

    #[expect(private_interfaces, reason = "sealed: nobody else has an event")]
    impl Fields for EventRef<'_> {
        fn view(&self) -> View<'_> {
            View::of_ref(self)
        }

        fn event(&self) -> Cow<'_, Event> {
            Cow::Owned(self.to_event())
        }
    }

    #[expect(private_interfaces, reason = "sealed: nobody else has an event")]
    impl<E: Fields + ?Sized> Fields for &E {
        fn view(&self) -> View<'_> {
            (**self).view()
        }

        fn event(&self) -> Cow<'_, Event> {
            (**self).event()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Event {
        let payload = Payload::json(r#"{"n":1.50}"#).unwrap();
        Event::new(Scope::new("sales").unwrap(), Key::new("k1").unwrap(), payload)
            .with_kind(Kind::new("PAYMENT").unwrap())
            .with_captured_at_ms(-5)
            .with_amount("1.50".parse().unwrap())
            .with_lane(Lane::new("card-7").unwrap())
            .with_class(Class::Evictable)
            .with_headers(Headers::new().with("till", "7").unwrap())
    }

    #[test]
    fn what_is_borrowed_of_an_event_is_that_event() {
        let bytes = Event { payload: Payload::bytes(vec![0xff, 0]), ..full() };
        let plain = Event::new(Scope::default(), Key::new("k2").unwrap(), bytes.payload.clone());
        for event in [full(), bytes, plain] {
            assert_eq!(EventRef::from(&event).to_event(), event);
        }
    }

    #[test]
    fn an_event_of_borrowed_parts_is_the_one_of_owned_parts() {
        let event = full();
        let payload = PayloadRef::json(r#" { "n" : 1.50 } "#).unwrap();
        let borrowed = EventRef::new(&event.scope, "k1", payload).unwrap();
        let borrowed = borrowed.with_kind("PAYMENT").unwrap().with_lane("card-7").unwrap();
        let borrowed = borrowed
            .with_captured_at_ms(-5)
            .with_amount("1.50".parse().unwrap())
            .with_class(Class::Evictable)
            .with_headers(&event.headers);
        assert_eq!(borrowed.to_event(), event);
        let least = EventRef::new(&event.scope, "k1", PayloadRef::bytes(b"x")).unwrap();
        let owned =
            Event::new(event.scope.clone(), event.key.clone(), Payload::bytes(b"x".to_vec()));
        assert_eq!(least.to_event(), owned);
    }

    #[test]
    fn parts_outside_their_rules_are_refused_as_those_of_an_event() {
        let scope = Scope::default();
        let event = || EventRef::new(&scope, "k1", PayloadRef::bytes(b"x")).unwrap();
        let long = "x".repeat(256);
        for text in ["", long.as_str()] {
            let refused = [
                (
                    EventRef::new(&scope, text, PayloadRef::bytes(b"x")).map(drop),
                    Key::new(text).map(drop),
                ),
                (event().with_kind(text).map(drop), Kind::new(text).map(drop)),
                (event().with_lane(text).map(drop), Lane::new(text).map(drop)),
            ];
            for (borrowed, owned) in refused {
                let (borrowed, owned) = (borrowed.unwrap_err(), owned.unwrap_err());
                assert_eq!(
                    (borrowed.code(), borrowed.to_string()),
                    (owned.code(), owned.to_string())
                );
            }
        }
        let deep = "[".repeat(128) + &"]".repeat(128);
        for text in ["", "{", "{}{}", deep.as_str()] {
            let (borrowed, owned) =
                (PayloadRef::json(text).unwrap_err(), Payload::json(text).unwrap_err());
            assert_eq!((borrowed.code(), borrowed.to_string()), (owned.code(), owned.to_string()));
        }
    }

    #[test]
    fn compact_json_stays_where_it_is_and_other_json_is_made_compact() {
        let compact = r#"{"a b":[1,"x \" y"]}"#;
        let held = PayloadRef::json(compact).unwrap();
        assert_eq!(held.as_bytes().as_ptr(), compact.as_ptr());
        for text in [" 1", "1 ", "[ 1]", "{\n}", " \t\r\n1 "] {
            let (borrowed, owned) = (PayloadRef::json(text).unwrap(), Payload::json(text).unwrap());
            assert_eq!(borrowed.as_bytes(), owned.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_says_nothing_of_the_content() {
        let shown = format!("{:?}", PayloadRef::json(r#""s3cret""#).unwrap());
        assert_eq!(shown, "PayloadRef { bytes: 8, is_json: true }");
    }
}
