//! Records that were used lately, within a bound of memory. No I/O here.

use std::collections::{BTreeMap, HashMap};

use super::Record;

/// What a record takes besides its body: its fields and its places in both maps.
const RECORD_BYTES: usize = 160;

/// Records by item; those that were not used for the longest time go first.
#[derive(Debug)]
pub(crate) struct Bodies {
    bytes_max: usize,
    bytes: usize,
    /// Each with the use that it was used in last.
    by_item: HashMap<u64, (u64, Record)>,
    /// Items by that use.
    by_use: BTreeMap<u64, u64>,
    uses: u64,
}

impl Bodies {
    /// Empty, for at most so many bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let (by_item, by_use) = (HashMap::new(), BTreeMap::new());
        Self { bytes_max, bytes: 0, by_item, by_use, uses: 0 }
    }

    /// A record, if it is here: it is used.
    pub(crate) fn find(&mut self, item: u64) -> Option<Record> {
        self.uses += 1;
        let (used, record) = self.by_item.get_mut(&item)?;
        self.by_use.remove(used);
        self.by_use.insert(self.uses, item);
        *used = self.uses;
        Some(record.clone())
    }

    /// Keeps a record, unless it alone is over the bound.
    pub(crate) fn put(&mut self, item: u64, record: &Record) {
        self.remove(item);
        let bytes = bytes_of(record);
        if bytes > self.bytes_max {
            return;
        }
        while self.bytes > self.bytes_max - bytes {
            let Some((_, oldest)) = self.by_use.first_key_value() else { break };
            self.remove(*oldest);
        }
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, item);
        self.by_item.insert(item, (self.uses, record.clone()));
    }

    fn remove(&mut self, item: u64) {
        if let Some((used, record)) = self.by_item.remove(&item) {
            self.by_use.remove(&used);
            self.bytes -= bytes_of(&record);
        }
    }
}

fn bytes_of(record: &Record) -> usize {
    record.body.as_bytes().len().saturating_add(RECORD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lsn, Payload};

    fn record(n: u8, bytes: usize) -> Record {
        let body = Payload::bytes(vec![n; bytes]);
        Record { body, completed_at_ms: 0, fence: Lsn::from_u64(1).unwrap() }
    }

    #[test]
    fn the_least_used_go_when_there_are_too_many_bytes() {
        let mut bodies = Bodies::new(4 * 1_160);
        (0..4).for_each(|n| bodies.put(u64::from(n), &record(n, 1_000)));
        assert_eq!(bodies.find(0), Some(record(0, 1_000)), "control: all four fit");
        bodies.put(4, &record(4, 1_000));
        assert_eq!(bodies.find(1), None, "it was not used");
        assert_eq!(bodies.find(0), Some(record(0, 1_000)), "it was");
        bodies.put(5, &record(5, 2_000));
        assert_eq!((bodies.find(2), bodies.find(3)), (None, None), "two go for a larger one");
        assert!(bodies.bytes <= bodies.bytes_max && bodies.by_item.len() == bodies.by_use.len());
    }

    #[test]
    fn what_alone_is_over_the_bound_is_not_kept_and_a_later_body_replaces_the_first() {
        let mut bodies = Bodies::new(1_000);
        bodies.put(1, &record(1, 100));
        bodies.put(2, &record(2, 1_000));
        assert_eq!((bodies.find(2), bodies.find(1)), (None, Some(record(1, 100))));
        bodies.put(1, &record(9, 200));
        assert_eq!((bodies.find(1), bodies.bytes), (Some(record(9, 200)), 360));
        Bodies::new(0).put(1, &record(1, 0));
    }
}
