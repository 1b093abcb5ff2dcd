//! Bodies of the frames of batches and answers. Field order is the format: never reorder, never reuse.

use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::enc::Encoder;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::base::bounds::RECEIPT_BYTES_MAX;
use crate::base::codec::{self, Control};
use crate::event::Receipt;

/// What is sent together.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct BatchFrame {
    /// LSN of the frame that formed it; 0: this one. Another when the frame was carried.
    pub(in crate::outbox) number: u64,
    /// Scope of all its events.
    pub(crate) scope: String,
    /// The batch that this one is a part of and retires; 0 for none.
    pub(in crate::outbox) parent: u64,
    /// LSNs of its events, ascending.
    pub(in crate::outbox) events: Vec<u64>,
    /// What else makes its request and its key.
    pub(in crate::outbox) envelope: Envelope,
}

/// What is fixed with a batch besides its events, so that a resend is the same request.
#[derive(Clone, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub(crate) struct Envelope {
    /// The random number of the opening that formed it: its key has it.
    pub(crate) opening: u64,
    /// The upstream for which the batch was formed; empty where the host named none.
    pub(crate) upstream: String,
    /// What shapes a request of the dialect besides the events.
    pub(crate) settings: String,
}

/// Events with the same answer. Both numbers 0: the event in the frame before this one.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct Span {
    /// First LSN.
    pub(crate) first: u64,
    /// Last LSN; numbers between that are no unsettled events are not meant.
    pub(crate) last: u64,
    /// Code of a [`State`](crate::State).
    pub(crate) state: u8,
}

/// A receipt for one event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ReceiptFor {
    /// The event.
    pub(crate) event: u64,
    pub(crate) receipt: Receipt,
}

/// The event, the receipt's length as 64 bits, the receipt.
impl Encode for ReceiptFor {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let receipt = self.receipt.as_bytes();
        self.event.encode(encoder)?;
        u64::try_from(receipt.len()).unwrap_or(u64::MAX).encode(encoder)?;
        encoder.writer().write(receipt)
    }
}

impl<C> Decode<C> for ReceiptFor {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let event = u64::decode(decoder)?;
        let mut bytes = [0; RECEIPT_BYTES_MAX];
        let length = usize::try_from(u64::decode(decoder)?).unwrap_or(usize::MAX);
        let receipt = bytes.get_mut(..length).ok_or(DecodeError::LimitExceeded)?;
        decoder.claim_container_read::<u8>(length)?;
        decoder.reader().read(receipt)?;
        let receipt = Receipt::new(receipt).map_err(|_over| DecodeError::LimitExceeded)?;
        Ok(Self { event, receipt })
    }
}

bincode::impl_borrow_decode!(ReceiptFor);

/// An event that goes to review.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct Rejection {
    /// The event.
    pub(crate) event: u64,
    /// Number of the review; 0: the LSN of this frame. Another when the frame was carried.
    pub(crate) version: u64,
    /// The upstream's code.
    pub(crate) code: String,
    /// The upstream's words.
    pub(crate) message: String,
    /// The beginning of its reply.
    pub(crate) reply: Vec<u8>,
    /// Wall clock when it came, Unix milliseconds.
    pub(crate) since_ms: i64,
    /// Code of the [`State`](crate::State) in which it waits: in review, or uncertain.
    pub(crate) state: u8,
}

/// Answers of the upstream: a range and its exceptions.
#[derive(Clone, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub(crate) struct SettleFrame {
    /// The batch that is answered and closed with this; 0 for none.
    pub(crate) batch: u64,
    /// Settled events.
    pub(crate) spans: Vec<Span>,
    /// Receipts of some of them.
    pub(crate) receipts: Vec<ReceiptFor>,
    /// Events that go to review.
    pub(crate) rejections: Vec<Rejection>,
    /// Trusted time of the settlement; 0: that of this frame. Another when the frame was carried.
    pub(crate) settled_ms: u64,
}

impl Control for BatchFrame {
    const VERSION: u16 = 1;
}
impl Control for SettleFrame {
    const VERSION: u16 = 1;
}

impl BatchFrame {
    /// The number of the batch, where the frame is `lsn`.
    pub(crate) fn number_at(&self, lsn: u64) -> u64 {
        if self.number == 0 { lsn } else { self.number }
    }

    /// Whether the frame forms no batch and only says that its events were attempted once.
    pub(crate) fn is_of_attempts(&self) -> bool {
        self.number != 0 && self.number == self.parent
    }
}

impl SettleFrame {
    /// Reads the frame `lsn`. An event 0 in it is the one right before it: an imported event and what
    /// is known of it are one commit, and nobody knows its number before.
    pub(crate) fn decode(lsn: u64, body: &[u8]) -> Option<Self> {
        let mut settle: Self = codec::decode(body)?;
        settle.resolve(lsn);
        Some(settle)
    }

    /// Puts the number of the event before the frame `lsn` in the place of 0.
    pub(crate) fn resolve(&mut self, lsn: u64) {
        let numbers = self.spans.iter_mut().flat_map(|span| [&mut span.first, &mut span.last]);
        let numbers = numbers.chain(self.receipts.iter_mut().map(|receipt| &mut receipt.event));
        let numbers = numbers.chain(self.rejections.iter_mut().map(|it| &mut it.event));
        numbers.filter(|event| **event == 0).for_each(|event| *event = lsn.saturating_sub(1));
    }

    /// Adds a settled event; those with the same answer and consecutive numbers share a span.
    pub(crate) fn add(&mut self, event: u64, state: u8) {
        match self.spans.last_mut() {
            Some(span) if span.state == state && span.last + 1 == event => span.last = event,
            _ => self.spans.push(Span { first: event, last: event, state }),
        }
    }

    /// Adds the settled events of a run, which follows those that were added.
    pub(crate) fn add_run(&mut self, (first, last): (u64, u64), state: u8) {
        match self.spans.last_mut() {
            Some(span) if span.state == state && span.last + 1 == first => span.last = last,
            _ => self.spans.push(Span { first, last, state }),
        }
    }

    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.batch == 0 && self.spans.is_empty() && self.rejections.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::codec::{decode, encode};
    use crate::base::golden::assert_bytes;

    #[test]
    fn a_batch_has_these_bytes() {
        let envelope = Envelope { opening: 4, upstream: "u".to_owned(), settings: "d".to_owned() };
        let (scope, events) = ("s".to_owned(), vec![3]);
        let batch = BatchFrame { number: 0, scope, parent: 2, events, envelope };
        assert_bytes(
            &batch,
            "0100 0000000000000000 0100000000000000 73 0200000000000000 0100000000000000 0300000000000000 \
             0400000000000000 0100000000000000 75 0100000000000000 64",
        );
    }

    #[test]
    fn a_settlement_has_these_bytes() {
        let mut settle = SettleFrame { batch: 1, ..SettleFrame::default() };
        settle.add(4, 3);
        settle.add(5, 3);
        settle.add(6, 4);
        assert_eq!(settle.spans.len(), 2, "consecutive numbers with one answer share a span");
        assert_bytes(
            &settle,
            "0100 0100000000000000 0200000000000000 0400000000000000 0500000000000000 03 \
             0600000000000000 0600000000000000 04 0000000000000000 0000000000000000 \
             0000000000000000",
        );
    }

    #[test]
    fn a_rejection_has_these_bytes() {
        let rejection = Rejection {
            event: 1,
            version: 2,
            code: "C".to_owned(),
            message: "m".to_owned(),
            reply: vec![9],
            since_ms: -1,
            state: 7,
        };
        let settle = SettleFrame { rejections: vec![rejection], ..SettleFrame::default() };
        assert_bytes(
            &settle,
            "0100 0000000000000000 0000000000000000 0000000000000000 0100000000000000 \
             0100000000000000 0200000000000000 0100000000000000 43 0100000000000000 6d \
             0100000000000000 09 ffffffffffffffff 07 0000000000000000",
        );
    }

    #[test]
    fn other_versions_trailing_bytes_and_hostile_lengths_are_refused() {
        let bytes = encode(&SettleFrame::default());
        assert!(decode::<SettleFrame>(&bytes).is_some(), "control");
        let mut newer = bytes.clone();
        newer[0] = 2;
        assert_eq!(decode::<SettleFrame>(&newer), None);
        assert_eq!(decode::<SettleFrame>(&[bytes.as_slice(), &[0]].concat()), None);
        let mut hostile = bytes.clone();
        hostile[15] = 0x10;
        assert_eq!(decode::<SettleFrame>(&hostile), None, "a length of 2^60 must not be allocated");
        for cut in 0..bytes.len() {
            assert_eq!(decode::<SettleFrame>(&bytes[..cut]), None, "cut at {cut}");
        }
    }
}
