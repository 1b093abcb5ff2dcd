//! Decides what to send and what a reply means. Does not send.

mod answered;
mod backoff;
mod matching;
mod options;
mod protocol;
mod session;
mod upstream;
mod wire;

pub use answered::Answered;
pub use options::{Effort, Options};
pub use protocol::{Batch, BatchId, Failure, Fit, ItemOutcome, Misfit, Reply, Report, Step};
pub use session::Session;
pub use upstream::Upstream;
pub use wire::KeyRule;
