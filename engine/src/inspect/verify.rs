//! Judges every byte of a store's files. Changes nothing and takes no lock.
//!
//! | files | how they are judged |
//! |---|---|
//! | `meta`, `log/` | by their checksums, frame by frame |
//! | `index/` | by their checksums, block by block |
//! | `quarantine/` | by the checksum in their names |
//! | what is none of these, or no directory, and is in the place of one | by what it is; see `usurpers.rs` |
//! | `catalog/` | by reading them: sled compares its own checksums when it opens them, and then writes |

use std::path::Path;
use std::sync::Arc;

use onceward_index::{FileDamage, Location};
use onceward_vfs::{Mode, OsVfs, Vfs};

use crate::base::Result;
use crate::base::places::CATALOG_DIR;
use crate::base::places::INDEX_DIR;
use crate::base::{Damage, RecoveryReport};
use crate::kernel::from_log;
use crate::kernel::opening::usurpers;
use crate::kernel::opening::{cannot_open, from_index, log_damage, no_store, recovery_of};

/// Bytes of the catalog that are read at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Directories within directories of the catalog that are looked into.
const DEPTH_MAX: usize = 4;

/// Reads every file of the store in `dir` and judges every byte, without a lock and without writing. The keys
/// of an encrypted store are not needed: what is in its files is checked, and is not deciphered. Of the
/// catalog only that it can be read: opening the store compares it with the log, and makes it anew.
///
/// ```
/// use onceward::{Config, Event, Payload, Key, Scope, Store};
/// use onceward::inspect::verify;
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// let store = Store::open(&dir, Config::new())?;
/// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("1")?))?;
/// store.close()?;
/// let found = verify(&dir)?;
/// assert!(found.clean && found.damage.is_empty() && found.frames > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As [`Inspection::open`](crate::inspect::Inspection::open), but for `EncryptionKey`. Where another process writes the
/// store, damage is what a second call finds too.
pub fn verify(dir: impl AsRef<Path>) -> Result<RecoveryReport> {
    let dir = dir.as_ref();
    let vfs = OsVfs::open_read_only(dir).map_err(|source| cannot_open(dir, source))?;
    verify_on(&(Arc::new(vfs) as Arc<dyn Vfs>)).map_err(|error| error.in_place("read", dir, "read"))
}

/// Verifies as [`verify`] does, on any disk.
pub(crate) fn verify_on(vfs: &Arc<dyn Vfs>) -> Result<RecoveryReport> {
    let usurped = usurpers::find(&**vfs)?;
    let judged = judge_files(vfs);
    if usurped.is_empty() {
        return judged;
    }
    // What is in a file's place may be why the rest cannot be judged.
    let mut report = judged.unwrap_or_default();
    report.damage = with_usurped(usurped, report.damage);
    Ok(report)
}

/// What is in the places of files, and the damage of all other files.
pub(crate) fn with_usurped(mut usurped: Vec<Damage>, mut damage: Vec<Damage>) -> Vec<Damage> {
    damage.retain(|damage| usurped.iter().all(|usurped| usurped.file != damage.file));
    usurped.append(&mut damage);
    usurped
}

/// Judges every file.
fn judge_files(vfs: &Arc<dyn Vfs>) -> Result<RecoveryReport> {
    let examined = onceward_wal::examine(&**vfs, &mut |_| {}).map_err(from_log)?;
    let mut report = recovery_of(&examined.ok_or_else(no_store)?);
    report.damage.extend(beside_the_log(vfs)?);
    Ok(report)
}

/// Damage of the files beside the log: what a second reading finds too, for a writer may be at work.
pub(crate) fn beside_the_log(vfs: &Arc<dyn Vfs>) -> Result<Vec<Damage>> {
    let mut damage = read_beside(vfs)?;
    if !damage.is_empty() {
        let again = read_beside(vfs)?;
        damage.retain(|damage| again.contains(damage));
    }
    Ok(damage)
}

fn read_beside(vfs: &Arc<dyn Vfs>) -> Result<Vec<Damage>> {
    let mut damage = index_damage(vfs)?;
    damage.extend(onceward_wal::verify_quarantine(&**vfs).iter().map(log_damage));
    read_all(&**vfs, CATALOG_DIR, DEPTH_MAX, &mut damage);
    Ok(damage)
}

/// Damage of the index's files.
pub(crate) fn index_damage(vfs: &Arc<dyn Vfs>) -> Result<Vec<Damage>> {
    let location = Location { vfs: Arc::clone(vfs), dir: INDEX_DIR.to_owned() };
    let faults = onceward_index::verify(location).map_err(|error| from_index(&error))?;
    Ok(faults.into_iter().map(file_damage).collect())
}

fn file_damage(damage: FileDamage) -> Damage {
    let FileDamage { file, offset, bytes, what } = damage;
    Damage { file, offset, length: bytes, what }
}

/// Reads every file in a directory, and in those within it.
fn read_all(vfs: &dyn Vfs, dir: &str, depth: usize, damage: &mut Vec<Damage>) {
    // No directory, no files; or none that can be listed: whoever opens the store gets the error.
    let Ok(names) = vfs.list(dir) else { return };
    for name in names {
        let path = format!("{dir}/{name}");
        if vfs.list(&path).is_ok() {
            if depth > 0 {
                read_all(vfs, &path, depth - 1, damage);
            }
            continue;
        }
        if let Some((offset, what)) = read_file(vfs, &path) {
            damage.push(Damage { file: path, offset, length: 0, what });
        }
    }
}

/// Reads a file; where and why that fails, if it does. One that went meanwhile has no damage.
fn read_file(vfs: &dyn Vfs, path: &str) -> Option<(u64, String)> {
    let mut offset = 0;
    let mut piece = vec![0; PIECE_BYTES];
    let file = match vfs.open(path, Mode::Read) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return Some((offset, format!("cannot be opened: {error}"))),
        Ok(file) => file,
    };
    loop {
        match file.read_at(offset, &mut piece) {
            Ok(0) => return None,
            Ok(count) => offset += u64::try_from(count).unwrap_or(u64::MAX),
            Err(error) => return Some((offset, format!("cannot be read: {error}"))),
        }
    }
}
