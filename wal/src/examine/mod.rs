//! Reads a log and judges every byte of it. Changes nothing, takes no lock.
//!
//! The decisions are in [`walk`](crate::walk) for the bytes of one segment and in `judge` for the
//! set of files; the labels are the rows of the tables in `FORMAT.md`, section Recovery. Repairing
//! what was found is [`Log::start`](crate::Log::start)'s work.
//!
//! | file | what |
//! |---|---|
//! | `found_meta` | reads `meta`, or makes it from the segments where it is lost |
//! | `judge` | the set of files: in use, damaged, missing, prepared or trimmed |
//! | `pending_files` | those that are not judged yet |
//! | `segment_file`, `head` | reads one file in pieces; what its first blocks say |
//! | `scan_segment`, `scanned_segment` | reads one segment, twice where something seems damaged; what that found |
//! | `header_chain` | what each header says of itself and of the segment before |
//! | `resurrected` | files that are there again after their segment was trimmed |
//! | `known`, `again` | segments that need not be read, and reading one later |
//! | `unread` | what the disk could not read |
//! | `unlock` | the keys of a sealed log |
//! | `repairs` | what a repair has to write |
//! | `ending`, `examined` | how the log ends, and all that was found |
//! | `follow`, `anchor` | follows a log that another process writes |

mod again;
mod anchor;
mod ending;
mod examined;
mod follow;
mod found_meta;
mod head;
mod header_chain;
mod judge;
mod known;
mod pending_files;
mod repairs;
mod resurrected;
mod scan_segment;
mod scanned_segment;
mod segment_file;
mod unlock;
mod unread;

use std::sync::Arc;

use onceward_vfs::Vfs;

use crate::error::Error;
use crate::frame::Frame;
use crate::identity::Identity;
use crate::known::{KnowingReader, KnownSegment};
use crate::limits::SLOT_BYTES;
use crate::meta::Meta;
use crate::name;
use crate::report::Damage;
use crate::sealing::Sealing;
pub(crate) use again::Reread;
pub use anchor::Anchor;
pub use examined::Examined;
pub(crate) use examined::FoundTail;
pub use follow::{Followed, Follower};
use found_meta::found_meta;
use head::Files;
use judge::Examination;
pub(crate) use repairs::{Fix, PlannedRepair};
pub(crate) use resurrected::Resurrected;
pub use unlock::check_keys;

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
    examine_found(vfs, found, (identity, None), &mut All(visit)).map(Some)
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
    examine_found(vfs, found, (identity, sealing.cloned()), &mut All(visit)).map(Some)
}

/// As [`examine_with`], and does not read what `host` knows: of a segment that fits what is known of it only header
/// and end are looked at. Whether it is still as it was written,
/// [`FinishedSegments::check`](crate::FinishedSegments::check) says; the report lists those.
///
/// Nothing is known of a sealed log, nor of the segment in which the log ends. Under the lock only.
///
/// # Errors
///
/// As [`examine_with`].
pub fn examine_known(
    vfs: &dyn Vfs,
    sealing: Option<&Arc<dyn Sealing>>,
    host: &mut dyn KnowingReader,
) -> Result<Option<Examined>, Error> {
    let Some(found) = found_meta(vfs)? else { return Ok(None) };
    let identity = unlock::identity(vfs, &found.0, &found.2, sealing)?;
    examine_found(vfs, found, (identity, sealing.cloned()), host).map(Some)
}

/// Who is shown everything.
struct All<'v>(&'v mut dyn FnMut(&Frame<'_>));

impl KnowingReader for All<'_> {
    fn frame(&mut self, frame: &Frame<'_>) {
        (self.0)(frame);
    }

    fn known(&mut self, _number: u64) -> Option<KnownSegment> {
        None
    }

    fn pass(&mut self, _number: u64) {}
}

/// Reads the log that was found.
fn examine_found(
    vfs: &dyn Vfs,
    (meta, lost, files): (Meta, bool, Files),
    (identity, sealing): (Identity, Option<Arc<dyn Sealing>>),
    host: &mut dyn KnowingReader,
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
        let known = host.known(number);
        match known.filter(|known| known.number == number) {
            Some(known) if examination.take_known(&known)? => host.pass(number),
            Some(_) | None => examination.segment(number, &mut |frame| host.frame(frame))?,
        }
    }
    Ok(examination.finish())
}

/// The identity of the store whose log is in `vfs`; `None` if there is no log. Reads `meta` only, if it can. Of a
/// sealed log it does not return the secret.
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
