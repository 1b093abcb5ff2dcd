//! The seam at which a host seals the bodies of its frames. No cipher here and no I/O.
//!
//! Each segment has a data key of its own, made when the segment is begun; the host wraps it, and the wrapped
//! key is in the segment's header and again in the run frame behind it, so that one bad block does
//! not cost the segment. `meta` has one too, for the store's secret.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::frame::{Frame, FrameHeader, KIND_HOST_MIN};
use crate::identity::Identity;
use crate::limits::{DATA_KEY_BYTES, SEALED_SECRET_BYTES, SECRET_BYTES, TAG_BYTES};

/// A data key as it is in a file: whatever the host made of it. Never all zeros.
pub type WrappedKey = [u8; DATA_KEY_BYTES];

/// The number under which the key of `meta` is wrapped; segments count from 1.
pub(crate) const META_NUMBER: u64 = 0;
/// The nonce of the secret: no frame has the run 0.
const SECRET_NONCE: [u8; 12] = [0; 12];

/// Makes and opens data keys.
///
/// Called while frames are appended, when a segment is full: it should answer at once.
pub trait Sealing: fmt::Debug + Send + Sync {
    /// A fresh random key for the segment `number` of `store`, and the same wrapped. 0: the key of `meta`.
    ///
    /// # Errors
    ///
    /// No key can be made now.
    fn new_key(
        &self,
        store: &[u8; 16],
        number: u64,
    ) -> Result<(WrappedKey, Arc<dyn DataKey>), KeyRefusal>;

    /// The key that was wrapped for this segment of this store.
    ///
    /// # Errors
    ///
    /// What it is wrapped with is not there, or the wrapped key was not made for that.
    fn open_key(
        &self,
        store: &[u8; 16],
        number: u64,
        wrapped: &WrappedKey,
    ) -> Result<Arc<dyn DataKey>, KeyRefusal>;

    /// Whether a new key would be wrapped with the same as this one.
    ///
    /// # Errors
    ///
    /// It cannot be known now.
    fn is_current(&self, wrapped: &WrappedKey) -> Result<bool, KeyRefusal>;
}

/// Seals bodies and opens them again. No nonce is given twice to one key for sealing.
pub trait DataKey: fmt::Debug + Send + Sync {
    /// Seals `body` in place and returns the tag, which vouches for `associated` too.
    fn seal(&self, nonce: &[u8; 12], associated: &[u8], body: &mut [u8]) -> [u8; TAG_BYTES];

    /// Opens `body` in place; `false`, and `body` as it was, if the tag is not that of body, nonce and
    /// `associated`.
    fn open(
        &self,
        nonce: &[u8; 12],
        associated: &[u8],
        body: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> bool;
}

/// Why there is no key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRefusal {
    /// A short stable name in capitals.
    pub code: &'static str,
    /// The reason in words.
    pub message: String,
    /// The key that wraps it is known to be right: the wrapped key is of another segment or store,
    /// or forged. Then it counts as damage of that one segment.
    pub is_foreign: bool,
}

impl KeyRefusal {
    /// The error of whoever needed the key in `file`.
    pub(crate) fn of(self, file: &str) -> Error {
        let message = format!("{}: {}", file, self.message);
        Error::new(ErrorKind::Key, message).with_code(self.code)
    }
}

/// A sealed log was opened without a key.
pub(crate) fn key_needed() -> Error {
    let message = "the store is encrypted, and no key was given";
    Error::new(ErrorKind::Key, message).with_code("KEY_NEEDED")
}

/// The wrapped key and the sealed secret, as they are in a segment's file or in `meta`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct KeyEnvelope {
    pub(crate) key: WrappedKey,
    /// The store's secret, sealed with the key.
    pub(crate) secret: [u8; SEALED_SECRET_BYTES],
}

impl fmt::Debug for KeyEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyEnvelope").field("is_known", &self.is_known()).finish_non_exhaustive()
    }
}

impl KeyEnvelope {
    /// The envelope of a key that should be there and is nowhere.
    pub(crate) const LOST: Self =
        Self { key: [0; DATA_KEY_BYTES], secret: [0; SEALED_SECRET_BYTES] };

    /// Whether it holds a key.
    pub(crate) fn is_known(&self) -> bool {
        *self != Self::LOST
    }

    /// From the bytes behind a run frame's fields.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk()?;
        let (secret, rest) = rest.split_first_chunk()?;
        let it = Self { key: *key, secret: *secret };
        (rest.is_empty() && it.is_known()).then_some(it)
    }
}

/// The key of one segment, or of `meta`.
#[derive(Debug)]
pub(crate) struct SegmentKey {
    key: Arc<dyn DataKey>,
    store: [u8; 16],
    number: u64,
    envelope: KeyEnvelope,
}

impl SegmentKey {
    /// Makes a fresh key.
    pub(crate) fn new(
        sealing: &dyn Sealing,
        identity: &Identity,
        number: u64,
    ) -> Result<Self, KeyRefusal> {
        let (wrapped, key) = sealing.new_key(&identity.store, number)?;
        let envelope = KeyEnvelope { key: wrapped, ..KeyEnvelope::LOST };
        let mut it = Self { key, store: identity.store, number, envelope };
        let (body, tag) = it.envelope.secret.split_at_mut(SEALED_SECRET_BYTES - TAG_BYTES);
        body.iter_mut().zip(identity.secret).for_each(|(to, from)| *to = from);
        let sealed = it.key.seal(&SECRET_NONCE, &place(&it.store, number), body);
        tag.copy_from_slice(&sealed);
        Ok(it)
    }

    /// Opens the key that was wrapped.
    pub(crate) fn open(
        sealing: &dyn Sealing,
        store: &[u8; 16],
        number: u64,
        envelope: KeyEnvelope,
    ) -> Result<Self, KeyRefusal> {
        let key = sealing.open_key(store, number, &envelope.key)?;
        Ok(Self { key, store: *store, number, envelope })
    }

    /// The key's envelope, as its file has it.
    pub(crate) fn envelope(&self) -> KeyEnvelope {
        self.envelope
    }

    /// The store's secret; `None`: what is there was not sealed with this key.
    pub(crate) fn secret(&self) -> Option<[u8; SECRET_BYTES]> {
        let mut sealed = self.envelope.secret;
        let (body, tag) = sealed.split_last_chunk_mut::<TAG_BYTES>()?;
        let associated = place(&self.store, self.number);
        self.key.open(&SECRET_NONCE, &associated, body, tag).then_some(())?;
        let mut secret = [0; SECRET_BYTES];
        secret.iter_mut().zip(body.iter()).for_each(|(to, from)| *to = *from);
        Some(secret)
    }

    /// Seals the body of a frame in place.
    pub(crate) fn seal(&self, header: &FrameHeader, lsn: u64, body: &mut [u8]) -> [u8; TAG_BYTES] {
        self.key.seal(&nonce(header.run, lsn), &self.associated(header), body)
    }

    /// Opens a frame's body, which ends with its tag, in place. Returns how much of it is the host's; `None`:
    /// it was not sealed with this key, under this header.
    pub(crate) fn open_in_place(
        &self,
        header: &FrameHeader,
        lsn: u64,
        stored: &mut [u8],
    ) -> Option<usize> {
        let (body, tag) = stored.split_last_chunk_mut::<TAG_BYTES>()?;
        let associated = self.associated(header);
        self.key.open(&nonce(header.run, lsn), &associated, body, tag).then_some(body.len())
    }

    /// Store, segment, and the header's fields behind its checksums.
    fn associated(&self, header: &FrameHeader) -> [u8; 46] {
        let mut out = [0; 46];
        let vouched = if onceward_vfs::planted!("header-not-vouched-for") { 0 } else { usize::MAX };
        let fields = header.fields().into_iter().take(vouched);
        let fields = place(&self.store, self.number).into_iter().chain(fields);
        out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        out
    }
}

/// Store and segment.
fn place(store: &[u8; 16], number: u64) -> [u8; 24] {
    let mut out = [0; 24];
    let fields = store.iter().copied().chain(number.to_le_bytes());
    out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    out
}

/// Run and LSN: no two frames of a log have both in common.
fn nonce(run: u32, lsn: u64) -> [u8; 12] {
    let mut out = [0; 12];
    let fields = run.to_le_bytes().into_iter().chain(lsn.to_le_bytes());
    out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    out
}

/// How the bodies of a segment's host frames are stored.
#[derive(Clone, Debug)]
pub(crate) enum SegmentBodies {
    /// As the host gave them.
    Clear,
    /// Sealed.
    Sealed(Arc<SegmentKey>),
    /// Sealed, and no key was given: none is shown.
    Hidden,
    /// Sealed, and the segment's key is lost or not of this segment: none can be shown.
    Unreadable(Arc<str>),
}

impl SegmentBodies {
    /// The segment's key, where the bodies are sealed and it was opened.
    pub(crate) fn key(&self) -> Option<&Arc<SegmentKey>> {
        match self {
            Self::Sealed(key) => Some(key),
            Self::Clear | Self::Hidden | Self::Unreadable(_) => None,
        }
    }

    /// Opens a frame's body in place; returns how much of it is the host's, or why it cannot be shown.
    pub(crate) fn open_in_place(
        &self,
        header: &FrameHeader,
        lsn: u64,
        stored: &mut [u8],
    ) -> Result<usize, BodyRefusal> {
        match self {
            _ if header.kind < KIND_HOST_MIN => Ok(stored.len()),
            Self::Clear => Ok(stored.len()),
            Self::Sealed(key) => key.open_in_place(header, lsn, stored).ok_or(BodyRefusal::Forged),
            Self::Hidden => Err(BodyRefusal::Hidden),
            Self::Unreadable(why) => Err(BodyRefusal::KeyLost(Arc::clone(why))),
        }
    }
}

/// Why a whole frame is not shown.
#[derive(Clone, Debug)]
pub(crate) enum BodyRefusal {
    /// The body was not sealed with the segment's key.
    Forged,
    /// No key was given.
    Hidden,
    /// The segment's key is of no use.
    KeyLost(Arc<str>),
}

impl BodyRefusal {
    /// The error of who wanted the frame `lsn`.
    pub(crate) fn error(&self, lsn: u64) -> Error {
        match self {
            Self::Hidden => key_needed(),
            Self::Forged => Error::corrupt(forged(lsn)).with_code("FORGED"),
            Self::KeyLost(why) => {
                let message = format!("LSN {lsn} cannot be deciphered: {why}");
                Error::corrupt(message).with_code("SEGMENT_KEY_LOST")
            }
        }
    }
}

/// The message for a frame that was not sealed with its segment's key.
pub(crate) fn forged(lsn: u64) -> String {
    format!("LSN {lsn} is forged: it was not sealed with its segment's key")
}

/// A whole frame that was not shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ForgedFrame {
    pub(crate) lsn: u64,
    pub(crate) run: u32,
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
}

/// Shows frames with their bodies as the host gave them, and notes those that cannot be.
#[derive(Debug)]
pub(crate) struct BodyOpener<'b> {
    bodies: &'b SegmentBodies,
    /// The body that is shown.
    scratch: Vec<u8>,
    pub(crate) forged: Vec<ForgedFrame>,
    /// First and last of those that are hidden because the segment's key is of no use.
    pub(crate) without_key: Option<(ForgedFrame, ForgedFrame)>,
}

impl<'b> BodyOpener<'b> {
    /// For the frames of one segment.
    pub(crate) fn new(bodies: &'b SegmentBodies) -> Self {
        Self { bodies, scratch: Vec::new(), forged: Vec::new(), without_key: None }
    }

    /// Shows a frame, or notes why not.
    pub(crate) fn show(&mut self, frame: &Frame<'_>, visit: &mut dyn FnMut(&Frame<'_>)) {
        if frame.kind < KIND_HOST_MIN || matches!(self.bodies, SegmentBodies::Clear) {
            visit(frame);
            return;
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(frame.body);
        let lsn = frame.lsn.get();
        match self.bodies.open_in_place(&frame.stored, lsn, &mut self.scratch) {
            Ok(bytes) => {
                visit(&frame.with_body(self.scratch.get(..bytes).unwrap_or_default()));
            }
            Err(refusal) => {
                let offset = usize::try_from(frame.place.offset).unwrap_or(usize::MAX);
                let it = ForgedFrame { lsn, run: frame.run, offset, bytes: frame.bytes() };
                match refusal {
                    BodyRefusal::Hidden => {}
                    BodyRefusal::Forged => self.forged.push(it),
                    BodyRefusal::KeyLost(_) => {
                        let first = self.without_key.map_or(it, |(first, _)| first);
                        self.without_key = Some((first, it));
                    }
                }
            }
        }
    }
}
