//! Keys that are asked for, and the proof that they were answered.

use std::hint::black_box;
use std::time::Instant;

use super::keys::{Key, Picks, UNKNOWN, key};
use crate::pairing::Slice;

/// Which keys are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// Keys that nobody knows.
    Misses,
    /// Known ones, by chance.
    Hits,
    /// As many of both, by turns.
    Half,
}

/// Keys in the order in which they are asked for.
#[derive(Debug)]
pub struct Sample {
    numbers: Vec<u64>,
    keys: Vec<Key>,
    known: u64,
    /// Sum of the LSNs of those that are known.
    lsns: u64,
}

/// Samples of one kind, one after the other: each has other keys, so that no cache has seen them.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    picks: Picks,
    known: u64,
    wanted: Wanted,
}

impl Draws {
    /// Keys of an index or a floor that knows `1..=known`, each by its number as LSN.
    #[must_use]
    pub fn new(known: u64, wanted: Wanted) -> Self {
        Self { picks: Picks::default(), known, wanted }
    }

    /// The next `count` keys.
    pub fn draw(&mut self, count: usize) -> Sample {
        let mut turn = 0;
        let mut draw = || {
            turn += 1;
            let is_known = match self.wanted {
                Wanted::Misses => false,
                Wanted::Hits => true,
                Wanted::Half => turn % 2 == 0,
            };
            let picks = &mut self.picks;
            if is_known { picks.next(self.known) } else { UNKNOWN + picks.next(1 << 40) }
        };
        Sample::of((0..count).map(|_| draw()).collect())
    }
}

impl Sample {
    /// The keys of these numbers.
    fn of(numbers: Vec<u64>) -> Self {
        let known = || numbers.iter().filter(|number| **number < UNKNOWN);
        let (known, lsns) = (known().count() as u64, known().sum());
        Self { keys: numbers.iter().copied().map(key).collect(), numbers, known, lsns }
    }

    /// Times the answers of `lsn_of`, from a key's bytes to its LSN; 0 for a new key.
    ///
    /// # Panics
    ///
    /// If an answer was wrong.
    pub fn timed(&self, mut lsn_of: impl FnMut(&Key) -> u64) -> Slice {
        self.proven(|found| {
            for key in &self.keys {
                found.count(lsn_of(black_box(key)));
            }
        })
    }

    /// The same with the making of each key, as tables of other stores have it.
    ///
    /// # Panics
    ///
    /// If an answer was wrong.
    pub fn timed_with_keys(&self, mut lsn_of: impl FnMut(&Key) -> u64) -> Slice {
        self.proven(|found| {
            for number in &self.numbers {
                found.count(lsn_of(&key(black_box(*number))));
            }
        })
    }

    /// The same of who does not tell LSNs by the keys' numbers: only whether a key is known is compared.
    ///
    /// # Panics
    ///
    /// If an answer was wrong.
    pub fn timed_with_keys_known(&self, mut is_known: impl FnMut(&Key) -> bool) -> Slice {
        let lsns = self.lsns;
        self.proven(|found| {
            for number in &self.numbers {
                found.count(u64::from(is_known(&key(black_box(*number)))));
            }
            found.lsns = lsns;
        })
    }

    /// Times `ask`, which asks for all keys, `count` at once.
    ///
    /// # Panics
    ///
    /// If an answer was wrong.
    pub fn timed_in_batches(&self, count: usize, mut ask: impl FnMut(&[Key], &mut Found)) -> Slice {
        self.proven(|found| {
            for keys in self.keys.chunks(count) {
                ask(black_box(keys), found);
            }
        })
    }

    /// Times `ask` and compares what it found.
    fn proven(&self, ask: impl FnOnce(&mut Found)) -> Slice {
        let mut found = Found::default();
        let began = Instant::now();
        ask(&mut found);
        let seconds = began.elapsed().as_secs_f64();
        let expected = Found { asked: self.keys.len() as u64, known: self.known, lsns: self.lsns };
        assert_eq!(found, expected, "a verdict was wrong");
        Slice { seconds, events: self.keys.len() as f64 }
    }
}

/// What the answers said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Found {
    asked: u64,
    known: u64,
    lsns: u64,
}

impl Found {
    /// Takes in an answer: the LSN of a known key, or 0.
    pub fn count(&mut self, lsn: u64) {
        self.asked += 1;
        self.known += u64::from(lsn > 0);
        self.lsns += lsn;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::floor::Floor;

    #[test]
    fn right_answers_are_timed_in_every_way() {
        let floor = Floor::with_keys(1_000);
        for wanted in [Wanted::Misses, Wanted::Hits, Wanted::Half] {
            let sample = Draws::new(1_000, wanted).draw(100);
            let of_batch = |keys: &[Key], found: &mut Found| {
                keys.iter().for_each(|key| found.count(floor.lsn_of(key)));
            };
            for slice in [
                sample.timed(|key| floor.lsn_of(key)),
                sample.timed_with_keys(|key| floor.lsn_of(key)),
                sample.timed_in_batches(30, of_batch),
            ] {
                assert!((slice.events - 100.0).abs() < f64::EPSILON && slice.seconds > 0.0);
            }
        }
        assert_eq!(Draws::new(1_000, Wanted::Half).draw(100).known, 50);
    }

    #[test]
    #[should_panic(expected = "a verdict was wrong")]
    fn a_wrong_answer_is_noticed() {
        Draws::new(5, Wanted::Half).draw(10).timed(|_| 0);
    }
}
