//! Directories, links, pipes and devices in the places of a store's files: told by name, and set aside.
//!
//! What is set aside goes to `quarantine/` as it is, under a name that ends with `.aside`: it is renamed, never
//! followed, opened or removed. The place is empty then, and a missing file is what opening and repairing
//! know how to take.

use onceward_vfs::Vfs;
use onceward_wal::ASIDE;

use crate::catalog::CATALOG_DIR;
use crate::error::Result;
use crate::report::Damage;
use crate::store::{INDEX_DIR, UNCHECKED, ask_for_check};

/// Where the log's files are.
const LOG_DIR: &str = "log";
/// Where copies are kept.
const QUARANTINE_DIR: &str = "quarantine";
/// The file of the lock, which has to be a file before anything can be done under the lock.
const LOCK_FILE: &str = "lock";
/// The one directory within the catalog's.
const CATALOG_BLOBS: &str = "blobs";
/// Files in the store's own directory.
const OWN_FILES: [&str; 3] = [LOCK_FILE, "meta", "meta.tmp"];
/// How the names of the index's files begin.
const INDEX_FILES: [&str; 4] = ["manifest", "keys-", "table-", "unchecked"];

/// What stands in the places of files. Nothing where there is no store.
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
    let found = usurped(vfs, places)?;
    Ok(if found.is_empty() || is_store(vfs)? { found } else { Vec::new() })
}

/// Sets aside what stands in the place of the lock's file.
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

/// Sets aside what stands in the places of the index's files, under the lock: what they held is made anew
/// from the log.
///
/// # Errors
///
/// As [`free_lock`].
pub(crate) fn free_index(vfs: &dyn Vfs) -> Result<()> {
    let found = usurped(vfs, index_places(vfs))?;
    set_aside(vfs, found.iter()).map(drop)
}

/// The places of the index's files.
fn index_places(vfs: &dyn Vfs) -> Vec<String> {
    let is_ours = |entry: &str| INDEX_FILES.iter().any(|begin| entry.starts_with(begin));
    places_in(vfs, INDEX_DIR, &is_ours)
}

/// Those of a directory's entries that should be files.
fn places_in(vfs: &dyn Vfs, dir: &str, is_ours: &dyn Fn(&str) -> bool) -> Vec<String> {
    // Where there is no such directory, no file of it is anything else.
    let entries = vfs.list(dir).unwrap_or_default();
    let ours = entries.into_iter().filter(|entry| is_ours(entry));
    ours.map(|entry| format!("{dir}/{entry}")).collect()
}

/// Those places in which no file stands.
fn usurped(vfs: &dyn Vfs, places: Vec<String>) -> Result<Vec<Damage>> {
    let mut found = Vec::new();
    for file in places {
        if let Some(usurper) = vfs.usurper(&file)? {
            found.push(Damage { file, offset: 0, length: 0, what: usurper.to_string() });
        }
    }
    Ok(found)
}

/// Whether a file of the log stands there: in any other directory nothing is ours to move.
fn is_store(vfs: &dyn Vfs) -> Result<bool> {
    let mut files = places_in(vfs, LOG_DIR, &|entry| entry.ends_with(".seg"));
    files.push("meta".to_owned());
    for file in files {
        if vfs.exists(&file)? && vfs.usurper(&file)?.is_none() {
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
        if !vfs.exists(file)? {
            continue;
        }
        vfs.create_dir(QUARANTINE_DIR)?;
        let to = free_name(vfs, file)?;
        vfs.set_aside(file, &to)?;
        vfs.sync_dir(QUARANTINE_DIR)?;
        vfs.sync_dir(file.rsplit_once('/').map_or("", |(dir, _)| dir))?;
        kept.push(to);
        if file == UNCHECKED {
            // That it is there is all that it says.
            ask_for_check(vfs)?;
        }
    }
    Ok(kept)
}

/// A name in the quarantine that nothing has.
fn free_name(vfs: &dyn Vfs, file: &str) -> Result<String> {
    let mut number = 1_u64;
    loop {
        let name = format!("{QUARANTINE_DIR}/{}.{number}{ASIDE}", file.replace('/', "-"));
        if !vfs.exists(&name)? {
            return Ok(name);
        }
        number += 1;
    }
}
