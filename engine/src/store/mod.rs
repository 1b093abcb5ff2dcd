//! The store.

use std::path::Path;
use std::sync::Arc;

use crate::event::{Event, Key, Receipt, Scope, StoredEvent};
use crate::{Applied, Config, Lsn, Outcome, RecoveryReport, Result, ReviewItem, Status, StoreId, Verdict};

/// An effect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effect {
    /// What takes effect.
    pub event: Event,
    /// The receipt that every repetition gets.
    pub receipt: Receipt,
}

/// A final answer for one event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settlement {
    /// The event's scope.
    pub scope: Scope,
    /// The event's key.
    pub key: Key,
    /// The upstream's answer.
    pub answer: Answer,
}

/// What the upstream said of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It took effect now.
    Accepted {
        /// The upstream's receipt.
        receipt: Option<Receipt>,
    },
    /// It had taken effect before.
    Duplicate {
        /// The upstream's receipt.
        receipt: Option<Receipt>,
    },
    /// It is refused for good and goes to review.
    Rejected {
        /// The upstream's code.
        code: String,
        /// The upstream's words.
        message: String,
        /// The reply for this event.
        reply: Vec<u8>,
    },
}

/// A handle.
#[derive(Clone, Debug)]
pub struct Store {
    _inner: Arc<()>,
}

impl Store {
    /// x
    pub fn open(_dir: &Path, _config: Config) -> Result<Self> {
        unimplemented!()
    }
    /// x
    pub fn capture(&self, _event: &Event) -> Result<Verdict> {
        unimplemented!()
    }
    /// x
    pub fn capture_batch(&self, _events: &[Event]) -> Result<Vec<Verdict>> {
        unimplemented!()
    }
    /// x
    pub fn apply_batch(&self, _effects: &[Effect]) -> Result<Vec<Applied>> {
        unimplemented!()
    }
    /// x
    pub fn find(&self, _scope: &Scope, _key: &Key) -> Result<Option<StoredEvent>> {
        unimplemented!()
    }
    /// x
    pub fn pending(&self, _s: &Scope, _after: Option<Lsn>, _max: usize) -> Result<Vec<StoredEvent>> {
        unimplemented!()
    }
    /// x
    pub fn outcome(&self, _scope: &Scope, _key: &Key) -> Result<Outcome> {
        unimplemented!()
    }
    /// x
    pub fn settle(&self, _answers: &[Settlement]) -> Result<()> {
        unimplemented!()
    }
    /// x
    pub fn reviews(&self, _scope: Option<&Scope>) -> Result<Vec<ReviewItem>> {
        unimplemented!()
    }
    /// x
    pub fn review(&self, _scope: &Scope, _key: &Key) -> Result<ReviewItem> {
        unimplemented!()
    }
    /// x
    pub fn retry(&self, _scope: &Scope, _key: &Key) -> Result<()> {
        unimplemented!()
    }
    /// x
    pub fn resolve(&self, _scope: &Scope, _key: &Key, _note: &str) -> Result<()> {
        unimplemented!()
    }
    /// x
    pub fn status(&self) -> Status {
        unimplemented!()
    }
    /// x
    pub fn recovery(&self) -> &RecoveryReport {
        unimplemented!()
    }
    /// x
    pub fn id(&self) -> StoreId {
        unimplemented!()
    }
    /// x
    pub fn tick(&self) -> Result<()> {
        unimplemented!()
    }
    /// x
    pub fn close(self) -> Result<()> {
        unimplemented!()
    }
}
