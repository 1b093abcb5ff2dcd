//! Maps of real files, and a page that forks find empty: the only file of this crate with `unsafe`, and the only one
//! that knows memmap2.

use std::{fs, io, ptr};

use memmap2::{MmapMut, MmapOptions};
use rustix::{
    io::Errno,
    mm::{Advice, madvise},
    param::page_size,
};

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

/// A page that is not empty in the process that made it, and empty in each of its forks.
#[derive(Debug)]
pub(super) struct WipedByFork(MmapMut);

impl WipedByFork {
    /// Whether it is as it was made.
    #[expect(unsafe_code, reason = "what the system changes is read as what others change")]
    pub(super) fn is_whole(&self) -> bool {
        // SAFETY: The pointer is to the first byte of a page that lives as long as `self`. Nobody writes to it after it
        // was made but the system, in a new process before that runs.
        unsafe { ptr::read_volatile(self.0.as_ptr()) != 0 }
    }
}

/// Makes such a page; `None`: this system has none.
#[expect(unsafe_code, reason = "advice may change what memory holds")]
pub(super) fn wiped_by_fork() -> Option<WipedByFork> {
    let mut page = MmapMut::map_anon(page_size()).ok()?;
    page.fill(1);
    let address = page.as_mut_ptr().cast();
    // SAFETY: The range is one page of an anonymous private map that is ours alone. The advice changes nothing of it
    // in this process; in a fork it is read as zeros, which a byte may be.
    unsafe { madvise(address, page.len(), Advice::LinuxWipeOnFork) }.ok()?;
    // What takes the place of a system may take any advice and follow none: this one is of no whole page.
    // SAFETY: As above, of a part of the page, were it not refused.
    let nonsense = unsafe { madvise(address.wrapping_byte_add(1), 1, Advice::LinuxWipeOnFork) };
    nonsense.is_err().then_some(WipedByFork(page))
}
