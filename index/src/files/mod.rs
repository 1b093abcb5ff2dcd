//! Single files of the index: how each is written and read. Which of them count is not decided here.
//!
//! | file | what |
//! |---|---|
//! | `manifest` | which files count, and how much of the log they hold; written in one of two slots |
//! | `keys-N` | entries of one slice, written once, removed with the slice |
//! | `table-N` | the table's slots for many key files, written once, replaced by larger ones |

mod damage;
mod fields;
mod folder;
mod key_file;
mod manifest;
pub(crate) mod manifest_file;
mod table_file;

pub use damage::FileDamage;
pub(crate) use folder::{FileKind, Folder, MANIFEST, discard, is_ours};
pub(crate) use key_file::{KEY_FILE_BLOCKS_MAX, KeyFile, StoredBlock, WrittenKeyFile};
pub(crate) use manifest::{KeyFileRecord, Manifest, SliceRecord};
pub(crate) use manifest_file::ManifestFile;
pub(crate) use table_file::{ListedBlock, StoredShard, TableFile, TableFileWriter};

#[cfg(test)]
mod tests;
