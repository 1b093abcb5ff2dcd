//! All files of the index together: what of it survives a restart, so that the log need not be read again.

mod checkpoint;
mod fold;
mod open;
mod verify;

pub(crate) use checkpoint::IndexFiles;
pub use checkpoint::{Checkpointed, Until};
pub use open::Discarded;
pub(crate) use open::{OpenedFiles, open};
pub(crate) use verify::verify;
