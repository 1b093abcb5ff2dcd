//! Decides what to send and what a reply means. Does not send.

mod answered;
mod backoff;
mod matching;
mod options;
mod protocol;
mod session;

pub use crate::upstreams::{KeyRule, Misfit, Upstream};
pub use answered::Answered;
pub use options::{Effort, Options};
pub use protocol::{Batch, BatchId, Failure, Fit, ItemOutcome, Reply, Report, Step};
pub use session::Session;
