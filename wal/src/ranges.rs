//! A set of segment numbers as ranges. No I/O here.

/// Consecutive numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Range {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

/// Numbers as ascending ranges that do not touch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ranges(Vec<Range>);

impl Ranges {
    /// The ranges.
    pub(crate) fn as_slice(&self) -> &[Range] {
        &self.0
    }

    /// Adds a range that was read; `None` unless it is behind all others and apart from them.
    pub(crate) fn push(&mut self, first: u64, count: u64) -> Option<()> {
        let least = self.0.last().map_or(Some(1), |last| {
            last.first.checked_add(last.count).and_then(|end| end.checked_add(1))
        })?;
        (first >= least && count > 0 && first.checked_add(count).is_some()).then_some(())?;
        self.0.push(Range { first, count });
        Some(())
    }

    /// How many numbers there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, range| range.count.saturating_add(sum))
    }

    /// Whether `number` is in the set.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.0.iter().any(|range| range.first <= number && number - range.first < range.count)
    }

    /// All numbers, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|range| range.first..range.first + range.count)
    }

    /// Adds a number above all others.
    pub(crate) fn add(&mut self, number: u64) {
        match self.0.last_mut() {
            Some(last) if last.first + last.count == number => last.count += 1,
            _ => self.0.push(Range { first: number, count: 1 }),
        }
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, number: u64) {
        let Some(at) = self.0.iter().position(|r| r.first <= number && number - r.first < r.count)
        else {
            return;
        };
        let Range { first, count } = self.0.remove(at);
        let rest = [
            Range { first, count: number - first },
            Range { first: number + 1, count: first + count - number - 1 },
        ];
        let kept = rest.into_iter().filter(|range| range.count > 0);
        self.0.splice(at..at, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn ranges_that_touch_overlap_or_overflow_are_refused() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.push(3, 2), Some(()), "control: 3..=4");
        for (first, count) in [(4, 1), (5, 1), (1, 1), (9, 0), (u64::MAX, 2)] {
            assert_eq!(ranges.push(first, count), None, "{first} {count}");
        }
        assert_eq!(ranges.push(6, 1), Some(()), "control: apart");
        assert_eq!(Ranges::default().push(0, 1), None, "0 is no number");
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_set(removed in proptest::collection::vec(1_u64..30, 0..40)) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for (next, number) in (30_u64..).zip(removed) {
                ranges.add(next);
                set.insert(next);
                ranges.remove(number + 25);
                set.remove(&(number + 25));
                prop_assert_eq!(ranges.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
                prop_assert!(ranges.as_slice().windows(2).all(|w| w[0].first + w[0].count < w[1].first));
            }
        }
    }
}
