//! Numbers of frames that may still fail, as ranges: those of one commit follow each other, so there are
//! few.

/// A set of LSNs.
#[derive(Debug, Default)]
pub(crate) struct PendingFrames {
    /// First number and last of each range, ascending. None overlaps another.
    ranges: Vec<(u64, u64)>,
}

impl PendingFrames {
    /// Puts a number in.
    pub(crate) fn insert(&mut self, lsn: u64) {
        if let Some((_, last)) = self.ranges.last_mut()
            && last.checked_add(1) == Some(lsn)
        {
            *last = lsn;
        } else if !self.contains(lsn) {
            let at = self.ranges.partition_point(|(first, _)| *first < lsn);
            self.ranges.insert(at, (lsn, lsn));
        }
    }

    /// Takes out what is there of the numbers from `first` to `last`; returns the highest one that was.
    pub(crate) fn remove(&mut self, first: u64, last: u64) -> Option<u64> {
        let from = self.ranges.partition_point(|(_, end)| *end < first);
        let touched = self.ranges.get(from..).unwrap_or_default();
        let to = from + touched.iter().take_while(|(begin, _)| *begin <= last).count();
        let (lowest, highest) = (self.ranges.get(from)?.0, self.ranges.get(from..to)?.last()?.1);
        let before = (lowest < first).then(|| (lowest, first - 1));
        let behind = (highest > last).then(|| (last + 1, highest));
        match (self.ranges.get_mut(from), before, behind) {
            // Mostly: the first numbers of the only range.
            (Some(only), None, Some(behind)) if to - from == 1 => *only = behind,
            _ => drop(self.ranges.splice(from..to, before.into_iter().chain(behind))),
        }
        Some(highest.min(last))
    }

    /// Whether a number is in.
    pub(crate) fn contains(&self, lsn: u64) -> bool {
        let at = self.ranges.partition_point(|(_, last)| *last < lsn);
        self.ranges.get(at).is_some_and(|(first, _)| *first <= lsn)
    }

    /// The lowest number.
    pub(crate) fn first(&self) -> Option<u64> {
        self.ranges.first().map(|(first, _)| *first)
    }

    /// The highest number.
    pub(crate) fn last(&self) -> Option<u64> {
        self.ranges.last().map(|(_, last)| *last)
    }

    /// The count of ranges.
    pub(crate) fn ranges(&self) -> usize {
        self.ranges.len()
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
            let (mut pending, mut set) = (PendingFrames::default(), BTreeSet::new());
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
        let mut pending = PendingFrames::default();
        (u64::MAX - 2..=u64::MAX).for_each(|lsn| pending.insert(lsn));
        assert_eq!(pending.ranges(), 1);
        assert_eq!(pending.remove(0, u64::MAX - 1), Some(u64::MAX - 1));
        assert_eq!(pending.first().zip(pending.last()), Some((u64::MAX, u64::MAX)));
        assert_eq!(pending.remove(u64::MAX, u64::MAX), Some(u64::MAX));
        assert_eq!(pending.ranges(), 0);
    }
}
