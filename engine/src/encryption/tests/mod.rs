//! What the tests of encryption share: a rig with keys, and the bytes of every file.

mod canary;
mod forged;
mod golden;
mod opening;
mod rotation;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onceward_vfs::{SimVfs, Vfs};
use parking_lot::Mutex;

use super::{EncryptionKey, KeyId, KeyProvider};
use crate::base::{Error, ErrorKind, Result};
use crate::testing::Rig;

/// Keys that a test may change.
#[derive(Default)]
pub(crate) struct Keys {
    known: Mutex<BTreeMap<KeyId, EncryptionKey>>,
    current: Mutex<Option<KeyId>>,
    /// Whether the provider has no key to give now.
    is_away: AtomicBool,
}

impl Keys {
    /// Key number `n`, which is current.
    pub(crate) fn with(n: u8) -> Arc<Self> {
        let it = Self::default();
        it.rotate(n);
        Arc::new(it)
    }

    /// Key number `n` is current from now on.
    pub(crate) fn rotate(&self, n: u8) {
        self.known.lock().insert(id(n), EncryptionKey::from_bytes([n; 32]));
        *self.current.lock() = Some(id(n));
    }

    /// Key number `n` is destroyed.
    pub(crate) fn destroy(&self, n: u8) {
        assert!(self.known.lock().remove(&id(n)).is_some(), "control: it was there");
    }

    pub(crate) fn go_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    fn refuse_if_away(&self) -> Result<()> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Io, "TOKEN_REMOVED", "no token in the reader"));
        }
        Ok(())
    }
}

impl KeyProvider for Keys {
    fn current(&self) -> Result<(KeyId, EncryptionKey)> {
        self.refuse_if_away()?;
        let id = self.current.lock().clone().unwrap();
        let key = self.known.lock()[&id].clone();
        Ok((id, key))
    }

    fn get(&self, id: &KeyId) -> Result<Option<EncryptionKey>> {
        self.refuse_if_away()?;
        Ok(self.known.lock().get(id).cloned())
    }
}

/// The name of key number `n`.
pub(crate) fn id(n: u8) -> KeyId {
    KeyId::new(&format!("k{n}")).unwrap()
}

/// A rig whose store is encrypted with key number 1.
pub(crate) fn rig() -> Rig {
    rig_with(&Keys::with(1))
}

/// A rig with these keys.
pub(crate) fn rig_with(keys: &Arc<Keys>) -> Rig {
    with_keys(&Rig::new(), keys)
}

/// The same disk with other keys.
pub(crate) fn with_keys(rig: &Rig, keys: &Arc<Keys>) -> Rig {
    let config = rig.config.clone().with_encryption(Arc::clone(keys) as Arc<dyn KeyProvider>);
    Rig { config, ..rig.clone() }
}

/// The same disk without keys.
fn without_keys(rig: &Rig) -> Rig {
    let mut rig = rig.clone();
    rig.config.encryption = None;
    rig
}

/// The bytes of every file, by its name.
fn files(disk: &SimVfs) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        for entry in disk.list(&dir).unwrap() {
            let name = if dir.is_empty() { entry } else { format!("{dir}/{entry}") };
            match disk.bytes(&name) {
                Some(bytes) => _ = found.insert(name, bytes),
                None => dirs.push(name),
            }
        }
    }
    found
}

/// Names of the segments' files, oldest first.
fn segments(disk: &SimVfs) -> Vec<String> {
    disk.list("log").unwrap().into_iter().map(|name| format!("log/{name}")).collect()
}

/// Whether `bytes` stand in `within`.
fn stands_in(within: &[u8], bytes: &[u8]) -> bool {
    within.windows(bytes.len()).any(|window| window == bytes)
}
