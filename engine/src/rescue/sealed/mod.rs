//! Chunks that nobody can read, change, leave out, reorder, repeat, cut or append to unnoticed.
//!
//! Each is sealed with XChaCha20-Poly1305 under the bundle's key. Its nonce is the bundle's salt, its
//! position and whether it is the last one; the header is authenticated with every chunk. So a chunk
//! opens in its own place of its own bundle only, and a bundle without its last chunk is cut.
//! The layout is in `FORMAT.md`.

use std::io::{ErrorKind as IoKind, Read, Write};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use super::BundleKey;
use super::key::{KDF_ARGON2ID, KDF_NONE};
use crate::base::{Error, ErrorKind, Result};

/// What a bundle begins with.
const MAGIC: &[u8; 8] = b"ONCEBNDL";
/// The layout that this program writes, and the only one so far.
const VERSION: u16 = 1;
/// Header before the proof of the key.
const HEAD_BYTES: usize = 60;
/// The proof: what an empty text is sealed to.
const PROOF_BYTES: usize = 16;
/// Open bytes of a chunk, but for one with a longer record.
const CHUNK_BYTES: usize = 64 * 1024;
/// Most sealed bytes of a chunk: what a payload of the largest segment takes, and its head.
const CHUNK_BYTES_MAX: u32 = 272 * 1024 * 1024;
/// Length and kind before a chunk.
const CHUNK_HEAD_BYTES: usize = 5;

const _: () = assert!(HEAD_BYTES == 8 + 2 + 1 + 1 + 16 + 16 + 16, "FORMAT.md says 60");

/// What a nonce ends in: more chunks follow, this is the last one, or the proof of the key.
const KIND_MORE: u8 = 0;
/// The last chunk.
const KIND_LAST: u8 = 1;
/// The proof of the key.
const KIND_PROOF: u8 = 2;

/// What a header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    /// Random, for this bundle.
    pub(in crate::rescue) salt: [u8; 16],
    /// The store that it is from.
    pub(in crate::rescue) store: [u8; 16],
    /// The bundle's number.
    pub(in crate::rescue) bundle: [u8; 16],
}

impl Header {
    fn encode(&self, kdf: u8) -> [u8; HEAD_BYTES] {
        let mut out = [0; HEAD_BYTES];
        let fields = MAGIC.iter().copied().chain(VERSION.to_le_bytes()).chain([kdf, 0]);
        let fields = fields.chain(self.salt).chain(self.store).chain(self.bundle);
        out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        out
    }

    /// Reads it; returns the number of the key's derivation too.
    fn decode(bytes: &[u8; HEAD_BYTES]) -> Result<(Self, u8)> {
        let mut rest = bytes.as_slice();
        let mut take = |count: usize| {
            let (taken, after) = rest.split_at_checked(count).unwrap_or_default();
            rest = after;
            taken
        };
        if take(MAGIC.len()) != MAGIC {
            return Err(damaged("this is no bundle: it begins with other bytes"));
        }
        let version = take(2).try_into().map_or(0, u16::from_le_bytes);
        if version != VERSION {
            let message = format!("the bundle has version {version}, this program reads {VERSION}");
            return Err(Error::new(ErrorKind::Unsupported, "BUNDLE_VERSION", message));
        }
        let kdf = match take(2) {
            [kdf @ (KDF_NONE | KDF_ARGON2ID), 0] => *kdf,
            [kdf, reserved] => {
                let message = format!(
                    "the bundle's key is derived in a way {kdf}.{reserved} that this program does not know"
                );
                return Err(Error::new(ErrorKind::Unsupported, "BUNDLE_VERSION", message));
            }
            _ => return Err(truncated()),
        };
        let mut id = || take(16).try_into().unwrap_or_default();
        Ok((Self { salt: id(), store: id(), bundle: id() }, kdf))
    }
}

/// Seals and opens the chunks of one bundle.
struct BundleCipher {
    cipher: XChaCha20Poly1305,
    salt: [u8; 16],
    header: Vec<u8>,
    /// Position of the next chunk.
    position: u64,
    /// Over the open bytes of the chunks so far.
    digest: Sha256,
}

impl BundleCipher {
    /// With the header's beginning authenticated so far.
    fn new(key: &BundleKey, header: &Header, head: &[u8; HEAD_BYTES]) -> Result<Self> {
        let derived = key.derive(&header.salt)?;
        Ok(Self {
            cipher: XChaCha20Poly1305::new((&*derived).into()),
            salt: header.salt,
            header: head.to_vec(),
            position: 0,
            digest: Sha256::new(),
        })
    }

    fn nonce(&self, position: u64, kind: u8) -> XNonce {
        let mut nonce = [0; 24];
        let fields = self.salt.into_iter().chain(position.to_le_bytes().into_iter().take(7));
        nonce.iter_mut().zip(fields.chain([kind])).for_each(|(to, from)| *to = from);
        nonce.into()
    }

    fn seal(&self, position: u64, kind: u8, open: &[u8]) -> Result<Vec<u8>> {
        let payload = Payload { msg: open, aad: &self.header };
        let sealed = self.cipher.encrypt(&self.nonce(position, kind), payload);
        sealed.map_err(|_opaque| Error::invalid("INTERNAL", "a chunk is too long to be sealed"))
    }

    fn open(&self, position: u64, kind: u8, sealed: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload { msg: sealed, aad: &self.header };
        self.cipher.decrypt(&self.nonce(position, kind), payload).ok()
    }

    fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }
}

/// Writes a bundle.
pub(crate) struct Sealer<'a> {
    out: &'a mut dyn Write,
    cipher: BundleCipher,
    chunk: Vec<u8>,
    bytes: u64,
}

impl<'a> Sealer<'a> {
    /// Writes the header.
    pub(crate) fn begin(out: &'a mut dyn Write, key: &BundleKey, header: &Header) -> Result<Self> {
        let head = header.encode(key.kdf());
        let mut cipher = BundleCipher::new(key, header, &head)?;
        let proof = cipher.seal(0, KIND_PROOF, &[])?;
        cipher.header.extend(proof);
        let mut sealer = Self { out, cipher, chunk: Vec::new(), bytes: 0 };
        let header = sealer.cipher.header.clone();
        sealer.write(&header)?;
        Ok(sealer)
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, record: &[u8]) -> Result<()> {
        if !self.chunk.is_empty() && self.chunk.len() + record.len() > CHUNK_BYTES {
            self.end_chunk(KIND_MORE)?;
        }
        self.chunk.extend_from_slice(record);
        Ok(())
    }

    /// Ends with a record that is made with the digest of all before it. Returns the digest and the bytes
    /// that were written.
    pub(crate) fn end(
        mut self,
        record: impl FnOnce([u8; 32]) -> Vec<u8>,
    ) -> Result<([u8; 32], u64)> {
        self.end_chunk(KIND_MORE)?;
        let digest = self.cipher.digest();
        self.chunk = record(digest);
        self.end_chunk(KIND_LAST)?;
        self.out.flush().map_err(not_written)?;
        Ok((digest, self.bytes))
    }

    fn end_chunk(&mut self, kind: u8) -> Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let sealed = self.cipher.seal(self.cipher.position, kind, &self.chunk)?;
        let length = u32::try_from(sealed.len()).ok().filter(|bytes| *bytes <= CHUNK_BYTES_MAX);
        let Some(length) = length else {
            return Err(Error::invalid("INTERNAL", "a record is too long for a bundle"));
        };
        self.cipher.position += 1;
        self.cipher.digest.update(&self.chunk);
        self.chunk.clear();
        self.write(&length.to_le_bytes())?;
        self.write(&[kind])?;
        self.write(&sealed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(not_written)?;
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }
}

/// An opened chunk.
pub(crate) struct SealedChunk {
    pub(in crate::rescue) bytes: Vec<u8>,
    /// Nothing follows it.
    pub(in crate::rescue) is_last: bool,
    /// Over the open bytes of all before it.
    pub(in crate::rescue) digest: [u8; 32],
}

/// Reads a bundle.
pub(crate) struct Opener<'a> {
    input: &'a mut dyn Read,
    cipher: BundleCipher,
    header: Header,
}

impl<'a> Opener<'a> {
    /// Reads the header, and finds out whether the key fits.
    ///
    /// # Errors
    ///
    /// `Invalid`, code `BUNDLE_KEY`. `Corrupt`, codes `BUNDLE_DAMAGED` and `BUNDLE_TRUNCATED`.
    /// `Unsupported`, code `BUNDLE_VERSION`. `Io`.
    pub(crate) fn begin(input: &'a mut dyn Read, key: &BundleKey) -> Result<Self> {
        let mut head = [0; HEAD_BYTES];
        read_exact(input, &mut head)?;
        let (header, kdf) = Header::decode(&head)?;
        let mut proof = [0; PROOF_BYTES];
        read_exact(input, &mut proof)?;
        let wrong = |what: &str| Err(Error::invalid("BUNDLE_KEY", what));
        if kdf != key.kdf() {
            return wrong(match kdf {
                KDF_ARGON2ID => "the bundle is sealed with a passphrase",
                _ => "the bundle is sealed with a key of 32 bytes",
            });
        }
        let mut cipher = BundleCipher::new(key, &header, &head)?;
        if cipher.open(0, KIND_PROOF, &proof).is_none() {
            return wrong("the key does not fit, or the bundle's first bytes are damaged");
        }
        cipher.header.extend(proof);
        Ok(Self { input, cipher, header })
    }

    /// What the header says. It is authentic.
    pub(crate) fn header(&self) -> Header {
        self.header
    }

    /// Reads the next chunk. Of the last one it is sure that the bundle ends behind it.
    ///
    /// # Errors
    ///
    /// `Corrupt`, codes `BUNDLE_DAMAGED` and `BUNDLE_TRUNCATED`. `Io`.
    pub(crate) fn next(&mut self) -> Result<SealedChunk> {
        let mut head = [0; CHUNK_HEAD_BYTES];
        read_exact(self.input, &mut head)?;
        let [a, b, c, d, kind] = head;
        let length = u32::from_le_bytes([a, b, c, d]);
        let position = self.cipher.position;
        if kind > KIND_LAST || length > CHUNK_BYTES_MAX {
            return Err(damaged_chunk(position));
        }
        let mut sealed = Vec::new();
        // As much is taken as comes, whatever the length says.
        let mut rest = (&mut *self.input).take(u64::from(length));
        rest.read_to_end(&mut sealed).map_err(not_read)?;
        if u32::try_from(sealed.len()).ok() != Some(length) {
            return Err(truncated());
        }
        let opened = self.cipher.open(position, kind, &sealed);
        let bytes = opened.ok_or_else(|| damaged_chunk(position))?;
        let digest = self.cipher.digest();
        self.cipher.digest.update(&bytes);
        self.cipher.position += 1;
        let is_last = kind == KIND_LAST;
        if is_last && !self.is_at_end()? {
            return Err(damaged("the bundle goes on behind its end"));
        }
        Ok(SealedChunk { bytes, is_last, digest })
    }

    fn is_at_end(&mut self) -> Result<bool> {
        let mut one = Vec::new();
        (&mut *self.input).take(1).read_to_end(&mut one).map_err(not_read)?;
        Ok(one.is_empty())
    }
}

/// Reads all of it.
fn read_exact(input: &mut dyn Read, bytes: &mut [u8]) -> Result<()> {
    input.read_exact(bytes).map_err(|error| match error.kind() {
        IoKind::UnexpectedEof => truncated(),
        _ => not_read(error),
    })
}

/// A bundle whose bytes are not what was written.
pub(crate) fn damaged(why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "BUNDLE_DAMAGED", why)
}

fn damaged_chunk(position: u64) -> Error {
    damaged(&format!("chunk {position} of the bundle is damaged, or not in its place"))
}

fn truncated() -> Error {
    let message = "the bundle is cut: its end is missing";
    Error::new(ErrorKind::Corrupt, "BUNDLE_TRUNCATED", message)
}

fn not_read(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "IO", format!("cannot read the bundle: {error}")).with_source(error)
}

fn not_written(error: std::io::Error) -> Error {
    let failed = Error::from(error);
    let message = format!("cannot write the bundle: {failed}");
    Error::new(failed.kind(), failed.code(), message).with_source(failed)
}

#[cfg(test)]
mod tests;
