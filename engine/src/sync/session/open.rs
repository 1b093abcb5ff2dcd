//! A batch that is on its way.

use std::sync::Arc;

use crate::outbox::Formed;
use crate::sync::batch::Items;

/// When an event was attempted first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum First {
    /// In this session, at this trusted time, milliseconds.
    Here { trusted_ms: u64 },
    /// Before it: not before the batch was formed, which the log may say, and not before its capture.
    Before,
}

/// A batch that is not answered.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) formed: Formed,
    pub(super) attempts: u32,
    /// When those of its events were attempted first of which nothing else is known; `None`: not yet.
    pub(super) first: Option<First>,
    /// How many acceptances there were when a batch with its events was first refused as a whole.
    pub(super) refused_at: Option<u64>,
    /// How many there were when the line first failed for it.
    pub(super) failed_at: Option<u64>,
    /// Whether somebody who is not the upstream answered the batch last.
    pub(super) met_stranger: bool,
    /// Its events as they are sent: from its forming, or from the reading for an attempt, to the attempt's end.
    pub(super) items: Option<Arc<Items>>,
    /// The [epoch](super::pacing::Pacing::epoch) of the line in which the batch was sent last.
    pub(super) epoch: u64,
    /// The count of sendings when it was sent last.
    pub(super) sent_as: u64,
}

impl Open {
    /// One that an earlier session left.
    pub(super) fn left(formed: Formed) -> Self {
        Self { first: Some(First::Before), ..Self::new(formed) }
    }

    /// One that was formed now.
    pub(super) fn new(formed: Formed) -> Self {
        Self {
            formed,
            attempts: 0,
            first: None,
            refused_at: None,
            failed_at: None,
            met_stranger: false,
            items: None,
            epoch: 0,
            sent_as: 0,
        }
    }

    /// One that was formed now, of these items.
    pub(super) fn of_items(formed: Formed, items: Items) -> Self {
        Self { items: Some(Arc::new(items)), ..Self::new(formed) }
    }

    /// One that takes the place of this one, with some of its events or all: the line has not failed for it.
    pub(super) fn replaced_by(&self, formed: Formed) -> Self {
        let Self { first, refused_at, epoch, .. } = *self;
        Self { first, refused_at, epoch, ..Self::new(formed) }
    }

    /// When its events were attempted first, at the latest.
    pub(super) fn first(&self) -> First {
        self.first.unwrap_or(First::Before)
    }

    /// The batch, to be sent another time: what its events are by then is read by then.
    pub(super) fn unsent(self) -> Self {
        Self { items: None, ..self }
    }

    /// Bytes of its items, while it is on its way.
    pub(super) fn sent_bytes(&self) -> usize {
        self.items.as_ref().map_or(0, |items| items.bytes())
    }

    /// Whether it has one event.
    pub(super) fn is_single(&self) -> bool {
        self.formed.events.len() == 1
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A batch of these events, which was formed now.
    pub(in crate::sync::session) fn open(events: &[u64]) -> Open {
        let envelope = Default::default();
        Open::new(Formed { number: 7, events: events.to_vec(), envelope })
    }

    #[test]
    fn what_takes_the_place_of_a_batch_keeps_when_its_events_were_attempted_and_refused_first() {
        let before = Open {
            attempts: 3,
            first: Some(First::Here { trusted_ms: 5 }),
            refused_at: Some(1),
            failed_at: Some(2),
            met_stranger: true,
            epoch: 4,
            ..open(&[1, 2])
        };
        let after = before.replaced_by(open(&[1]).formed);
        assert_eq!((after.first, after.refused_at), (before.first, before.refused_at));
        assert_eq!(after.epoch, 4);
        assert_eq!((after.attempts, after.failed_at, after.met_stranger), (0, None, false));
        assert!(after.is_single() && !before.is_single());
    }

    #[test]
    fn a_batch_that_is_left_was_attempted_before_and_one_of_now_counts_as_such_until_it_is_sent() {
        let left = Open::left(open(&[1]).formed);
        assert_eq!(left.first, Some(First::Before));
        assert_eq!((open(&[1]).first, open(&[1]).first()), (None, First::Before));
    }
}
