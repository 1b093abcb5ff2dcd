//! One drain of a store.

use super::{BatchId, Failure, Fit, Options, Reply, Report, Step};
use crate::{Result, Store};

/// One upstream connection's progress.
#[derive(Debug)]
pub struct Session {}

impl Session {
    /// Starts draining.
    pub fn start(_store: &Store, _options: Options, _fit: Fit) -> Result<Self> {
        unimplemented!()
    }
    /// The next step.
    pub fn next(&mut self, _now_ms: u64) -> Result<Step> {
        unimplemented!()
    }
    /// A reply.
    pub fn on_reply(&mut self, _batch: BatchId, _reply: &Reply, _now_ms: u64) -> Result<()> {
        unimplemented!()
    }
    /// A failure.
    pub fn on_failure(&mut self, _b: BatchId, _failure: &Failure, _now_ms: u64) -> Result<()> {
        unimplemented!()
    }
    /// The line is back.
    pub fn on_online(&mut self) {}
    /// Report.
    pub fn report(&self) -> Report {
        unimplemented!()
    }
}
