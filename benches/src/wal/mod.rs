//! The log beside its floors: what is appended, how, and how it is read back. `figures` and the bench of
//! the log both measure this.

pub mod commits;
pub mod events;
pub mod reading;
pub mod stock;

/// Size of a segment, and of the floors' files.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// The log's directory below the one that it is given.
pub const LOG_DIR: &str = "log";
