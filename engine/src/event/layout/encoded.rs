//! The body of an event's frame: key and payload where they are, and what stands before them, which is mostly one byte
//! and seldom more than a few.

use super::{
    AMOUNT, CAPTURED_AT, EVICTABLE, EXTENDED, HEADERS, HeadersView, JSON, KIND, LANE, SCOPE, View,
    WALL,
};
use crate::base::Moment;
use crate::event::{Event, Headers, Kind, Receipt, Scope};

/// What stands before an event's key: the receipt of an effect, the key's length and the event's attributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventHead<'a> {
    event: &'a View<'a>,
    receipt: Option<&'a Receipt>,
    /// How far the wall clock is from what it would show had nobody set it since the run began.
    wall_offset_ms: i64,
    /// The flags of the frame.
    pub(crate) flags: u8,
    further: u8,
    /// How many bytes it takes.
    pub(crate) bytes: usize,
}

/// Flags that add nothing to the head.
const NOTHING_MORE: u8 = JSON | EVICTABLE;

impl<'a> EventHead<'a> {
    /// The head of an event, or with a receipt of an effect. `wall_offset_ms`: how far the wall clock is from what it
    /// would show had nobody set it since the run began.
    #[inline]
    pub(crate) fn new(
        event: &'a View<'a>,
        receipt: Option<&'a Receipt>,
        wall_offset_ms: i64,
    ) -> Self {
        let flag = |is_given: bool, flag: u8| if is_given { flag } else { 0 };
        let flags = flag(event.json, JSON)
            | flag(event.scope != Scope::DEFAULT, SCOPE)
            | flag(event.kind != Kind::DEFAULT, KIND)
            | flag(event.captured_at_ms.is_some(), CAPTURED_AT)
            | flag(event.amount.is_some(), AMOUNT)
            | flag(event.lane.is_some(), LANE)
            | flag(event.evictable, EVICTABLE);
        let further =
            flag(event.given_headers().is_some(), HEADERS) | flag(wall_offset_ms != 0, WALL);
        let mut head = Self { event, receipt, wall_offset_ms, flags, further, bytes: 1 };
        // Of most events it is the key's length and nothing else.
        if flags | NOTHING_MORE != NOTHING_MORE || further != 0 || receipt.is_some() {
            head.bytes = head.count();
        }
        head
    }

    fn count(&self) -> usize {
        let given = |flag: u8, bytes: usize| if self.flags & flag != 0 { bytes } else { 0 };
        let receipt = self.receipt.map_or(0, |receipt| 1 + receipt.as_bytes().len());
        let further = match self.further {
            0 => 0,
            further if further & WALL != 0 => 2 + 8,
            _ => 2,
        };
        let headers = self.event.given_headers().map_or(0, |headers| {
            1 + headers.iter().map(|(name, value)| 3 + name.len() + value.len()).sum::<usize>()
        });
        let View { scope, kind, lane, .. } = self.event;
        let texts = given(SCOPE, 1 + scope.len())
            + given(KIND, 1 + kind.len())
            + lane.map_or(0, |lane| 1 + lane.len());
        receipt + further + 1 + texts + given(CAPTURED_AT, 8) + given(AMOUNT, 8) + headers
    }

    /// Writes the head, into as many bytes as it takes.
    pub(crate) fn write(&self, out: &mut [u8]) {
        let View { scope, key, kind, captured_at_ms, amount, lane, .. } = *self.event;
        let mut out = Unwritten(out);
        if let Some(receipt) = self.receipt {
            out.push(u8::try_from(receipt.as_bytes().len()).unwrap_or(u8::MAX));
            out.extend(receipt.as_bytes());
        }
        if self.further != 0 {
            out.extend(&[EXTENDED, self.further]);
        }
        if self.further & WALL != 0 {
            out.extend(&self.wall_offset_ms.to_le_bytes());
        }
        out.push(length(key));
        if self.flags & SCOPE != 0 {
            out.text(scope);
        }
        if self.flags & KIND != 0 {
            out.text(kind);
        }
        for number in [captured_at_ms, amount].into_iter().flatten() {
            out.extend(&number.to_le_bytes());
        }
        if let Some(lane) = lane {
            out.text(lane);
        }
        if let Some(headers) = self.event.given_headers() {
            out.headers(headers);
        }
    }

    /// Adds the head to others.
    pub(crate) fn append(&self, heads: &mut Vec<u8>) {
        if self.bytes == 1 {
            heads.push(length(self.event.key));
            return;
        }
        let from = heads.len();
        heads.resize(from + self.bytes, 0);
        self.write(heads.get_mut(from..).unwrap_or_default());
    }
}

impl<'a> View<'a> {
    /// The headers, if there are any. Only what is in memory is encoded, and never what was read.
    fn given_headers(&self) -> Option<&'a Headers> {
        match self.headers {
            HeadersView::Given(headers) if !headers.is_empty() => Some(headers),
            HeadersView::Given(_) | HeadersView::Encoded(_) => None,
        }
    }
}

/// What is not written yet of a head.
struct Unwritten<'b>(&'b mut [u8]);

impl Unwritten<'_> {
    fn push(&mut self, byte: u8) {
        if let Some((to, rest)) = std::mem::take(&mut self.0).split_first_mut() {
            *to = byte;
            self.0 = rest;
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        if let Some((to, rest)) = std::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            to.copy_from_slice(bytes);
            self.0 = rest;
        }
    }

    /// Writes a text with its length before it.
    fn text(&mut self, text: &str) {
        self.push(length(text));
        self.extend(text.as_bytes());
    }

    /// Writes headers with their count before them.
    fn headers(&mut self, headers: &Headers) {
        self.push(u8::try_from(headers.len()).unwrap_or(u8::MAX));
        for (name, value) in headers.iter() {
            self.text(name);
            self.extend(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
            self.extend(value.as_bytes());
        }
    }
}

/// A text's length, which its type holds to one byte.
fn length(text: &str) -> u8 {
    u8::try_from(text.len()).unwrap_or(u8::MAX)
}

/// The parts of the body of one event's frame, ready to be written without copying key and payload.
#[derive(Debug)]
pub(crate) struct Encoded<'a> {
    pub(crate) flags: u8,
    head: Vec<u8>,
    key: &'a [u8],
    payload: &'a [u8],
    /// How far the wall clock is from what the run's beginning says; 0 if it says it.
    wall_offset_ms: i64,
}

impl<'a> Encoded<'a> {
    /// Prepares the body of an event whose wall clock another frame says.
    pub(crate) fn new(event: &'a Event) -> Self {
        Self::dated(event, 0)
    }

    /// Prepares the body of an event frame. `wall_offset_ms`: as [`EventHead::new`] takes it.
    pub(crate) fn dated(event: &'a Event, wall_offset_ms: i64) -> Self {
        let event = View::of(event);
        let new = EventHead::new(&event, None, wall_offset_ms);
        let (flags, mut head) = (new.flags, Vec::new());
        new.append(&mut head);
        Self { flags, head, key: event.key.as_bytes(), payload: event.payload, wall_offset_ms }
    }

    /// The moment of its capture, by that of its frame.
    pub(crate) fn captured(&self, moment: Moment) -> Moment {
        Moment { wall: moment.wall.moved(self.wall_offset_ms), ..moment }
    }

    /// The pieces of the body, in order.
    pub(crate) fn parts(&self) -> [&[u8]; 3] {
        [&self.head, self.key, self.payload]
    }
}
