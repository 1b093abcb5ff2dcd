//! The index's files: what of it survives a restart, so that the log need not be read again.
//!
//! | file | what |
//! |---|---|
//! | `manifest` | which files count, and how much of the log they hold; written in one of two slots |
//! | `keys-N` | entries of one slice, written once, removed with the slice |
//! | `table-N` | the table's slots for many key files, written once, replaced by larger ones |

mod checkpoint;
mod fields;
mod fold;
mod folder;
mod key_file;
mod manifest;
mod manifest_file;
mod open;
mod table_file;
mod verify;

pub(crate) use checkpoint::IndexFiles;
pub use checkpoint::{Checkpointed, Until};
pub(crate) use folder::Folder;
pub use folder::ReadMode;
pub(crate) use key_file::{KeyFile, StoredBlock};
pub use open::Discarded;
pub(crate) use open::{OpenedFiles, discard, open};
pub(crate) use table_file::{StoredShard, TableFile};
pub use verify::FileDamage;
pub(crate) use verify::verify;

#[cfg(test)]
mod tests;
