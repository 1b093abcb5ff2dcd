//! Reads one finished segment of a log that is open, and judges it as opening would.

use super::head::SegmentHead;
use super::segment_file::{PIECE_BYTES, SegmentFile, Unreadable};
use crate::checksum::Digest;
use crate::error::Error;
use crate::frame::Frame;
use crate::header::SegmentHeader;
use crate::known::KnownSegment;
use crate::limits::HEADER_BYTES;
use crate::name;
use crate::report::{Damage, LostLsns};
use crate::segment::{SegmentInfo, Source, standalone};
use crate::walk::{SegmentEnd, SegmentWalk, Walked};

/// What a finished segment holds.
#[derive(Debug)]
pub(crate) struct Reread {
    number: u64,
    /// Its header, if it is whole.
    header: Option<SegmentHeader>,
    walked: Walked,
    unreadable: Vec<Unreadable>,
    /// Size of its file.
    bytes: usize,
    /// Name of its file.
    file: String,
}

impl Reread {
    /// Reads a segment whose bodies are not sealed, and shows its frames to `visit` as far as they are whole.
    ///
    /// # Errors
    ///
    /// `Io`: the size of the file cannot be read. `Unsupported`: a newer program wrote it meanwhile.
    pub(crate) fn of(
        source: &Source,
        store: [u8; 16],
        visit: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<Self, Error> {
        let number = source.number;
        let file = SegmentFile { number, store, file: source.file.clone() };
        let (mut buffer, mut unreadable) = (Vec::new(), Vec::new());
        let first = file.piece(&mut buffer, 0, PIECE_BYTES, &mut unreadable)?;
        let header = SegmentHead::of(first.bytes, number, &store)?.header;
        let header = header.filter(|header| header.first_lsn == source.first_lsn);
        let mut context = standalone(&store, number, source.salt, source.first_lsn);
        if let Some(header) = header {
            (context.digest, context.run) = (Some(header.digest), header.run);
        }
        let mut walk = SegmentWalk::new(&context);
        let mut next = walk.go_on(first, visit);
        let mut at = 0;
        while let Some(from) = next {
            // No way on in a piece: what is there can only be told with all that is behind it.
            let bytes = if from == at { usize::MAX } else { PIECE_BYTES };
            at = from;
            next = walk.go_on(file.piece(&mut buffer, from, bytes, &mut unreadable)?, visit);
        }
        let (bytes, file) = (file.len()?, name::segment(&store, number));
        Ok(Self { number, header, walked: walk.finish(), unreadable, bytes, file })
    }

    /// What a host may know of the segment; `None`: it is not whole.
    pub(crate) fn known(&self) -> Option<KnownSegment> {
        let header = self.header.as_ref().filter(|_| self.unreadable.is_empty())?;
        let bytes =
            u64::try_from(self.bytes).ok().filter(|bytes| *bytes == header.segment_bytes)?;
        KnownSegment::of(header, bytes, &self.walked)
    }

    /// Whether the disk could not read all of it.
    pub(crate) fn is_unread(&self) -> bool {
        !self.unreadable.is_empty()
    }

    /// What of it is not as it was written, where it was taken to be `info` and to end with this digest.
    pub(crate) fn damage(&self, info: &SegmentInfo, ends: Digest) -> Vec<Damage> {
        let mut found = Vec::new();
        if self.header.is_none() {
            found.push(self.unusable(0, HEADER_BYTES, "the header is not what was written"));
        }
        let Walked { lost, end, offset, digest, .. } = &self.walked;
        for it in lost {
            // What is lost to the end of the segment ends where the next one begins.
            let lsns = it.lsns.map(|lsns| {
                let last = || Some(info.last_lsn).filter(|last| *last >= lsns.first);
                LostLsns { last: lsns.last.or_else(last), ..lsns }
            });
            found.push(Damage { lost: lsns, ..self.unusable(it.offset, it.bytes, &it.what) });
        }
        for it in &self.unreadable {
            let what = format!("cannot be read: {}", it.what);
            found.push(self.unusable(it.offset, it.bytes, &what));
        }
        let had = usize::try_from(info.file_bytes).unwrap_or(usize::MAX);
        if let Some(missing) = had.checked_sub(self.bytes).filter(|bytes| *bytes > 0) {
            let what = format!("the file ends here, it had {} bytes", info.file_bytes);
            found.push(self.unusable(self.bytes, missing, &what));
        }
        let is_other = *end != SegmentEnd::Sealed || (self.header.is_some() && *digest != ends);
        if found.is_empty() && is_other {
            let what = "its frames are not those that were there when it was finished";
            found.push(self.unusable(*offset, 0, what));
        }
        found
    }

    /// Bytes that cannot be used.
    fn unusable(&self, offset: usize, bytes: usize, what: &str) -> Damage {
        Damage {
            segment: Some(self.number),
            file: self.file.clone(),
            offset: u64::try_from(offset).unwrap_or(u64::MAX),
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            what: what.to_owned(),
            lost: None,
        }
    }
}
