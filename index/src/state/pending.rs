//! Numbers of frames that may still fail, as ranges: those of one commit follow each other.

use std::collections::BTreeMap;

/// A set of LSNs.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Of each range the first number and the last. None overlaps another.
    ranges: BTreeMap<u64, u64>,
}

impl Pending {
    /// Puts a number in.
    pub(crate) fn insert(&mut self, lsn: u64) {
        if let Some(mut highest) = self.ranges.last_entry()
            && highest.get().checked_add(1) == Some(lsn)
        {
            *highest.get_mut() = lsn;
        } else if !self.contains(lsn) {
            self.ranges.insert(lsn, lsn);
        }
    }

    /// Takes out what is there of the numbers from `first` to `last`; returns the highest one that was.
    pub(crate) fn remove(&mut self, first: u64, last: u64) -> Option<u64> {
        let mut highest = None;
        while let Some((begin, end)) = self.at_or_before(last).filter(|(_, end)| *end >= first) {
            self.ranges.remove(&begin);
            highest = highest.max(Some(end.min(last)));
            if begin < first {
                self.ranges.insert(begin, first - 1);
            }
            if end > last {
                self.ranges.insert(last + 1, end);
            }
        }
        highest
    }

    /// Whether a number is in.
    pub(crate) fn contains(&self, lsn: u64) -> bool {
        self.at_or_before(lsn).is_some_and(|(_, end)| end >= lsn)
    }

    /// The lowest number.
    pub(crate) fn first(&self) -> Option<u64> {
        self.ranges.first_key_value().map(|(begin, _)| *begin)
    }

    /// The highest number.
    pub(crate) fn last(&self) -> Option<u64> {
        self.ranges.last_key_value().map(|(_, end)| *end)
    }

    /// How many ranges there are.
    pub(crate) fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// The last range that begins there or before.
    fn at_or_before(&self, lsn: u64) -> Option<(u64, u64)> {
        self.ranges.range(..=lsn).next_back().map(|(begin, end)| (*begin, *end))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_set_that_a_tree_of_numbers_would_be(
            steps in prop::collection::vec((any::<bool>(), 0..40_u64, 0..9_u64), 0..80),
        ) {
            let (mut pending, mut set) = (Pending::default(), BTreeSet::new());
            for (is_in, first, more) in steps {
                if is_in {
                    (first..=first + more).for_each(|lsn| pending.insert(lsn));
                    set.extend(first..=first + more);
                } else {
                    let highest = set.range(first..=first + more).next_back().copied();
                    prop_assert_eq!(pending.remove(first, first + more), highest);
                    set.retain(|lsn| !(first..=first + more).contains(lsn));
                }
                prop_assert!((0..60).all(|lsn| pending.contains(lsn) == set.contains(&lsn)));
                prop_assert_eq!(pending.first(), set.first().copied());
                prop_assert_eq!(pending.last(), set.last().copied());
                let inside = pending.ranges.iter().all(|(begin, end)| begin <= end);
                prop_assert!(inside && pending.ranges() <= set.len());
            }
        }
    }

    #[test]
    fn numbers_that_follow_each_other_are_one_range_also_at_the_end_of_all() {
        let mut pending = Pending::default();
        (u64::MAX - 2..=u64::MAX).for_each(|lsn| pending.insert(lsn));
        assert_eq!(pending.ranges(), 1);
        assert_eq!(pending.remove(0, u64::MAX - 1), Some(u64::MAX - 1));
        assert_eq!(pending.first().zip(pending.last()), Some((u64::MAX, u64::MAX)));
        assert_eq!(pending.remove(u64::MAX, u64::MAX), Some(u64::MAX));
        assert_eq!(pending.ranges(), 0);
    }
}
