//! A catalog in memory: for simulated disks, which sled would go past, for builds without sled, and when the files
//! fail.

use std::collections::BTreeMap;

use super::{Catalog, Change, Trouble, Visit};

/// Pairs in memory: up to 2 KiB for a review item, as much for a decision.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Catalog for Memory {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        Ok(self.pairs.get(key).cloned())
    }

    fn scan(&self, from: &[u8], visit: Visit<'_>) -> Result<(), Trouble> {
        for (key, value) in self.pairs.range(from.to_vec()..) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), Trouble> {
        for change in changes {
            match change {
                Change::Put(key, value) => self.pairs.insert(key.clone(), value.clone()),
                Change::Remove(key) => self.pairs.remove(key),
            };
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        Ok(())
    }

    fn disk_bytes(&self) -> Result<u64, Trouble> {
        Ok(0)
    }
}
