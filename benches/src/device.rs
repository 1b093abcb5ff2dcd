//! How many bytes the device of a directory was asked to write.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes of a sector in the kernel's statistics, whatever the device has.
const SECTOR_BYTES: u64 = 512;
/// Place of "sectors written" among a line's fields; 2 is the device's name.
const SECTORS_WRITTEN: usize = 9;

/// The block device on which a directory is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Device {
    major: u32,
    minor: u32,
}

impl Device {
    /// The one of `dir`; `None` if the kernel counts nothing for it, as for a file system in memory.
    ///
    /// # Errors
    ///
    /// `dir` cannot be looked at.
    pub fn of(dir: &Path) -> io::Result<Option<Self>> {
        let number = fs::metadata(dir)?.dev();
        let device = Self { major: rustix::fs::major(number), minor: rustix::fs::minor(number) };
        Ok(device.written_bytes().map(|_| device))
    }

    /// Bytes that were written to it since the machine started, by anybody.
    #[must_use]
    pub fn written_bytes(self) -> Option<u64> {
        written_bytes(&fs::read_to_string("/proc/diskstats").ok()?, self)
    }
}

/// What `diskstats` says of `device`.
fn written_bytes(diskstats: &str, device: Device) -> Option<u64> {
    let mut lines = diskstats.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let (major, minor) = (device.major.to_string(), device.minor.to_string());
    let line = lines.find(|fields| fields.starts_with(&[&major, &minor]))?;
    let sectors: u64 = line.get(SECTORS_WRITTEN)?.parse().ok()?;
    Some(sectors * SECTOR_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_sectors_of_the_right_device_are_counted() {
        let text = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0\n \
                    254       0 vda 1144471 65936 69665282 2455536 498465 103995 87924424 344537 0 1 2\n \
                    254      10 vdk 1 2 3 4 5 6 7 8 9 10 11\n";
        let of = |major, minor| written_bytes(text, Device { major, minor });
        assert_eq!(of(254, 0), Some(87_924_424 * 512));
        assert_eq!(of(254, 10), Some(7 * 512));
        assert_eq!(of(254, 1), None);
        assert_eq!(of(0, 40), None);
    }
}
