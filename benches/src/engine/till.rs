//! A store with many keys, and the events that come to it.

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use onceward::{
    Answer, Config, Event, Key, Lsn, Payload, Receipt, Scope, Settlement, Store, Verdict,
};

use super::{PAYLOAD_BYTES, SEGMENT_BYTES, key_text};

/// Events that are captured and settled together while a store is filled.
const FILLING: usize = 1_000;

/// A store at work.
#[derive(Debug)]
pub struct Till {
    /// The store, open.
    pub store: Store,
    /// Where it is.
    pub dir: PathBuf,
    /// Number of the next event.
    next: u64,
    /// Keys of events that are not settled.
    open: Vec<Key>,
}

impl Till {
    /// Makes a store in `dir` that remembers `keys` settled keys.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn with_keys(dir: &Path, keys: usize) -> Result<Self, Box<dyn Error>> {
        let store = Store::open(dir, config())?;
        let mut till = Self { store, dir: dir.to_owned(), next: 0, open: Vec::new() };
        till.fill(keys, true)?;
        Ok(till)
    }

    /// Captures so many events more, in batches, and settles them if it is so wanted.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn fill(&mut self, count: usize, settled: bool) -> Result<(), Box<dyn Error>> {
        for first in (0..count).step_by(FILLING) {
            let events = self.events(FILLING.min(count - first));
            self.capture(&events);
            if settled {
                self.settle()?;
            }
        }
        Ok(())
    }

    /// New events, made beforehand as a terminal's own code does.
    ///
    /// # Panics
    ///
    /// Never: keys and payloads are within the limits.
    pub fn events(&mut self, count: usize) -> Vec<Event> {
        let first = self.next;
        self.next += count as u64;
        (first..self.next).map(event).collect()
    }

    /// Captures events as one batch.
    ///
    /// # Panics
    ///
    /// If the store refuses, or knows one.
    pub fn capture(&mut self, events: &[Event]) {
        let verdicts = self.store.capture_batch(black_box(events)).unwrap();
        assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Fresh { .. })));
        self.open.extend(events.iter().map(|event| event.key.clone()));
    }

    /// Leaves it to the caller to settle what is open.
    pub fn forget_open(&mut self) {
        self.open.clear();
    }

    /// Gives all events that wait their answer, as one range, without receipts.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn settle_all(&mut self) -> Result<(), Box<dyn Error>> {
        self.open.clear();
        let (first, last) = (Lsn::from_u64(1), Lsn::from_u64(u64::MAX / 2));
        let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
        let answer = Answer::Accepted { receipt: None };
        Ok(self.store.settle_range(&Scope::default(), first, last, &answer)?)
    }

    /// Gives all events that are not settled their answer, without receipts, and lets the store clean up.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn settle(&mut self) -> Result<(), Box<dyn Error>> {
        let answers: Vec<Settlement> = self.open.drain(..).map(|key| accepted(key, None)).collect();
        for some in answers.chunks(FILLING) {
            self.store.settle(some)?;
        }
        Ok(())
    }
}

/// How the store is opened.
pub fn config() -> Config {
    Config::new().with_segment_bytes(SEGMENT_BYTES)
}

/// The event with this number.
///
/// # Panics
///
/// Never: key and payload are within the limits.
#[must_use]
pub fn event(number: u64) -> Event {
    let mut text = format!(r#"{{"number":{number},"filling":""#);
    while text.len() < PAYLOAD_BYTES - 2 {
        text.push(char::from(b'a' + (text.len() % 26).to_le_bytes()[0]));
    }
    text.push_str(r#""}"#);
    let key = Key::new(&key_text(number)).unwrap();
    Event::new(Scope::default(), key, Payload::json(&text).unwrap())
}

/// The settlement of an event that the upstream took.
#[must_use]
pub fn accepted(key: Key, receipt: Option<Receipt>) -> Settlement {
    Settlement { scope: Scope::default(), key, answer: Answer::Accepted { receipt } }
}
