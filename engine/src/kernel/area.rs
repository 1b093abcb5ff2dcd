//! What the kernel asks of the areas, without a name of any of them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use onceward_index::{Fingerprint, SliceId};
use onceward_wal::Frame;

use super::{Asking, Engine, FrameBody, Kernel, LiveFrames, QueuedCommit, SummaryRun};
use crate::base::{FrameKind, Located, Moment, Result};

/// A part of the state that has frames of its own.
///
/// What it does with each of its frames (replay, carrying, noting where it was carried to) it is asked by their kind:
/// the one place that leads from a kind to its area is `state.rs`. Here is what all are asked alike, with answers
/// for those that have nothing to say.
pub(crate) trait Area {
    /// The log was read: keys that were carried are held in the slices that have them now.
    fn end_replay(&mut self, _kernel: &mut Kernel) {}

    /// Keys of what is not finished move on from these slices, which end.
    fn carry_keys(&mut self, _kernel: &mut Kernel, _slices: &[SliceId], _trusted_ms: u64) {}

    /// Slices of keys were forgotten.
    fn slices_ended(&mut self, _kernel: &Kernel) {}

    /// Forgets a segment that goes; the kernel forgot it before.
    fn forget_segment(&mut self, kernel: &mut Kernel, segment: u64);

    /// How many frames of a segment that go in order the area counts on, so that cleaning notices if it does not
    /// find one.
    fn known_frames(&self, _segment: u64) -> usize {
        0
    }

    /// Whether something is left in a segment without which it may not go, after all was carried.
    fn is_left_in(&self, _segment: u64) -> bool {
        false
    }

    /// Bytes of frames that cleaning carries whole while they live, besides keys.
    fn live_bytes(&self) -> u64 {
        0
    }

    /// Keys that the area has in the index.
    fn key_count(&self) -> u64 {
        0
    }

    /// Whether the log has anything of an item, whose number is the LSN of its first frame.
    fn knows(&self, _item: u64) -> bool {
        false
    }

    /// The slices that are held for the keys of what is not finished.
    fn held_slices(&self, _held: &mut BTreeMap<Fingerprint, SliceId>) {}
}

/// What scanning a segment finds of a frame.
pub(crate) enum Scanned<S> {
    /// The frame is kept whole, to be judged later.
    Whole,
    /// The frame is one that the area counts in a segment, and is kept whole.
    Counted,
    /// The frame is one that the area counts, and this part of it is enough; `None`: nothing of it is.
    Short(Option<S>),
    /// Nothing of it is needed.
    Nothing,
}

/// What gathering of a segment that is not read did, see [`Areas::gather_known`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct KnownPart {
    /// How many settled events it looked at.
    pub(crate) count: usize,
    /// The LSN of the event from which it goes on; `None`: that were all.
    pub(crate) next: Option<u64>,
}

/// All areas: what they are asked together, and each by the kind of a frame.
pub(crate) trait Areas: Debug + Sized + Send + 'static {
    /// What is gathered of several frames before it is carried together.
    type Gathered: Default;
    /// What is enough of some frames while a segment is cleaned.
    type Short;

    /// What an empty log says.
    fn new(kernel: Kernel) -> Self;

    /// What concerns every area.
    fn kernel(&self) -> &Kernel;

    /// What concerns every area, to change it.
    fn kernel_mut(&mut self) -> &mut Kernel;

    /// Applies one frame of the log.
    fn replay(&mut self, frame: &Frame<'_>);

    /// Applies events that a summary has.
    fn replay_run(&mut self, run: &SummaryRun<'_>);

    /// How much of the body of a frame of this kind replay reads, from its beginning on, where the index's files cover
    /// the frame.
    fn replayed_bytes(kind: FrameKind, frame: &Frame<'_>) -> usize;

    /// The log was read.
    fn end_replay(&mut self);

    /// Reports to who needs it where in the log it is not known how much time passed.
    fn note_marks(&mut self);

    /// The frames of a commit are durable: what they change takes place, but for their keys, which the kernel
    /// confirms.
    fn confirmed(&mut self, commit: &QueuedCommit);

    /// The frames of a commit are surely absent: their keys are free again.
    fn withdrawn(&mut self, commit: &QueuedCommit);

    /// Carries keys as [`Area::carry_keys`] says, in all areas.
    fn carry_keys(&mut self, slices: &[SliceId], trusted_ms: u64);

    /// Reports ended slices as [`Area::slices_ended`] says, to all areas.
    fn slices_ended(&mut self);

    /// Forgets a segment that goes.
    fn forget_segment(&mut self, segment: u64);

    /// The sum of [`Area::known_frames`] of all areas.
    fn known_frames(&self, segment: u64) -> usize;

    /// Whether [`Area::is_left_in`] holds for any area.
    fn is_left_in(&self, segment: u64) -> bool;

    /// The sum of [`Area::live_bytes`] of all areas.
    fn live_bytes(&self) -> u64;

    /// Whether [`Area::knows`] holds for any area.
    fn knows(&self, item: u64) -> bool;

    /// What [`Area::held_slices`] adds, of all areas.
    fn held_slices(&self) -> BTreeMap<Fingerprint, SliceId>;

    /// Items that will need an answer in the log, for each of which room is promised.
    fn unanswered(&self) -> usize;

    /// Bytes that the answers to all that was sent take at most, without those to this batch.
    fn owed_bytes(&self, retired: u64) -> u64;

    /// Applies keys that the index knows and the log lost, from a frame that was written for them; of `None` they are
    /// only noted.
    fn apply_lost_keys(&mut self, keys: &super::KeysFrame, at: Option<Located>);

    /// Looks at a frame of a segment that is scanned.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    fn scan(
        &self,
        asking: Asking<'_>,
        kind: FrameKind,
        frame: &Frame<'_>,
    ) -> Result<Scanned<Self::Short>>;

    /// How many frames of a segment [`Areas::scan`] must have counted: events, and frames with keys.
    fn counted_in(&self, segment: u64) -> (usize, usize);

    /// Whether a frame is one with keys, as [`Areas::counted_in`] counts them.
    fn has_keys(kind: FrameKind) -> bool;

    /// Whether memory knows what lives in a segment: the keys of settled events at most.
    fn is_known(&self, segment: u64) -> bool;

    /// Finds what must be carried of some settled events of such a segment, from the LSN `from` on. `None`: the index
    /// does not show all of their keys, and the segment must be read.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    fn gather_known(
        &self,
        asking: Asking<'_>,
        segment: u64,
        from: u64,
        found: (&mut LiveFrames, &mut Self::Gathered),
    ) -> Result<Option<KnownPart>>;

    /// Finds what of a frame must be carried.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    fn relocate(
        &self,
        asking: Asking<'_>,
        frame: &Frame<'_>,
        found: (&mut LiveFrames, &mut Self::Gathered),
    ) -> Result<()>;

    /// Finds what must be carried of a frame of which only this part was kept.
    ///
    /// # Errors
    ///
    /// As [`Areas::relocate`].
    fn relocate_short(
        &self,
        asking: Asking<'_>,
        short: &Self::Short,
        found: (&mut LiveFrames, &mut Self::Gathered),
    ) -> Result<()>;

    /// Reads what is carried with that and is in other frames. No lock is held.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the log cannot be read.
    fn complete(engine: &Engine<Self>, gathered: &mut Self::Gathered) -> Result<()>;

    /// Puts what was gathered into frames.
    fn gathered(gathered: Self::Gathered, live: &mut LiveFrames);

    /// All that it says, alike of two that say the same.
    #[cfg(test)]
    fn described(&self) -> String;

    /// A frame was carried to here, durably.
    fn relocated(&mut self, relocation: &FrameBody, at: Located, moment: Moment);
}
