//! How the reserve is shared out when the disk is full, so that none of what gives room back ever waits for
//! what needs it less.
//!
//! | what is written | what it leaves of the reserve |
//! |---|---|
//! | answers that settle, and what cleaning carries | nothing |
//! | batches | three quarters of a segment, to carry one, and room for the answers to all batches that are open |
//! | decisions, cancellations, and whatever else is not new | that and two quarters, for batches and their answers |
//! | why events were refused | that and a quarter, for decisions; and besides, room for the answers to all events |
//! | what is new | the whole reserve, and room for the answers to all events |
//!
//! The answers to events may take more room than cleaning gets back for them while they come: small events
//! are no larger than the keys that are kept of them, and a segment in which only some are settled is not worth
//! cleaning. So there is room for all answers before the disk is full: each capture leaves 128 bytes for each
//! event that has none.
//!
//! The reserve is two segments, as large as they are: on a full disk a program that is told another size
//! finds those of the one before it. An upstream that refuses everything therefore stops being written down while
//! people can still decide; people who decide stop while what they sent again can still be sent; and what was
//! sent can be settled, and what is settled be carried and trimmed.

use onceward_wal::{NewFrame, Purpose};

use super::{Inner, from_log, located};
use crate::error::{Error, ErrorKind, Result};
use crate::frames::{KIND_CARRIED, KIND_EVENT};
use crate::limits::RECEIPT_BYTES_MAX;
use crate::view::{KEY_ENTRY_BYTES, Located, Moment, View};

/// What the answer for one event takes at most if it settles it: a span of its own and a receipt.
const ANSWER_BYTES: u64 = 17 + 16 + RECEIPT_BYTES_MAX as u64;
/// What a frame with answers takes besides them.
const ANSWERS_FRAME_BYTES: u64 = 128;
/// What is left for the answer to each event when something new is stored.
const PROMISED_BYTES: u64 = 128;

/// What a frame is for, by how much it is needed to get room back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Share {
    /// Answers that settle events, and what cleaning carries.
    Answers,
    /// What is sent together.
    Batches,
    /// What persons decide, and all that is not new and in no other share.
    Decisions,
    /// Why events were refused.
    Reasons,
    /// What can as well be in memory only: nothing of the reserve is for it.
    Nothing,
}

impl Share {
    /// What it leaves of the reserve, in quarters of a segment, besides the answers to open batches.
    fn quarters(self) -> u64 {
        match self {
            Self::Answers => 0,
            Self::Batches => 3,
            Self::Decisions => 5,
            Self::Reasons | Self::Nothing => 6,
        }
    }
}

impl Inner {
    /// Appends control frames as one batch and waits until they are durable. Returns where each
    /// stands and when they were made.
    ///
    /// The caller holds `control` and not `view`.
    pub(crate) fn append_control(
        &self,
        frames: &[(u8, Vec<u8>)],
        share: Share,
    ) -> Result<(Vec<Located>, Moment)> {
        self.append_retiring(frames, (share, 0))
    }

    /// As [`Inner::append_control`], for frames that retire this batch: what its answers were owed is theirs.
    pub(crate) fn append_retiring(
        &self,
        frames: &[(u8, Vec<u8>)],
        share: (Share, u64),
    ) -> Result<(Vec<Located>, Moment)> {
        let parts: Vec<[&[u8]; 1]> = frames.iter().map(|(_, body)| [body.as_slice()]).collect();
        let new: Vec<NewFrame<'_>> = frames
            .iter()
            .zip(&parts)
            .map(|((kind, _), parts)| NewFrame { kind: *kind, flags: 0, parts })
            .collect();
        self.append_new(&new, share)
    }

    /// As [`Inner::append_control`], for frames of any layout.
    pub(crate) fn append_durably(
        &self,
        new: &[NewFrame<'_>],
        share: Share,
    ) -> Result<(Vec<Located>, Moment)> {
        self.append_new(new, (share, 0))
    }

    fn append_new(
        &self,
        new: &[NewFrame<'_>],
        (share, retired): (Share, u64),
    ) -> Result<(Vec<Located>, Moment)> {
        self.refuse_if_closed()?;
        // What failed must be known to be absent before anything behind it is durable.
        self.answer_deferred(&mut self.view.lock());
        let mono_ms = self.mono_ms();
        let purpose = self.purpose_of(&self.view.lock(), (share, retired));
        let appended = self.log.append_batch(new, mono_ms, purpose).map_err(from_log)?;
        let placed = located(&appended, new);
        let mut view = self.view.lock();
        self.wrote(&mut view, new, &placed, (0, mono_ms));
        self.keeper.is_durable();
        self.answer_deferred(&mut view);
        Ok((placed, self.moment(mono_ms)))
    }

    /// What may be written for this. The caller does not hold the view.
    pub(crate) fn purpose(&self, share: Share) -> Purpose {
        self.purpose_in(&self.view.lock(), share)
    }

    /// The same for who holds it.
    pub(crate) fn purpose_in(&self, view: &View, share: Share) -> Purpose {
        self.purpose_of(view, (share, 0))
    }

    fn purpose_of(&self, view: &View, (share, retired): (Share, u64)) -> Purpose {
        match share {
            Share::Answers => Purpose::Settle,
            Share::Nothing => capture_purpose(view, &[]),
            Share::Batches | Share::Decisions | Share::Reasons => Purpose::SettleLeaving {
                reserved: self.left_by(view, (share, retired)),
                promised: promised_by(view, share),
            },
        }
    }

    /// What frames of this share, which retire a batch (0: none), leave of the reserve.
    fn left_by(&self, view: &View, (share, retired): (Share, u64)) -> u64 {
        let quarters = self.log.reserved_segment_bytes() / 4 * share.quarters();
        quarters.saturating_add(if share == Share::Answers { 0 } else { owed_bytes(view, retired) })
    }

    /// The bytes that frames of this share may take now, if the disk gives no more; `wanted` of them are
    /// taken from the disk if it gives them.
    ///
    /// # Errors
    ///
    /// `Poisoned`.
    pub(crate) fn room_for_share(&self, share: Share, wanted: u64) -> Result<u64> {
        self.room_left((share, 0), wanted)
    }

    fn room_left(&self, (share, retired): (Share, u64), wanted: u64) -> Result<u64> {
        let (left, promised) = {
            let view = self.view.lock();
            (self.left_by(&view, (share, retired)), promised_by(&view, share))
        };
        let room = self.log.room(left.saturating_add(wanted), promised).map_err(from_log)?;
        Ok(room.saturating_sub(left))
    }

    /// Whether the disk is so full that nothing is written but what is needed to get room back.
    pub(crate) fn is_low(&self) -> bool {
        self.room_for_share(Share::Reasons, 1).is_ok_and(|bytes| bytes == 0)
    }

    /// Refuses batches whose frames, of so many bytes, and answers would find no room, in the place of `parent`
    /// (0: of none), which is owed none then.
    ///
    /// # Errors
    ///
    /// `Full`, `Poisoned`.
    pub(crate) fn keep_answers(
        &self,
        frames_bytes: u64,
        parent: u64,
        parts: &[Vec<u64>],
    ) -> Result<()> {
        let answers = parts.iter().map(|events| answer_bytes(events.len()));
        let need = answers.fold(frames_bytes, u64::saturating_add);
        if self.room_left((Share::Batches, parent), need)? >= need {
            return Ok(());
        }
        let message = "the disk is full: a batch and the answer to it find no room";
        Err(Error::new(ErrorKind::Full, "FULL", message))
    }

    /// Whether cleaning may carry so much: what open batches are owed is not for it.
    pub(crate) fn can_carry(&self, bytes: u64) -> Result<bool> {
        let need = bytes.saturating_add(bytes / 8).saturating_add(owed_bytes(&self.view.lock(), 0));
        Ok(self.log.room(need, 0).map_err(from_log)? >= need)
    }

    /// Does what may find no room; if so makes some and does it once more. The caller holds no lock.
    pub(crate) fn with_room<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let mut has_made_room = false;
        loop {
            match work() {
                Err(error) if error.kind() == ErrorKind::Full && !error.in_doubt() => {
                    self.make_room_once(error, &mut has_made_room)?;
                }
                done => return done,
            }
        }
    }
}

/// What frames of this share leave besides, for the answers to all events. What settles events, or makes that
/// possible, leaves nothing of it: should others have taken that room, it would never be regained.
fn promised_by(view: &View, share: Share) -> u64 {
    match share {
        Share::Answers | Share::Batches | Share::Decisions => 0,
        Share::Reasons | Share::Nothing => promised_bytes(view.events.len()),
    }
}

/// What may be written for what is new: as much as leaves room for the answers to all events, these
/// included.
pub(crate) fn capture_purpose(view: &View, new: &[NewFrame<'_>]) -> Purpose {
    let is_event = |frame: &&NewFrame<'_>| matches!(frame.kind, KIND_EVENT | KIND_CARRIED);
    let events = view.events.len() + new.iter().filter(is_event).count();
    Purpose::CaptureLeaving(promised_bytes(events))
}

/// What the answers to so many events take at most, sooner or later.
fn promised_bytes(events: usize) -> u64 {
    let each = if cfg!(bug = "answers-not-promised") { 0 } else { PROMISED_BYTES };
    u64::try_from(events).unwrap_or(u64::MAX).saturating_mul(each)
}

/// What the answers to all open batches but this one take at most.
fn owed_bytes(view: &View, retired: u64) -> u64 {
    let open = view.batches.iter().filter(|(number, _)| **number != retired);
    let answers = open.map(|(_, batch)| answer_bytes(batch.events.len()));
    answers.fold(0, u64::saturating_add)
}

/// What the answer to a batch of so many events takes at most if all are settled.
fn answer_bytes(events: usize) -> u64 {
    let events = u64::try_from(events).unwrap_or(u64::MAX);
    events.saturating_mul(ANSWER_BYTES).saturating_add(ANSWERS_FRAME_BYTES)
}

const _: () = assert!(ANSWER_BYTES >= KEY_ENTRY_BYTES, "an answer is no smaller than a key");
const _: () = assert!(
    PROMISED_BYTES >= ANSWER_BYTES * 5 / 4,
    "an answer, its part of a frame, and of what commits leave unused of a segment",
);
