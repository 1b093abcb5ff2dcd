//! Checks of the one-process lock.

use std::{io, process};

use super::expect;
use crate::{LockError, Vfs};

/// Takes, is refused, drops, takes again.
pub(super) fn lock_is_held_once(vfs: &dyn Vfs) -> io::Result<()> {
    let guard = vfs.lock("lock").map_err(io::Error::other)?;
    expect(vfs.exists("lock")?, true)?;
    for _ in 0..2 {
        match vfs.lock("lock") {
            Err(LockError::Held { pid }) => expect(pid, Some(process::id()))?,
            other => return Err(io::Error::other(format!("saw {other:?}, expected Held"))),
        }
    }
    drop(guard);
    drop(vfs.lock("lock").map_err(io::Error::other)?);
    Ok(())
}

/// Takes two at once, one in a directory.
pub(super) fn locks_are_apart(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.create_dir("dir")?;
    let _root = vfs.lock("lock").map_err(io::Error::other)?;
    let _inner = vfs.lock("dir/lock").map_err(io::Error::other)?;
    Ok(())
}

/// Is refused under another name, and where the file is gone.
pub(super) fn lock_is_of_the_directory(vfs: &dyn Vfs) -> io::Result<()> {
    let guard = vfs.lock("lock").map_err(io::Error::other)?;
    for name in ["other", "lock"] {
        match vfs.lock(name) {
            Err(LockError::Held { pid }) => expect(pid, Some(process::id()))?,
            other => return Err(io::Error::other(format!("saw {other:?}, expected Held"))),
        }
        if vfs.exists("lock")? {
            vfs.remove("lock")?;
        }
    }
    drop(guard);
    drop(vfs.lock("lock").map_err(io::Error::other)?);
    Ok(())
}
