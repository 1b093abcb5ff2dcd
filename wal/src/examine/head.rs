//! What the head of a segment's file says: header block and first frame.

use std::collections::BTreeSet;

use onceward_vfs::Vfs;

use crate::checksum::salt;
use crate::error::Error;
use crate::frame::{self, KIND_RUN};
use crate::header::{HeaderError, SegmentHeader};
use crate::limits::{ENVELOPE_BYTES, HEADER_BLOCK_BYTES, RUN_BODY_BYTES, frame_bytes};
use crate::name;
use crate::run::{self, RunBody};
use crate::sealing::KeyEnvelope;

use super::segment_file::SegmentFile;

/// The segment files: number and store.
pub(super) type Files = BTreeSet<(u64, [u8; 16])>;

/// Header and first frame of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentHead {
    /// The header, if it is valid and of this file.
    pub(super) header: Option<SegmentHeader>,
    /// Run and body of the first frame, if it is whole.
    pub(super) first: Option<(u32, RunBody)>,
    /// The envelope of the segment's key in that frame.
    repeated: Option<KeyEnvelope>,
    /// The LSN of the first frame, where neither of these tells it and frames further on do.
    pub(super) told: Option<u64>,
}

impl SegmentHead {
    /// Judges the first bytes of a segment's file.
    pub(super) fn of(bytes: &[u8], number: u64, store: &[u8; 16]) -> Result<Self, Error> {
        let header = match SegmentHeader::decode(bytes) {
            Ok(header) => Some(header).filter(|h| h.number == number && h.identity.store == *store),
            Err(HeaderError::NotAHeader) => None,
            Err(HeaderError::Newer { version, incompat }) => {
                let path = name::segment(store, number);
                return Err(HeaderError::unsupported(version, incompat, &path));
            }
        };
        let frame = bytes.get(HEADER_BLOCK_BYTES..).unwrap_or_default();
        let whole = frame::decode(frame, salt(store, number))
            .ok()
            .filter(|(header, _)| header.kind == KIND_RUN && header.lsn_delta == 0);
        let first = whole.and_then(|(header, body)| Some((header.run, RunBody::decode(body)?)));
        let repeated = whole.and_then(|(_, body)| run::envelope_of(body));
        Ok(Self { header, first, repeated, told: None })
    }

    /// Forgets what says that numbers go on at `last_lsn` or below: they never fall along the log.
    pub(super) fn forget_below(&mut self, last_lsn: u64) {
        self.header = self.header.filter(|header| header.first_lsn > last_lsn);
        self.first = self.first.filter(|(_, run)| run.lsn > last_lsn);
        self.told = self.told.filter(|lsn| *lsn > last_lsn);
    }

    /// The envelope of the segment's key, from header or first frame; `None`: there is none.
    pub(super) fn envelope(&self) -> Option<KeyEnvelope> {
        let told = self.header.and_then(|header| header.envelope);
        told.filter(KeyEnvelope::is_known).or(self.repeated).or(told)
    }

    /// Whether anything was written to the segment, as far as can be known.
    pub(super) fn in_use(&self) -> bool {
        self.header.is_some() || self.first.is_some()
    }

    /// The LSN of the segment's first frame.
    pub(super) fn first_lsn(&self) -> Option<u64> {
        let first = || self.first.map(|(_, run)| run.lsn);
        self.header.map(|header| header.first_lsn).or_else(first).or(self.told)
    }
}

impl SegmentFile {
    /// Reads header block and first frame.
    pub(super) fn head(&self) -> Result<SegmentHead, Error> {
        let bytes = HEADER_BLOCK_BYTES + frame_bytes(RUN_BODY_BYTES + ENVELOPE_BYTES);
        // What cannot be read of it is told by whoever looks at the whole segment.
        let mut buffer = Vec::new();
        let piece = self.piece(&mut buffer, 0, bytes, &mut Vec::new())?;
        SegmentHead::of(piece.bytes, self.number, &self.store)
    }
}

/// Lists the segment files of all stores.
pub(super) fn list(vfs: &dyn Vfs) -> Result<Files, Error> {
    let io = |source| Error::io(source, "list", name::LOG_DIR);
    if !vfs.exists(name::LOG_DIR).map_err(io)? {
        return Ok(Files::new());
    }
    let files = vfs.list(name::LOG_DIR).map_err(io)?;
    Ok(files.iter().filter_map(|file| name::parse_segment(file)).collect())
}
