//! What a bundle is sealed with.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::base::{Error, ErrorKind, Result};

/// Memory of the derivation, KiB; with [`PASSES`] and [`LANES`] the second choice of RFC 9106, on one
/// lane: the weakest terminal has one core to spare.
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes over it.
const PASSES: u32 = 3;
/// Lanes.
const LANES: u32 = 1;
/// Shortest passphrase, bytes.
const PASSPHRASE_BYTES_MIN: usize = 8;

/// How a bundle's key comes from what a person or program gave: the number that its header says.
pub(crate) const KDF_NONE: u8 = 0;
/// Argon2id, version 1.3, 64 MiB, 3 passes, 1 lane, with the bundle's salt.
pub(crate) const KDF_ARGON2ID: u8 = 1;

/// What a bundle is sealed with: 32 random bytes, or a passphrase. Needed again to import it; without
/// it a bundle is of no use to anybody.
///
/// Wiped from memory when dropped; `Debug` shows nothing of it.
///
/// ```
/// use onceward::rescue::BundleKey;
///
/// let key = BundleKey::from_passphrase("correct horse battery staple")?;
/// assert_eq!(format!("{key:?}"), "BundleKey(passphrase)");
/// assert_eq!(BundleKey::from_passphrase("1234").unwrap_err().code(), "PASSPHRASE_TOO_SHORT");
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone)]
pub struct BundleKey(Secret);

/// What was given.
#[derive(Clone)]
enum Secret {
    Bytes(Zeroizing<[u8; 32]>),
    Passphrase(Zeroizing<Vec<u8>>),
}

impl BundleKey {
    /// Takes a key of 32 bytes, which must be random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::Bytes(Zeroizing::new(bytes)))
    }

    /// Takes a passphrase of at least 8 bytes, as it is: no character is changed or removed.
    ///
    /// The key is derived from it with Argon2id (64 MiB of memory, 3 passes, 1 lane) and a random
    /// salt for each bundle. Long beats complicated: whoever finds the bundle can try passphrases for
    /// years.
    ///
    /// # Errors
    ///
    /// `Invalid`, code `PASSPHRASE_TOO_SHORT`.
    pub fn from_passphrase(passphrase: &str) -> Result<Self> {
        let bytes = passphrase.len();
        if bytes < PASSPHRASE_BYTES_MIN {
            return Err(Error::invalid(
                "PASSPHRASE_TOO_SHORT",
                format!("passphrase: has {bytes} bytes, at least {PASSPHRASE_BYTES_MIN}"),
            ));
        }
        Ok(Self(Secret::Passphrase(Zeroizing::new(passphrase.as_bytes().to_vec()))))
    }

    /// The number of its derivation.
    pub(crate) fn kdf(&self) -> u8 {
        match &self.0 {
            Secret::Bytes(_) => KDF_NONE,
            Secret::Passphrase(_) => KDF_ARGON2ID,
        }
    }

    /// The key of a bundle with this salt.
    ///
    /// # Errors
    ///
    /// `Full`, code `NO_MEMORY`: there is no memory for the derivation.
    pub(crate) fn derive(&self, salt: &[u8; 16]) -> Result<Zeroizing<[u8; 32]>> {
        let passphrase = match &self.0 {
            Secret::Bytes(bytes) => return Ok(bytes.clone()),
            Secret::Passphrase(passphrase) => passphrase,
        };
        let failed = |error: argon2::Error| {
            Error::new(ErrorKind::Full, "NO_MEMORY", format!("cannot derive the key: {error}"))
        };
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(32)).map_err(failed)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, salt, &mut *key)
            .map_err(failed)?;
        Ok(key)
    }
}

impl fmt::Debug for BundleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Secret::Bytes(_) => "BundleKey(bytes)",
            Secret::Passphrase(_) => "BundleKey(passphrase)",
        })
    }
}
