//! Gives LSNs and queues the bytes of frames. Touches the disk only when a segment is full.

use super::{Chunk, Commit, Core, Log, Tail};
use crate::checksum::salt;
use crate::error::{Error, ErrorKind};
use crate::frame::{self, Head, KIND_HOST_MIN, KIND_MARK, KIND_RUN, KIND_SEAL, MORE, Place};
use crate::header::SegmentHeader;
use crate::limits::{
    COMMIT_OVERHEAD_BYTES, HEADER_BLOCK_BYTES, RUN_BODY_BYTES, SEAL_BODY_BYTES, frame_bytes,
};
use crate::lsn::Lsn;
use crate::run::{REPEAT, RunBody, SealBody};
use crate::segment::Segment;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;

/// A frame to be appended.
#[derive(Clone, Copy, Debug)]
pub struct NewFrame<'a> {
    /// What it is, at least [`KIND_HOST_MIN`].
    pub kind: u8,
    /// The kind's own bits, `0..=127`.
    pub flags: u8,
    /// Its body in pieces, not empty in all.
    pub parts: &'a [&'a [u8]],
}

impl NewFrame<'_> {
    /// The bytes that it takes in a segment.
    #[must_use]
    pub fn bytes(&self) -> usize {
        frame_bytes(self.parts.iter().map(|part| part.len()).sum())
    }
}

/// What the space of a frame is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// New events: refused before the reserve is touched.
    Capture,
    /// Settling, cleaning, deciding: what gives space back may use the reserve.
    Settle,
}

/// Where frames were queued. They stand one behind the other, and their LSNs follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Appended {
    /// LSN of the first.
    pub first: Lsn,
    /// LSN of the last.
    pub last: Lsn,
    /// Place of the first.
    pub place: Place,
}

/// Room that must stay for the seal of a segment.
const SEAL_FRAME_BYTES: usize = frame_bytes(SEAL_BODY_BYTES);
/// Room of a run frame.
const RUN_FRAME_BYTES: usize = frame_bytes(RUN_BODY_BYTES);

impl Log {
    /// Queues `frames` as one atomic batch and gives them LSNs.
    ///
    /// `now_ms` is the monotonic clock that the log was started with.
    ///
    /// # Durability
    ///
    /// None until [`Log::wait`] returned `Ok` for the last LSN. After a crash before that, all frames
    /// of the batch are there or none.
    ///
    /// # Errors
    ///
    /// `Invalid`: no frames, an empty body, a kind or flags of the log's own, or more bytes than a
    /// segment less 8 KiB. `Full`: no room for a further segment. `Poisoned`. Nothing was queued.
    pub fn append(
        &self,
        frames: &[NewFrame<'_>],
        now_ms: u64,
        purpose: Purpose,
    ) -> Result<Appended, Error> {
        self.core.append(frames, now_ms, purpose)
    }
}

impl Core {
    /// See [`Log::append`].
    fn append(
        &self,
        frames: &[NewFrame<'_>],
        now_ms: u64,
        purpose: Purpose,
    ) -> Result<Appended, Error> {
        let total = self.check(frames)?;
        let mut commit = self.commit.lock();
        let time = self.make_ready(&mut commit, total, now_ms, purpose)?;
        let mut queued: Option<Appended> = None;
        for (left, new) in (0..frames.len()).rev().zip(frames) {
            let more = if left > 0 { MORE } else { 0 };
            let (lsn, place) = commit.push(new.kind, new.flags | more, time, new.parts)?;
            let first = queued.map_or((lsn, place), |q| (q.first, q.place));
            queued = Some(Appended { first: first.0, last: lsn, place: first.1 });
        }
        self.joined.fetch_add(1, Ordering::Relaxed);
        drop(commit);
        queued.ok_or_else(|| Error::invalid("a batch needs at least one frame"))
    }

    /// Queues a mark, if this run wrote anything.
    pub(super) fn append_mark(&self) -> Result<Option<Lsn>, Error> {
        let mut commit = self.commit.lock();
        if !commit.run_begun {
            return Ok(None);
        }
        let now_ms = commit.stamp.mono_ms;
        self.make_ready(&mut commit, frame_bytes(8), now_ms, Purpose::Settle)?;
        commit.push_mark().map(Some)
    }

    /// Refuses what no segment can hold; returns the size of all frames.
    fn check(&self, frames: &[NewFrame<'_>]) -> Result<usize, Error> {
        if frames.is_empty() {
            return Err(Error::invalid("a batch needs at least one frame"));
        }
        let mut total = 0;
        for new in frames {
            if new.parts.iter().all(|part| part.is_empty()) {
                return Err(Error::invalid("a frame needs a body of at least one byte"));
            }
            if new.kind < KIND_HOST_MIN || new.flags & MORE != 0 {
                return Err(Error::invalid("kinds below 16 and flag bit 7 belong to the log"));
            }
            total += new.bytes();
        }
        let most = usize::try_from(self.options.segment_bytes)
            .unwrap_or(usize::MAX)
            .saturating_sub(COMMIT_OVERHEAD_BYTES);
        if total > most {
            return Err(Error::invalid(format!(
                "a commit of {total} bytes does not fit into a segment: at most {most}"
            )));
        }
        Ok(total)
    }

    /// Makes sure that `total` bytes fit behind the tail and that the run has begun. Returns the time
    /// since the run began.
    fn make_ready(
        &self,
        commit: &mut MutexGuard<'_, Commit>,
        total: usize,
        now_ms: u64,
        purpose: Purpose,
    ) -> Result<u32, Error> {
        commit.refuse_if_poisoned()?;
        let elapsed = now_ms.saturating_sub(commit.stamp.mono_ms);
        // The time of a frame is 32 bits: a run of more than 49 days is followed by another.
        if commit.run_spent || u32::try_from(elapsed).is_err() {
            self.next_run(commit, elapsed)?;
        }
        let run_bytes = if commit.run_begun { 0 } else { RUN_FRAME_BYTES };
        let need = u64::try_from(total + run_bytes + SEAL_FRAME_BYTES).unwrap_or(u64::MAX);
        let fits = |tail: &Tail| !tail.sealed && tail.offset + need <= tail.segment_bytes;
        if !commit.tail.as_ref().is_some_and(fits) {
            self.roll(commit, purpose)?;
        }
        if !commit.run_begun {
            commit.push_run(0)?;
            commit.run_begun = true;
        }
        Ok(u32::try_from(now_ms.saturating_sub(commit.stamp.mono_ms)).unwrap_or(u32::MAX))
    }

    /// Begins another run, durably.
    fn next_run(&self, commit: &mut Commit, elapsed: u64) -> Result<(), Error> {
        let run = commit
            .run
            .checked_add(1)
            .ok_or_else(|| Error::new(ErrorKind::Full, "the log has no further run"))?;
        let mut meta = self.meta.lock();
        let mut next = meta.current.clone();
        next.run = run;
        next.next_lsn = commit.next_lsn;
        meta.write(next).inspect_err(|error| commit.note(error))?;
        commit.run = run;
        commit.stamp = commit.stamp.later(elapsed);
        commit.run_begun = false;
        commit.run_spent = false;
        Ok(())
    }

    /// Seals the tail and begins the next segment.
    fn roll(&self, commit: &mut Commit, purpose: Purpose) -> Result<(), Error> {
        let prepared = self.take_prepared(commit, purpose)?;
        let (before, before_end) = match &commit.tail {
            Some(tail) if !tail.sealed => {
                commit.push_seal(self.identity.store)?;
                let end = commit.tail.as_ref();
                end.map_or((0, 0), |tail| (tail.number, tail.offset))
            }
            Some(tail) => (tail.number, tail.offset),
            None => (0, 0),
        };
        let (digest, last_lsn) = commit
            .tail
            .as_ref()
            .map_or((commit.digest, commit.last_lsn), |t| (t.digest, t.last_lsn));
        let header = SegmentHeader {
            identity: self.identity,
            number: prepared.number,
            first_lsn: commit.next_lsn,
            run: commit.run,
            segment_bytes: prepared.segment_bytes,
            before,
            before_end,
            digest,
            read_compat: 0,
            recycled: prepared.recycled,
        };
        let salt = salt(&self.identity.store, prepared.number);
        let file = prepared.file;
        commit.queue.push(Chunk {
            file: file.clone(),
            number: prepared.number,
            offset: 0,
            bytes: header.encode(),
            end: None,
        });
        self.segments.write().insert(Segment {
            number: prepared.number,
            file: file.clone(),
            salt,
            first_lsn: commit.next_lsn,
            last_lsn,
            used_bytes: 0,
            file_bytes: prepared.segment_bytes,
            damaged: false,
        });
        commit.tail = Some(Tail {
            number: prepared.number,
            file,
            first_lsn: commit.next_lsn,
            last_lsn,
            salt,
            offset: u64::try_from(HEADER_BLOCK_BYTES).unwrap_or(u64::MAX),
            segment_bytes: prepared.segment_bytes,
            count: 0,
            digest,
            sealed: false,
        });
        if commit.run_begun {
            commit.push_run(REPEAT)?;
        }
        Ok(())
    }
}

impl Commit {
    /// Refuses work after a failure that only reopening can mend.
    pub(super) fn refuse_if_poisoned(&self) -> Result<(), Error> {
        match &self.poison {
            None => Ok(()),
            Some(cause) => Err(Error::new(
                ErrorKind::Poisoned,
                format!("nothing is written until the log is reopened, since {cause}"),
            )),
        }
    }

    /// Takes up that a failure elsewhere leaves nothing to write.
    pub(super) fn note(&mut self, error: &Error) {
        if error.kind() == ErrorKind::Poisoned {
            self.poison.get_or_insert_with(|| error.to_string());
        }
    }

    /// Queues a run frame.
    fn push_run(&mut self, flags: u8) -> Result<(), Error> {
        let after = self.tail.as_ref().map_or(self.last_lsn, |tail| tail.last_lsn);
        let body = RunBody { stamp: self.stamp, lsn: self.next_lsn, after }.encode();
        self.push(KIND_RUN, flags, 0, &[&body]).map(|_| ())
    }

    /// Queues a mark; there must be room.
    pub(super) fn push_mark(&mut self) -> Result<Lsn, Error> {
        let digest = self.tail.as_ref().map_or(self.digest, |tail| tail.digest);
        let body = digest.get().to_le_bytes();
        let (lsn, _) = self.push(KIND_MARK, 0, 0, &[&body])?;
        self.marked = true;
        Ok(lsn)
    }

    /// Whether a mark fits behind the tail.
    pub(super) fn has_room_for_mark(&self) -> bool {
        let need = u64::try_from(frame_bytes(8) + SEAL_FRAME_BYTES).unwrap_or(u64::MAX);
        self.tail.as_ref().is_some_and(|t| !t.sealed && t.offset + need <= t.segment_bytes)
    }

    /// Queues the seal of the tail.
    fn push_seal(&mut self, store: [u8; 16]) -> Result<(), Error> {
        let Some(tail) = &self.tail else { return Ok(()) };
        let seal = SealBody {
            store,
            number: tail.number,
            first_lsn: tail.first_lsn,
            digest: tail.digest,
            count: tail.count,
            after: tail.last_lsn,
        };
        self.push(KIND_SEAL, 0, 0, &[&seal.encode()])?;
        if let Some(tail) = &mut self.tail {
            tail.sealed = true;
        }
        let end = self.tail.clone();
        if let Some(chunk) = self.queue.last_mut() {
            chunk.end = end;
        }
        Ok(())
    }

    /// Queues one frame behind the tail; there must be room.
    fn push(
        &mut self,
        kind: u8,
        flags: u8,
        time: u32,
        parts: &[&[u8]],
    ) -> Result<(Lsn, Place), Error> {
        let number = self.next_lsn;
        let exhausted = || Error::new(ErrorKind::Full, "the log has no further LSN");
        let lsn = Lsn::from_u64(number).ok_or_else(exhausted)?;
        let next_lsn = number.checked_add(1).ok_or_else(exhausted)?;
        let Some(tail) = &mut self.tail else {
            return Err(Error::corrupt("a frame was queued without a segment"));
        };
        let delta = u32::try_from(number - tail.first_lsn).map_err(|_beyond| exhausted())?;
        let lag = match self.synced {
            0 => 0,
            synced => u32::try_from(number - synced).unwrap_or(0),
        };
        let head = Head { lsn_delta: delta, run: self.run, synced_lag: lag, time, kind, flags };
        let begins_chunk =
            self.queue.last().is_none_or(|c| c.number != tail.number || c.end.is_some());
        if begins_chunk {
            self.queue.push(Chunk {
                file: tail.file.clone(),
                number: tail.number,
                offset: tail.offset,
                bytes: self.spare_bytes.pop().unwrap_or_default(),
                end: None,
            });
        }
        let Some(chunk) = self.queue.last_mut() else { return Err(exhausted()) };
        let header = frame::encode(&mut chunk.bytes, tail.salt, head, parts);
        let offset = u32::try_from(tail.offset).map_err(|_beyond| exhausted())?;
        let place = Place { segment: tail.number, offset };
        tail.offset += u64::try_from(header.frame_bytes()).unwrap_or(u64::MAX);
        tail.count = tail.count.saturating_add(1);
        tail.digest = header.digest_after(tail.digest);
        tail.last_lsn = number;
        self.next_lsn = next_lsn;
        self.marked = false;
        Ok((lsn, place))
    }
}
