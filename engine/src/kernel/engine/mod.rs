//! The engine of an open store: log, disk, clock, and what the log says, under one lock.
//!
//! | file | what |
//! |---|---|
//! | `commit` | the one protocol by which frames are written |
//! | `reserve` | how the reserve is shared out when the disk is full |
//! | `anew` | makes the index anew where its files turn out to be damaged |
//! | `time` | trusted time: what the clocks show, as far as they are believed |
//! | `refusals` | a store that was closed or forked, errors of the log |
//!
//! Two locks. `state` is held for the short critical sections that touch memory and queue frames;
//! nobody waits for the disk under it, but who meets damage in the index's files, and with them all others: making
//! the index anew reads the whole log (see `anew.rs`). `control` is held by whoever changes what is already stored
//! (settling, deciding, cleaning) from reading the state to the frame's durability, so that these
//! changes reach memory in the order of their frames. Captures never take it, but one that drops other
//! events to make room. Order: `control` before the locks of areas, and those before `state`.

mod anew;
mod commit;
mod refusals;
mod reserve;
mod time;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onceward_index::Secret;
use onceward_vfs::Vfs;
use onceward_wal::{Frame, FrameBuf, Log, Lsn, Sealing};
use parking_lot::Mutex;

use super::checkpointer::Checkpointer;
use super::cleaning::{Cleaner, Cleaning};
use super::summaries::Summaries;
use super::{Areas, KeySettings, Windows};
use crate::base::{Damage, Error, Located, RecoveryReport, Result, StoreId};

use commit::AppliedUpto;
pub(in crate::kernel) use commit::expire;
pub(crate) use commit::{FrameBody, Queueing, bytes_of};
pub(crate) use refusals::from_log;
pub(crate) use reserve::{Reserve, Share, answer_bytes};
pub(crate) use time::TrustedTime;

/// What a host chooses of what every area is built on.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Size of a segment, bytes.
    pub(crate) segment_bytes: u64,
    /// Whether a store is made where none is.
    pub(crate) may_create: bool,
    /// Whether segments are ever trimmed.
    pub(crate) may_trim: bool,
    /// Segments' worth of waste that cleaning waits for.
    pub(crate) slack_segments: u64,
    /// Bytes of the log between two checkpoints of the index.
    pub(crate) index_log_bytes_max: u64,
    /// What is chosen of the keys.
    pub(crate) keys: KeySettings,
    /// By what the log's files are sealed.
    pub(crate) sealing: Option<Arc<dyn Sealing>>,
}

/// The engine of an open store, whose areas are `S`.
#[derive(Debug)]
pub(crate) struct Engine<S: Areas> {
    pub(super) checkpointer: Checkpointer,
    pub(crate) summaries: Arc<Summaries>,
    pub(crate) log: Log,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) state: Mutex<S>,
    pub(crate) control: Mutex<()>,
    applied_upto: AppliedUpto,
    pub(super) settings: Settings,
    id: StoreId,
    /// Key of the fingerprints.
    secret: Secret,
    pub(crate) time: TrustedTime,
    pub(super) recovery: RecoveryReport,
    /// Damage of the log that was found since.
    damage_since: Mutex<Vec<Damage>>,
    pub(super) cleaning: Cleaning,
    /// Somebody closed the store: nothing more is written through other handles.
    closed: AtomicBool,
    /// It was reported that the log writes nothing any more because the disk failed.
    is_failure_told: AtomicBool,
}

/// What opening hands over.
pub(super) struct Opened<S> {
    pub(super) checkpointer: Checkpointer,
    pub(super) summaries: Arc<Summaries>,
    pub(super) log: Log,
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) state: S,
    pub(super) settings: Settings,
    pub(super) id: StoreId,
    pub(super) secret: Secret,
    pub(super) time: TrustedTime,
    pub(super) recovery: RecoveryReport,
}

impl<S: Areas> Engine<S> {
    /// The engine of a store that was opened.
    pub(super) fn new(opened: Opened<S>) -> Self {
        let Opened { checkpointer, summaries, log, vfs, state, settings, .. } = opened;
        Self {
            checkpointer,
            summaries,
            log,
            vfs,
            state: Mutex::new(state),
            control: Mutex::new(()),
            applied_upto: AppliedUpto::default(),
            settings,
            id: opened.id,
            secret: opened.secret,
            time: opened.time,
            recovery: opened.recovery,
            damage_since: Mutex::default(),
            cleaning: Cleaning::default(),
            closed: AtomicBool::new(false),
            is_failure_told: AtomicBool::new(false),
        }
    }

    /// The store's number.
    pub(crate) fn id(&self) -> StoreId {
        self.id
    }

    /// The key of the store's fingerprints.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// How long the keys of each scope are remembered.
    pub(crate) fn windows(&self) -> &Windows {
        &self.settings.keys.windows
    }

    /// Size of a segment, bytes.
    #[cfg(feature = "rescue")]
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.settings.segment_bytes
    }

    /// What opening found, to add what areas found.
    pub(crate) fn recovery_mut(&mut self) -> &mut RecoveryReport {
        &mut self.recovery
    }

    /// Counts time that no clock measured and that was proven. The caller holds the state: no capture judges by one
    /// time and is written by another.
    pub(crate) fn advance(&self, ms: u64) {
        self.log.advance_trusted(ms);
        self.time.advance(ms);
    }

    /// The cleaner, which gives space back.
    pub(crate) fn cleaner(&self) -> Cleaner<'_, S> {
        Cleaner::new(self)
    }

    /// What of the reserve may be used for what.
    pub(crate) fn reserve(&self) -> Reserve<'_, S> {
        Reserve::new(self)
    }

    /// Whether somebody closed the store.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// From now on nothing more is written through other handles.
    pub(crate) fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Writes the index's files, if that was asked for and no thread does it.
    pub(crate) fn tick_checkpointer(&self) {
        self.checkpointer.tick();
    }

    /// Ends the log and the index. Calls that began before are over then, or refused; the caller refuses new ones.
    ///
    /// # Errors
    ///
    /// `Io`, `Poisoned`: no clean end was written.
    pub(crate) fn close(&self) -> Result<()> {
        // In the order of those who clean: nobody trims, and nobody changes what is stored, while the log ends.
        let _nobody_cleans = self.cleaning.wait_until_nobody_does();
        let _one_at_a_time = self.control.lock();
        // What those who waited for events left to others: the index's files cover it then.
        self.resolve(&mut self.state.lock());
        self.checkpointer.close();
        self.log.close().map_err(|error| self.log_error(error))
    }

    /// Keys that were taken since a checkpoint of the index was asked for.
    #[cfg(test)]
    pub(crate) fn keys_since_checkpoint(&self) -> u64 {
        self.checkpointer.key_count()
    }

    /// Has the index's files written now.
    #[cfg(test)]
    pub(crate) fn write_index(&self) {
        self.checkpointer.ask();
        self.checkpointer.tick();
    }

    /// Why the index's files could not be written lately, or were made anew, if so.
    pub(crate) fn index_trouble(&self) -> Option<String> {
        self.checkpointer.trouble()
    }

    /// Reads the frame that is there, and makes something of it.
    ///
    /// # Errors
    ///
    /// `Corrupt`: the frame is not there any more, or damaged. `Io`, and what `read` says.
    pub(crate) fn read<T>(
        &self,
        at: Located,
        read: impl FnOnce(&Frame<'_>) -> Result<T>,
    ) -> Result<T> {
        let read_frame = self.log.read(at.place, at.bytes, frame_lsn(at)?);
        let found: FrameBuf = read_frame.map_err(|error| self.log_error(error))?;
        read(&found.frame().map_err(|error| self.log_error(error))?)
    }

    /// Reads what is somewhere in the log, and looks again where it is as long as cleaning moves it meanwhile.
    /// `None`: it is nowhere any more.
    ///
    /// # Errors
    ///
    /// `Corrupt`: it cannot be read where it is. Others at once, and what `look` says.
    pub(crate) fn read_where_it_is<W: PartialEq, T>(
        &self,
        mut look: impl FnMut() -> Option<W>,
        mut read: impl FnMut(&W) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut found = look();
        while let Some(there) = found {
            let error = match read(&there) {
                Err(error) if error.kind() == crate::base::ErrorKind::Corrupt => error,
                done => return done.map(Some),
            };
            found = look();
            if found.as_ref() == Some(&there) {
                return Err(error);
            }
        }
        Ok(None)
    }
}

/// The LSN of a frame.
///
/// # Errors
///
/// `Corrupt`: it has none.
pub(crate) fn frame_lsn(at: Located) -> Result<Lsn> {
    Lsn::from_u64(at.lsn).ok_or_else(|| Error::corrupt("a frame has LSN 0, must be at least 1"))
}
