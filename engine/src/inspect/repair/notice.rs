//! What a repair could not bring back is written down beside the damaged bytes, for a person: the log is whole
//! again afterwards, and nothing else would say that there was more. As long as the note is there, the store
//! does not call itself safe to wipe.

use std::fmt::{self, Write};

use onceward_vfs::Vfs;

use super::{Lost, LostRange};
use crate::base::{Damage, Result};
use crate::kernel::opening::keep_note;

/// Writes the note, durably, unless nothing was lost; returns where it is. One that says the same is not
/// written again. Keys of an encrypted store are in no file: what the repair returns names them.
pub(super) fn write(
    vfs: &dyn Vfs,
    damage: &[Damage],
    lost: &Lost,
    is_encrypted: bool,
) -> Result<Option<String>> {
    if lost.lsns.is_empty() && lost.keys.is_empty() {
        return Ok(None);
    }
    let text = Text { damage, lost, is_encrypted }.to_string();
    Ok(Some(keep_note(vfs, &text)?))
}

/// What the note says.
struct Text<'a> {
    damage: &'a [Damage],
    lost: &'a Lost,
    is_encrypted: bool,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "Frames of this store were lost to damage, and a repair mended the log around them. Find out what \
             became of the events below, then remove this file.\n\n",
        )?;
        for Damage { file, offset, length, what } in self.damage {
            writeln!(
                f,
                "damage: {file}, {length} bytes from byte {offset}: {}",
                what.escape_debug()
            )?;
        }
        for LostRange { first, last } in &self.lost.lsns {
            match last {
                Some(last) => writeln!(f, "lost: LSN {first} to {last}")?,
                None => writeln!(f, "lost: LSN {first} and those after it")?,
            }
        }
        if self.is_encrypted {
            return f.write_str("The keys are not written here: the store is encrypted.\n");
        }
        for lost in &self.lost.keys {
            let (scope, key) = (lost.scope.as_str(), lost.key.as_str());
            writeln!(f, "lost: event {}, scope {scope:?}, key {key:?}", lost.lsn)?;
        }
        f.write_char('\n')
    }
}
