//! Seals bodies with AES-256-GCM. Constant time and hardware are the cipher crate's, which chooses at run time.

use std::fmt;

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use onceward_wal::DataKey;

use super::EncryptionKey;

/// A key that is ready for use; wiped when it is dropped.
pub(super) struct Cipher(Aes256Gcm);

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}

impl Cipher {
    /// Makes a key ready.
    pub(super) fn new(key: &EncryptionKey) -> Self {
        Self(Aes256Gcm::new(&(*key.as_bytes()).into()))
    }
}

impl DataKey for Cipher {
    fn seal(&self, nonce: &[u8; 12], associated: &[u8], body: &mut [u8]) -> [u8; 16] {
        let nonce = (*nonce).into();
        match self.0.encrypt_inout_detached(&nonce, associated, InOutBuf::from(&mut *body)) {
            Ok(tag) => tag.into(),
            Err(_too_long) => {
                // Only above 64 GiB, and a segment has 1 GiB at most. Never the plain bytes, whatever happens.
                debug_assert!(false, "a body of {} bytes", body.len());
                body.fill(0);
                [0; 16]
            }
        }
    }

    fn open(&self, nonce: &[u8; 12], associated: &[u8], body: &mut [u8], tag: &[u8; 16]) -> bool {
        let (nonce, tag) = ((*nonce).into(), (*tag).into());
        self.0.decrypt_inout_detached(&nonce, associated, InOutBuf::from(body), &tag).is_ok()
    }
}
