//! Names of the log's segment files, as `wal/FORMAT.md` gives them. No I/O here.

use onceward_wal::Identity;

/// The file of a segment, within the store's directory.
pub(crate) fn of(identity: &Identity, number: u64) -> String {
    format!("log/{number:016x}-{:032x}.seg", u128::from_be_bytes(identity.store))
}

/// The number of the segment that a file holds; `None` for other files.
pub(crate) fn number(file: &str) -> Option<u64> {
    let (number, _store) = file.strip_prefix("log/")?.split_once('-')?;
    u64::from_str_radix(number, 16).ok()
}
