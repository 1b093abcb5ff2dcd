//! The index's directory: names of its files, and how they are read.

use std::sync::Arc;

use onceward_vfs::{File, Map, Mode, Vfs};

use crate::{
    entry::ENTRY_BYTES,
    error::{Error, Result},
    options::ReadMode,
};

/// The directory that holds an index.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) dir: String,
    pub(crate) reading: ReadMode,
    /// Stands in every file: those of another store have another one.
    pub(crate) check: u64,
}

/// The kind of a file, which its name begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FileKind {
    /// Entries of one slice.
    Keys,
    /// Slots of the table.
    Table,
}

/// The file that says which others count.
pub(crate) const MANIFEST: &str = "manifest";

impl Folder {
    /// The path of a file.
    pub(crate) fn path(&self, kind: FileKind, number: u32) -> String {
        format!("{}/{}", self.dir, kind.name(number))
    }

    /// The path of the manifest.
    pub(crate) fn manifest(&self) -> String {
        format!("{}/{MANIFEST}", self.dir)
    }

    /// Creates a file. A leftover of the same name, of a checkpoint that was cut off, is removed
    /// first.
    pub(crate) fn create(&self, name: &str) -> Result<Arc<dyn File>> {
        let fail = |source| Error::io(source, "create", name);
        match self.vfs.remove(name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
            Ok(()) | Err(_) => {}
        }
        self.vfs.open(name, Mode::CreateNew).map_err(fail)
    }

    /// Writes a new file, durably but for its name.
    pub(crate) fn write(&self, name: &str, pieces: impl Iterator<Item = Vec<u8>>) -> Result<u64> {
        let file = self.create(name)?;
        let write = || {
            let mut offset = 0;
            for piece in pieces {
                file.write_all_at(offset, &piece)?;
                offset += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            }
            file.sync_data().map(|()| offset)
        };
        self.or_remove(name, write().map_err(|source| Error::io(source, "write", name)))
    }

    /// Removes a file that could not be written: on a full disk it must not keep its space.
    pub(crate) fn or_remove<T>(&self, name: &str, written: Result<T>) -> Result<T> {
        if written.is_err() {
            // Should this fail too, the next opening removes it; what the caller must know is the
            // first error.
            drop(self.vfs.remove(name));
        }
        written
    }

    /// Opens a finished file of which `bytes` must be there.
    pub(crate) fn open(&self, name: &str, bytes: u64) -> Result<FileContent> {
        let content = match self.reading {
            ReadMode::Mapped => match self.vfs.map(name) {
                Ok(map) => FileContent::Mapped(map),
                Err(error)
                    if error.kind() == std::io::ErrorKind::Unsupported || is_unreadable(&error) =>
                {
                    self.file(name)?
                }
                Err(error) => return Err(opening(error, name)),
            },
            ReadMode::Positioned => self.file(name)?,
        };
        let found = match &content {
            FileContent::Mapped(map) => u64::try_from(map.len()).unwrap_or(u64::MAX),
            FileContent::File(file) => file.len().map_err(|error| opening(error, name))?,
        };
        if found != bytes {
            return Err(Error::corrupt(name, format_args!("has {found} bytes, must have {bytes}")));
        }
        Ok(content)
    }

    /// Opens a finished file to be read by position.
    pub(crate) fn file(&self, name: &str) -> Result<FileContent> {
        let file = self.vfs.open(name, Mode::Read).map_err(|error| opening(error, name))?;
        Ok(FileContent::File(file))
    }
}

/// Removes an index's files, so that the next opening finds none and the log is replayed.
///
/// # Errors
///
/// What the disk said; some files may be left, but not the one that makes them count.
pub(crate) fn discard(vfs: &dyn Vfs, dir: &str) -> Result<()> {
    let fail = |error| Error::io(error, "discard", dir);
    let names = match vfs.list(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(fail)?,
    };
    // The manifest first, durably: without it nothing else counts.
    if names.iter().any(|name| name == MANIFEST) {
        vfs.remove(&format!("{dir}/{MANIFEST}")).map_err(fail)?;
    }
    // Also if there was none: it may have been removed before and not durably.
    vfs.sync_dir(dir).map_err(fail)?;
    for name in names.iter().filter(|name| is_ours(name) && *name != MANIFEST) {
        vfs.remove(&format!("{dir}/{name}")).map_err(fail)?;
    }
    Ok(())
}

/// Whether a name is one that the index gives.
pub(crate) fn is_ours(name: &str) -> bool {
    let number = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| u32::from_str_radix(rest, 16).is_ok())
    };
    name == MANIFEST || name == "manifest.tmp" || number("keys-") || number("table-")
}

/// The error number of a disk that cannot read what it holds.
const EIO: i32 = 5;

/// Whether the disk cannot read what it holds.
fn is_unreadable(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(EIO)
}

/// Reads, and once more what the disk could not read: trouble that passes must not cost a file.
pub(crate) fn read_at(file: &dyn File, offset: u64, bytes: &mut [u8]) -> std::io::Result<usize> {
    match file.read_at(offset, bytes) {
        Err(error) if is_unreadable(&error) => file.read_at(offset, bytes),
        read => read,
    }
}

/// A block that the disk cannot read is damage of the index; anything else is trouble that passes.
pub(crate) fn reading(error: std::io::Error, name: &str) -> Error {
    if is_unreadable(&error) {
        return Error::corrupt(name, format_args!("cannot be read: {error}"));
    }
    Error::io(error, "read", name)
}

/// A missing file is damage of the index; anything else is the disk's trouble.
pub(crate) fn opening(error: std::io::Error, name: &str) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::corrupt(name, "is missing");
    }
    if let Some(usurper) = onceward_vfs::Usurper::of(&error) {
        return Error::corrupt(name, usurper);
    }
    Error::io(error, "open", name)
}

impl FileKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Keys => "keys-",
            Self::Table => "table-",
        }
    }

    /// The name of a file of this kind.
    pub(crate) fn name(self, number: u32) -> String {
        format!("{}{number:08x}", self.prefix())
    }
}

/// The bytes of a finished file.
#[derive(Debug)]
pub(crate) enum FileContent {
    Mapped(Map),
    File(Arc<dyn File>),
}

impl FileContent {
    /// Gives `use_it` the bytes at an offset; `None` if the file ends before.
    pub(crate) fn with<T>(
        &self,
        name: impl Fn() -> String,
        offset: u64,
        count: usize,
        use_it: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>> {
        match self {
            Self::Mapped(map) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                Ok(map.get(start..start.saturating_add(count)).map(use_it))
            }
            Self::File(file) => {
                // An entry is asked for most, and needs no memory of its own.
                let (mut few, mut many) = ([0; ENTRY_BYTES], Vec::new());
                let bytes = match few.get_mut(..count) {
                    Some(few) => few,
                    None => {
                        many.resize(count, 0);
                        many.as_mut_slice()
                    }
                };
                let read =
                    read_at(&**file, offset, bytes).map_err(|error| reading(error, &name()))?;
                Ok((read == count).then(|| use_it(bytes)))
            }
        }
    }
}
