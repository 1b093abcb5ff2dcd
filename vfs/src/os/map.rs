//! Maps of real files: the only file of this crate with `unsafe`, and the only one that knows memmap2.

use std::{fs, io};

use memmap2::MmapOptions;
use rustix::io::Errno;

use crate::Map;

/// The bytes of `file`, as long as it is now.
///
/// The handle may be closed afterwards; the name may go away.
pub(super) fn whole(file: &fs::File) -> io::Result<Map> {
    if cfg!(not(target_pointer_width = "64")) {
        // A few large files would use up the addresses that everything else needs.
        return Err(io::ErrorKind::Unsupported.into());
    }
    let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    if len == 0 {
        // The system maps nothing of no length.
        return Ok(Map::new([]));
    }
    map(file, len).map_err(|error| match error.raw_os_error().map(Errno::from_raw_os_error) {
        // This file system has no maps.
        Some(Errno::NODEV) => io::ErrorKind::Unsupported.into(),
        Some(_) | None => error,
    })
}

/// Maps the first `len` bytes of `file` for reading.
#[expect(unsafe_code, reason = "no system call promises that a file will not change")]
fn map(file: &fs::File, len: usize) -> io::Result<Map> {
    // SAFETY: The bytes must neither change nor be cut off while the map lives, or a `&[u8]` changes
    // behind its borrower and an access beyond the end is a signal. No check can show that. It rests
    // on the contract of `Vfs::map`, by which our callers map only finished files that nobody writes
    // again (`SimVfs` panics where that is broken), and on `OsVfs`, which maps nothing in a
    // directory that others may write to. The map is read-only, so we do not change the bytes through it. `len` is
    // not 0 and is the file's length, so the whole range is within the file.
    let mapped = unsafe { MmapOptions::new().len(len).map(file) }?;
    Ok(Map::new(mapped))
}
