//! Judges what was put into quarantine: the same bytes always have the same name. Changes nothing.

use onceward_vfs::{Mode, Vfs};

use crate::checksum::crc_from;
use crate::name::{self, QUARANTINE_DIR};
use crate::report::Damage;

/// How the name of what was set aside ends: it may be anything, and is not looked into.
pub const ASIDE: &str = ".aside";

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// The damage in `quarantine/`: files that cannot be read, and copies that are not what was kept.
#[must_use]
pub fn verify_quarantine(vfs: &dyn Vfs) -> Vec<Damage> {
    // Where there is none, nothing is in it.
    let names = vfs.list(QUARANTINE_DIR).unwrap_or_default();
    let copies = names.into_iter().filter(|entry| !entry.ends_with(ASIDE));
    copies.filter_map(|entry| judge(vfs, &entry)).collect()
}

fn judge(vfs: &dyn Vfs, entry: &str) -> Option<Damage> {
    let file = format!("{QUARANTINE_DIR}/{entry}");
    let (mut crc, mut offset) = (0, 0);
    let mut piece = vec![0; PIECE_BYTES];
    let read = vfs.open(&file, Mode::Read).and_then(|open| {
        loop {
            let count = open.read_at(offset, &mut piece)?;
            if count == 0 {
                return Ok(());
            }
            crc = crc_from(crc, piece.get(..count).unwrap_or_default());
            offset += u64::try_from(count).unwrap_or(u64::MAX);
        }
    });
    let what = match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => format!("cannot be read: {error}"),
        Ok(()) if name::kept_crc(entry).is_some_and(|kept| kept != crc) => {
            offset = 0;
            "is not what was kept".to_owned()
        }
        Ok(()) => return None,
    };
    Some(Damage { segment: None, file, offset, bytes: 0, what, lost: None })
}
