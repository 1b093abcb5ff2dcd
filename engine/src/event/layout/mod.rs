//! Event, carried and effect frames: laid out by hand, because every capture writes one.
//!
//! The layout is in `FORMAT.md`. Decoding never panics and never allocates more than the frame holds.

mod carried;
mod encoded;

#[cfg(any(test, feature = "rescue"))]
pub(crate) use carried::CARRIED_BYTES;
pub(crate) use carried::Carried;
pub(crate) use encoded::{Encoded, EventHead};

use crate::base::bounds::RECEIPT_BYTES_MAX;
use crate::base::{EventPart, FrameKind, Moment, Origin};
use crate::event::payload::PayloadForm;
use crate::event::{Amount, Class, Event, EventRef, Headers, Key, Kind, Lane, Payload, Scope};

/// The payload is JSON.
const JSON: u8 = 1;
/// A scope other than `default` is given.
const SCOPE: u8 = 1 << 1;
/// A kind other than `event` is given.
const KIND: u8 = 1 << 2;
/// The caller said when the event happened.
const CAPTURED_AT: u8 = 1 << 3;
/// An amount is given.
const AMOUNT: u8 = 1 << 4;
/// A lane is given.
const LANE: u8 = 1 << 5;
/// The event may be dropped when the store is full.
const EVICTABLE: u8 = 1 << 6;

/// Stands where the length of the key does, which is never 0: a byte of further flags follows, and then
/// the length.
const EXTENDED: u8 = 0;
/// Further flags: headers are given.
const HEADERS: u8 = 1;
/// Further flags: the wall clock was set since the run began.
const WALL: u8 = 1 << 1;

/// Takes headers with their count before them, as bytes: [`headers`] reads them.
fn skip_headers<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let begin = *rest;
    for _ in 0..take::<1>(rest)?[0] {
        text(rest)?;
        value(rest)?;
    }
    begin.get(..begin.len() - rest.len())
}

/// The headers in bytes that [`skip_headers`] took; `None` if one breaks its rule.
fn headers(mut rest: &[u8]) -> Option<Headers> {
    let mut all = Headers::new();
    if rest.is_empty() {
        return Some(all);
    }
    for _ in 0..take::<1>(&mut rest)?[0] {
        let name = text(&mut rest)?;
        all = all.with(name, value(&mut rest)?).ok()?;
    }
    Some(all)
}

/// The headers of an event, where they are.
#[derive(Clone, Copy, Debug)]
pub(in crate::event) enum HeadersView<'a> {
    /// As a body has them, with their count before them; nothing: there are none.
    Encoded(&'a [u8]),
    /// As they were given.
    Given(&'a Headers),
}

impl HeadersView<'_> {
    /// Copies of them; `None` if one breaks its rule.
    fn to_headers(self) -> Option<Headers> {
        match self {
            Self::Encoded(bytes) => headers(bytes),
            Self::Given(given) => Some(given.clone()),
        }
    }
}

/// The fields of an event that its body refers to, without copies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) scope: &'a str,
    pub(crate) key: &'a str,
    pub(crate) kind: &'a str,
    pub(in crate::event) captured_at_ms: Option<i64>,
    pub(crate) amount: Option<i64>,
    pub(crate) lane: Option<&'a str>,
    pub(crate) evictable: bool,
    pub(in crate::event) json: bool,
    pub(in crate::event) headers: HeadersView<'a>,
    pub(crate) payload: &'a [u8],
    /// How far the wall clock was from what the run's beginning says.
    wall_offset_ms: i64,
}

impl<'a> View<'a> {
    /// The fields of an event in memory.
    pub(crate) fn of(event: &'a Event) -> Self {
        Self {
            scope: event.scope.as_str(),
            key: event.key.as_str(),
            kind: event.kind.as_str(),
            captured_at_ms: event.captured_at_ms,
            amount: event.amount.map(Amount::ten_thousandths),
            lane: event.lane.as_ref().map(Lane::as_str),
            evictable: event.class == Class::Evictable,
            json: event.payload.is_json(),
            headers: HeadersView::Given(&event.headers),
            payload: event.payload.as_bytes(),
            wall_offset_ms: 0,
        }
    }

    /// The fields of an event that is borrowed.
    pub(in crate::event) fn of_ref(event: &'a EventRef<'_>) -> Self {
        Self {
            scope: event.scope.as_str(),
            key: event.key,
            kind: event.kind,
            captured_at_ms: event.captured_at_ms,
            amount: event.amount.map(Amount::ten_thousandths),
            lane: event.lane,
            evictable: event.class == Class::Evictable,
            json: event.payload.is_json(),
            headers: HeadersView::Given(event.headers),
            payload: event.payload.as_bytes(),
            wall_offset_ms: 0,
        }
    }

    /// Reads the body of an event frame; `None` if it is not one.
    pub(crate) fn decode(flags: u8, body: &'a [u8]) -> Option<Self> {
        let mut rest = body;
        let mut key_bytes = take::<1>(&mut rest)?[0];
        let (mut further, mut wall_offset_ms) = (0, 0);
        if key_bytes == EXTENDED {
            further = take::<1>(&mut rest)?[0];
            // Whatever else a newer program says there, this one cannot read.
            (further != 0 && further & !(HEADERS | WALL) == 0).then_some(())?;
            if further & WALL != 0 {
                wall_offset_ms = i64::from_le_bytes(take(&mut rest)?);
            }
            key_bytes = take::<1>(&mut rest)?[0];
        }
        let has = |bit: u8| flags & bit != 0;
        let scope = if has(SCOPE) { text(&mut rest)? } else { Scope::DEFAULT };
        let kind = if has(KIND) { text(&mut rest)? } else { Kind::DEFAULT };
        let captured_at_ms =
            if has(CAPTURED_AT) { Some(i64::from_le_bytes(take(&mut rest)?)) } else { None };
        let amount = if has(AMOUNT) { Some(i64::from_le_bytes(take(&mut rest)?)) } else { None };
        let lane = if has(LANE) { Some(text(&mut rest)?) } else { None };
        let headers = if further & HEADERS != 0 { skip_headers(&mut rest)? } else { &[] };
        let headers = HeadersView::Encoded(headers);
        let (key, payload) = rest.split_at_checked(usize::from(key_bytes))?;
        let key = std::str::from_utf8(key).ok().filter(|key| !key.is_empty())?;
        Some(Self {
            scope,
            key,
            kind,
            captured_at_ms,
            amount,
            lane,
            evictable: has(EVICTABLE),
            json: has(JSON),
            headers,
            payload,
            wall_offset_ms,
        })
    }

    /// How far the wall clock was from what the run's beginning says.
    pub(crate) fn wall_offset_ms(&self) -> i64 {
        self.wall_offset_ms
    }

    /// The moment of its capture, by that of its frame.
    pub(crate) fn captured(&self, moment: Moment) -> Moment {
        Moment { wall: moment.wall.moved(self.wall_offset_ms), ..moment }
    }

    /// The event, with copies of its parts; `None` if a part breaks its rule.
    pub(crate) fn to_event(self) -> Option<Event> {
        let payload = Payload::stored(self.payload.to_vec(), self.form());
        let (scope, kind) = (Scope::new(self.scope).ok()?, Kind::new(self.kind).ok()?);
        self.event_of(scope, Key::new(self.key).ok()?, kind, payload)
    }

    /// How the payload is to be read.
    pub(in crate::event) fn form(&self) -> PayloadForm {
        if self.json { PayloadForm::Json } else { PayloadForm::Bytes }
    }

    /// The event, of these parts, which are its own, and copies of the others; `None` if one breaks its rule.
    #[inline]
    pub(in crate::event) fn event_of(
        &self,
        scope: Scope,
        key: Key,
        kind: Kind,
        payload: Payload,
    ) -> Option<Event> {
        Some(Event {
            scope,
            key,
            kind,
            payload,
            captured_at_ms: self.captured_at_ms,
            amount: self.amount.map(Amount::from_ten_thousandths),
            lane: self.lane.map(Lane::new).transpose().ok()?,
            class: if self.evictable { Class::Evictable } else { Class::Keep },
            headers: self.headers.to_headers()?,
        })
    }
}

/// Reads the receipt before an effect's event; returns the event's body too.
pub(crate) fn split_effect(mut body: &[u8]) -> Option<(&[u8], &[u8])> {
    let count = usize::from(take::<1>(&mut body)?[0]);
    (count <= RECEIPT_BYTES_MAX).then(|| body.split_at_checked(count))?
}

/// The event in the body of the frame `lsn`, if a frame of this kind holds one: its number, by which clock it was
/// captured, if the frame says so, and its bytes.
pub(crate) fn event_in(
    kind: FrameKind,
    lsn: u64,
    body: &[u8],
) -> Option<(u64, Option<Origin>, &[u8])> {
    match kind.event_part() {
        EventPart::Event => Some((lsn, None, body)),
        EventPart::Effect => Some((lsn, None, split_effect(body)?.1)),
        EventPart::Carried => {
            let (carried, body) = Carried::decode(lsn, body)?;
            Some((carried.event_lsn, Some(carried.origin), body))
        }
        EventPart::Answers | EventPart::Keys | EventPart::Nothing => None,
    }
}

/// Takes a fixed number of bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

/// Takes a text with its length before it.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let count = usize::from(take::<1>(rest)?[0]);
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    std::str::from_utf8(taken).ok()
}

/// Takes a header's value with its length before it.
fn value<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let count = usize::from(u16::from_le_bytes(take(rest)?));
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    std::str::from_utf8(taken).ok()
}

#[cfg(test)]
mod tests;
