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
//! The reserve is two segments, as large as they are: on a full disk a program that is configured with another size
//! finds those of the one before it. An upstream that refuses everything therefore stops being written down while
//! people can still decide; people who decide stop while what they sent again can still be sent; and what was
//! sent can be settled, and what is settled be carried and trimmed.

use onceward_wal::Purpose;

use super::Engine;
use crate::base::bounds::RECEIPT_BYTES_MAX;
use crate::base::{Error, ErrorKind, Result};
use crate::kernel::{Areas, KEY_ENTRY_BYTES};

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

/// What of the reserve may be used for what, in a store.
#[derive(Debug)]
pub(crate) struct Reserve<'e, S: Areas> {
    engine: &'e Engine<S>,
}

impl<'e, S: Areas> Reserve<'e, S> {
    /// The reserve of this engine.
    pub(super) fn new(engine: &'e Engine<S>) -> Self {
        Self { engine }
    }

    /// Which room frames of this share may use; those that retire a batch have what its answers were owed.
    pub(crate) fn purpose(&self, state: &S, share: (Share, u64)) -> Purpose {
        match share.0 {
            Share::Answers => Purpose::Settle,
            Share::Nothing => self.capture_purpose(state, 0),
            Share::Batches | Share::Decisions | Share::Reasons => Purpose::SettleLeaving {
                reserved: self.left_by(state, share),
                promised: promised_by(state, share.0),
            },
        }
    }

    /// Which room new frames may use, so many of which will need an answer: as much as leaves room for the answers to
    /// all items, these included.
    pub(crate) fn capture_purpose(&self, state: &S, unanswered: usize) -> Purpose {
        Purpose::CaptureLeaving(promised_bytes(state.unanswered() + unanswered))
    }

    fn left_by(&self, state: &S, (share, retired): (Share, u64)) -> u64 {
        let quarters = self.engine.log.reserved_segment_bytes() / 4 * share.quarters();
        quarters.saturating_add(if share == Share::Answers { 0 } else { state.owed_bytes(retired) })
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
            let state = self.engine.state.lock();
            (self.left_by(&state, (share, retired)), promised_by(&*state, share))
        };
        let room = self.engine.log.room(left.saturating_add(wanted), promised);
        let room = room.map_err(|error| self.engine.log_error(error))?;
        Ok(room.saturating_sub(left))
    }

    /// Whether the disk is so full that nothing is written but what is needed to get room back.
    pub(crate) fn is_low(&self) -> bool {
        self.room_for_share(Share::Reasons, 1).is_ok_and(|bytes| bytes == 0)
    }

    /// Refuses what would leave no room for itself and the answers to it: so many bytes in all, some of which a batch
    /// that is retired (0: none) is owed until then.
    ///
    /// # Errors
    ///
    /// `Full`, `Poisoned`.
    pub(crate) fn refuse_if_no_room(&self, share: (Share, u64), bytes: u64) -> Result<()> {
        if self.room_left(share, bytes)? >= bytes {
            return Ok(());
        }
        let message = "the disk is full: a batch and the answer to it find no room";
        Err(Error::new(ErrorKind::Full, "FULL", message))
    }

    /// Whether cleaning may carry so much: what open batches are owed is not for it.
    pub(crate) fn can_carry(&self, bytes: u64) -> Result<bool> {
        let need =
            bytes.saturating_add(bytes / 8).saturating_add(self.engine.state.lock().owed_bytes(0));
        let room = self.engine.log.room(need, 0).map_err(|error| self.engine.log_error(error))?;
        Ok(room >= need)
    }

    /// Does what may find no room; if so makes some and does it once more. The caller holds no lock.
    pub(crate) fn with_room<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let mut has_made_room = false;
        loop {
            match work() {
                Err(error) if error.kind() == ErrorKind::Full && !error.in_doubt() => {
                    self.engine.cleaner().make_room_once(error, &mut has_made_room)?;
                }
                done => return done,
            }
        }
    }
}

/// What frames of this share leave besides, for the answers to all events. What settles events, or makes that
/// possible, leaves nothing of it: should others have taken that room, it would never be regained.
fn promised_by<S: Areas>(state: &S, share: Share) -> u64 {
    match share {
        Share::Answers | Share::Batches | Share::Decisions => 0,
        Share::Reasons | Share::Nothing => promised_bytes(state.unanswered()),
    }
}

/// What the answers to so many events take at most, sooner or later.
fn promised_bytes(events: usize) -> u64 {
    let each = if onceward_vfs::planted!("answers-not-promised") { 0 } else { PROMISED_BYTES };
    u64::try_from(events).unwrap_or(u64::MAX).saturating_mul(each)
}

/// What the answer to a batch of so many items takes at most if all are settled.
pub(crate) fn answer_bytes(items: usize) -> u64 {
    let items = u64::try_from(items).unwrap_or(u64::MAX);
    items.saturating_mul(ANSWER_BYTES).saturating_add(ANSWERS_FRAME_BYTES)
}

const _: () = assert!(ANSWER_BYTES >= KEY_ENTRY_BYTES, "an answer is no smaller than a key");
const _: () = assert!(
    PROMISED_BYTES >= ANSWER_BYTES * 5 / 4,
    "an answer, its part of a frame, and of what commits leave unused of a segment",
);
