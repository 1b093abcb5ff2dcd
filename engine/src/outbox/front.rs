//! Which events are to be sent next: they wait for the upstream, and no earlier one of their lane has no
//! final answer. Asked for each request, so it is counted and never looked for. No I/O, no clock, no lock
//! here.

use std::collections::BTreeMap;

use super::table::EventSet;
use crate::base::looked::look;

/// Numbers that share an entry.
const TOGETHER: u64 = 64;

/// The numbers of those events, by scope.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Front {
    /// By scope and number without its lowest bits; a bit for each number. None is 0.
    bits: BTreeMap<(usize, u64), u64>,
}

/// The entry of a number, and its bit there.
fn place(scope: usize, lsn: u64) -> ((usize, u64), u64) {
    ((scope, lsn / TOGETHER), 1 << (lsn % TOGETHER))
}

impl Front {
    pub(super) fn add(&mut self, scope: usize, lsn: u64) {
        let (at, bit) = place(scope, lsn);
        self.mark(at, bit);
    }

    /// Adds numbers together.
    pub(super) fn add_all(&mut self, scope: usize, some: EventSet) {
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
        let (first, bits) = (some.base / TOGETHER, some.events);
        for (entry, bits) in [(first, half(bits)), (first + 1, half(bits >> TOGETHER))] {
            if bits != 0 {
                self.mark((scope, entry), bits);
            }
        }
    }

    /// Marks numbers in an entry, which is mostly that of the newest events.
    fn mark(&mut self, at: (usize, u64), bits: u64) {
        if let Some(mut last) = self.bits.last_entry()
            && *last.key() == at
        {
            *last.get_mut() |= bits;
            return;
        }
        *self.bits.entry(at).or_default() |= bits;
    }

    pub(super) fn remove(&mut self, scope: usize, lsn: u64) {
        let (at, bit) = place(scope, lsn);
        let Some(bits) = self.bits.get_mut(&at) else { return };
        *bits &= !bit;
        if *bits == 0 {
            self.bits.remove(&at);
        }
    }

    /// Takes out numbers, ascending, some of which may be there: those that share an entry together.
    pub(super) fn remove_all(&mut self, scope: usize, lsns: impl Iterator<Item = u64>) {
        let mut rest = lsns.peekable();
        while let Some(first) = rest.next() {
            let (at, mut mask) = place(scope, first);
            while let Some(next) = rest.next_if(|lsn| place(scope, *lsn).0 == at) {
                mask |= place(scope, next).1;
            }
            let Some(bits) = self.bits.get_mut(&at) else { continue };
            *bits &= !mask;
            if *bits == 0 {
                self.bits.remove(&at);
            }
        }
    }

    /// The events of a scope from behind `after` on up to and including `last`, ascending.
    pub(super) fn between(&self, scope: usize, after: u64, last: u64) -> impl Iterator<Item = u64> {
        let entries = (scope, after / TOGETHER)..=(scope, last.max(after) / TOGETHER);
        let numbers = self.bits.range(entries).flat_map(|((_, entry), bits)| {
            let first = entry * TOGETHER;
            let is_in = move |lsn: &u64| bits & place(0, *lsn).1 != 0;
            (first..=first.saturating_add(TOGETHER - 1)).filter(is_in)
        });
        numbers.filter(move |lsn| *lsn > after && *lsn <= last).inspect(|_| look())
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
            steps in prop::collection::vec((0..5_u8, 0..2_usize, 0..300_u64, 0..300_u64), 0..200),
        ) {
            let (mut front, mut tree) = (Front::default(), BTreeSet::new());
            for (what, scope, lsn, other) in steps {
                if what == 0 {
                    front.remove_all(scope, lsn.saturating_sub(3)..=lsn);
                    (lsn.saturating_sub(3)..=lsn).for_each(|lsn| _ = tree.remove(&(scope, lsn)));
                } else if what == 3 {
                    let events = u128::from(other) << (lsn % 128);
                    let some = EventSet { base: lsn / 128 * 128, events };
                    front.add_all(scope, some);
                    tree.extend(some.lsns().map(|lsn| (scope, lsn)));
                } else if what == 1 {
                    front.remove(scope, lsn);
                    tree.remove(&(scope, lsn));
                } else {
                    front.add(scope, lsn);
                    tree.insert((scope, lsn));
                }
                prop_assert!(front.bits.values().all(|bits| *bits != 0), "an empty entry stays");
                let found: Vec<u64> = front.between(scope, lsn, other).collect();
                let expected = tree.iter().filter(|(of, it)| *of == scope && *it > lsn && *it <= other);
                prop_assert_eq!(found, expected.map(|(_, lsn)| *lsn).collect::<Vec<_>>());
            }
        }

        #[test]
        fn the_last_number_of_all_has_a_place(after in (u64::MAX - 200)..u64::MAX) {
            let mut front = Front::default();
            front.add(0, u64::MAX);
            prop_assert_eq!(front.between(0, after, u64::MAX).collect::<Vec<_>>(), [u64::MAX]);
        }
    }
}
