//! Repairs what a crash left and begins a run. Each step may be cut short and done again.

use std::collections::VecDeque;
use std::sync::Arc;

use onceward_vfs::{File, Mode, OpenedBy, Pace, Vfs, is_full};

use super::doubtful;
use super::filling::SegmentSpace;
use super::gate::Gates;
use super::reader::Tailing;
use super::space::{discard, take_space};
use super::spares::{PreparedSegment, Spares};
use super::worker::Worker;
use super::{ActiveSegment, Alignment, Commit, Core, Lock, Log, Options, Preparation};
use crate::checksum::{Salted, salt};
use crate::error::{Error, ErrorKind, Position};
use crate::examine::{Examined, FoundTail, Resurrected};
use crate::limits::{BLOCK_BYTES, HEADER_BLOCK_BYTES, check_segment_bytes};
use crate::meta::MetaFile;
use crate::name;
use crate::run::Stamp;
use crate::sealing::{KeyEnvelope, META_NUMBER, SegmentKey, key_needed};
use crate::sync::atomic::{AtomicU32, AtomicU64};
use crate::sync::{Mutex, RwLock};

impl Log {
    /// Goes on with a log that was examined under the same lock.
    ///
    /// # Durability
    ///
    /// Whole frames of a torn tail are copied to `quarantine/` before they are cut. After an unclean
    /// end everything that is kept is written again in place and synced: what a failed sync left
    /// only in memory is on disk before the first answer.
    ///
    /// # Errors
    ///
    /// `Invalid`: the options. `Key`: the log is sealed and was examined without its key. `Unsupported`: a newer format
    /// that may only be read. `Full`: a new log for which the disk has no room. `Io`, `Poisoned`: the disk refused, or
    /// could not read where the log may end; the log is as it was, and starting may be tried again.
    pub fn start(
        vfs: Arc<dyn Vfs>,
        lock: Lock,
        mut examined: Examined,
        options: Options,
        stamp: Stamp,
    ) -> Result<Self, Error> {
        check_segment_bytes(options.segment_bytes)?;
        let identity = examined.identity;
        refuse_to_write(&examined)?;
        let envelope = envelope_of(&examined)?;
        make_dir(&*vfs, name::LOG_DIR)?;
        // Before the disk is full: on a full one there may be no room for a directory.
        make_dir(&*vfs, name::QUARANTINE_DIR)?;
        doubtful::keep(&*vfs, &mut examined)?;
        let meta = begin_run(&*vfs, &examined, envelope)?;
        let run = meta.current.run;
        let is_new = examined.highest_lsn == 0;
        let tail = match &examined.tail {
            Some(found) => Some(open_tail(&*vfs, &examined, found)?),
            None => None,
        };
        let proven = examined.report.clean || onceward_vfs::planted!("lying-page-cache-adopted");
        if let (Some(tail), Some(found), false) = (&tail, &examined.tail, proven) {
            let other_boot = is_other_boot(stamp.boot, found.boot);
            let spare_blocks = other_boot && options.alignment == Alignment::Block;
            // Nothing will be written behind a seal: what is in its block stays as it is.
            if !(spare_blocks && found.sealed) {
                rewrite(tail, found, spare_blocks)?;
            }
        }
        for Resurrected { number, damaged } in &examined.resurrected {
            discard(&*vfs, &identity.store, *number, *damaged)?;
        }
        let prepared = open_prepared(&*vfs, &examined, options.segment_bytes)?;
        let commit = Commit::begin(&examined, tail.clone(), (run, stamp), options.alignment);
        let has_failures = Arc::clone(&commit.has_failures);
        let spares = Spares::new(prepared, examined.last_frame, examined.highest_lsn + 1);
        let segments = examined.segments;
        if let Some(tail) = &tail {
            segments.written_in(tail.space.number, &tail.space.file);
        }
        let core = Core {
            vfs,
            identity,
            sealing: examined.sealing,
            options,
            commit: Mutex::new(commit),
            gates: Gates::default(),
            joined: AtomicU32::new(0),
            durable: AtomicU64::new(examined.last_frame),
            tailing: Tailing::new(),
            has_failures,
            meta: Mutex::new(meta),
            segments: RwLock::new(segments),
            spares,
            span_bytes: Arc::default(),
            opener: OpenedBy::this_process(),
        };
        match core.fill_reserve() {
            // An old store opens on a full disk too: settling what it holds is what gives room.
            Err(error) if is_new || error.kind() != ErrorKind::Full => return Err(error),
            Err(_full) => core.spares.lack(),
            Ok(()) => {}
        }
        let core = Arc::new(core);
        let worker = match options.preparation {
            Preparation::InBackground => Some(Worker::start(&core)?),
            Preparation::OnDemand => None,
        };
        let (worker, lock) = (Mutex::new(worker), Mutex::new(Some(lock)));
        let log = Self { core, worker, lock };
        log.leave_shared_block()?;
        Ok(log)
    }

    /// With blocks of their own for commits: a tail that a crash left within a block was written again
    /// just now, and is not vouched for yet. From here on that block is not touched any more.
    fn leave_shared_block(&self) -> Result<(), Error> {
        let shares = |tail: &ActiveSegment| {
            !tail.sealed && self.core.options.alignment.end(tail.offset) != tail.offset
        };
        if !self.core.commit.lock().tail.as_ref().is_some_and(shares) {
            return Ok(());
        }
        match self.core.begin_and_mark() {
            // Settling what it holds is what gives room: an old log opens on a full disk too.
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            marked => marked?.map_or(Ok(()), |lsn| self.wait(lsn)),
        }
    }
}

impl Commit {
    /// The state in which a run begins.
    fn begin(
        examined: &Examined,
        tail: Option<ActiveSegment>,
        (run, stamp): (u32, Stamp),
        alignment: Alignment,
    ) -> Self {
        Self {
            synced_tail: tail.clone(),
            tail,
            digest: examined.digest,
            last_lsn: examined.last_lsn,
            next_lsn: examined.highest_lsn + 1,
            synced: examined.last_frame,
            opened_between: (examined.last_frame, examined.highest_lsn + 1),
            run,
            stamp,
            alignment,
            run_begun: false,
            begun: Vec::new(),
            run_spent: false,
            queue: Vec::new(),
            queued_bytes: 0,
            passed: Vec::new(),
            spare_queue: Vec::new(),
            spare_bytes: Vec::new(),
            writing: false,
            forming: 1,
            taken: 0,
            expected: 0,
            marked: false,
            poison: None,
            has_failures: Arc::default(),
            failed: Vec::new(),
            fill_due: None,
        }
    }
}

impl Core {
    /// Prepares the reserved segments.
    fn fill_reserve(&self) -> Result<(), Error> {
        for count in 1..=self.options.reserve {
            self.prepare(count, &|| Pace::Fast)?;
        }
        Ok(())
    }
}

/// Refuses a log that this program must not write, or whose end the disk does not show.
fn refuse_to_write(examined: &Examined) -> Result<(), Error> {
    if examined.read_only_for != 0 {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("features {:#x} of a newer format allow only reading", examined.read_only_for),
        ));
    }
    if let Some(Position { file, offset }) = &examined.unreadable
        && !onceward_vfs::planted!("unreadable-is-opened")
    {
        let message = "the disk cannot read where the log may end: try again, or repair it";
        return Err(Error::new(ErrorKind::Io, message).at(file, *offset));
    }
    Ok(())
}

/// The envelope that `meta` is to have: its own, unless that is lost or the host wraps new keys otherwise
/// by now.
fn envelope_of(examined: &Examined) -> Result<Option<KeyEnvelope>, Error> {
    let Some(told) = examined.meta.envelope else { return Ok(None) };
    let sealing = examined.sealing.as_deref().ok_or_else(key_needed)?;
    // What cannot be known now is asked again when a segment is begun.
    if told.is_known() && sealing.is_current(&told.key).unwrap_or(true) {
        return Ok(Some(told));
    }
    match SegmentKey::new(sealing, &examined.identity, META_NUMBER) {
        Ok(key) => Ok(Some(key.envelope())),
        Err(_later) if told.is_known() => Ok(Some(told)),
        Err(refusal) => Err(refusal.of(name::META)),
    }
}

/// Creates a directory if it is missing.
fn make_dir(vfs: &dyn Vfs, dir: &str) -> Result<(), Error> {
    vfs.create_dir(dir).map_err(|source| Error::io(source, "create", dir))
}

/// Raises the run in `meta`, durably, before anything is written in it.
fn begin_run(
    vfs: &dyn Vfs,
    examined: &Examined,
    envelope: Option<KeyEnvelope>,
) -> Result<MetaFile, Error> {
    let mut meta = MetaFile::open(vfs, examined.meta.clone())?;
    let mut next = examined.meta.clone();
    next.run = examined
        .highest_run
        .checked_add(1)
        .ok_or_else(|| Error::new(ErrorKind::Full, "the log has no further run"))?;
    next.clean = None;
    next.next_lsn = examined.highest_lsn + 1;
    next.envelope = envelope;
    meta.write(next)?;
    if !meta.is_rotated() {
        // So that the one before can be destroyed.
        meta.write(meta.current.clone())?;
    }
    Ok(meta)
}

/// Opens the segment in which the log goes on.
fn open_tail(
    vfs: &dyn Vfs,
    examined: &Examined,
    found: &FoundTail,
) -> Result<ActiveSegment, Error> {
    let store = &examined.meta.identity.store;
    let path = name::segment(store, found.number);
    let io = |source| Error::io(source, "open", &path);
    let file = vfs.open(&path, Mode::Write).map_err(io)?;
    let bytes = file.len().map_err(io)?;
    let closed = (examined.meta.envelope.is_some()
        && !onceward_vfs::planted!("sealed-segment-goes-on"))
        || found.unread;
    let offset = u64::try_from(found.offset).unwrap_or(u64::MAX);
    // The block in which the log ends was written. Behind a seal alone nothing is touched.
    let filled = if closed { bytes } else { offset.next_multiple_of(BLOCK_BYTES as u64) };
    let first_lsn =
        examined.segments.get(found.number).map_or(examined.last_lsn, |segment| segment.first_lsn);
    Ok(ActiveSegment {
        space: SegmentSpace::new(found.number, file, bytes, filled),
        first_lsn,
        last_lsn: examined.last_lsn,
        salted: Salted::new(salt(store, found.number)),
        offset,
        count: found.count,
        digest: examined.digest,
        sealed: found.sealed,
        closed,
        unread: found.unread,
        key: None,
    })
}

/// Whether the machine was started since: then what is read is what the disk has. Zeros: not known.
fn is_other_boot(now: [u8; 16], then: [u8; 16]) -> bool {
    now != [0; 16] && then != [0; 16] && now != then
}

/// Writes what is kept but not proven synced again in place, zeros over the torn bytes, and syncs.
///
/// Pages that a failed sync marked clean would otherwise be read back from memory and be gone after
/// the next power cut.
///
/// With `spare_blocks` only the block in which the log ends: confirmed frames end with theirs.
fn rewrite(tail: &ActiveSegment, found: &FoundTail, spare_blocks: bool) -> Result<(), Error> {
    let io = |source| Error::io(source, "rewrite the end of", "the log");
    let from = if spare_blocks && found.torn_header.is_none() {
        tail.end() - tail.end() % BLOCK_BYTES
    } else if found.proven <= HEADER_BLOCK_BYTES {
        // Nothing proven: the header block is not either.
        0
    } else {
        found.proven
    };
    let mut bytes = vec![0; tail.end().saturating_sub(from)];
    let offset = u64::try_from(from).unwrap_or(u64::MAX);
    let count = tail.space.file.read_at(offset, &mut bytes).map_err(io)?;
    bytes.truncate(count);
    if let (0, Some(header)) = (from, &found.torn_header) {
        let block = header.encode();
        bytes.iter_mut().zip(block).for_each(|(to, from)| *to = from);
    }
    bytes.resize(bytes.len() + found.torn_bytes, 0);
    write_all(&*tail.space.file, offset, &bytes).map_err(io)?;
    tail.space.file.sync_data().map_err(io)
}

/// Writes `bytes` unless there are none.
fn write_all(file: &dyn File, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
    if bytes.is_empty() { Ok(()) } else { file.write_all_at(offset, bytes) }
}

/// Whether a prepared segment's file is not all zeros, as far as samples show: of a file that was used
/// before, most of it is not.
fn has_stale_bytes(file: &dyn File, len: u64) -> std::io::Result<bool> {
    const SAMPLES: u64 = 32;
    let mut sample = [0; 512];
    for number in 0..SAMPLES {
        let count = file.read_at(len / SAMPLES * number, &mut sample)?;
        if sample.iter().take(count).any(|byte| *byte != 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens the segments that were prepared and not begun.
fn open_prepared(
    vfs: &dyn Vfs,
    examined: &Examined,
    segment_bytes: u64,
) -> Result<VecDeque<PreparedSegment>, Error> {
    let mut prepared = VecDeque::new();
    for number in &examined.prepared {
        let path = name::segment(&examined.meta.identity.store, *number);
        let io = |source| Error::io(source, "open", &path);
        let file = vfs.open(&path, Mode::Write).map_err(io)?;
        let len = file.len().map_err(io)?;
        // Of an earlier, smaller setting: a commit of today's size might not fit. On a full disk it serves
        // for those that do.
        let longer = if len < segment_bytes {
            take_space(&*file, segment_bytes, &|| Pace::Fast).map(|_| ())
        } else {
            Ok(())
        };
        match longer {
            Err(source) if !is_full(&source) => return Err(io(source)),
            Err(_) | Ok(()) => {}
        }
        let len = file.len().map_err(io)?;
        let is_spoiled = examined.spoiled.contains(number);
        let looked = if is_spoiled { None } else { has_stale_bytes(&*file, len).ok() };
        let (recycled, filled) = match looked {
            // How much of it was written is not known any more.
            Some(has_stale_bytes) => (has_stale_bytes, 0),
            // Nothing is in it: a bad block is written anew.
            None => file.fill_zeros(len, &|| Pace::Fast).map(|()| (false, len)).map_err(io)?,
        };
        let space = SegmentSpace::new(*number, file, len, filled);
        prepared.push_back(PreparedSegment { space, recycled });
    }
    Ok(prepared)
}
