//! A cipher behind the seam that hides little and notices every change.
//! Method: none of its own.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use onceward_wal::{DataKey, KeyRefusal, Sealing, WrappedKey};

/// Numbers its keys, and may have none to give.
#[derive(Debug, Default)]
pub(crate) struct Toy {
    /// How many keys it made.
    pub(crate) made: AtomicU64,
    /// It has none to give now.
    pub(crate) is_away: AtomicBool,
}

#[derive(Debug)]
struct ToyKey(u64);

impl Sealing for Toy {
    fn new_key(
        &self,
        store: &[u8; 16],
        number: u64,
    ) -> Result<(WrappedKey, Arc<dyn DataKey>), KeyRefusal> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(refusal("AWAY", false));
        }
        let key = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let mut wrapped = [0x77; 88];
        wrapped[..16].copy_from_slice(store);
        wrapped[16..24].copy_from_slice(&number.to_le_bytes());
        wrapped[24..32].copy_from_slice(&key.to_le_bytes());
        Ok((wrapped, Arc::new(ToyKey(key))))
    }

    fn open_key(
        &self,
        store: &[u8; 16],
        number: u64,
        wrapped: &WrappedKey,
    ) -> Result<Arc<dyn DataKey>, KeyRefusal> {
        if wrapped[..16] != *store || wrapped[16..24] != number.to_le_bytes() {
            return Err(refusal("FOREIGN", true));
        }
        Ok(Arc::new(ToyKey(u64::from_le_bytes(*wrapped[24..].first_chunk().unwrap()))))
    }

    fn is_current(&self, _wrapped: &WrappedKey) -> Result<bool, KeyRefusal> {
        Ok(true)
    }
}

fn refusal(code: &'static str, is_foreign: bool) -> KeyRefusal {
    KeyRefusal { code, message: "no key".to_owned(), is_foreign }
}

impl DataKey for ToyKey {
    fn seal(&self, nonce: &[u8; 12], associated: &[u8], body: &mut [u8]) -> [u8; 16] {
        body.iter_mut().for_each(|byte| *byte ^= 0xa5);
        let mut hasher = DefaultHasher::new();
        (self.0, nonce, associated, &*body).hash(&mut hasher);
        let mut tag = [0xdd; 16];
        tag[..8].copy_from_slice(&hasher.finish().to_le_bytes());
        tag
    }

    fn open(&self, nonce: &[u8; 12], associated: &[u8], body: &mut [u8], tag: &[u8; 16]) -> bool {
        let mut again = body.to_vec();
        again.iter_mut().for_each(|byte| *byte ^= 0xa5);
        let clear = again.clone();
        let is_right = self.seal(nonce, associated, &mut again) == *tag;
        if is_right {
            body.copy_from_slice(&clear);
        }
        is_right
    }
}
