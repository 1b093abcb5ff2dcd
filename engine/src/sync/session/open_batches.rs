//! The batches that were formed and are not answered, and where each of them waits.

use std::collections::{BTreeMap, VecDeque};

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
    /// The batches that the driver got to send and did not report on, by their numbers.
    sent: BTreeMap<u64, Open>,
}

impl OpenBatches {
    /// The open batches that an earlier session left.
    pub(super) fn new(left: Vec<Formed>) -> Self {
        Self {
            queue: left.into_iter().map(Open::left).collect(),
            aside: AsideBatches::default(),
            as_is: Vec::new(),
            sent: BTreeMap::new(),
        }
    }

    /// Whether none is sent and none is to be sent now.
    pub(super) fn is_idle(&self) -> bool {
        self.sent.is_empty() && !self.has_next()
    }

    /// How many are on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.sent.len()
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
        self.queue.push_front(open.unsent());
    }

    /// Puts these batches before all others, in their order.
    pub(super) fn send_all_first(&mut self, batches: Vec<Open>) {
        for open in batches.into_iter().rev() {
            self.send_first(open);
        }
    }

    /// The name of the last batch before this number that is on its way: opening and number.
    pub(super) fn sent_before(&self, number: u64) -> Option<(u64, u64)> {
        let (number, open) = self.sent.range(..number).next_back()?;
        Some((open.formed.envelope.opening, *number))
    }

    /// Notes that the driver got this batch to send.
    pub(super) fn note_sent(&mut self, open: Open) {
        self.sent.insert(open.formed.number, open);
    }

    /// Takes one that was sent, to apply what became of it.
    pub(super) fn take_sent(&mut self, batch: BatchId) -> Option<Open> {
        self.sent.remove(&batch.get())
    }

    /// Those that were sent go before all others.
    pub(super) fn requeue_sent(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        self.send_all_first(sent.into_values().collect());
    }

    /// Keeps a batch of which nothing is answered, to be sent again as it is.
    pub(super) fn keep_as_is(&mut self, open: Open, not_before_ms: u64) {
        self.as_is.push(Held { open: open.unsent(), not_before_ms });
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

#[cfg(test)]
mod tests {
    use super::super::aside::Aside;
    use super::super::open::tests::open;
    use super::*;

    fn next(batches: &mut OpenBatches) -> Option<u64> {
        batches.take_next().map(|open| open.formed.events[0])
    }

    #[test]
    fn what_is_on_its_way_is_not_sent_again_and_what_takes_its_place_goes_first() {
        let mut batches = OpenBatches::new(vec![open(&[1]).formed, open(&[2]).formed]);
        let first = batches.take_next().unwrap();
        batches.note_sent(first);
        assert!(!batches.is_idle() && batches.has_next());
        batches.send_all_first(vec![open(&[3]), open(&[4])]);
        assert_eq!([0; 4].map(|_| next(&mut batches)), [Some(3), Some(4), Some(2), None]);
        assert!(!batches.is_idle(), "one is on its way");
    }

    #[test]
    fn reports_are_taken_in_any_order_once_for_each_batch_that_was_sent() {
        let id = |number| BatchId(crate::Lsn::from_u64(number).unwrap());
        let mut batches = OpenBatches::new(Vec::new());
        let numbered = |number, event| {
            let mut open = open(&[event]);
            open.formed.number = number;
            open
        };
        batches.note_sent(numbered(7, 1));
        batches.note_sent(numbered(9, 2));
        assert_eq!(batches.in_flight(), 2);
        assert!(batches.take_sent(id(8)).is_none());
        assert_eq!(batches.take_sent(id(9)).unwrap().formed.events, [2]);
        assert_eq!(batches.take_sent(id(7)).unwrap().formed.events, [1]);
        assert!(batches.take_sent(id(7)).is_none() && batches.is_idle(), "once");
    }

    #[test]
    fn batches_kept_as_they_are_come_again_at_their_time_and_not_in_one_run() {
        let mut batches = OpenBatches::new(Vec::new());
        batches.keep_as_is(open(&[1]), 500);
        batches.aside.push(Aside { open: open(&[2]), until_ms: 400, is_at_fault: true });
        assert_eq!(batches.next_ms(), Some(400));
        batches.queue_due(500, false);
        assert_eq!([0; 2].map(|_| next(&mut batches)), [Some(2), None]);
        batches.queue_due(499, true);
        assert!(!batches.has_next());
        batches.recall();
        batches.queue_due(0, true);
        assert_eq!(next(&mut batches), Some(1));
    }
}
