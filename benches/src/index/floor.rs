//! What a lookup costs at least: one table in memory, which cannot forget and is gone with the process.

use std::error::Error;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::Path;

use hashbrown::HashMap;
use onceward_index::Secret;
use twox_hash::XxHash3_128;

use super::keys::{Key, key};
use super::{SCOPE, secret};

/// A print's low 64 bits: they are as good as any hash of it.
#[derive(Debug, Default)]
pub struct LowBits(u64);

impl Hasher for LowBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (low, _) = bytes.split_first_chunk().expect("only numbers of 128 bits are hashed");
        self.0 = u64::from_le_bytes(*low);
    }

    fn write_u128(&mut self, number: u128) {
        let [low, _] = halves(number);
        self.0 = low;
    }
}

/// The lower and the upper half of a number.
fn halves(number: u128) -> [u64; 2] {
    [number & u128::from(u64::MAX), number >> 64].map(|half| u64::try_from(half).unwrap())
}

/// From prints to LSNs.
type Table = HashMap<u128, u64, BuildHasherDefault<LowBits>>;

/// The floor: the prints of the index, in a table that grew without knowing how far.
#[derive(Debug)]
pub struct Floor {
    secret: Secret,
    table: Table,
}

impl Floor {
    /// Holds the first `count` keys.
    #[must_use]
    pub fn with_keys(count: u64) -> Self {
        let mut floor = Self { secret: secret(), table: Table::default() };
        for number in 1..=count {
            floor.insert(&key(number), number);
        }
        floor
    }

    /// Takes a key.
    pub fn insert(&mut self, key: &Key, lsn: u64) {
        self.table.insert(self.secret.fingerprint(SCOPE, key).as_u128(), lsn);
    }

    /// The LSN of a key; 0 if it is new.
    #[must_use]
    pub fn lsn_of(&self, key: &Key) -> u64 {
        let print = self.secret.fingerprint(SCOPE, key).as_u128();
        self.table.get(&print).copied().unwrap_or(0)
    }
}

/// The limit that other stores were compared with: xxh3, which keeps no secret, and a table that was made large
/// enough at once.
#[derive(Debug)]
pub struct Limit(Table);

impl Limit {
    /// Holds the first `count` keys. It has no files: the directory is another rival's.
    ///
    /// # Errors
    ///
    /// There are more than memory can have.
    pub fn with_keys(_dir: &Path, count: u64) -> Result<Self, Box<dyn Error>> {
        let capacity = usize::try_from(count)?;
        let mut table = Table::with_capacity_and_hasher(capacity, BuildHasherDefault::default());
        table.extend((1..=count).map(|number| (XxHash3_128::oneshot(&key(number)), number)));
        Ok(Self(table))
    }

    /// The LSN of a key; 0 if it is new.
    #[must_use]
    pub fn lsn_of(&self, key: &Key) -> u64 {
        self.0.get(&XxHash3_128::oneshot(key)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::UNKNOWN;

    #[test]
    fn floor_and_limit_know_their_keys_and_no_others() {
        let (floor, limit) =
            (Floor::with_keys(1_000), Limit::with_keys(Path::new(""), 1_000).unwrap());
        for number in [1, 500, 1_000] {
            assert_eq!(floor.lsn_of(&key(number)), number);
            assert_eq!(limit.lsn_of(&key(number)), number);
        }
        assert_eq!((floor.lsn_of(&key(UNKNOWN)), limit.lsn_of(&key(UNKNOWN))), (0, 0));
    }

    #[test]
    fn a_number_is_hashed_to_its_low_half() {
        let mut hasher = LowBits::default();
        hasher.write_u128((5 << 64) | 3);
        assert_eq!(hasher.finish(), 3);
        hasher.write(&((7_u128 << 64) | 4).to_le_bytes());
        assert_eq!(hasher.finish(), 4);
    }
}
