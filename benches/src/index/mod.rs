//! The work of the index that is measured, its floor, and what it is measured on.

use onceward_index::Secret;

pub mod floor;
pub mod growth;
pub mod keys;
pub mod killed;
#[cfg(feature = "peers")]
pub mod lmdb;
pub mod process;
pub mod samples;
pub mod stock;

/// Entries after which a store makes a checkpoint.
pub const CHECKPOINT_KEYS: u64 = 32_768;
/// Time for which a key is remembered, in milliseconds.
pub const WINDOW_MS: u64 = 24 * 60 * 60 * 1_000;
/// Scope of all keys.
pub const SCOPE: &str = "default";

/// What prints are keyed with, of the index and of its floor.
#[must_use]
pub const fn secret() -> Secret {
    Secret::from_bytes([7; 16])
}
