//! Looks at a store without a lock and without writing.

use std::path::Path;

use crate::event::StoredEvent;
use crate::{RecoveryReport, Result, ReviewItem, Status};

/// A store as it was found.
#[derive(Debug)]
pub struct Inspection {}

impl Inspection {
    /// Reads and judges every byte of the log.
    pub fn open(_dir: &Path) -> Result<Self> {
        unimplemented!()
    }
    /// Events.
    pub fn events(&self) -> impl Iterator<Item = Result<StoredEvent>> {
        std::iter::empty()
    }
    /// Reviews.
    pub fn reviews(&self) -> Result<Vec<ReviewItem>> {
        unimplemented!()
    }
    /// Status.
    pub fn status(&self) -> Status {
        unimplemented!()
    }
    /// Recovery.
    pub fn recovery(&self) -> &RecoveryReport {
        unimplemented!()
    }
}
