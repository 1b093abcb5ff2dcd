//! Writes `meta`: replaced by a copy when it is opened, then slot after slot.

use std::sync::Arc;

use onceward_vfs::{File, Mode, Vfs, is_full};

use super::{Meta, slot_offset};
use crate::error::{Error, ErrorKind};
use crate::limits::SLOT_BYTES;
use crate::name;
use crate::sealing::{KeyEnvelope, WrappedKey};

/// Writes `meta`, slot after slot.
#[derive(Debug)]
pub(crate) struct MetaFile {
    file: Arc<dyn File>,
    pub(crate) current: Meta,
    /// The envelope of the key in each slot.
    slots: [Option<KeyEnvelope>; 2],
    /// A write or sync failed: what is on disk is not known.
    failed: bool,
}

impl MetaFile {
    /// Makes the file of a new store.
    pub(crate) fn create(vfs: &dyn Vfs, meta: &Meta) -> Result<(), Error> {
        let mut content = vec![0; 2 * SLOT_BYTES];
        let encoded = meta.encode()?;
        // Generation 1 belongs into slot 1, as `write` would put it.
        if let Some(slot) = content.get_mut(SLOT_BYTES..SLOT_BYTES + encoded.len()) {
            slot.copy_from_slice(&encoded);
        }
        onceward_vfs::replace(vfs, name::META, &content)
            .map_err(|source| Error::io(source, "create", name::META))
    }

    /// Opens the file for writing, `current` being what it says, or what was made of it; makes it where it
    /// is missing.
    ///
    /// It is replaced by a copy first: if the current slot was read from memory after its sync had
    /// failed, overwriting the other slot would leave no valid one after a power cut. On a full disk the
    /// same bytes are written again in place.
    pub(crate) fn open(vfs: &dyn Vfs, current: Meta) -> Result<Self, Error> {
        let open = || {
            vfs.open(name::META, Mode::Write)
                .map_err(|source| Error::io(source, "open", name::META))
        };
        let find = |source| Error::io(source, "find", name::META);
        if !vfs.exists(name::META).map_err(find)? {
            Self::create(vfs, &current)?;
        }
        let file = open()?;
        let content = content(&*file);
        let slots = [0, SLOT_BYTES].map(|at| {
            let slot = content.get(at..).unwrap_or_default();
            Meta::decode(slot).ok().and_then(|meta| meta.envelope)
        });
        match onceward_vfs::replace(vfs, name::META, &content) {
            Ok(()) => Ok(Self { file: open()?, current, slots, failed: false }),
            Err(source) if is_full(&source) => {
                let mut it = Self { file, current, slots, failed: false };
                it.put(0, &content)?;
                Ok(it)
            }
            Err(source) => Err(Error::io(source, "replace", name::META)),
        }
    }

    /// Makes `next` the current state, one generation on. Durable when this returns `Ok`; after an
    /// error either state may be found.
    ///
    /// # Errors
    ///
    /// `Full`: nothing changed. `Poisoned`: this write or sync failed, or one before it.
    pub(crate) fn write(&mut self, mut next: Meta) -> Result<(), Error> {
        (next.is_latest, next.unread) = (true, None);
        next.generation = self.current.generation + 1;
        next.synced = next.synced.max(self.current.synced);
        next.next_lsn = next.next_lsn.max(self.current.next_lsn);
        let offset = slot_offset(next.generation % 2);
        self.put(offset, &next.encode()?).inspect_err(|error| {
            if error.kind() == ErrorKind::Full {
                // What landed of it must not pass for a state one day. If this fails too, only a
                // checksum that is right by chance could make it one.
                self.file.write_all_at(offset, &[0; 8]).unwrap_or_default();
            }
        })?;
        let [even, odd] = &mut self.slots;
        *(if next.generation.is_multiple_of(2) { even } else { odd }) = next.envelope;
        self.current = next;
        Ok(())
    }

    /// Refuses every write from now on: the file is another handle's.
    pub(crate) fn write_no_more(&mut self) {
        self.failed = true;
    }

    /// The wrapped keys that are in it.
    pub(crate) fn wrapped_keys(&self) -> impl Iterator<Item = WrappedKey> + '_ {
        let told = self.slots.iter().flatten().filter(|envelope| envelope.is_known());
        told.map(|envelope| envelope.key)
    }

    /// Whether both slots say the same of the key.
    pub(crate) fn is_rotated(&self) -> bool {
        self.slots.iter().all(|slot| *slot == self.current.envelope)
    }

    /// Writes a slot and syncs.
    fn put(&mut self, offset: u64, encoded: &[u8]) -> Result<(), Error> {
        if self.failed {
            return Err(Error::new(ErrorKind::Poisoned, "an earlier write of meta failed"));
        }
        match self.file.write_all_at(offset, encoded) {
            Ok(()) => {}
            Err(source) if is_full(&source) => return Err(Error::io(source, "write", name::META)),
            Err(source) => return Err(self.fail(source, "write")),
        }
        self.file.sync_data().map_err(|source| self.fail(source, "sync"))
    }

    /// Notes that nothing more is to be written.
    fn fail(&mut self, source: std::io::Error, doing: &str) -> Error {
        self.failed = true;
        Error::poisoning(source, doing, name::META)
    }
}

/// The bytes of both slots. What the disk cannot read is zeros: it is written anew.
fn content(file: &dyn File) -> Vec<u8> {
    let mut content = Vec::with_capacity(2 * SLOT_BYTES);
    for slot in [0, 1] {
        let mut bytes = vec![0; SLOT_BYTES];
        let count = file.read_at(slot_offset(slot), &mut bytes).unwrap_or(SLOT_BYTES);
        bytes.truncate(count);
        content.append(&mut bytes);
        if count < SLOT_BYTES {
            break;
        }
    }
    content
}
