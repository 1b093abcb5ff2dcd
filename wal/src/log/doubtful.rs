//! Keeps the whole frames of a torn tail before they are written over: nobody was told of them, but they
//! may be what a caller still asks about.

use onceward_vfs::{Mode, Vfs, is_full};

use crate::error::Error;
use crate::examine::{Examined, FoundTail};
use crate::meta::MetaFile;
use crate::name;

/// Copies the frames to quarantine, under a name that a repetition finds again.
///
/// On a full disk a prepared segment gives its room, and is no longer one.
pub(super) fn keep(vfs: &dyn Vfs, examined: &mut Examined) -> Result<(), Error> {
    let Some(tail) = examined.tail.as_ref().filter(|_| !examined.in_doubt.is_empty()) else {
        return Ok(());
    };
    let copy = read(vfs, examined, tail)?;
    let kept = name::kept(tail.number, tail.offset, &copy, "frames");
    match onceward_vfs::replace(vfs, &kept, &copy) {
        Err(source) if is_full(&source) => keep_in_spare(vfs, examined, &kept, &copy)
            .unwrap_or_else(|| Err(Error::io(source, "write", &kept))),
        written => written.map_err(|source| Error::io(source, "write", &kept)),
    }
}

/// Reads the frames, one behind the other.
fn read(vfs: &dyn Vfs, examined: &Examined, tail: &FoundTail) -> Result<Vec<u8>, Error> {
    let path = name::segment(&examined.meta.identity.store, tail.number);
    let io = |source| Error::io(source, "copy the torn tail of", &path);
    let file = vfs.open(&path, Mode::Read).map_err(io)?;
    let mut copy = Vec::new();
    for (offset, bytes) in &examined.in_doubt {
        let mut frame = vec![0; *bytes];
        let offset = u64::try_from(*offset).unwrap_or(u64::MAX);
        let count = file.read_at(offset, &mut frame).map_err(io)?;
        copy.extend_from_slice(frame.get(..count).unwrap_or_default());
    }
    Ok(copy)
}

/// Makes a prepared segment the file `kept`: its blocks are there already. `None`: there is none.
///
/// Until it has its new name it is what a crash of a trimming leaves, and nobody takes its bytes for frames.
fn keep_in_spare(
    vfs: &dyn Vfs,
    examined: &mut Examined,
    kept: &str,
    copy: &[u8],
) -> Option<Result<(), Error>> {
    let number = examined.prepared.pop()?;
    let path = name::segment(&examined.meta.identity.store, number);
    examined.meta.segments.remove(number);
    // A segment that is listed has a file.
    let unlisted = MetaFile::open(vfs, examined.meta.clone()).and_then(|mut meta| {
        meta.write(examined.meta.clone())?;
        Ok(meta.current)
    });
    match unlisted {
        Ok(current) => examined.meta = current,
        Err(error) => return Some(Err(error)),
    }
    let used = || {
        let file = vfs.open(&path, Mode::Write)?;
        file.write_all_at(0, copy)?;
        file.sync_data()?;
        vfs.rename(&path, kept)?;
        vfs.sync_dir(name::QUARANTINE_DIR)?;
        vfs.sync_dir(name::LOG_DIR)?;
        // Last: a prepared segment is never short. Under its new name: what has lost its own is not written.
        let file = vfs.open(kept, Mode::Write)?;
        file.set_len(u64::try_from(copy.len()).map_err(std::io::Error::other)?)?;
        file.sync_data()
    };
    Some(used().map_err(|source| Error::io(source, "keep doubtful frames in", &path)))
}
