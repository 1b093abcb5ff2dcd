//! Directories, links, pipes and devices in the places of a store's files, and whatever is no directory in the
//! places of its directories: reported by name, and set aside.
//!
//! What is set aside goes to `quarantine/` as it is, under a name that ends with `.aside`: it is renamed, never
//! followed, opened or removed. The place is empty then, and a missing file or directory is what opening and
//! repairing know how to take.

use onceward_vfs::{Expected, Vfs};
use onceward_wal::ASIDE;

use super::ask_for_check;
use crate::base::places::{
    CATALOG_DIR, DECISIONS_DIR, INDEX_DIR, LOCK_FILE, LOG_DIR, QUARANTINE_DIR, SUMMARIES_DIR,
    UNCHECKED,
};
use crate::base::{Damage, Result};

/// The one directory within the catalog's.
const CATALOG_BLOBS: &str = "blobs";
/// The path of that directory, from the store's directory on.
const CATALOG_BLOBS_DIR: &str = "catalog/blobs";
/// Every directory that a store may have. Where the log was is another matter: nothing else has what was in it.
const DIRECTORIES: [&str; 7] = [
    LOG_DIR,
    QUARANTINE_DIR,
    INDEX_DIR,
    SUMMARIES_DIR,
    DECISIONS_DIR,
    CATALOG_DIR,
    CATALOG_BLOBS_DIR,
];
/// Files in the store's own directory.
const OWN_FILES: [&str; 3] = [LOCK_FILE, "meta", "meta.tmp"];
/// How the names of the index's files begin.
const INDEX_FILES: [&str; 4] = ["manifest", "keys-", "table-", "unchecked"];

/// What is in the places of files and directories and is none. Nothing where there is no store.
///
/// # Errors
///
/// A directory cannot be listed.
pub(crate) fn find(vfs: &dyn Vfs) -> Result<Vec<Damage>> {
    let mut places: Vec<String> = OWN_FILES.map(str::to_owned).into();
    places.extend(places_in(vfs, LOG_DIR, &|entry| entry.ends_with(".seg")));
    places.extend(index_places(vfs));
    places.extend(places_in(vfs, CATALOG_DIR, &|entry| entry != CATALOG_BLOBS));
    places.extend(places_in(vfs, QUARANTINE_DIR, &|entry| !entry.ends_with(ASIDE)));
    let mut found = usurped(vfs, &DIRECTORIES.map(str::to_owned), Expected::Directory)?;
    for damage in found.iter_mut().filter(|damage| damage.file == LOG_DIR) {
        damage.what += "; what was there is to be put back, a repair goes on without it";
    }
    found.extend(usurped(vfs, &places, Expected::File)?);
    Ok(if found.is_empty() || is_store(vfs)? { found } else { Vec::new() })
}

/// Sets aside what is in the place of the lock's file.
///
/// # Errors
///
/// `Full`, `Io`: the disk refused.
pub(crate) fn free_lock(vfs: &dyn Vfs, found: &[Damage]) -> Result<Vec<String>> {
    set_aside(vfs, found.iter().filter(|damage| damage.file == LOCK_FILE))
}

/// Sets aside all the others, under the lock.
///
/// # Errors
///
/// As [`free_lock`].
pub(crate) fn free_others(vfs: &dyn Vfs, found: &[Damage]) -> Result<Vec<String>> {
    set_aside(vfs, found.iter().filter(|damage| damage.file != LOCK_FILE))
}

/// Sets aside what is in the places of the index's files and of its directory, under the lock: what they
/// held is made anew from the log.
///
/// # Errors
///
/// As [`free_lock`].
pub(crate) fn free_index(vfs: &dyn Vfs) -> Result<()> {
    let mut found = usurped(vfs, &[INDEX_DIR.to_owned()], Expected::Directory)?;
    found.extend(usurped(vfs, &index_places(vfs), Expected::File)?);
    set_aside(vfs, found.iter()).map(drop)
}

/// The places of the index's files.
fn index_places(vfs: &dyn Vfs) -> Vec<String> {
    let is_ours = |entry: &str| INDEX_FILES.iter().any(|begin| entry.starts_with(begin));
    places_in(vfs, INDEX_DIR, &is_ours)
}

/// The entries of a directory that should be files.
fn places_in(vfs: &dyn Vfs, dir: &str, is_ours: &dyn Fn(&str) -> bool) -> Vec<String> {
    // Where there is no such directory, no file of it is anything else.
    let entries = vfs.list(dir).unwrap_or_default();
    let ours = entries.into_iter().filter(|entry| is_ours(entry));
    ours.map(|entry| format!("{dir}/{entry}")).collect()
}

/// The places in which something else is than what is expected.
fn usurped(vfs: &dyn Vfs, places: &[String], expected: Expected) -> Result<Vec<Damage>> {
    let mut found = Vec::new();
    for file in places {
        if let Some(usurper) = vfs.usurper(file, expected)? {
            let (file, what) = (file.clone(), usurper.to_string());
            found.push(Damage { file, offset: 0, length: 0, what });
        }
    }
    Ok(found)
}

/// Whether a file of the log is there: in any other directory nothing is ours to move.
fn is_store(vfs: &dyn Vfs) -> Result<bool> {
    let mut files = places_in(vfs, LOG_DIR, &|entry| entry.ends_with(".seg"));
    files.push("meta".to_owned());
    for file in files {
        if vfs.exists(&file)? && vfs.usurper(&file, Expected::File)?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Moves each to the quarantine, durably; returns where they are. Of the catalog all goes: its files are of no
/// use without each other, and are made anew.
fn set_aside<'a>(vfs: &dyn Vfs, found: impl Iterator<Item = &'a Damage>) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    for Damage { file, .. } in found {
        let is_catalog = file.split_once('/').is_some_and(|(dir, _)| dir == CATALOG_DIR);
        let file = if is_catalog { CATALOG_DIR } else { file };
        // What took the quarantine's own place waits beside it until there is one.
        kept.extend(make_quarantine(vfs)?);
        if file == QUARANTINE_DIR || !vfs.exists(file)? {
            continue;
        }
        kept.push(move_aside(vfs, file, file)?);
        if file == UNCHECKED {
            // That it is there is all that it says.
            ask_for_check(vfs)?;
        }
    }
    Ok(kept)
}

/// Makes the quarantine where it is missing; returns where what was in its place is now, if anything was there.
fn make_quarantine(vfs: &dyn Vfs) -> Result<Option<String>> {
    if vfs.usurper(QUARANTINE_DIR, Expected::Directory)?.is_none() {
        vfs.create_dir(QUARANTINE_DIR)?;
        return Ok(None);
    }
    let beside = free_name(vfs, QUARANTINE_DIR)?;
    vfs.set_aside(QUARANTINE_DIR, &beside)?;
    vfs.create_dir(QUARANTINE_DIR)?;
    move_aside(vfs, &beside, QUARANTINE_DIR).map(Some)
}

/// Moves `from` to the quarantine, durably, where it is found under the name of `file`; returns its path.
fn move_aside(vfs: &dyn Vfs, from: &str, file: &str) -> Result<String> {
    let to = free_name(vfs, &format!("{QUARANTINE_DIR}/{}", file.replace('/', "-")))?;
    vfs.set_aside(from, &to)?;
    vfs.sync_dir(QUARANTINE_DIR)?;
    vfs.sync_dir(from.rsplit_once('/').map_or("", |(dir, _)| dir))?;
    Ok(to)
}

/// A name that begins so, says that something was set aside, and that nothing has.
fn free_name(vfs: &dyn Vfs, begin: &str) -> Result<String> {
    let mut number = 1_u64;
    loop {
        let name = format!("{begin}.{number}{ASIDE}");
        if !vfs.exists(&name)? {
            return Ok(name);
        }
        number += 1;
    }
}
