//! The bodies of the log's own frames: run and seal. No I/O here.

use crate::checksum::Digest;
use crate::fields::FieldDecoder;
use crate::limits::{ENVELOPE_BYTES, LSN_MAX, RUN_BODY_BYTES, SEAL_BODY_BYTES};
use crate::sealing::KeyEnvelope;

/// Set in a run frame that repeats, at the head of a segment, what the run's first frame said.
pub(crate) const REPEAT: u8 = 1;
/// Set in a seal frame that a repair wrote, or that is behind what the disk could not read: what it and the
/// next segment say of this one need not hold.
pub(crate) const REPAIRED: u8 = 1;

/// The writer and the time when a run begins.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stamp {
    /// The machine's boot id, zero if unknown.
    pub boot: [u8; 16],
    /// Random number of this opening.
    pub opening: u64,
    /// Wall clock, Unix milliseconds.
    pub wall_ms: i64,
    /// Monotonic clock, milliseconds from any zero.
    pub mono_ms: u64,
    /// Trusted time, milliseconds.
    pub trusted_ms: u64,
}

impl Stamp {
    /// The stamp of a run that begins `ms` later, by the same clocks.
    pub(crate) fn later(self, ms: u64) -> Self {
        Self {
            wall_ms: self.wall_ms.saturating_add_unsigned(ms),
            mono_ms: self.mono_ms.saturating_add(ms),
            trusted_ms: self.trusted_ms.saturating_add(ms),
            ..self
        }
    }
}

/// The body of a run frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RunBody {
    /// The stamp of the run.
    pub stamp: Stamp,
    /// The frame's own LSN.
    pub lsn: u64,
    /// The last LSN before it that belongs to the log, 0 for none.
    pub after: u64,
}

impl RunBody {
    /// The body's bytes.
    pub(crate) fn encode(&self) -> [u8; RUN_BODY_BYTES] {
        let mut out = [0; RUN_BODY_BYTES];
        let fields = self.stamp.boot.into_iter().chain(
            [
                self.stamp.opening.to_le_bytes(),
                self.stamp.wall_ms.to_le_bytes(),
                self.stamp.mono_ms.to_le_bytes(),
                self.stamp.trusted_ms.to_le_bytes(),
                self.lsn.to_le_bytes(),
                self.after.to_le_bytes(),
            ]
            .into_iter()
            .flatten(),
        );
        out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        out
    }

    /// Reads a body; `None` if it is not one.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        let is_sealed = body.len() == RUN_BODY_BYTES + ENVELOPE_BYTES;
        (body.len() == RUN_BODY_BYTES || is_sealed).then_some(())?;
        let mut fields = FieldDecoder(body);
        let stamp = Stamp {
            boot: fields.bytes()?,
            opening: fields.u64()?,
            wall_ms: fields.i64()?,
            mono_ms: fields.u64()?,
            trusted_ms: fields.u64()?,
        };
        let (lsn, after) = (fields.u64()?, fields.u64()?);
        ((1..=LSN_MAX).contains(&lsn) && after < lsn).then_some(Self { stamp, lsn, after })
    }
}

/// The envelope of the segment's key in the run frame at the head of a sealed segment.
pub(crate) fn envelope_of(body: &[u8]) -> Option<KeyEnvelope> {
    RunBody::decode(body)?;
    KeyEnvelope::decode(body.get(RUN_BODY_BYTES..)?)
}

/// The body of a seal frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SealBody {
    pub(crate) store: [u8; 16],
    pub(crate) number: u64,
    pub(crate) first_lsn: u64,
    pub(crate) digest: Digest,
    pub(crate) count: u32,
    /// The last LSN before it that belongs to the log.
    pub(crate) after: u64,
}

impl SealBody {
    /// The body's bytes.
    pub(crate) fn encode(&self) -> [u8; SEAL_BODY_BYTES] {
        let mut out = [0; SEAL_BODY_BYTES];
        let fields = self
            .store
            .into_iter()
            .chain(self.number.to_le_bytes())
            .chain(self.first_lsn.to_le_bytes())
            .chain(self.digest.get().to_le_bytes())
            .chain(self.count.to_le_bytes())
            .chain([0; 4])
            .chain(self.after.to_le_bytes());
        out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        out
    }

    /// Reads a body; `None` if it is not one.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        (body.len() == SEAL_BODY_BYTES).then_some(())?;
        let mut fields = FieldDecoder(body);
        let store = fields.bytes()?;
        let (number, first_lsn) = (fields.u64()?, fields.u64()?);
        let digest = Digest::from_u64(fields.u64()?);
        let count = fields.u32()?;
        fields.reserved::<4>()?;
        Some(Self { store, number, first_lsn, digest, count, after: fields.u64()? })
    }
}
