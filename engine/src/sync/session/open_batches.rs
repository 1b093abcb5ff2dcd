//! The batches that were formed and are not answered, and where each of them waits.

use std::collections::VecDeque;

use super::Open;
use super::aside::AsideBatches;
use crate::outbox::Formed;
use crate::sync::BatchId;

/// A batch that failed for now, which is sent again as it is: the disk is full, and forming another one
/// would take room that is needed for answers.
#[derive(Debug)]
struct Held {
    open: Open,
    not_before_ms: u64,
}

/// The batches of one session.
#[derive(Debug)]
pub(super) struct OpenBatches {
    /// The batches that are to be sent now, in this order.
    queue: VecDeque<Open>,
    /// The batches that failed again and again, which others go before.
    pub(super) aside: AsideBatches,
    /// The batches that failed for now and are sent again as they are.
    as_is: Vec<Held>,
    /// The batch that the driver got to send.
    sent: Option<Open>,
}

impl OpenBatches {
    /// The open batches that an earlier session left.
    pub(super) fn new(left: Vec<Formed>) -> Self {
        Self {
            queue: left.into_iter().map(Open::left).collect(),
            aside: AsideBatches::default(),
            as_is: Vec::new(),
            sent: None,
        }
    }

    /// Whether none is sent and none is to be sent now.
    pub(super) fn is_idle(&self) -> bool {
        self.sent.is_none() && !self.has_next()
    }

    /// Whether one is to be sent now.
    pub(super) fn has_next(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Takes the one that is to be sent next.
    pub(super) fn take_next(&mut self) -> Option<Open> {
        self.queue.pop_front()
    }

    /// A batch goes before all others.
    pub(super) fn send_first(&mut self, open: Open) {
        self.queue.push_front(open);
    }

    /// Puts these batches before all others, in their order.
    pub(super) fn send_all_first(&mut self, batches: Vec<Open>) {
        for open in batches.into_iter().rev() {
            self.queue.push_front(open);
        }
    }

    /// Notes that the driver got this batch to send, or is to report on it again.
    pub(super) fn note_sent(&mut self, open: Open) {
        self.sent = Some(open);
    }

    /// Takes the one that was sent, if it is this one.
    pub(super) fn take_sent(&mut self, batch: BatchId) -> Option<Open> {
        self.sent.take_if(|open| open.formed.number == batch.get())
    }

    /// The one that was sent and not reported on goes before all others.
    pub(super) fn requeue_unreported(&mut self) {
        if let Some(unreported) = self.sent.take() {
            self.queue.push_front(unreported);
        }
    }

    /// Keeps a batch of which nothing is answered, to be sent again as it is.
    pub(super) fn keep_as_is(&mut self, open: Open, not_before_ms: u64) {
        self.as_is.push(Held { open, not_before_ms });
    }

    /// Puts those in the queue whose time has come; those that are kept as they are only `with_as_is`.
    pub(super) fn queue_due(&mut self, now_ms: u64, with_as_is: bool) {
        if with_as_is {
            let due = self.as_is.extract_if(.., |held| held.not_before_ms <= now_ms);
            self.queue.extend(due.map(|held| held.open));
        }
        self.queue.extend(self.aside.take_due(now_ms));
    }

    /// When the first of those is to be sent that are not to be sent now.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let as_is = self.as_is.iter().map(|held| held.not_before_ms);
        as_is.chain(self.aside.next_ms()).min()
    }

    /// The host says that it is worth trying now.
    pub(super) fn recall(&mut self) {
        self.as_is.iter_mut().for_each(|held| held.not_before_ms = 0);
        self.aside.recall();
    }
}
