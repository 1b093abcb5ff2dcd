//! Gives LSNs and queues the bytes of frames. Touches the disk only when a segment is full.

use super::frames::{FrameBatch, MARK_FRAME_BYTES, QueuedBatch, SEAL_FRAME_BYTES};
use super::new_frame::{AppendFrame, NewFrame, Placed};
use super::{ActiveSegment, Alignment, Commit, Core, Log};
use crate::error::{Error, ErrorKind};
use crate::frame::{KIND_HOST_MIN, MORE, Place};
use crate::limits::{
    BLOCK_OVERHEAD_BYTES, COMMIT_OVERHEAD_BYTES, ENVELOPE_BYTES, QUEUED_BYTES_MAX, RUN_BODY_BYTES,
    TAG_BYTES, frame_bytes,
};
use crate::lsn::Lsn;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;

/// The purpose of a frame, which decides what space it may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// New events: refused before the reserve is touched.
    Capture,
    /// As `Capture`, as long as so many bytes are left besides the reserve, or the disk has plenty: what is stored
    /// will need them when it is finished.
    CaptureLeaving(u64),
    /// Frames that give space back: they may use the reserve.
    Settle,
    /// As `Settle`, as long as something is left then, for what needs it more.
    SettleLeaving {
        /// Bytes of the reserve that are left.
        reserved: u64,
        /// Bytes that are left besides, unless the disk has plenty: see [`Purpose::CaptureLeaving`].
        promised: u64,
    },
}

/// Where frames were queued. They are one behind the other, and their LSNs follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Appended {
    /// LSN of the first.
    pub first: Lsn,
    /// LSN of the last.
    pub last: Lsn,
    /// Place of the first.
    pub place: Place,
    /// Bytes behind each body: 16 where bodies are sealed, otherwise none.
    pub tag_bytes: usize,
}

impl Appended {
    /// The bytes that one of the frames takes in its segment.
    #[must_use]
    pub fn bytes_of(&self, frame: &NewFrame<'_>) -> usize {
        frame.bytes_with(self.tag_bytes)
    }
}

/// Frames that are queued, and durable some time later.
///
/// Those that nobody waits for are synced with those of others; otherwise the log's thread, if it has
/// one, syncs them a fifth of a second later, or as soon as it has made a segment that is needed.
#[derive(Debug)]
#[must_use = "not durable until it is waited for, or polled as such"]
pub struct AppendTicket<'l> {
    log: &'l Log,
    appended: Appended,
}

impl AppendTicket<'_> {
    /// LSNs and place.
    #[must_use]
    pub fn appended(&self) -> Appended {
        self.appended
    }

    /// As [`Log::wait`], for all frames of the ticket.
    ///
    /// # Errors
    ///
    /// As [`Log::wait`].
    pub fn wait(self) -> Result<Appended, Error> {
        self.log.wait(self.appended.last).map(|()| self.appended)
    }

    /// As [`Log::poll`], for all frames of the ticket.
    #[must_use]
    pub fn poll(&self) -> Option<Result<(), Error>> {
        self.log.poll(self.appended.last)
    }
}

/// Room of a run frame.
const RUN_FRAME_BYTES: usize = frame_bytes(RUN_BODY_BYTES);
/// Size of a run frame in a sealed segment.
const RUN_FRAME_BYTES_SEALED: usize = frame_bytes(RUN_BODY_BYTES + ENVELOPE_BYTES);

impl Log {
    /// The bytes that a frame will take in a segment.
    #[must_use]
    pub fn bytes_of(&self, frame: &NewFrame<'_>) -> usize {
        frame.bytes_with(self.core.tag_bytes())
    }

    /// The bytes that a frame with a body of `body_bytes` will take in a segment.
    #[must_use]
    pub fn frame_bytes(&self, body_bytes: usize) -> usize {
        frame_bytes(body_bytes + self.core.tag_bytes())
    }

    /// Appends one frame durably.
    ///
    /// # Durability
    ///
    /// After `Ok` it survives a crash.
    ///
    /// # Errors
    ///
    /// As [`Log::append_deferred`] and [`Log::wait`].
    pub fn append(
        &self,
        frame: NewFrame<'_>,
        now_ms: u64,
        purpose: Purpose,
    ) -> Result<Appended, Error> {
        self.append_deferred(&[frame], now_ms, purpose)?.wait()
    }

    /// Appends frames durably as one atomic batch.
    ///
    /// # Durability
    ///
    /// After `Ok` all of them survive a crash; after an error, all or none.
    ///
    /// # Errors
    ///
    /// As [`Log::append_deferred`] and [`Log::wait`].
    pub fn append_batch(
        &self,
        frames: &[NewFrame<'_>],
        now_ms: u64,
        purpose: Purpose,
    ) -> Result<Appended, Error> {
        self.append_deferred(frames, now_ms, purpose)?.wait()
    }

    /// Queues `frames` as one atomic batch and gives them LSNs. Where 8 MiB are queued and not synced, it
    /// waits for them.
    ///
    /// `now_ms` is the monotonic clock that the log was started with.
    ///
    /// # Durability
    ///
    /// None until the ticket says so. After a crash before that, all frames of the batch are there or
    /// none.
    ///
    /// # Errors
    ///
    /// `Invalid`: no frames, an empty body, a kind or flags of the log's own, or more bytes than a
    /// segment less 8 KiB (12 KiB with [`Alignment::Block`](super::Alignment::Block)). `Full`: no room
    /// for a further segment. `Key`: no key for a further segment now. `Poisoned`. Nothing was queued.
    pub fn append_deferred(
        &self,
        frames: &[NewFrame<'_>],
        now_ms: u64,
        purpose: Purpose,
    ) -> Result<AppendTicket<'_>, Error> {
        self.append_each(frames, now_ms, purpose, |_| {})
    }

    /// As [`Log::append_deferred`], of frames that write their bodies themselves. `placed` is told of each where it is,
    /// in their order; what it was told is void if this returns an error. Neither may use the log.
    ///
    /// # Errors
    ///
    /// As [`Log::append_deferred`]; `Invalid`, too, if the frames do not say the same twice.
    pub fn append_each<F: AppendFrame>(
        &self,
        frames: impl IntoIterator<Item = F, IntoIter: Clone>,
        now_ms: u64,
        purpose: Purpose,
        mut placed: impl FnMut(Placed),
    ) -> Result<AppendTicket<'_>, Error> {
        let queued = self.core.queue(frames.into_iter(), now_ms, purpose, &mut placed);
        let (appended, queued_bytes) =
            queued.inspect_err(|_poisoned| self.core.tailing.announce())?;
        if queued_bytes > QUEUED_BYTES_MAX {
            // So that memory is bounded. How that ends the ticket reports.
            drop(self.core.wait(appended.last));
        }
        Ok(AppendTicket { log: self, appended })
    }
}

impl Core {
    /// See [`Log::append_each`]. Also returns how many bytes are queued then.
    fn queue<F: AppendFrame>(
        &self,
        frames: impl Iterator<Item = F> + Clone,
        now_ms: u64,
        purpose: Purpose,
        placed: &mut impl FnMut(Placed),
    ) -> Result<(Appended, usize), Error> {
        self.refuse_if_forked()?;
        let (count, bytes) = self.check(frames.clone())?;
        let mut commit = self.commit.lock();
        let time = self.make_ready(&mut commit, bytes, now_ms, purpose)?;
        let batch = FrameBatch { count, bytes, time, is_seal: false };
        let QueuedBatch { first, last, place } = commit.push_all(frames, batch, placed)?;
        self.joined.fetch_add(1, Ordering::Relaxed);
        let queued_bytes = commit.queued_bytes;
        drop(commit);
        self.spares.stir();
        Ok((Appended { first, last, place, tag_bytes: self.tag_bytes() }, queued_bytes))
    }

    /// Bytes behind each of the host's bodies.
    fn tag_bytes(&self) -> usize {
        if self.sealing.is_some() { TAG_BYTES } else { 0 }
    }

    /// Queues a mark, if this run wrote anything.
    pub(super) fn append_mark(&self) -> Result<Option<Lsn>, Error> {
        if !self.commit.lock().run_begun {
            return Ok(None);
        }
        self.begin_and_mark()
    }

    /// Queues a mark, with the run frame before it if this run wrote nothing.
    pub(super) fn begin_and_mark(&self) -> Result<Option<Lsn>, Error> {
        let mut commit = self.commit.lock();
        let now_ms = commit.stamp.mono_ms;
        self.make_ready(&mut commit, MARK_FRAME_BYTES, now_ms, Purpose::Settle)?;
        commit.push_mark(u64::try_from(MARK_FRAME_BYTES).unwrap_or(0)).map(Some)
    }

    /// The last frame that was queued in this run and may not be synced.
    pub(super) fn last_queued(&self) -> Option<Lsn> {
        let commit = self.commit.lock();
        let last = commit.tail.as_ref().map_or(0, |tail| tail.last_lsn);
        Lsn::from_u64(last).filter(|_| last > commit.synced)
    }

    /// Refuses what no segment can hold; returns how many frames there are, and their size.
    fn check<F: AppendFrame>(
        &self,
        frames: impl Iterator<Item = F>,
    ) -> Result<(usize, usize), Error> {
        let tag_bytes = self.tag_bytes();
        let (mut count, mut total) = (0, 0_usize);
        for new in frames {
            let body_bytes = new.body_bytes();
            if body_bytes == 0 {
                return Err(Error::invalid("a frame needs a body of at least one byte"));
            }
            if new.kind() < KIND_HOST_MIN || new.flags() & MORE != 0 {
                return Err(Error::invalid("kinds below 16 and flag bit 7 belong to the log"));
            }
            total = total.saturating_add(frame_bytes(body_bytes + tag_bytes));
            count += 1;
        }
        if count == 0 {
            return Err(Error::invalid("a batch needs at least one frame"));
        }
        let most = usize::try_from(self.options.segment_bytes)
            .unwrap_or(usize::MAX)
            .saturating_sub(match self.options.alignment {
                Alignment::Frame => COMMIT_OVERHEAD_BYTES,
                Alignment::Block => BLOCK_OVERHEAD_BYTES,
            });
        if total > most {
            return Err(Error::invalid(format!(
                "a commit of {total} bytes does not fit into a segment: at most {most}"
            )));
        }
        Ok((count, total))
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
        match purpose {
            Purpose::Capture => self.keep_reserve(commit)?,
            Purpose::CaptureLeaving(promised) => {
                self.keep_reserve(commit)?;
                self.keep_promised(commit, total, promised)?;
            }
            Purpose::Settle => {}
            Purpose::SettleLeaving { reserved, promised } => {
                let need = u64::try_from(total).unwrap_or(u64::MAX).saturating_add(reserved);
                self.keep_room(commit, need, promised)?;
            }
        }
        let elapsed = now_ms.saturating_sub(commit.stamp.mono_ms);
        // The time of a frame is 32 bits: a run of more than 49 days is followed by another.
        if commit.run_spent || u32::try_from(elapsed).is_err() {
            self.next_run(commit, elapsed)?;
        }
        let run_bytes = match (&commit.run_begun, &self.sealing) {
            (true, _) => 0,
            (false, None) => RUN_FRAME_BYTES,
            (false, Some(_)) => RUN_FRAME_BYTES_SEALED,
        };
        let need = u64::try_from(total + run_bytes).unwrap_or(u64::MAX);
        let seal = u64::try_from(SEAL_FRAME_BYTES).unwrap_or(u64::MAX);
        let fits = |tail: &ActiveSegment| {
            let end = self.options.alignment.end(tail.offset + need);
            !tail.sealed && !tail.closed && end + seal <= tail.space.bytes
        };
        if !commit.tail.as_ref().is_some_and(fits) {
            self.roll(commit, purpose)?;
            if !commit.tail.as_ref().is_some_and(fits) {
                let message =
                    "the prepared segment is of an earlier, smaller setting, and the disk is full";
                return Err(Error::new(ErrorKind::Full, message));
            }
        }
        if !commit.run_begun {
            commit.push_run(0)?;
            commit.run_begun = true;
            let begun = (commit.run, commit.stamp);
            commit.begun.push(begun);
        }
        Ok(u32::try_from(now_ms.saturating_sub(commit.stamp.mono_ms)).unwrap_or(u32::MAX))
    }
}
