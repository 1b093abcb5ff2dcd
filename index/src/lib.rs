#![doc = include_str!("../FORMAT.md")]
#![forbid(unsafe_code)]

mod answer;
mod disk;
mod entry;
mod error;
mod files;
mod fingerprint;
mod index;
mod options;
mod slices;
mod state;
mod sync;
mod table;

pub use answer::{KnownKey, Lookup, Reserved};
pub use disk::{Checkpointed, Discarded, Until};
pub use entry::Entry;
pub use error::{Error, ErrorKind, Result};
pub use files::FileDamage;
pub use fingerprint::{ContentHash, Fingerprint, Secret};
pub use index::{Index, KeyBatch, Location, OpenedIndex, discard, verify};
pub use options::{
    CARRY_MAX_DEFAULT, MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MIN, OptionName, Options, OptionsError,
    ReadMode, SLICE_COUNT_DEFAULT, SLICE_COUNT_MAX, SLICE_COUNT_MIN, WINDOW_MS_MAX, WINDOW_MS_MIN,
    Window, WindowStart,
};
pub use slices::{Expired, SliceId, SliceInfo};
