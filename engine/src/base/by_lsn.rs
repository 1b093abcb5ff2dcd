//! Items by LSN, most of which come in order and are next to each other.
//!
//! Numbers that share all but their lowest bits share a chunk, so that putting in the next item mostly
//! finds its place at once, and a tree holds one entry for each chunk instead of each item. An item
//! that is alone in its chunk takes the room of sixteen.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

use super::looked::look;

/// Items of a chunk.
const ITEMS: usize = 16;
/// Items of a chunk, in the type of LSNs.
const CHUNK_ITEMS: u64 = ITEMS as u64;

/// Items whose numbers begin alike.
#[derive(Clone, Debug)]
struct Chunk<T> {
    /// Each with its number, at the place that its lowest bits say.
    items: [Option<(u64, T)>; ITEMS],
    count: usize,
}

impl<T> Chunk<T> {
    /// Puts an item in; returns how many more there are now.
    fn put(&mut self, place: usize, item: (u64, T)) -> usize {
        let Some(slot) = self.items.get_mut(place) else { return 0 };
        let more = usize::from(slot.replace(item).is_none());
        self.count += more;
        more
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = (&u64, &T)> {
        self.items.iter().flatten().inspect(|_| look()).map(|(lsn, item)| (lsn, item))
    }
}

/// A sorted map from LSN to item.
#[derive(Clone, Debug)]
pub(crate) struct ByLsn<T> {
    /// By number without the lowest bits. None is empty.
    chunks: BTreeMap<u64, Box<Chunk<T>>>,
    len: usize,
}

/// Where the item with this number is: its chunk, and its place there.
fn split(lsn: u64) -> (u64, usize) {
    (lsn / CHUNK_ITEMS, usize::try_from(lsn % CHUNK_ITEMS).unwrap_or_default())
}

impl<T> Default for ByLsn<T> {
    fn default() -> Self {
        Self { chunks: BTreeMap::new(), len: 0 }
    }
}

impl<T> ByLsn<T> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, lsn: &u64) -> Option<&T> {
        look();
        let (chunk, place) = split(*lsn);
        let (_, item) = self.chunks.get(&chunk)?.items.get(place)?.as_ref()?;
        Some(item)
    }

    pub(crate) fn get_mut(&mut self, lsn: &u64) -> Option<&mut T> {
        let (chunk, place) = split(*lsn);
        let (_, item) = self.chunks.get_mut(&chunk)?.items.get_mut(place)?.as_mut()?;
        Some(item)
    }

    pub(crate) fn contains_key(&self, lsn: &u64) -> bool {
        self.get(lsn).is_some()
    }

    /// Puts an item in, in the place of one with the same number.
    pub(crate) fn insert(&mut self, lsn: u64, item: T) {
        let (number, place) = split(lsn);
        // Mostly it is the newest: then nothing is searched.
        if let Some(mut last) = self.chunks.last_entry()
            && *last.key() == number
        {
            self.len += last.get_mut().put(place, (lsn, item));
            return;
        }
        let new = || Box::new(Chunk { items: std::array::from_fn(|_| None), count: 0 });
        self.len += self.chunks.entry(number).or_insert_with(new).put(place, (lsn, item));
    }

    /// Takes an item out.
    pub(crate) fn remove(&mut self, lsn: &u64) -> Option<T> {
        let (number, place) = split(*lsn);
        let chunk = self.chunks.get_mut(&number)?;
        let (_, item) = chunk.items.get_mut(place)?.take()?;
        chunk.count -= 1;
        self.len -= 1;
        if chunk.count == 0 {
            self.chunks.remove(&number);
        }
        Some(item)
    }

    /// All items, in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&u64, &T)> {
        self.chunks.values().flat_map(|chunk| chunk.iter())
    }

    /// All numbers, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &u64> {
        self.iter().map(|(lsn, _)| lsn)
    }

    /// All items, in the order of their numbers.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, item)| item)
    }

    /// All items, in the order of their numbers.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let slots = self.chunks.values_mut().flat_map(|chunk| chunk.items.iter_mut());
        slots.flatten().map(|(_, item)| item)
    }

    /// The items whose numbers are in `range`, in order. None, where the range is turned around.
    pub(crate) fn range(&self, range: impl RangeBounds<u64>) -> impl Iterator<Item = (&u64, &T)> {
        let first = match range.start_bound() {
            Bound::Included(first) => Some(*first),
            Bound::Excluded(before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let last = match range.end_bound() {
            Bound::Included(last) => Some(*last),
            Bound::Excluded(after) => after.checked_sub(1),
            Bound::Unbounded => Some(u64::MAX),
        };
        let bounds = first.zip(last).filter(|(first, last)| first <= last);
        bounds.into_iter().flat_map(|(first, last)| {
            let chunks = self.chunks.range(first / CHUNK_ITEMS..=last / CHUNK_ITEMS);
            let items = chunks.flat_map(|(_, chunk)| chunk.iter());
            items.filter(move |(lsn, _)| (first..=last).contains(*lsn))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers that share chunks, and some that do not.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![8 => 0..70_u64, 1 => (u64::MAX - 20)..=u64::MAX]
    }

    proptest! {
        #[test]
        fn it_is_the_map_that_a_tree_of_items_would_be(
            steps in prop::collection::vec((0..5_u8, number(), number()), 0..120),
        ) {
            let (mut map, mut tree) = (ByLsn::default(), BTreeMap::new());
            for (what, lsn, other) in steps {
                match what {
                    0..=2 => {
                        map.insert(lsn, other);
                        tree.insert(lsn, other);
                    }
                    _ => prop_assert_eq!(map.remove(&lsn), tree.remove(&lsn)),
                }
                prop_assert_eq!(map.len(), tree.len());
                prop_assert_eq!(map.get(&lsn), tree.get(&lsn));
                prop_assert!(map.iter().eq(tree.iter()));
                let empty = map.chunks.values().any(|chunk| chunk.count == 0);
                prop_assert!(!empty, "an empty chunk stays");
                if lsn <= other {
                    prop_assert!(map.range(lsn..=other).eq(tree.range(lsn..=other)));
                    let behind = (Bound::Excluded(lsn), Bound::Unbounded);
                    prop_assert!(map.range(behind).eq(tree.range(behind)));
                } else {
                    prop_assert_eq!(map.range(lsn..=other).count(), 0);
                }
                if let Some(item) = map.get_mut(&lsn) {
                    *item = 1;
                    tree.insert(lsn, 1);
                }
            }
            map.values_mut().for_each(|item| *item ^= 1);
            prop_assert!(map.values().copied().eq(tree.values().map(|item| item ^ 1)));
            prop_assert!(map.keys().eq(tree.keys()));
        }
    }
}
