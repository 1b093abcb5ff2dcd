//! What waits for a person.

pub(crate) mod calls;
mod catalog;
mod decisions;
mod full;
