//! How much a batch takes: what the host allows, and less where that was too much.

use super::Open;
use crate::sync::Options;

/// The limits of the next batches, and what was learned of sizes.
#[derive(Debug)]
pub(super) struct BatchSizes {
    /// What the host allows.
    items_allowed: usize,
    bytes_allowed: usize,
    /// Fewer than that, where replies were too long.
    items_max: usize,
    bytes_max: usize,
    /// Size of the largest item that the upstream took.
    taken_bytes: usize,
}

impl BatchSizes {
    /// The sizes that the host allows.
    pub(super) fn new(options: &Options) -> Self {
        Self {
            items_allowed: options.items_max,
            bytes_allowed: options.bytes_max,
            items_max: options.items_max,
            bytes_max: options.bytes_max,
            taken_bytes: 0,
        }
    }

    /// Most events of a batch.
    pub(super) fn items_max(&self) -> usize {
        self.items_max
    }

    /// Most bytes of a batch.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// The upstream took an item of so many bytes.
    pub(super) fn note_taken(&mut self, bytes: usize) {
        self.taken_bytes = self.taken_bytes.max(bytes);
    }

    /// Whether a batch that was sent is one event that is no larger than one that was taken.
    pub(super) fn is_smaller_than_taken(&self, open: &Open) -> bool {
        open.is_single() && open.sent_bytes() <= self.taken_bytes
    }

    /// A batch that was sent has too many bytes: the next ones have half of them. One that was formed before that was
    /// known makes them no larger again.
    pub(super) fn halve_bytes(&mut self, sent_bytes: usize) {
        self.bytes_max = self.bytes_max.min((sent_bytes / 2).max(1));
    }

    /// Allows as many bytes as the host does: a single event that is too large explains why the batches around it were.
    pub(super) fn restore_bytes(&mut self) {
        self.bytes_max = self.bytes_allowed;
    }

    /// The replies to more items are too long.
    pub(super) fn limit_items(&mut self, items_max: usize) {
        self.items_max = items_max;
    }

    /// Allows as many items as the host does.
    pub(super) fn restore_items(&mut self) {
        self.items_max = self.items_allowed;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::open::tests::open;
    use super::*;
    use crate::event::Scope;
    use crate::sync::batch::Items;

    #[test]
    fn limits_are_narrowed_by_what_was_sent_and_restored_to_what_the_host_allows() {
        let options = Options::new(Scope::default()).with_items_max(9).with_bytes_max(1_000);
        let mut sizes = BatchSizes::new(&options);
        sizes.halve_bytes(1);
        assert_eq!(sizes.bytes_max(), 1, "never 0");
        sizes.restore_bytes();
        sizes.halve_bytes(500);
        sizes.halve_bytes(900);
        sizes.limit_items(2);
        assert_eq!((sizes.items_max(), sizes.bytes_max()), (2, 250));
        sizes.restore_bytes();
        sizes.restore_items();
        assert_eq!((sizes.items_max(), sizes.bytes_max()), (9, 1_000));
    }

    #[test]
    fn a_single_event_is_compared_with_the_largest_that_was_ever_taken() {
        let mut sizes = BatchSizes::new(&Options::new(Scope::default()));
        sizes.note_taken(300);
        sizes.note_taken(100);
        for (bytes, is_smaller) in [(300, true), (301, false)] {
            let sent = Open { items: Some(Arc::new(Items::of_sizes(&[bytes]))), ..open(&[4]) };
            assert_eq!(sizes.is_smaller_than_taken(&sent), is_smaller, "{bytes}");
        }
        let sent = Open { items: Some(Arc::new(Items::of_sizes(&[1, 1]))), ..open(&[4, 5]) };
        assert!(!sizes.is_smaller_than_taken(&sent), "not a single one");
    }
}
