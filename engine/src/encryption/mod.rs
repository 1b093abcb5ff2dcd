//! Encryption at rest: what the log says of the host's data is sealed with keys that the host keeps.
//!
//! A host gives a [`KeyProvider`] to [`Config::with_encryption`](crate::Config::with_encryption): its
//! [`EncryptionKey`]s by their names ([`KeyId`]).
//! [`Store::keys_in_use`](crate::Store::keys_in_use) names those that are still needed.
//!
//! Each segment of the log has a data key of its own, fresh and random, with which the body of each frame is sealed
//! (AES-256-GCM). The data key is in the segment, wrapped with the host's key that is current when
//! the segment is begun: that is how keys rotate.

// `wrap`: data keys under a key of the host. `cipher`: bodies of frames under a data key.

mod cipher;
mod wrap;

use std::fmt;
use std::sync::Arc;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::base::bounds::KEY_ID_BYTES_MAX;
use crate::base::clock;
use crate::base::{Error, Result};
use crate::config::Config;
use crate::store::Store;
pub(crate) use wrap::{Keyring, key_id_of};

/// The name of a key: 1 to 12 characters of `A-Z`, `a-z`, `0-9`, `.`, `_`, `-`. It is in the store's files.
///
/// ```
/// use onceward::encryption::KeyId;
///
/// assert_eq!(KeyId::new("2026-q3")?.as_str(), "2026-q3");
/// assert!(KeyId::new("a name that is too long").is_err());
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(String);

impl KeyId {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// `Invalid`, with the code `KEY_ID_INVALID`.
    pub fn new(name: &str) -> Result<Self> {
        let is_well = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=KEY_ID_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_well) {
            return Ok(Self(name.to_owned()));
        }
        let message = format!(
            "key id: {name:?} must be 1 to {KEY_ID_BYTES_MAX} characters of A-Z, a-z, 0-9, '.', '_', '-'"
        );
        Err(Error::invalid("KEY_ID_INVALID", message))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key of the host, 256 random bits. Never printed, and wiped from memory when it is dropped.
///
/// ```
/// use onceward::encryption::EncryptionKey;
///
/// let key = EncryptionKey::generate()?;
/// assert_eq!(format!("{key:?}"), "EncryptionKey(..)");
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct EncryptionKey([u8; 32]);

impl EncryptionKey {
    /// Takes the bytes of a key. The caller's own copy is the caller's to wipe.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// `Io`: the system has none.
    pub fn generate() -> Result<Self> {
        Ok(Self(clock::random()?))
    }

    /// The bytes, for the host to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(..)")
    }
}

/// The source of a store's keys: a key store of the platform, a TPM, a file on another medium, the hub.
///
/// A name means one key, always: data wrapped with a key is lost with it. A key may be destroyed
/// once [`Store::keys_in_use`] names it no more.
///
/// ```
/// use onceward::Result;
/// use onceward::encryption::{EncryptionKey, KeyId, KeyProvider};
///
/// /// Two keys: new data under the second, old data under either.
/// struct Keys([(KeyId, EncryptionKey); 2]);
///
/// impl KeyProvider for Keys {
///     fn current(&self) -> Result<(KeyId, EncryptionKey)> {
///         let [_, newer] = &self.0;
///         Ok(newer.clone())
///     }
///
///     fn get(&self, id: &KeyId) -> Result<Option<EncryptionKey>> {
///         Ok(self.0.iter().find(|(known, _)| known == id).map(|(_, key)| key.clone()))
///     }
/// }
/// ```
pub trait KeyProvider: Send + Sync {
    /// The key for new data. Asked at each new segment of the log, while a capture waits, and when a store is
    /// opened: it should answer at once.
    ///
    /// # Errors
    ///
    /// No key can be had now. What needed it is refused with this error's code, nothing is lost, and the
    /// next attempt asks again.
    fn current(&self) -> Result<(KeyId, EncryptionKey)>;

    /// The key of this name; `None`: there is none, and never will be. Asked once for each key that is
    /// in the files when a store is opened or looked at.
    ///
    /// # Errors
    ///
    /// It cannot be had now.
    fn get(&self, id: &KeyId) -> Result<Option<EncryptionKey>>;
}

/// One key that never changes.
///
/// ```
/// use std::sync::Arc;
/// use onceward::{Config, Store};
/// use onceward::encryption::{EncryptionKey, FixedKey, KeyId};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// let key = FixedKey::new(KeyId::new("k1")?, EncryptionKey::from_bytes([7; 32]));
/// let store = Store::open(&dir, Config::new().with_encryption(Arc::new(key)))?;
/// store.close()?;
/// // Without the key nothing of it can be read.
/// assert_eq!(Store::open(&dir, Config::new()).unwrap_err().code(), "KEY_NEEDED");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FixedKey {
    id: KeyId,
    key: EncryptionKey,
}

impl FixedKey {
    /// The key and its name.
    #[must_use]
    pub fn new(id: KeyId, key: EncryptionKey) -> Self {
        Self { id, key }
    }
}

impl KeyProvider for FixedKey {
    fn current(&self) -> Result<(KeyId, EncryptionKey)> {
        Ok((self.id.clone(), self.key.clone()))
    }

    fn get(&self, id: &KeyId) -> Result<Option<EncryptionKey>> {
        Ok((*id == self.id).then(|| self.key.clone()))
    }
}

/// A provider as a part of a configuration.
#[derive(Clone)]
pub(crate) struct Provider(pub(crate) Arc<dyn KeyProvider>);

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider(..)")
    }
}

impl Config {
    /// Seals everything that the store writes of the host's data, with keys from `provider`. None by default.
    ///
    /// Chosen when a store is made, for good: opening a plain store with a provider is refused with the
    /// code `NOT_ENCRYPTED`, an encrypted one without with `KEY_NEEDED`, with a wrong key `WRONG_KEY`, with an
    /// unknown one `KEY_UNKNOWN`; nothing is written then.
    ///
    /// Clear stay numbers, sizes, times and kinds of frames, and the names of keys. The host's keys and data keys
    /// are wiped from memory; of payloads and of the store's secret that is not promised, since they pass
    /// through buffers that are used again. Whoever may write the files can put an older state of the
    /// whole store back: that is not noticed here.
    ///
    /// The catalog is kept in memory. [`write_decision`](crate::review::write_decision) is refused, since its files
    /// would not be sealed.
    ///
    /// # Cost
    ///
    /// 16 bytes a frame. Each opening begins a new segment.
    pub fn with_encryption(mut self, provider: Arc<dyn KeyProvider>) -> Self {
        self.encryption = Some(Provider(provider));
        self
    }
}

impl Store {
    /// The keys that are still in a file of the log, by name: those that must not be destroyed. Empty for a
    /// plain store.
    ///
    /// After a rotation an old key goes from the list when the segments that were written under it are
    /// trimmed, and `meta` was written twice. Files in `quarantine/` are not counted: they may need older ones.
    ///
    /// # Errors
    ///
    /// `Invalid`: the store was closed. `Corrupt`: a wrapped key is not one.
    pub fn keys_in_use(&self) -> Result<Vec<KeyId>> {
        self.inner.refuse_if_closed()?;
        let mut ids = Vec::new();
        for wrapped in self.inner.log.wrapped_keys() {
            ids.push(key_id_of(&wrapped).ok_or_else(|| {
                Error::corrupt("the wrapped key of a segment has no valid key name")
            })?);
        }
        ids.sort();
        ids.dedup();
        Ok(ids)
    }
}

#[cfg(test)]
mod tests;
