//! What `meta` says of a log, or what the segments do where it is lost.

use onceward_vfs::Vfs;

use super::head::{self, Files};
use super::segment_file::SegmentFile;
use crate::error::Error;
use crate::meta::{self, Meta};
use crate::name;
use crate::sealing::KeyEnvelope;

/// Returns the state in `meta`, whether it had to be made from the segments, and the files; `None` if there is no
/// log.
pub(super) fn found_meta(vfs: &dyn Vfs) -> Result<Option<(Meta, bool, Files)>, Error> {
    // The files after `meta`: whatever a writer at work lists has its file by then.
    let first = meta::read(vfs)?;
    let files = head::list(vfs)?;
    // A log that is being created has its files after its `meta`.
    let found = if first.is_none() && !files.is_empty() { meta::read(vfs)? } else { first };
    match found {
        None if files.is_empty() => Ok(None),
        Some(Some(meta)) => Ok(Some((meta, false, files))),
        Some(None) | None => Ok(Some((rebuild_meta(vfs, &files)?, true, files))),
    }
}

/// Row `meta-lost`.
fn rebuild_meta(vfs: &dyn Vfs, files: &Files) -> Result<Meta, Error> {
    let mut rebuilt: Option<Meta> = None;
    for (number, store) in files {
        let Some(file) = SegmentFile::open(vfs, *number, *store)? else { continue };
        let Some(header) = file.head()?.header else { continue };
        let meta = rebuilt.get_or_insert_with(|| Meta::new(header.identity));
        if meta.identity == header.identity {
            meta.run = meta.run.max(header.run);
        }
        if header.envelope.is_some() {
            // Which keys there are, the segments say.
            meta.envelope = Some(KeyEnvelope::LOST);
        }
    }
    let Some(mut meta) = rebuilt else {
        return Err(
            Error::corrupt("no valid slot, and no segment with a valid header").at(name::META, 0)
        );
    };
    for (number, _) in files.iter().filter(|(_, store)| *store == meta.identity.store) {
        meta.segments.add(*number);
        meta.next_number = number + 1;
    }
    Ok(meta)
}
