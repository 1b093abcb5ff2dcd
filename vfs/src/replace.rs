//! Whole files at once: replace durably, read with a limit.

use std::io;

use crate::{Mode, Vfs, name::Name};

/// Replaces the whole content of `to`, so that a crash leaves the old or the new content.
///
/// Order matters: bytes, then name, then directory. The temporary is `<to>.tmp`; a leftover one is
/// removed first, because opening it would keep its old bytes.
///
/// # Durability
///
/// After `Ok`, the new content is durable. After `Err`, a crash leaves the old or the new content.
///
/// # Errors
///
/// The first failing step's error. `to` still has its old content, unless the last step (the sync
/// of the directory) failed, in which case it has the new one and a crash may bring back the old.
pub fn replace(vfs: &dyn Vfs, to: &str, content: &[u8]) -> io::Result<()> {
    let dir = Name::parse(to)?.dir;
    let temporary = format!("{to}.tmp");
    match vfs.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let renamed = write_new(vfs, &temporary, content).and_then(|()| vfs.rename(&temporary, to));
    if let Err(error) = renamed {
        // On a full disk the temporary must not keep its space. Should this fail too, the next call
        // removes it; what the caller must know is the first error.
        drop(vfs.remove(&temporary));
        return Err(error);
    }
    vfs.sync_dir(dir)
}

/// Creates `name` with `content`, synced.
fn write_new(vfs: &dyn Vfs, name: &str, content: &[u8]) -> io::Result<()> {
    let file = vfs.open(name, Mode::CreateNew)?;
    file.write_all_at(0, content)?;
    file.sync_data()
}

/// Reads a whole file, refusing more than `len_max` bytes.
///
/// # Durability
///
/// Changes nothing; what is read need not be durable.
///
/// # Errors
///
/// `InvalidData`, naming file and limit, if the file is longer (nothing is allocated then);
/// otherwise what [`Vfs::open`] and [`File::read_at`](crate::File::read_at) say.
pub fn read_all(vfs: &dyn Vfs, name: &str, len_max: u64) -> io::Result<Vec<u8>> {
    let file = vfs.open(name, Mode::Read)?;
    let len = file.len()?;
    if len > len_max {
        return Err(too_long(name, len, len_max));
    }
    let Ok(len_here) = usize::try_from(len) else { return Err(too_long(name, len, len_max)) };
    let mut bytes = vec![0; len_here];
    let count = file.read_at(0, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// The error for a file beyond the caller's limit.
fn too_long(name: &str, len: u64, len_max: u64) -> io::Error {
    let text = format!("{name} has {len} bytes, more than the limit of {len_max}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
