//! Data keys, wrapped with a key of the host. The bytes are described in `FORMAT.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use onceward_wal::{DataKey, KeyRefusal, Sealing, WrappedKey};
use parking_lot::Mutex;

use super::cipher::Cipher;
use super::{EncryptionKey, KeyId, KeyProvider};
use crate::base::Error;
use crate::base::bounds::KEY_ID_BYTES_MAX;
use crate::base::clock;

/// What says that a data key is wrapped with AES-256-GCM, for bodies under AES-256-GCM.
const AES_256_GCM: u8 = 1;
/// Algorithm, size of the name, name.
const HEAD_BYTES: usize = 2 + KEY_ID_BYTES_MAX;

/// The fields of a wrapped key.
struct Wrapped {
    head: [u8; HEAD_BYTES],
    nonce: [u8; 12],
    key: [u8; 32],
    tag: [u8; 16],
}

impl Wrapped {
    /// The bytes: fields, then zeros.
    fn encode(&self) -> WrappedKey {
        let mut out = [0; 88];
        let fields = self.head.iter().chain(&self.nonce).chain(&self.key).chain(&self.tag);
        out.iter_mut().zip(fields).for_each(|(to, from)| *to = *from);
        out
    }

    /// Reads the fields.
    fn decode(wrapped: &WrappedKey) -> Option<Self> {
        let (head, rest) = wrapped.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (tag, rest) = rest.split_first_chunk()?;
        let is_well = rest.iter().all(|byte| *byte == 0);
        is_well.then_some(Self { head: *head, nonce: *nonce, key: *key, tag: *tag })
    }

    /// The name of the key that it is wrapped with; `None`: it is not a wrapped key.
    fn id(&self) -> Option<KeyId> {
        let [algorithm, count, name @ ..] = &self.head;
        let (name, rest) = name.split_at_checked(usize::from(*count))?;
        let is_well = *algorithm == AES_256_GCM && rest.iter().all(|byte| *byte == 0);
        KeyId::new(std::str::from_utf8(name).ok().filter(|_| is_well)?).ok()
    }
}

/// Algorithm and name.
fn head(id: &KeyId) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let count = u8::try_from(id.as_str().len()).unwrap_or(0);
    let fields = [AES_256_GCM, count].into_iter().chain(id.as_str().bytes());
    head.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    head
}

/// What a wrapped key is bound to: store, segment, algorithm and name.
fn bound_to(store: &[u8; 16], number: u64, head: &[u8; HEAD_BYTES]) -> Vec<u8> {
    [store.as_slice(), &number.to_le_bytes(), head].concat()
}

/// The name of the key with which a data key is wrapped.
pub(crate) fn key_id_of(wrapped: &WrappedKey) -> Option<KeyId> {
    Wrapped::decode(wrapped)?.id()
}

/// Wraps a data key for a segment of a store. The nonce is random: few enough keys are wrapped with one of the host.
pub(super) fn wrap(
    (id, wrapping): (&KeyId, &Cipher),
    (store, number): (&[u8; 16], u64),
    nonce: [u8; 12],
    data: &EncryptionKey,
) -> WrappedKey {
    let head = head(id);
    let mut key = *data.as_bytes();
    let tag = wrapping.seal(&nonce, &bound_to(store, number, &head), &mut key);
    Wrapped { head, nonce, key, tag }.encode()
}

/// The host's keys as far as they were needed, from one opening to its end.
pub(crate) struct Keyring {
    provider: Arc<dyn KeyProvider>,
    known: Mutex<BTreeMap<KeyId, KnownGood>>,
}

/// A key of the host that unwrapped or wrapped something: it is the right one.
struct KnownGood {
    key: EncryptionKey,
    cipher: Arc<Cipher>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("known", &self.known.lock().keys()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Keys from this provider.
    pub(crate) fn new(provider: Arc<dyn KeyProvider>) -> Self {
        Self { provider, known: Mutex::default() }
    }

    /// The key for new data.
    fn current(&self) -> Result<(KeyId, Arc<Cipher>), KeyRefusal> {
        let (id, key) =
            self.provider.current().map_err(|error| unavailable("current key", &error))?;
        let mut known = self.known.lock();
        if let Some(before) = known.get(&id) {
            if before.key.as_bytes() == key.as_bytes() {
                return Ok((id, Arc::clone(&before.cipher)));
            }
            // What was written under the one before could not be read any more.
            let message =
                format!("the key {id} has other bytes than before: a new key needs a new name");
            return Err(refusal("WRONG_KEY", message));
        }
        let cipher = Arc::new(Cipher::new(&key));
        known.insert(id.clone(), KnownGood { key, cipher: Arc::clone(&cipher) });
        Ok((id, cipher))
    }
}

impl Sealing for Keyring {
    fn new_key(
        &self,
        store: &[u8; 16],
        number: u64,
    ) -> Result<(WrappedKey, Arc<dyn DataKey>), KeyRefusal> {
        let (id, wrapping) = self.current()?;
        let random = |error| unavailable("a random number", &error);
        let data = EncryptionKey::generate().map_err(random)?;
        let nonce = clock::random().map_err(random)?;
        let wrapped = wrap((&id, &wrapping), (store, number), nonce, &data);
        Ok((wrapped, Arc::new(Cipher::new(&data))))
    }

    fn open_key(
        &self,
        store: &[u8; 16],
        number: u64,
        wrapped: &WrappedKey,
    ) -> Result<Arc<dyn DataKey>, KeyRefusal> {
        let told = Wrapped::decode(wrapped).and_then(|wrapped| Some((wrapped.id()?, wrapped)));
        let Some((id, wrapped)) = told else {
            let is_foreign = !self.known.lock().is_empty();
            let message = "the wrapped key has no valid form".to_owned();
            return Err(KeyRefusal { is_foreign, ..refusal("WRONG_KEY", message) });
        };
        let known = self.known.lock().get(&id).map(|known| Arc::clone(&known.cipher));
        let is_known = known.is_some();
        let (given, cipher) = match known {
            Some(cipher) => (None, cipher),
            None => {
                let given =
                    self.provider.get(&id).map_err(|error| unavailable(id.as_str(), &error))?;
                let unknown = || {
                    refusal("KEY_UNKNOWN", format!("the key provider does not know the key {id}"))
                };
                let given = given.ok_or_else(unknown)?;
                let cipher = Arc::new(Cipher::new(&given));
                (Some(given), cipher)
            }
        };
        let mut data = EncryptionKey::from_bytes(wrapped.key);
        let bound_to = bound_to(store, number, &wrapped.head);
        if !cipher.open(&wrapped.nonce, &bound_to, &mut data.0, &wrapped.tag) {
            let message = if is_known {
                format!(
                    "the data key was not wrapped with the key {id} for this segment of this store"
                )
            } else {
                format!("the key {id} has other bytes than the one that the store was written with")
            };
            return Err(KeyRefusal { is_foreign: is_known, ..refusal("WRONG_KEY", message) });
        }
        if let Some(key) = given {
            self.known.lock().insert(id, KnownGood { key, cipher });
        }
        Ok(Arc::new(Cipher::new(&data)))
    }

    fn is_current(&self, wrapped: &WrappedKey) -> Result<bool, KeyRefusal> {
        let (id, _) = self.current()?;
        Ok(key_id_of(wrapped) == Some(id))
    }
}

/// A refusal that a right key would end.
fn refusal(code: &'static str, message: String) -> KeyRefusal {
    KeyRefusal { code, message, is_foreign: false }
}

/// The provider, or the system, has nothing to give now.
fn unavailable(what: &str, error: &Error) -> KeyRefusal {
    refusal(error.code(), format!("{what} cannot be had now: {error}"))
}
