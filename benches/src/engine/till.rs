//! A store with many events, and what a host does with it.

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use onceward::{
    Answer, Config, Event, Key, Lsn, Receipt, Result, Scope, Settlement, Store, Ticket, Verdict,
};

use super::SEGMENT_BYTES;
use super::events::event;
use crate::idle::wait_until_idle;

/// Events that are captured and settled together while a store is filled.
const FILLING: usize = 1_000;
/// Events that are answered together.
pub const TOGETHER: usize = 100;

/// A store at work.
#[derive(Debug)]
pub struct Till {
    /// The store, open.
    pub store: Store,
    /// Where it is.
    pub dir: PathBuf,
    /// Number of the next event.
    next: AtomicU64,
    /// Keys of events that are to be settled.
    open: Vec<Key>,
}

impl Till {
    /// Opens the store in `dir`, or makes one, which has the events with the numbers `1..=held` or none.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn open(dir: &Path, config: Config, held: u64) -> Result<Self> {
        let store = Store::open(dir, config)?;
        let next = AtomicU64::new(held + 1);
        Ok(Self { store, dir: dir.to_owned(), next, open: Vec::new() })
    }

    /// Makes a store in `dir` that remembers `keys` settled keys.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn with_keys(dir: &Path, keys: usize) -> Result<Self> {
        let mut till = Self::open(dir, config(), 0)?;
        till.fill_settled(keys)?;
        Ok(till)
    }

    /// Captures so many events more, in batches, and settles them.
    fn fill_settled(&mut self, count: usize) -> Result<()> {
        for first in (0..count).step_by(FILLING) {
            let events = self.events(FILLING.min(count - first));
            self.capture(&events);
            self.settle()?;
        }
        Ok(())
    }

    /// Captures so many events more, in batches, which nobody settles.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn fill(&self, count: usize) -> Result<()> {
        for first in (0..count).step_by(FILLING) {
            self.store.capture_batch(&self.events(FILLING.min(count - first)))?;
        }
        Ok(())
    }

    /// New events.
    pub fn events(&self, count: usize) -> Vec<Event> {
        let first = self.next.fetch_add(count as u64, Ordering::Relaxed);
        (first..first + count as u64).map(event).collect()
    }

    /// Makes an event and captures it.
    ///
    /// # Panics
    ///
    /// If the store refuses, or knows it.
    pub fn capture_one(&self) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let verdict = self.store.capture(black_box(&event(number))).unwrap();
        assert!(matches!(verdict, Verdict::Fresh { .. }));
    }

    /// Makes events and captures them as one batch.
    ///
    /// # Panics
    ///
    /// If the store refuses, or knows one.
    pub fn capture_many(&self, count: usize) {
        let events = self.events(count);
        let verdicts = self.store.capture_batch(black_box(&events)).unwrap();
        assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Fresh { .. })));
    }

    /// Makes events and captures them one by one, and waits at the end until all of them are durable.
    ///
    /// # Panics
    ///
    /// If the store refuses.
    pub fn capture_deferred(&self, count: usize) {
        let mut last: Option<Ticket> = None;
        for _ in 0..count {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            last = Some(self.store.capture_deferred(black_box(&event(number))).unwrap());
        }
        if let Some(ticket) = last {
            assert!(matches!(ticket.wait().unwrap(), Verdict::Fresh { .. }));
        }
    }

    /// Captures events as one batch, which [`Till::settle`] settles.
    ///
    /// # Panics
    ///
    /// If the store refuses, or knows one.
    pub fn capture(&mut self, events: &[Event]) {
        let verdicts = self.store.capture_batch(black_box(events)).unwrap();
        assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Fresh { .. })));
        self.open.extend(events.iter().map(|event| event.key.clone()));
    }

    /// Gives all events that wait their answer, as one range, without receipts.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn settle_all(&mut self) -> Result<()> {
        self.open.clear();
        let (first, last) = (Lsn::from_u64(1), Lsn::from_u64(u64::MAX / 2));
        let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
        let answer = Answer::Accepted { receipt: None };
        self.store.settle_range(&Scope::default(), first, last, &answer)
    }

    /// Gives the events of [`Till::capture`] their answer, without receipts, and lets the store clean up.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn settle(&mut self) -> Result<()> {
        let answers: Vec<Settlement> = self.open.drain(..).map(|key| accepted(key, None)).collect();
        answers.chunks(FILLING).try_for_each(|some| self.store.settle(some))
    }

    /// Reads what waits and settles it, some at a time, until nothing waits or `most` events are settled. Returns how
    /// many it were.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn drain(&self, how: Settling<'_>, most: usize) -> Result<usize> {
        let (scope, mut events) = (Scope::default(), 0);
        while events < most {
            let pending = self.store.pending(&scope, None, TOGETHER)?;
            let Some((first, last)) = pending.first().zip(pending.last()) else { break };
            events += pending.len();
            match how {
                Settling::AsRange => {
                    let answer = Answer::Accepted { receipt: None };
                    self.store.settle_range(&scope, first.lsn, last.lsn, &answer)?;
                }
                Settling::ByNumber(receipt) => {
                    let answer = || Answer::Accepted { receipt: Some(receipt.clone()) };
                    let answers: Vec<_> =
                        pending.iter().map(|stored| (stored.lsn, answer())).collect();
                    self.store.settle_each(&scope, &answers)?;
                }
                Settling::ByKey(receipt) => {
                    let keys = pending.into_iter().map(|stored| stored.event.key);
                    let receipt = Some(receipt);
                    let answers: Vec<_> = keys.map(|key| accepted(key, receipt.cloned())).collect();
                    self.store.settle(&answers)?;
                }
            }
        }
        Ok(events)
    }

    /// As [`clean_up`], of its store.
    ///
    /// # Errors
    ///
    /// What the store and the system say.
    pub fn clean_up(&self) -> std::result::Result<(), Box<dyn Error>> {
        clean_up(&self.store).map_err(|error| error as Box<dyn Error>)
    }
}

/// Lets a store clean up until nothing more comes of it: its threads rest, and a tick changes nothing.
///
/// # Errors
///
/// What the store and the system say.
pub fn clean_up(store: &Store) -> std::result::Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let before = store.status().bytes;
        store.tick()?;
        wait_until_idle()?;
        if store.status().bytes == before {
            return Ok(());
        }
    }
}

/// How events that were read get their answers.
#[derive(Clone, Copy, Debug)]
pub enum Settling<'r> {
    /// As a range, without receipts.
    AsRange,
    /// Each by the number with which it was read, with this receipt.
    ByNumber(&'r Receipt),
    /// Each by its key, with this receipt.
    ByKey(&'r Receipt),
}

/// How the store is opened.
pub fn config() -> Config {
    Config::new().with_segment_bytes(SEGMENT_BYTES)
}

/// The settlement of an event that the upstream took.
fn accepted(key: Key, receipt: Option<Receipt>) -> Settlement {
    Settlement { scope: Scope::default(), key, answer: Answer::Accepted { receipt } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_captured_is_drained_once() {
        let dir = tempfile::tempdir().unwrap();
        let receipt = Receipt::new(&[7]).unwrap();
        let all = [
            ("range", Settling::AsRange),
            ("numbers", Settling::ByNumber(&receipt)),
            ("keys", Settling::ByKey(&receipt)),
        ];
        for (name, how) in all {
            let till = Till::open(&dir.path().join(name), Config::new(), 0).unwrap();
            till.capture_one();
            till.capture_many(299);
            till.capture_deferred(100);
            assert_eq!(till.store.status().pending, 400);
            assert_eq!(till.drain(how, 150).unwrap(), 200, "in hundreds");
            assert_eq!(till.drain(how, usize::MAX).unwrap(), 200);
            till.clean_up().unwrap();
            assert_eq!((till.store.status().pending, till.store.status().settled), (0, 400));
        }
    }

    #[test]
    fn a_store_goes_on_behind_what_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let till = Till::open(dir.path(), Config::new(), 0).unwrap();
        till.fill(1_500).unwrap();
        till.store.close().unwrap();
        let till = Till::open(dir.path(), Config::new(), 1_500).unwrap();
        till.capture_one();
        assert_eq!(till.store.status().pending, 1_501);
    }
}
