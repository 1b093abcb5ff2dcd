#![doc = include_str!("../FORMAT.md")]
#![forbid(unsafe_code)]

mod entry;
mod fingerprint;
mod index;
mod options;
mod slice;

pub use entry::{Entry, Verdict};
pub use fingerprint::{ContentPrint, Fingerprint, Secret};
pub use index::{Expired, Index};
pub use options::{
    CARRY_MAX_DEFAULT, Limit, Options, OptionsError, SLICE_COUNT_DEFAULT, SLICE_COUNT_MAX,
    SLICE_COUNT_MIN, WINDOW_MS_MAX, WINDOW_MS_MIN,
};
pub use slice::{SliceId, SliceInfo};
