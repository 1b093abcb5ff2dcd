//! What the disk itself can do: one write and one `fdatasync`, with nothing around them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of one step of filling: in larger ones the page cache keeps larger folios, and each sync walks the whole folio
/// that it writes a part of.
const FILL_BYTES: usize = 4 * 1024;

/// A file whose blocks were all written once, so that writing into it changes no metadata.
#[derive(Debug)]
pub struct RawFile {
    file: File,
    file_bytes: u64,
    next: u64,
}

impl RawFile {
    /// Makes a file of at least `file_bytes` zeros, on disk before this returns.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn create(path: &Path, file_bytes: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        let mut filled = 0;
        while filled < file_bytes {
            file.write_all_at(&[0; FILL_BYTES], filled)?;
            filled += FILL_BYTES as u64;
        }
        file.sync_all()?;
        Ok(Self { file, file_bytes: filled, next: 0 })
    }

    /// Writes `bytes` behind those of the last call and syncs them. Begins anew at the file's end.
    ///
    /// # Errors
    ///
    /// What the operating system says; `InvalidInput` for more bytes than the file has.
    pub fn write_synced(&mut self, bytes: &[u8]) -> io::Result<()> {
        let count = bytes.len() as u64;
        if count > self.file_bytes {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if count > self.file_bytes - self.next {
            self.next = 0;
        }
        self.file.write_all_at(bytes, self.next)?;
        self.next += count;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_one_behind_the_other_and_the_file_does_not_grow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raw");
        let mut raw = RawFile::create(&path, 1).unwrap();
        raw.write_synced(b"ab").unwrap();
        raw.write_synced(b"cd").unwrap();
        let held = std::fs::read(&path).unwrap();
        assert_eq!(held.len(), FILL_BYTES);
        assert_eq!(&held[..5], b"abcd\0");

        raw.write_synced(&[7; FILL_BYTES]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [7; FILL_BYTES], "began anew");
        assert!(raw.write_synced(&[7; FILL_BYTES + 1]).is_err());
    }
}
