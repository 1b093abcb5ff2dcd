//! Reads a log and judges every byte of it. Changes nothing, takes no lock.
//!
//! The decisions are in [`walk`](crate::walk) for the bytes of one segment and in `judge` for the
//! set of files; the labels are the rows of the tables in `FORMAT.md`, section Recovery. Repairing
//! what was found is [`Log::start`](crate::Log::start)'s work.

mod anchor;
mod ending;
mod follow;
mod head;
mod header_chain;
mod judge;
mod pending_files;
mod pieces;
mod repairs;
mod resurrected;
mod scan_segment;
mod unlock;
mod unread;

use std::sync::Arc;

use onceward_vfs::Vfs;

use crate::checksum::Digest;
use crate::error::{Error, Position};
use crate::frame::Frame;
use crate::header::{Identity, SegmentHeader};
use crate::limits::{FRAME_HEADER_BYTES, LSN_MAX, SLOT_BYTES};
use crate::meta::{self, Meta};
use crate::name;
use crate::report::{Damage, ExaminationReport};
use crate::sealing::{KeyEnvelope, Sealing};
use crate::segment::Segments;
pub use anchor::Anchor;
pub use follow::{Followed, Follower};
use head::{Files, SegmentFile};
use judge::Examination;
pub(crate) use repairs::{Fix, PlannedRepair};
pub(crate) use resurrected::Resurrected;
pub use unlock::check_keys;

/// A log as it was found.
#[derive(Debug)]
pub struct Examined {
    /// With the secret, unless that is sealed and no key was given.
    pub(crate) identity: Identity,
    /// What opens the bodies; `None`: they are clear, or no key was given.
    pub(crate) sealing: Option<Arc<dyn Sealing>>,
    pub(crate) meta: Meta,
    /// Where the log goes on; `None`: in a new segment.
    pub(crate) tail: Option<FoundTail>,
    /// Segments that are listed and not begun.
    pub(crate) prepared: Vec<u64>,
    /// Those of them in which the disk cannot read something.
    pub(crate) spoiled: Vec<u64>,
    /// Files of segments that were trimmed before.
    pub(crate) resurrected: Vec<Resurrected>,
    pub(crate) segments: Segments,
    pub(crate) last_lsn: u64,
    /// LSN of the last frame; below `last_lsn` if the last segment begins behind numbers that were cut.
    pub(crate) last_frame: u64,
    pub(crate) highest_lsn: u64,
    pub(crate) highest_run: u32,
    pub(crate) digest: Digest,
    /// Whole frames of the torn tail: offset and size in the tail's segment.
    pub(crate) in_doubt: Vec<(usize, usize)>,
    /// Features that forbid this program to write; 0 for none.
    pub(crate) read_only_for: u32,
    /// Listed segments without a file whose frames are lost.
    pub(crate) missing: Vec<u64>,
    /// What would mend the damage.
    pub(crate) repairs: Vec<PlannedRepair>,
    /// The first place that the disk could not read and where the log may end.
    pub(crate) unreadable: Option<Position>,
    pub(crate) report: ExaminationReport,
}

/// The segment in which the log ends.
#[derive(Clone, Debug)]
pub(crate) struct FoundTail {
    pub(crate) number: u64,
    pub(crate) offset: usize,
    pub(crate) count: u32,
    /// Offset after the last frame that is proven synced.
    pub(crate) proven: usize,
    /// It ends with a seal: the log goes on in the next one.
    pub(crate) sealed: bool,
    /// The disk could not read all of it.
    pub(crate) unread: bool,
    pub(crate) torn_bytes: usize,
    /// The header, if a crash left the first commit without it.
    pub(crate) torn_header: Option<SegmentHeader>,
    /// The boot of the machine in which the last frame was written; zeros: not known.
    pub(crate) boot: [u8; 16],
    /// What stood there when it was judged.
    pub(crate) behind: Option<[u8; FRAME_HEADER_BYTES]>,
}

/// Reads the log in `vfs` and shows every frame that belongs to it, in order, to `visit`.
///
/// `None` if there is no log. Of a sealed log it judges every byte, and shows the log's own frames only:
/// [`examine_with`] shows the host's. Holds 256 KiB in memory at a time, and at most one segment: the one in which
/// the log ends, one with damage, one with a batch of that size. What the disk cannot read is
/// reported as damage, and the rest is shown. Keeps at most 16 files open, however many segments there are.
///
/// May be called without the lock while another process writes: then it shows the log as of some moment, and
/// takes nothing for damage that a second look finds whole. A segment that is trimmed meanwhile is shown or left
/// out, also where older ones were shown before.
///
/// # Errors
///
/// `Unsupported`: a newer format. `Corrupt`: `meta` and all segments' headers are unreadable.
/// `Io`: `meta`, the directory or the size of a file cannot be read.
pub fn examine(
    vfs: &dyn Vfs,
    visit: &mut dyn FnMut(&Frame<'_>),
) -> Result<Option<Examined>, Error> {
    let Some(found) = found_meta(vfs)? else { return Ok(None) };
    let identity = found.0.identity;
    examine_found(vfs, found, (identity, None), visit).map(Some)
}

/// As [`examine`], and shows the host's frames of a sealed log as the host gave them. A whole frame that was
/// not sealed with its segment's key is never shown: it is reported as damage.
///
/// # Errors
///
/// As [`examine`]. `Key`: the log is sealed and `sealing` is `None`, or the other way round, or there is no
/// key for a segment.
pub fn examine_with(
    vfs: &dyn Vfs,
    sealing: Option<&Arc<dyn Sealing>>,
    visit: &mut dyn FnMut(&Frame<'_>),
) -> Result<Option<Examined>, Error> {
    let Some(found) = found_meta(vfs)? else { return Ok(None) };
    let identity = unlock::identity(vfs, &found.0, &found.2, sealing)?;
    examine_found(vfs, found, (identity, sealing.cloned()), visit).map(Some)
}

/// Reads the log that was found.
fn examine_found(
    vfs: &dyn Vfs,
    (meta, lost, files): (Meta, bool, Files),
    (identity, sealing): (Identity, Option<Arc<dyn Sealing>>),
    visit: &mut dyn FnMut(&Frame<'_>),
) -> Result<Examined, Error> {
    let mut examination = Examination::new(vfs, meta, &files)?;
    (examination.identity, examination.sealing) = (identity, sealing);
    if lost {
        examination.report.damage.push(Damage {
            segment: None,
            lost: None,
            file: name::META.to_owned(),
            offset: 0,
            bytes: 0,
            what: "no valid slot; the list of segments was made from the directory".to_owned(),
        });
    }
    if let Some(offset) = examination.meta.unread {
        let bytes = u64::try_from(SLOT_BYTES).unwrap_or(u64::MAX);
        let (segment, lost, file) = (None, None, name::META.to_owned());
        let what = "the disk cannot read this slot; the other one is used".to_owned();
        examination.report.damage.push(Damage { segment, lost, file, offset, bytes, what });
    }
    for number in examination.numbers() {
        examination.segment(number, visit)?;
    }
    Ok(examination.finish())
}

/// Who the log in `vfs` belongs to; `None` if there is no log. Reads `meta` only, if it can. Of a sealed log
/// it does not tell the secret.
///
/// # Errors
///
/// As [`examine`].
pub fn identity(vfs: &dyn Vfs) -> Result<Option<Identity>, Error> {
    Ok(found_meta(vfs)?.map(|(meta, ..)| meta.identity))
}

/// As [`identity`], with the secret of a sealed log too.
///
/// # Errors
///
/// As [`examine_with`].
pub fn identity_with(
    vfs: &dyn Vfs,
    sealing: Option<&Arc<dyn Sealing>>,
) -> Result<Option<Identity>, Error> {
    let Some((meta, _, files)) = found_meta(vfs)? else { return Ok(None) };
    unlock::identity(vfs, &meta, &files, sealing).map(Some)
}

/// Whether the bodies of the log in `vfs` are sealed. Reads `meta` only, if it can.
///
/// # Errors
///
/// As [`examine`].
pub fn is_sealed(vfs: &dyn Vfs) -> Result<bool, Error> {
    Ok(found_meta(vfs)?.is_some_and(|(meta, ..)| meta.envelope.is_some()))
}

/// What `meta` says, whether it had to be made from the segments, and the files; `None` if there is no
/// log.
fn found_meta(vfs: &dyn Vfs) -> Result<Option<(Meta, bool, Files)>, Error> {
    // The files after `meta`: whatever a writer at work lists has its file by then.
    let first = meta::read(vfs)?;
    let files = head::list(vfs)?;
    // A log that is being created has its files after its `meta`.
    let found = if first.is_none() && !files.is_empty() { meta::read(vfs)? } else { first };
    match found {
        None if files.is_empty() => Ok(None),
        Some(Some(meta)) => Ok(Some((meta, false, files))),
        Some(None) | None => Ok(Some((rebuild_meta(vfs, &files)?, true, files))),
    }
}

/// Row `meta-lost`.
fn rebuild_meta(vfs: &dyn Vfs, files: &Files) -> Result<Meta, Error> {
    let mut rebuilt: Option<Meta> = None;
    for (number, store) in files {
        let Some(file) = SegmentFile::open(vfs, *number, *store)? else { continue };
        let Some(header) = file.head()?.header else { continue };
        let meta = rebuilt.get_or_insert_with(|| Meta::new(header.identity));
        if meta.identity == header.identity {
            meta.run = meta.run.max(header.run);
        }
        if header.envelope.is_some() {
            // Which keys there are, the segments tell.
            meta.envelope = Some(KeyEnvelope::LOST);
        }
    }
    let Some(mut meta) = rebuilt else {
        return Err(
            Error::corrupt("no valid slot, and no segment with a valid header").at(name::META, 0)
        );
    };
    for (number, _) in files.iter().filter(|(_, store)| *store == meta.identity.store) {
        meta.segments.add(*number);
        meta.next_number = number + 1;
    }
    Ok(meta)
}

impl Examined {
    /// Who the store is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether the bodies of the host's frames are sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.meta.envelope.is_some()
    }

    /// The highest number that was given out, as far as the log tells.
    #[must_use]
    pub fn highest_lsn(&self) -> u64 {
        self.highest_lsn
    }

    /// Numbers up to this one were given out, as something tells that outlived their frames: the log goes on
    /// behind it.
    pub fn raise(&mut self, lsn: u64) {
        self.highest_lsn = self.highest_lsn.max(lsn.min(LSN_MAX));
    }

    /// What was found.
    #[must_use]
    pub fn report(&self) -> &ExaminationReport {
        &self.report
    }

    /// Reads single frames of the log as it was found.
    #[must_use]
    pub fn into_segments(self) -> Segments {
        self.segments
    }
}
