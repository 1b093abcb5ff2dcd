//! Where what is saved may be put: nowhere that is wiped with a store, or with a hub's data.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::exit::Failure;

/// Most directories of a store that are looked at: it has about ten.
const DIRECTORIES_MAX: usize = 1_000;

/// Refuses a `file` below a store or a hub's data, whatever links lead there; `store` is the one that is
/// left.
///
/// # Errors
///
/// It is below one.
pub(super) fn refuse_inside(file: &Path, store: &Path) -> Result<(), Failure> {
    let own = directories_of(store);
    let folder = folder_of(file);
    let folder = match folder.canonicalize() {
        Ok(folder) => folder,
        // What is not there is reported when it is opened.
        Err(error) if !folder.exists() => {
            drop(error);
            return Ok(());
        }
        Err(error) => {
            return Err(Failure::failed(format!(
                "cannot find out where {} is: {error}: choose another place",
                file.display()
            )));
        }
    };
    for above in folder.ancestors() {
        let is_own = identity(above).is_ok_and(|it| own.contains(&it));
        let what = match above {
            _ if is_own || is_store(above) || is_log(above) || is_index(above) => "a store",
            _ if is_hub(above) => "a hub",
            _ => continue,
        };
        return Err(Failure::failed(format!(
            "{} is in the directory of {what}, {}, and would be wiped with it: choose a place outside",
            file.display(),
            above.display()
        )));
    }
    Ok(())
}

/// Refuses in the same way a file that is there, which may be a link.
///
/// # Errors
///
/// It is below one.
pub(super) fn refuse_inside_of(file: Option<&Path>, store: &Path) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    refuse_inside(file, store)?;
    match file.canonicalize() {
        Ok(resolved) => refuse_inside(&resolved, store),
        Err(_) => Ok(()),
    }
}

/// The directory in which a file is.
fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

/// Whether a directory is a store, also one that lost some of its files.
fn is_store(dir: &Path) -> bool {
    let log = dir.join("log");
    let has = |name: &str| fs::symlink_metadata(dir.join(name)).is_ok();
    let holds_parts = log.is_dir() || is_index(&dir.join("index"));
    (has("meta") && holds_parts) || is_log(&log)
}

/// Whether a directory is a store's log, wherever it is mounted.
fn is_log(dir: &Path) -> bool {
    entries(dir).any(|name| name.extension() == Some("seg".as_ref()))
}

/// Whether a directory is a store's index, wherever it is mounted.
fn is_index(dir: &Path) -> bool {
    let is_file_of_it = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("keys-") || name.starts_with("table-")
    };
    fs::symlink_metadata(dir.join("manifest")).is_ok() && entries(dir).any(is_file_of_it)
}

/// Whether a directory holds a hub's data, or its tenants.
fn is_hub(dir: &Path) -> bool {
    let holds_stores = |tenants: &Path| entries(tenants).any(|tenant| is_store(&tenant));
    let is_named = dir.file_name() == Some("tenants".as_ref());
    holds_stores(&dir.join("tenants")) || (is_named && holds_stores(dir))
}

/// The entries of a directory; none if it cannot be read.
fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Device and number: the same directory by whatever path or mount.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The directories of a store, and it: also where one of them is mounted elsewhere.
fn directories_of(store: &Path) -> BTreeSet<(u64, u64)> {
    let mut found = BTreeSet::new();
    let mut left = vec![store.to_owned()];
    while let Some(dir) = left.pop() {
        if found.len() >= DIRECTORIES_MAX {
            break;
        }
        let Ok(it) = identity(&dir) else { continue };
        if found.insert(it) {
            let is_directory =
                |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
            left.extend(entries(&dir).filter(is_directory));
        }
    }
    found
}
