//! A slice of the segment stream: events as they go upstream without becoming JSON, each with a checksum of its own.
//!
//! Numbers are little-endian. `uplink/PROTOCOL.md` says what is around a slice.
//!
//! ```text
//! slice   magic "OWS1" | u32 count | count entries | u32 count | count of: u32 index, u64 LSN behind which it waits
//! entry   u32 bytes of the body | u32 CRC-32 of the body | body
//! body    u64 LSN | i64 captured at, Unix ms; least number: unknown | u8 flags | u8 bytes of the key | key
//!         | kind: u8 bytes, kind | amount: i64 ten-thousandths | lane: u8 bytes, lane
//!         | headers: u8 count, each u8 bytes, name, u16 bytes, value | payload, to the end
//! flags   1 the payload is JSON, 2 kind, 4 amount, 8 lane, 16 headers: what is not flagged is not there
//! ```

use crate::base::Result;
use crate::event::{Amount, EventRef, Headers, Kind, PayloadRef, Scope, StoredEvent};

/// What every slice begins with.
const MAGIC: &[u8; 4] = b"OWS1";
/// Bytes before the body of an entry.
const ENTRY_HEAD: usize = 8;
/// Bytes of the least entry: its head, LSN, moment, flags and an empty key.
const ENTRY_BYTES_MIN: usize = ENTRY_HEAD + 18;
/// The moment that nobody knows.
const UNKNOWN_MS: i64 = i64::MIN;

const JSON: u8 = 1;
const KIND: u8 = 2;
const AMOUNT: u8 = 4;
const LANE: u8 = 8;
const HEADERS: u8 = 16;

/// Why bytes are no slice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SliceFault {
    /// They do not begin as a slice does.
    Magic,
    /// They end before the slice does, or go on behind it.
    Length,
    /// The entry at this index is not what was sent: its checksum differs.
    Checksum {
        /// From 0.
        index: u32,
    },
    /// The entry at this index breaks a rule of its layout.
    Entry {
        /// From 0.
        index: u32,
    },
}

impl std::fmt::Display for SliceFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Magic => f.write_str("is no slice of a segment stream"),
            Self::Length => f.write_str("is cut, or goes on behind its end"),
            Self::Checksum { index } => write!(f, "entry {index}: the checksum differs"),
            Self::Entry { index } => write!(f, "entry {index}: breaks a rule of its layout"),
        }
    }
}

impl std::error::Error for SliceFault {}

/// Appends an event's entry, under this key.
///
/// ```
/// use onceward::wire::{StreamSlice, begin_slice, end_slice, push_entry};
/// use onceward::{Event, Key, Payload, Scope, StoredEvent};
///
/// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json(r#"{"total":2.5}"#)?);
/// let mut bytes = begin_slice(1);
/// push_entry(&StoredEvent::as_if_captured(sale, 1_800_000_000_000), "sale-1", &mut bytes);
/// end_slice(&[], &mut bytes);
/// let slice = StreamSlice::decode(&bytes)?;
/// assert_eq!((slice.entries[0].key, slice.entries[0].payload), ("sale-1", br#"{"total":2.5}"#.as_slice()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn push_entry(stored: &StoredEvent, key: &str, to: &mut Vec<u8>) {
    let event = &stored.event;
    let start = to.len();
    to.extend_from_slice(&[0; ENTRY_HEAD]);
    to.extend_from_slice(&stored.lsn.get().to_le_bytes());
    to.extend_from_slice(&stored.captured_at_ms.unwrap_or(UNKNOWN_MS).to_le_bytes());
    let flag = |is_given: bool, flag: u8| if is_given { flag } else { 0 };
    let has_kind = event.kind.as_str() != Kind::DEFAULT;
    to.push(
        flag(event.payload.as_json().is_some(), JSON)
            | flag(has_kind, KIND)
            | flag(event.amount.is_some(), AMOUNT)
            | flag(event.lane.is_some(), LANE)
            | flag(!event.headers.is_empty(), HEADERS),
    );
    push_short(key.as_bytes(), to);
    if has_kind {
        push_short(event.kind.as_str().as_bytes(), to);
    }
    if let Some(amount) = event.amount {
        to.extend_from_slice(&amount.ten_thousandths().to_le_bytes());
    }
    if let Some(lane) = &event.lane {
        push_short(lane.as_str().as_bytes(), to);
    }
    if !event.headers.is_empty() {
        to.push(u8::try_from(event.headers.len()).unwrap_or(u8::MAX));
        for (name, value) in event.headers.iter() {
            push_short(name.as_bytes(), to);
            to.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
            to.extend_from_slice(value.as_bytes());
        }
    }
    to.extend_from_slice(event.payload.as_bytes());
    let body = to.get(start + ENTRY_HEAD..).unwrap_or_default();
    let (bytes, crc) = (u32::try_from(body.len()).unwrap_or(u32::MAX), crc32fast::hash(body));
    if let Some(head) = to.get_mut(start..start + ENTRY_HEAD) {
        let (length, checksum) = head.split_at_mut(4);
        length.copy_from_slice(&bytes.to_le_bytes());
        checksum.copy_from_slice(&crc.to_le_bytes());
    }
}

/// The beginning of a slice of so many entries.
#[must_use]
pub fn begin_slice(count: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes
}

/// Appends the end of a slice: which entries, by their index from 0, wait for an event of their lane that is not
/// answered and not in the slice.
pub fn end_slice(behind: &[(u32, u64)], to: &mut Vec<u8>) {
    to.extend_from_slice(&u32::try_from(behind.len()).unwrap_or(u32::MAX).to_le_bytes());
    for (index, lsn) in behind {
        to.extend_from_slice(&index.to_le_bytes());
        to.extend_from_slice(&lsn.to_le_bytes());
    }
}

/// What the digest of a slice is taken of: the slice without the bodies of its entries, whose checksums stand for them.
///
/// # Errors
///
/// `Length`, `Magic`: the bytes are no slice. No entry is looked into.
pub fn slice_outline(bytes: &[u8]) -> std::result::Result<Vec<u8>, SliceFault> {
    let mut rest = UnreadSlice(bytes.strip_prefix(MAGIC).ok_or(SliceFault::Magic)?);
    let count = rest.u32().ok_or(SliceFault::Length)?;
    let mut outline = begin_slice(count);
    for _ in 0..count {
        let head: [u8; ENTRY_HEAD] = rest.array().ok_or(SliceFault::Length)?;
        let [a, b, c, d, ..] = head;
        let bytes = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok();
        bytes.and_then(|bytes| rest.take(bytes)).ok_or(SliceFault::Length)?;
        outline.extend_from_slice(&head);
    }
    outline.extend_from_slice(rest.0);
    Ok(outline)
}

/// Lengths that take one byte: those of keys, kinds and lanes are checked when they are made.
fn push_short(text: &[u8], to: &mut Vec<u8>) {
    to.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    to.extend_from_slice(text);
}

/// One event of a slice, as it was sent: nothing of it is checked but its layout.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StreamEntry<'a> {
    /// The event's number in the store that sent it.
    pub lsn: u64,
    /// When it was captured, Unix milliseconds; `None`: nobody knows.
    pub captured_at_ms: Option<i64>,
    /// The key.
    pub key: &'a str,
    /// The kind; `None`: none was given.
    pub kind: Option<&'a str>,
    /// The amount.
    pub amount: Option<Amount>,
    /// The lane.
    pub lane: Option<&'a str>,
    /// Names and values.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Whether the payload is JSON.
    pub is_json: bool,
    /// The payload.
    pub payload: &'a [u8],
    /// The event of its lane behind which it waits, which is in another slice.
    pub behind: Option<u64>,
}

impl<'a> StreamEntry<'a> {
    /// The headers, checked.
    ///
    /// # Errors
    ///
    /// `Invalid`: they break a rule.
    pub fn checked_headers(&self) -> Result<Headers> {
        let mut all = Headers::new();
        for (name, value) in &self.headers {
            all = all.with(name, value)?;
        }
        Ok(all)
    }

    /// The event in a scope of the receiver's, checked as any other. `headers` are [its
    /// own](StreamEntry::checked_headers).
    ///
    /// # Errors
    ///
    /// `Invalid`: it breaks a rule of events.
    pub fn event<'e>(&'e self, scope: &'e Scope, headers: &'e Headers) -> Result<EventRef<'e>> {
        let payload = if self.is_json {
            let text = std::str::from_utf8(self.payload);
            PayloadRef::json(text.map_err(|_not_text| not_utf8())?)?
        } else {
            PayloadRef::bytes(self.payload)
        };
        let mut event = EventRef::new(scope, self.key, payload)?.with_headers(headers);
        if let Some(kind) = self.kind {
            event = event.with_kind(kind)?;
        }
        if let Some(amount) = self.amount {
            event = event.with_amount(amount);
        }
        if let Some(lane) = self.lane {
            event = event.with_lane(lane)?;
        }
        if let Some(ms) = self.captured_at_ms {
            event = event.with_captured_at_ms(ms);
        }
        Ok(event)
    }
}

fn not_utf8() -> crate::Error {
    crate::Error::invalid("PAYLOAD_INVALID", "the payload is flagged as JSON and is no UTF-8")
}

/// A slice that was received.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StreamSlice<'a> {
    /// Its events, in their order.
    pub entries: Vec<StreamEntry<'a>>,
}

impl<'a> StreamSlice<'a> {
    /// Reads a slice, all of it or nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes first.
    pub fn decode(bytes: &'a [u8]) -> std::result::Result<Self, SliceFault> {
        let mut rest = UnreadSlice(bytes.strip_prefix(MAGIC).ok_or(SliceFault::Magic)?);
        let count = rest.u32().ok_or(SliceFault::Length)?;
        // Each takes some bytes: no count makes more memory than the bytes themselves.
        let most = usize::try_from(count).unwrap_or(usize::MAX).min(bytes.len() / ENTRY_BYTES_MIN);
        let mut entries = Vec::with_capacity(most);
        for index in 0..count {
            let bytes = rest.u32().ok_or(SliceFault::Length)?;
            let crc = rest.u32().ok_or(SliceFault::Length)?;
            let body = usize::try_from(bytes).ok().and_then(|bytes| rest.take(bytes));
            let body = body.ok_or(SliceFault::Length)?;
            if crc32fast::hash(body) != crc
                && !onceward_vfs::planted!("slice-checksum-not-compared")
            {
                return Err(SliceFault::Checksum { index });
            }
            entries.push(entry(&mut UnreadSlice(body)).ok_or(SliceFault::Entry { index })?);
        }
        for _ in 0..rest.u32().ok_or(SliceFault::Length)? {
            let index = rest.u32().ok_or(SliceFault::Length)?;
            let lsn = rest.u64().ok_or(SliceFault::Length)?;
            let entry = usize::try_from(index).ok().and_then(|at| entries.get_mut(at));
            entry.ok_or(SliceFault::Entry { index })?.behind = Some(lsn);
        }
        if rest.0.is_empty() { Ok(Self { entries }) } else { Err(SliceFault::Length) }
    }
}

/// The entry in a body, to its end.
fn entry<'a>(rest: &mut UnreadSlice<'a>) -> Option<StreamEntry<'a>> {
    let lsn = rest.u64()?;
    let captured_at_ms = Some(i64::from_le_bytes(rest.array()?)).filter(|ms| *ms != UNKNOWN_MS);
    let flags = rest.u8()?;
    if flags & !(JSON | KIND | AMOUNT | LANE | HEADERS) != 0 {
        return None;
    }
    let has = |flag: u8| flags & flag != 0;
    let key = rest.short()?;
    let kind = if has(KIND) { Some(rest.short()?) } else { None };
    let amount = if has(AMOUNT) {
        Some(Amount::from_ten_thousandths(i64::from_le_bytes(rest.array()?)))
    } else {
        None
    };
    let lane = if has(LANE) { Some(rest.short()?) } else { None };
    let mut headers = Vec::new();
    for _ in 0..if has(HEADERS) { rest.u8()? } else { 0 } {
        let name = rest.short()?;
        let bytes = u16::from_le_bytes(rest.array()?);
        headers.push((name, std::str::from_utf8(rest.take(usize::from(bytes))?).ok()?));
    }
    let payload = std::mem::take(&mut rest.0);
    let is_json = has(JSON);
    Some(StreamEntry {
        lsn,
        captured_at_ms,
        key,
        kind,
        amount,
        lane,
        headers,
        is_json,
        payload,
        behind: None,
    })
}

/// What is not read yet.
struct UnreadSlice<'a>(&'a [u8]);

impl<'a> UnreadSlice<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A text whose length is one byte.
    fn short(&mut self) -> Option<&'a str> {
        let bytes = self.u8()?;
        std::str::from_utf8(self.take(usize::from(bytes))?).ok()
    }
}

#[cfg(test)]
mod tests;
