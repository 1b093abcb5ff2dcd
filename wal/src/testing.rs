//! What tests of several crates share, with the feature `testing` only: a [`ToySealing`].

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "for tests: a failure is a panic"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::{DataKey, KeyRefusal, Sealing, WrappedKey};

/// Where the number of a key is in a wrapped one, behind the store's and the segment's.
const KEY_AT: usize = 16 + 8;

/// Number of the key and nonce with which a body was sealed.
pub type KeyAndNonce = (u64, [u8; 12]);

/// A sealing that is quick, secret to nobody, and notices every change: for what has to hold with any cipher.
///
/// Numbers its keys, notes every nonce, and may have no key to give.
#[derive(Debug, Default)]
pub struct ToySealing {
    made: AtomicU64,
    is_away: AtomicBool,
    uses: Arc<Mutex<Uses>>,
}

/// The keys and nonces that sealed a body.
#[derive(Debug, Default)]
struct Uses {
    once: BTreeSet<KeyAndNonce>,
    again: Vec<KeyAndNonce>,
}

/// Number of the key, and where its uses are noted.
#[derive(Debug)]
struct ToyKey(u64, Arc<Mutex<Uses>>);

impl ToySealing {
    /// How many keys were made.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Lets it have no key to give from now on, with the code `AWAY`; or have them again.
    pub fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    /// How many bodies were sealed, and which keys and nonces sealed more than one.
    #[must_use]
    pub fn sealings(&self) -> (usize, Vec<KeyAndNonce>) {
        let uses = self.uses.lock();
        (uses.once.len(), uses.again.clone())
    }

    /// How many nonces sealed more than one body, with whichever keys; but for that of the secret.
    #[must_use]
    pub fn nonces_used_twice(&self) -> usize {
        let uses = self.uses.lock();
        let of_frames = || uses.once.iter().map(|(_, nonce)| nonce).filter(|it| **it != [0; 12]);
        of_frames().count() - of_frames().collect::<BTreeSet<_>>().len()
    }

    fn key(&self, number: u64) -> Arc<dyn DataKey> {
        Arc::new(ToyKey(number, Arc::clone(&self.uses)))
    }
}

impl Sealing for ToySealing {
    fn new_key(
        &self,
        store: &[u8; 16],
        number: u64,
    ) -> Result<(WrappedKey, Arc<dyn DataKey>), KeyRefusal> {
        if self.is_away.load(Ordering::Relaxed) {
            let message = "no key is given now".to_owned();
            return Err(KeyRefusal { code: "AWAY", message, is_foreign: false });
        }
        let key = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let fields = [&store[..], &number.to_le_bytes(), &key.to_le_bytes()].concat();
        let mut wrapped = [0x77; 88];
        wrapped[..fields.len()].copy_from_slice(&fields);
        Ok((wrapped, self.key(key)))
    }

    fn open_key(
        &self,
        store: &[u8; 16],
        number: u64,
        wrapped: &WrappedKey,
    ) -> Result<Arc<dyn DataKey>, KeyRefusal> {
        if !wrapped.starts_with(&[&store[..], &number.to_le_bytes()].concat()) {
            let message = "the key is another one's".to_owned();
            return Err(KeyRefusal { code: "WRONG_KEY", message, is_foreign: true });
        }
        Ok(self.key(u64::from_le_bytes(*wrapped[KEY_AT..].first_chunk().unwrap())))
    }

    fn is_current(&self, _wrapped: &WrappedKey) -> Result<bool, KeyRefusal> {
        Ok(true)
    }
}

impl ToyKey {
    /// Changes every byte of the body, or changes it back.
    fn mask(&self, nonce: &[u8; 12], body: &mut [u8]) {
        let seed = crc(&[&self.0.to_le_bytes(), nonce]) | 0x8080_8080;
        let mask = seed.to_le_bytes().into_iter().cycle();
        body.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
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
        let mut uses = self.1.lock();
        if !uses.once.insert((self.0, *nonce)) {
            uses.again.push((self.0, *nonce));
        }
        drop(uses);
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
