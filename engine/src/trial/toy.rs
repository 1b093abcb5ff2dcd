//! A sealing that is quick without optimisation, secret to nobody, and notes every nonce: for what has to hold with
//! any cipher.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onceward_wal::{DataKey, KeyRefusal, Sealing, WrappedKey};
use parking_lot::Mutex;

use super::Rig;

/// What a wrapped key begins with.
const MARK: &[u8] = b"toy";
/// Key and nonce with which a body was sealed.
pub(crate) type Pair = (u64, [u8; 12]);

/// Counts its keys.
#[derive(Debug, Default)]
pub(crate) struct Toy {
    made: AtomicU64,
    sealed: Arc<Mutex<Sealed>>,
}

/// What was sealed.
#[derive(Debug, Default)]
struct Sealed {
    pairs: BTreeSet<Pair>,
    twice: Vec<Pair>,
}

/// Number of the key, and where sealings are noted.
#[derive(Debug)]
struct ToyKey(u64, Arc<Mutex<Sealed>>);

impl Rig {
    /// The same with its bodies sealed.
    pub(crate) fn sealed(mut self, toy: &Arc<Toy>) -> Self {
        self.config.toy = Some(Arc::clone(toy) as Arc<dyn Sealing>);
        self
    }
}

impl Toy {
    /// How many bodies were sealed, and with which pairs more than one.
    pub(crate) fn sealings(&self) -> (usize, Vec<Pair>) {
        let sealed = self.sealed.lock();
        (sealed.pairs.len(), sealed.twice.clone())
    }

    /// How many nonces sealed more than one body, with whichever keys; but for that of the secret.
    pub(crate) fn nonces_used_twice(&self) -> usize {
        let sealed = self.sealed.lock();
        let of_frames = || sealed.pairs.iter().map(|(_, nonce)| nonce).filter(|it| **it != [0; 12]);
        of_frames().count() - of_frames().collect::<BTreeSet<_>>().len()
    }

    /// How many keys were made.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }
}

impl Sealing for Toy {
    fn new_key(
        &self,
        store: &[u8; 16],
        number: u64,
    ) -> Result<(WrappedKey, Arc<dyn DataKey>), KeyRefusal> {
        let key = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let fields = [MARK, store, &number.to_le_bytes(), &key.to_le_bytes()].concat();
        let mut wrapped = [0; 88];
        wrapped[..fields.len()].copy_from_slice(&fields);
        Ok((wrapped, Arc::new(ToyKey(key, Arc::clone(&self.sealed)))))
    }

    fn open_key(
        &self,
        store: &[u8; 16],
        number: u64,
        wrapped: &WrappedKey,
    ) -> Result<Arc<dyn DataKey>, KeyRefusal> {
        if !wrapped.starts_with(&[MARK, store, &number.to_le_bytes()].concat()) {
            let message = "the key is another one's".to_owned();
            return Err(KeyRefusal { code: "WRONG_KEY", message, is_foreign: true });
        }
        let key = u64::from_le_bytes(*wrapped[MARK.len() + 24..].first_chunk().unwrap());
        Ok(Arc::new(ToyKey(key, Arc::clone(&self.sealed))))
    }

    fn is_current(&self, _wrapped: &WrappedKey) -> Result<bool, KeyRefusal> {
        Ok(true)
    }
}

impl ToyKey {
    /// Changes the first bytes, which tell what the body is, and changes them back.
    fn mask(&self, nonce: &[u8; 12], body: &mut [u8]) {
        let seed = crc(&[&self.0.to_le_bytes(), nonce]) | 0x8080_8080;
        let mask = seed.to_le_bytes().into_iter().cycle();
        body.iter_mut().take(64).zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }

    fn tag(&self, nonce: &[u8; 12], associated: &[u8], body: &[u8]) -> [u8; 16] {
        let one = crc(&[&self.0.to_le_bytes(), nonce, associated, body]);
        let other = crc(&[body, associated, nonce, &self.0.to_le_bytes()]);
        let mut tag = [0xee; 16];
        tag[..4].copy_from_slice(&one.to_le_bytes());
        tag[4..8].copy_from_slice(&other.to_le_bytes());
        tag
    }
}

impl DataKey for ToyKey {
    fn seal(&self, nonce: &[u8; 12], associated: &[u8], body: &mut [u8]) -> [u8; 16] {
        let mut sealed = self.1.lock();
        if !sealed.pairs.insert((self.0, *nonce)) {
            sealed.twice.push((self.0, *nonce));
        }
        drop(sealed);
        self.mask(nonce, body);
        self.tag(nonce, associated, body)
    }

    fn open(&self, nonce: &[u8; 12], associated: &[u8], body: &mut [u8], tag: &[u8; 16]) -> bool {
        if self.tag(nonce, associated, body) != *tag {
            return false;
        }
        self.mask(nonce, body);
        true
    }
}

/// The checksum of all parts.
fn crc(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}
