//! What waits for a person.

pub(crate) mod calls;
#[cfg(feature = "sled")]
mod catalog;
mod decisions;
mod full;
#[cfg(not(feature = "sled"))]
mod memory;
