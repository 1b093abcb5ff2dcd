//! The index's files: what of it survives a restart, so that the log need not be read again.
//!
//! | file | what |
//! |---|---|
//! | `manifest` | which files count, and how much of the log they hold; written in one of two slots |
//! | `keys-N` | entries of one slice, written once, removed with the slice |
//! | `table-N` | the table's slots for many key files, written once, replaced by larger ones |

mod bytes;
mod checkpoint;
mod fold;
mod folder;
mod manifest;
mod open;
mod part;
mod run;
mod slots;
mod verify;

pub(crate) use checkpoint::Disk;
pub use checkpoint::{Checkpointed, Until};
pub(crate) use folder::Folder;
pub use folder::Reading;
pub use open::Discarded;
pub(crate) use open::{Found, discard, open};
pub(crate) use part::{Part, Stored};
pub(crate) use run::{Run, Shelved};
pub use verify::Fault;
pub(crate) use verify::verify;

#[cfg(test)]
mod tests;
