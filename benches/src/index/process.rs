//! What the system says of this process and of a directory.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

/// Bytes of anonymous memory that this process has: what it allocated and touched, without mapped files.
///
/// # Errors
///
/// The system does not say.
pub fn anonymous_bytes() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    anonymous(&status).ok_or_else(|| io::Error::other("no RssAnon in the status of this process"))
}

/// What a status says.
fn anonymous(status: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Sum of the sizes of the files in a directory.
///
/// # Errors
///
/// What the operating system says.
pub fn dir_bytes(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let metadata = entry?.metadata()?;
        bytes += if metadata.is_file() { metadata.len() } else { 0 };
    }
    Ok(bytes)
}

/// How far a cache was emptied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Emptied {
    /// Of everything that is in no use.
    All,
    /// The system allows no more than to say that the files' pages are not needed; names and inodes stay.
    Pages,
}

/// Writes back all that is not on the disk, and has the system forget what it knows of the files in `dirs`.
///
/// # Errors
///
/// What the operating system says of one of the files.
pub fn empty_cache(dirs: &[&Path]) -> io::Result<Emptied> {
    rustix::fs::sync();
    for dir in dirs {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_file() {
                fadvise(&fs::File::open(path)?, 0, None, Advice::DontNeed)?;
            }
        }
    }
    // Only the superuser may.
    Ok(match fs::write("/proc/sys/vm/drop_caches", "3") {
        Ok(()) => Emptied::All,
        Err(_refused) => Emptied::Pages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_memory_grows_with_what_is_touched() {
        let status = "Name:\tfigures\nRssAnon:\t     596 kB\nRssFile:\t    1688 kB\n";
        assert_eq!(anonymous(status), Some(596 * 1024));
        assert_eq!(anonymous("Name:\tfigures\n"), None);
        let before = anonymous_bytes().unwrap();
        let touched = vec![1_u8; 64 << 20];
        assert!(anonymous_bytes().unwrap() >= before + (60 << 20));
        drop(touched);
    }

    #[test]
    fn the_files_of_a_directory_are_added_up() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "12").unwrap();
        fs::write(dir.path().join("b"), "345").unwrap();
        fs::create_dir(dir.path().join("c")).unwrap();
        assert_eq!(dir_bytes(dir.path()).unwrap(), 5);
    }
}
