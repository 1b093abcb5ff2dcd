//! What every area is built on, and that names none: keys and their windows, what lives in each segment, which frames
//! depend on others, when frames were written, commits that are under way. And what is done with it: writing,
//! cleaning, checkpoints, opening.
//!
//! | part | what |
//! |---|---|
//! | `area` | what the kernel asks of the areas |
//! | `keys` | the index, and how long keys are remembered |
//! | `usage` | what lives in each segment |
//! | `dependencies` | which frames others depend on |
//! | `times` | when frames were written |
//! | `commits` | frames that are queued and not known to be durable |
//! | `engine` | log, disk, clock and the state under its lock; the one protocol by which frames are written |
//! | `cleaning` | carries what lives out of a segment, and trims it |
//! | `checkpointer` | writes the index's files |
//! | `opening` | reads the log, and the index beside it |
//! | `summaries` | what is read of finished segments in their place |
//!
//! Memory changes by frames only: replay and live calls go through the same functions, in the order of the frames, so
//! that what a restart rebuilds is what was there before.

mod area;
mod checkpointer;
mod cleaning;
mod commits;
mod dependencies;
mod engine;
mod keys;
pub(crate) mod opening;
mod summaries;
mod times;
mod usage;

use onceward_index::Secret;

use crate::base::{FrameKind, Located, Moment};

pub(crate) use area::{Area, Areas, KnownPart, Scanned};
pub(crate) use cleaning::{CleaningTurn, LiveFrames};
pub(crate) use commits::{Commits, QueuedCommit, Waiter};
use dependencies::Dependencies;
pub(crate) use engine::{
    Engine, FrameBody, Queueing, Settings, Share, answer_bytes, bytes_of, frame_lsn, from_log,
};
pub(crate) use keys::{
    Asking, KeyEntry, KeyIndex, KeySettings, KeysFrame, LostKeys, Reservation, SliceHold, Windows,
    keys_of,
};
pub(crate) use summaries::{RunColumns, RunFacts, SummaryRun, discard as discard_summaries};
pub(crate) use times::{Marks, Times};
pub(crate) use usage::{KEY_ENTRY_BYTES, Usage};

/// What the log says, as far as it concerns every area.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Key of the fingerprints.
    pub(crate) secret: Secret,
    pub(crate) keys: KeyIndex,
    /// What lives in each segment.
    pub(crate) usage: Usage,
    /// Which frames others depend on.
    pub(crate) dependencies: Dependencies,
    /// When frames were written.
    pub(crate) times: Times,
    /// Frames that are not known to be durable.
    pub(crate) commits: Commits,
    /// Frames whose checksum is right and that do not fit the log: where, and why.
    invalid: Vec<(Located, String)>,
    /// When the shortest slice began in which expiry was last looked at.
    turned_in: Option<u64>,
}

impl Kernel {
    /// What an empty log says.
    pub(crate) fn new(secret: Secret, keys: KeyIndex, times: Times) -> Self {
        Self {
            secret,
            keys,
            usage: Usage::default(),
            dependencies: Dependencies::default(),
            times,
            commits: Commits::default(),
            invalid: Vec::new(),
            turned_in: None,
        }
    }

    /// The key of something that came with the frame `lsn`, as the log has it.
    pub(crate) fn replay_key(
        &mut self,
        reservation: Reservation,
        lsn: u64,
        moment: Moment,
    ) -> SliceHold {
        let begin = self.keys.slice_begin(reservation.window, moment.trusted_ms);
        match moment.wall.get() {
            Some(_) => self.keys.replay().event(reservation, lsn, begin),
            // Nobody knows when that was: the index's files may know in which slice the key is.
            None => self.keys.replay().moved(reservation, lsn, begin),
        }
    }

    /// Notes a frame that is in the log.
    pub(crate) fn note(&mut self, kind: FrameKind, at: Located) {
        self.usage.note(kind, at);
    }

    /// Notes a frame whose checksum is right and that does not fit the log.
    pub(crate) fn note_invalid(&mut self, at: Located, why: String) {
        self.invalid.push((at, why));
    }

    /// Frames whose checksum is right and that do not fit the log: where, and why.
    pub(crate) fn invalid(&self) -> &[(Located, String)] {
        &self.invalid
    }

    /// All that it says, alike of two that say the same.
    #[cfg(test)]
    pub(crate) fn described(&self) -> String {
        let Self { usage, dependencies, times, invalid, .. } = self;
        let slices = self.keys.index().slices();
        format!("{:?}", (usage, dependencies, times, invalid, slices, self.keys.coverage()))
    }

    /// Whether it is time to look at expiry, which is once in every slice's length: so a key is gone at the latest
    /// one slice after its slice's end, whoever asks.
    fn is_time_to_expire(&mut self, trusted_ms: u64) -> bool {
        let begin = self.keys.slice_begin(self.keys.windows().shortest(), trusted_ms);
        let is_time = self.turned_in.is_none_or(|turned_in| turned_in < begin);
        if is_time {
            self.turned_in = Some(begin);
        }
        is_time
    }

    /// Forgets a segment that goes, before the areas do.
    pub(crate) fn forget_segment(&mut self, segment: u64) {
        let holders = self.usage.remove(segment);
        self.dependencies.forget(&holders);
    }
}
