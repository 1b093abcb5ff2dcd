//! Every size and limit of the format, in one table; `FORMAT.md` says the same numbers.

use crate::error::Error;

/// Size of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 30;
/// Frames start at multiples of this.
pub(crate) const FRAME_ALIGN_BYTES: usize = 8;
/// Size of the part of a segment's header that has fields.
pub(crate) const HEADER_BYTES: usize = 256;
/// Size of the block that the disk reads and writes at once.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Room that the header takes: frames begin behind it.
pub(crate) const HEADER_BLOCK_BYTES: usize = BLOCK_BYTES;
/// Size of a slot of `meta`.
pub(crate) const SLOT_BYTES: usize = 65_536;
/// Most ranges of segment numbers in a slot.
pub(crate) const RANGES_MAX: usize = (SLOT_BYTES - SLOT_FIXED_BYTES - 4) / 16;
/// Most segments of a log.
pub(crate) const SEGMENTS_MAX: u64 = 1 << 20;
/// Size of a slot's fields before its ranges.
pub(crate) const SLOT_FIXED_BYTES: usize = 176;
/// Size of a run frame's body.
pub(crate) const RUN_BODY_BYTES: usize = 64;
/// Size of a seal frame's body.
pub(crate) const SEAL_BODY_BYTES: usize = 56;
/// Size of the area for the store's secret.
pub(crate) const SECRET_BYTES: usize = 64;
/// Size of the tag that vouches for a sealed body, behind it.
pub(crate) const TAG_BYTES: usize = 16;
/// Size of the secret where it is sealed.
pub(crate) const SEALED_SECRET_BYTES: usize = 16 + TAG_BYTES;
/// Size of a wrapped data key.
pub(crate) const DATA_KEY_BYTES: usize = 88;
/// Size of what a run frame of a sealed segment has behind its fields: wrapped key and sealed secret.
pub(crate) const ENVELOPE_BYTES: usize = DATA_KEY_BYTES + SEALED_SECRET_BYTES;
/// Most ranges in a slot that has a wrapped key.
pub(crate) const RANGES_MAX_SEALED: usize =
    (SLOT_BYTES - SLOT_FIXED_BYTES - DATA_KEY_BYTES - 4) / 16;
/// Size of a segment unless the host asks for another.
pub const SEGMENT_BYTES_DEFAULT: u64 = 1024 * 1024;
/// Smallest segment.
pub const SEGMENT_BYTES_MIN: u64 = 256 * 1024;
/// Largest segment.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes of a segment that a commit cannot have: header block, run frame, seal frame.
pub(crate) const COMMIT_OVERHEAD_BYTES: usize = 8 * 1024;
/// [`COMMIT_OVERHEAD_BYTES`] where commits have blocks of their own: the frame that fills the last one besides.
pub(crate) const BLOCK_OVERHEAD_BYTES: usize = 12 * 1024;
/// Bytes that may be queued without being synced; who queues more waits for them.
pub(crate) const QUEUED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Highest number of a frame: half of what 64 bits hold, so that no sum of a number and a distance
/// in a segment goes over.
pub(crate) const LSN_MAX: u64 = u64::MAX / 2;

const _: () = assert!(RANGES_MAX == 4_084, "FORMAT.md says 4,084");
const _: () = assert!(RANGES_MAX_SEALED == 4_079, "FORMAT.md says 4,079");
const _: () = assert!(
    HEADER_BLOCK_BYTES
        + frame_bytes(RUN_BODY_BYTES + ENVELOPE_BYTES)
        + frame_bytes(SEAL_BODY_BYTES)
        <= COMMIT_OVERHEAD_BYTES,
    "a commit of the largest size fits into an empty segment",
);
const _: () = assert!(
    HEADER_BLOCK_BYTES
        + frame_bytes(RUN_BODY_BYTES + ENVELOPE_BYTES)
        + (BLOCK_BYTES + frame_bytes(8))
        + frame_bytes(SEAL_BODY_BYTES)
        <= BLOCK_OVERHEAD_BYTES,
    "so does one that fills its last block",
);

/// The bytes that a frame with a body of `body_bytes` takes in a segment.
#[must_use]
#[inline]
pub const fn frame_bytes(body_bytes: usize) -> usize {
    const _: () = assert!(FRAME_ALIGN_BYTES.is_power_of_two());
    (FRAME_HEADER_BYTES + FRAME_ALIGN_BYTES - 1).saturating_add(body_bytes)
        & !(FRAME_ALIGN_BYTES - 1)
}

/// Checks the size of segments.
///
/// # Errors
///
/// `Invalid`: not 256 KiB to 1 GiB, or not a multiple of 4,096.
pub fn check_segment_bytes(bytes: u64) -> Result<(), Error> {
    if (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) && bytes.is_multiple_of(4096) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "segment_bytes: {bytes} must be {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX} and a multiple of 4096"
    )))
}
