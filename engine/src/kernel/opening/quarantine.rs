//! Notes for a person, beside the damaged bytes that are kept. As long as there is one, the store does not call itself
//! safe to wipe.

use onceward_vfs::{Vfs, read_all, replace};

use crate::base::Result;
use crate::base::places::QUARANTINE_DIR;

/// Longest note that is read to compare it, bytes.
const NOTE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Keeps a text for a person, durably, and returns where it is. One that says the same is not written again.
pub(crate) fn keep_note(vfs: &dyn Vfs, text: &str) -> Result<String> {
    vfs.create_dir(QUARANTINE_DIR)?;
    let mut number = 1_u64;
    loop {
        let name = format!("{QUARANTINE_DIR}/lost.{number}.txt");
        if !vfs.exists(&name)? {
            replace(vfs, &name, text.as_bytes())?;
            vfs.sync_dir("")?;
            return Ok(name);
        }
        if read_all(vfs, &name, NOTE_BYTES_MAX).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(name);
        }
        number += 1;
    }
}
