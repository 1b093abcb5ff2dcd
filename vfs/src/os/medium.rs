//! What a directory's file system is made of, where that is not a disk of this machine.

use std::path::Path;

/// Why the file system of `dir` may not keep what it is given, or not alone; `None` where nothing is known against it.
///
/// Only what the kernel says of it: what a disk does with a sync nobody can ask.
#[must_use]
pub fn remark_on(dir: &Path) -> Option<&'static str> {
    let stat = rustix::fs::statfs(dir).ok()?;
    remark(i128::from(stat.f_type) & 0xffff_ffff)
}

/// The remark on a file system with this magic number, as `statfs(2)` lists them.
fn remark(magic: i128) -> Option<&'static str> {
    const MEMORY: &str = "it lives in memory (tmpfs or ramfs): a power cut takes all of it";
    const NETWORK: &str =
        "it is on another machine: whether a sync or a lock means anything is that machine's word";
    match magic {
        0x0102_1994 | 0x8584_58f6 => Some(MEMORY),
        // NFS, SMB, CIFS, SMB2, 9P, Ceph, AFS, Coda.
        0x6969 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 | 0x0102_1997 | 0x00c3_6400 | 0x5346_414f
        | 0x7375_7245 => Some(NETWORK),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_other_machines_are_remarked_on_and_disks_are_not() {
        assert!(remark(0x0102_1994).unwrap().contains("memory"));
        assert!(remark(0x6969).unwrap().contains("another machine"));
        // ext4, xfs, btrfs.
        for disk in [0xef53, 0x5846_5342, 0x9123_683e] {
            assert_eq!(remark(disk), None);
        }
        assert!(remark_on(Path::new("/proc/self/no/such/place")).is_none());
    }
}
