//! What is in a bundle's chunks. Field order is the format: never reorder, never reuse.
//!
//! A record is its length, the length of its head, the head (a control body), and for an event the
//! event's bytes as in an event frame.

use bincode::{Decode, Encode};

use crate::base::BootId;
use crate::base::Wall;
use crate::base::codec::{self, Control};
use crate::event::StoredEvent;
use crate::event::layout::{Encoded, View};
use crate::upstreams::frames::Rule;

/// What a record says.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) enum Head {
    /// The first record.
    Begin(Begin),
    /// An event.
    Item(BundleItem),
    /// The last record, alone in the last chunk.
    End(End),
    /// The rule under which keys an upstream got the events of a scope; before all events.
    Rule(Rule),
}

/// The source of a bundle.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct Begin {
    /// The bundle.
    pub(in crate::rescue) bundle: [u8; 16],
    /// The source.
    pub(in crate::rescue) store: [u8; 16],
    /// The random number of its opening.
    pub(in crate::rescue) epoch: u64,
    /// Wall clock there when the export began, Unix milliseconds.
    pub(in crate::rescue) made_ms: i64,
    /// Whether the source is fenced for this bundle.
    pub(in crate::rescue) is_fenced: bool,
}

/// What is known of an event beside its bytes.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct BundleItem {
    /// The event's number in the source.
    pub(in crate::rescue) lsn: u64,
    /// Code of its [`State`](crate::State) there.
    pub(in crate::rescue) state: u8,
    /// Whether the event was in a batch once, so that the upstream may have it.
    pub(in crate::rescue) is_attempted: bool,
    /// The unanswered batch that it is in; 0 for none.
    pub(in crate::rescue) batch: u64,
    /// Wall clock at the capture, Unix milliseconds; the lowest number: nobody knows.
    pub(in crate::rescue) wall_ms: i64,
    /// Monotonic clock at the capture.
    pub(in crate::rescue) mono_ms: u64,
    /// The machine's boot at the capture.
    pub(in crate::rescue) boot: [u8; 16],
    /// Why it waits for a person, if it does.
    pub(in crate::rescue) reason: Option<Reason>,
    /// The event's receipt, empty for none.
    pub(in crate::rescue) receipt: Vec<u8>,
    /// Flags of its bytes.
    pub(in crate::rescue) flags: u8,
}

/// Why an event waits for a person.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct Reason {
    /// The upstream's code.
    pub(in crate::rescue) code: String,
    /// The upstream's words.
    pub(in crate::rescue) message: String,
    /// The beginning of its reply.
    pub(in crate::rescue) reply: Vec<u8>,
    /// Wall clock when it came, Unix milliseconds.
    pub(in crate::rescue) since_ms: i64,
}

/// What was written before the end.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub(crate) struct End {
    /// Events without a final answer.
    pub(in crate::rescue) unsettled: u64,
    /// Events with one.
    pub(in crate::rescue) settled: u64,
    /// Events that could not be read.
    pub(in crate::rescue) unreadable: u64,
    /// SHA-256 over the open bytes of all chunks before this one.
    pub(in crate::rescue) digest: [u8; 32],
}

impl Control for Head {
    const VERSION: u16 = 1;
}

/// Size of each length before a record.
const LENGTH_BYTES: usize = 4;

/// The bytes of a record; `event` are the flags-less bytes of its event.
pub(crate) fn encode(head: &Head, event: &[&[u8]]) -> Vec<u8> {
    let head = codec::encode(head);
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
    let event_bytes: usize = event.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(2 * LENGTH_BYTES + head.len() + event_bytes);
    out.extend(number(LENGTH_BYTES + head.len() + event_bytes));
    out.extend(number(head.len()));
    out.extend(head);
    event.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// The record of an event. `item` says all but the flags.
pub(crate) fn encode_event(item: BundleItem, event: &StoredEvent) -> Vec<u8> {
    let encoded = Encoded::new(&event.event);
    let head = Head::Item(BundleItem { flags: encoded.flags, ..item });
    encode(&head, &encoded.parts())
}

/// Takes the next record of a chunk; `None`: these are no records.
pub(crate) fn take<'a>(rest: &mut &'a [u8]) -> Option<(Head, &'a [u8])> {
    let length = number(rest)?;
    let (mut record, after) = rest.split_at_checked(length)?;
    *rest = after;
    let length = number(&mut record)?;
    let (head, event) = record.split_at_checked(length)?;
    let head: Head = codec::decode(head)?;
    let is_whole = match &head {
        Head::Item(item) => View::decode(item.flags, event).is_some(),
        Head::Begin(_) | Head::End(_) | Head::Rule(_) => event.is_empty(),
    };
    is_whole.then_some((head, event))
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (number, after) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

impl BundleItem {
    /// What is known of an event, but for why it waits.
    pub(crate) fn of(event: &StoredEvent, is_attempted: bool, batch: u64) -> Self {
        let receipt = event.receipt.as_ref().map(|receipt| receipt.as_bytes().to_vec());
        Self {
            lsn: event.lsn.get(),
            state: event.state.code(),
            is_attempted,
            batch,
            wall_ms: event.wall_ms.map_or(Wall::UNKNOWN, Wall::at).code(),
            mono_ms: event.mono_ms,
            boot: event.boot.0,
            reason: None,
            receipt: receipt.unwrap_or_default(),
            flags: 0,
        }
    }

    /// The machine's boot at the capture.
    pub(crate) fn boot(&self) -> BootId {
        BootId(self.boot)
    }
}

#[cfg(test)]
mod tests;
