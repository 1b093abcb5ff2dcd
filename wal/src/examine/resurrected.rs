//! Files that come back after their segment was trimmed: removed if whole, kept if damaged.

use super::head::SegmentHead;
use super::segment_file::SegmentFile;
use crate::checksum::salt;
use crate::error::Error;
use crate::segment::standalone;
use crate::walk::{self, SegmentEnd};

/// A file that came back after its segment was trimmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resurrected {
    pub(crate) number: u64,
    /// The file's bytes are not what was written: they are kept.
    pub(crate) damaged: bool,
}

/// Whether a segment that was trimmed is not whole. Only finished ones are trimmed, so it ends with a
/// seal.
pub(super) fn is_damaged(file: &SegmentFile) -> Result<bool, Error> {
    let mut buffer = Vec::new();
    let image = file.image(&mut buffer, &mut Vec::new())?.bytes;
    let Some(header) = SegmentHead::of(image, file.number, &file.store)?.header else {
        return Ok(image.iter().any(|byte| *byte != 0));
    };
    let salt = salt(&file.store, file.number);
    let context = standalone(&file.store, file.number, salt, header.first_lsn);
    let walked = walk::walk(image, &context, &mut |_| {});
    Ok(!walked.lost.is_empty() || walked.end != SegmentEnd::Sealed)
}
