//! What an open file can do. No names here: those belong to [`Vfs`](crate::Vfs).

use std::{fmt, io};

/// Most zeros that [`File::fill_zeros`] writes at [`Pace::Gentle`] before it syncs them.
pub const ZERO_STEP_BYTES: u32 = 128 * 1024;
/// Most zeros that it writes at [`Pace::Fast`] before it syncs them.
const FAST_STEP_BYTES: u64 = 4 * 1024 * 1024;
/// Most zeros of one write call of a real file. Memory keeps a file in pieces as large as those in which it was
/// written, and each later sync looks at whole pieces: after calls of 128 KiB it takes 4 % longer than after
/// these, after 1 MiB 14 %.
pub(crate) const ZERO_WRITE_BYTES: usize = 16 * 1024;
/// The zeros of such a call.
pub(crate) const ZEROS: &[u8] = &[0; ZERO_WRITE_BYTES];

/// How much [`File::fill_zeros`] writes before it syncs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pace {
    /// [`ZERO_STEP_BYTES`]: a larger fill keeps the disk busy and delays everybody else's small sync
    /// by milliseconds.
    Gentle,
    /// 4 MiB: for when nobody else writes, or everybody waits for this.
    Fast,
    /// No more of it: the fill ends with an error of the kind `Interrupted`.
    Abandon,
}

/// How to open a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Must exist; read only.
    Read,
    /// Must exist; read and write.
    Write,
    /// Must not exist; read and write.
    CreateNew,
}

/// An open file. Positioned I/O only, so that it is usable from several threads.
///
/// The file stays readable when its name is renamed or removed. What would be written to it then could not
/// be found any more: changes are refused with [`GroundMoved`](crate::GroundMoved), before anything is done, and a sync
/// is, after it was done.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads until `buf` is full or the file ends; returns the count.
    ///
    /// Interrupted and short reads are continued. An offset at or beyond the end reads nothing.
    ///
    /// # Durability
    ///
    /// What is read need not be durable: it may be bytes that are only in memory, also bytes whose
    /// sync has failed.
    ///
    /// # Errors
    ///
    /// What the disk said; `buf` then holds nothing to rely on.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes`; a gap after the old end reads as zeros.
    ///
    /// Interrupted and short writes are continued.
    ///
    /// # Durability
    ///
    /// Nothing until [`File::sync_data`] returned `Ok`. Before that a crash leaves any part of the
    /// range written, in any order.
    ///
    /// # Errors
    ///
    /// What the disk said; any part of the range may have been written. With
    /// [`GroundMoved`](crate::GroundMoved) nothing was.
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written to this file so far survive a crash.
    ///
    /// # Durability
    ///
    /// After `Ok`, content and length are durable, and the file has the name under which it was opened.
    /// That *name* need not be durable: see [`Vfs::sync_dir`](crate::Vfs::sync_dir).
    ///
    /// # Errors
    ///
    /// What the disk said, an interruption included. It is **never retried** here and must not be
    /// by the caller: the unsynced bytes may be gone while reads still serve them, and a second
    /// sync may return `Ok`. [`GroundMoved`](crate::GroundMoved): the bytes are durable, and somewhere else.
    ///
    /// # Source
    ///
    /// Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
    fn sync_data(&self) -> io::Result<()>;

    /// The length in bytes, including what is not synced yet.
    ///
    /// # Durability
    ///
    /// Changes nothing.
    ///
    /// # Errors
    ///
    /// What the disk said.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Durability
    ///
    /// Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`File::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Durability
    ///
    /// Durable after the next [`File::sync_data`]; before that a crash leaves either length.
    ///
    /// # Errors
    ///
    /// What the disk said; the length is then unchanged.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Takes space for the bytes `0..len`: what is written there later does not find the disk full, as far as the
    /// file system keeps that promise. The file is at least so long then; bytes keep what they are, new ones
    /// read as zeros.
    ///
    /// # Durability
    ///
    /// Durable after the next [`File::sync_data`]; before that a crash leaves any length between the two.
    ///
    /// # Errors
    ///
    /// `Unsupported`: the file system has no such call, and nothing was changed. Otherwise what the disk said: some of
    /// the space may have been taken.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Writes zeros over `bytes` bytes at `offset`, as [`File::write_all_at`] does, in small pieces: once they are
    /// synced, what is written in their place changes no metadata.
    ///
    /// # Durability
    ///
    /// As that of [`File::write_all_at`].
    ///
    /// # Errors
    ///
    /// As [`File::write_all_at`].
    fn write_zeros(&self, offset: u64, bytes: u64) -> io::Result<()>;

    /// Writes zeros over the bytes `0..len`, so that later overwrites change no metadata.
    ///
    /// Contiguous space is asked for first, where the file system offers that. Bytes from `len` on
    /// stay as they are. `pace` is asked again and again: somebody may begin to wait for it.
    ///
    /// # Durability
    ///
    /// After `Ok`, `0..len` is zeros and durable. A crash on the way, and an error, leave a prefix
    /// of zeros, then old bytes.
    ///
    /// # Errors
    ///
    /// What the disk said; a full disk is usually found before the first byte is written. `Interrupted`:
    /// the pace became [`Pace::Abandon`].
    ///
    /// # Cost
    ///
    /// One sync for each step of the pace.
    fn fill_zeros(&self, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()>;
}

/// Whether a write failed for want of room: the disk is full, a quota is used up, or the file may not grow
/// (EFBIG: the process has a limit for its files, or the file system has one).
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// The writing half of [`File::fill_zeros`]: zeros over `0..len`, each step synced.
pub(crate) fn fill(file: &dyn File, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()> {
    let (mut offset, mut synced) = (0, 0);
    while offset < len {
        let bytes = u64::from(ZERO_STEP_BYTES).min(len - offset);
        file.write_zeros(offset, bytes)?;
        offset += bytes;
        let step_bytes = match pace() {
            Pace::Gentle => u64::from(ZERO_STEP_BYTES),
            Pace::Fast => FAST_STEP_BYTES,
            Pace::Abandon => return Err(io::ErrorKind::Interrupted.into()),
        };
        if offset - synced >= step_bytes || offset == len {
            file.sync_data()?;
            synced = offset;
        }
    }
    Ok(())
}
