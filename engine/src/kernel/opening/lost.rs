//! Keys that the index knows and the log lost to damage. They stay taken: they are written to the log before
//! anything of the index is given up, and before the first answer.
//!
//! | found | done |
//! |---|---|
//! | a log with damage, or one that was repaired since | every key of the index is looked for in it |
//! | an index that knows frames behind the log's end | the same, and their numbers are not given again |
//! | keys of which the log has nothing | frames with these keys, outcome unknown; found again, they are known |
//! | such keys in an index that does not fit | the same; then the store is opened again, and the index rebuilt |
//!
//! A crash on the way leaves the index as it was, so that the next opening finds the rest.

use std::sync::Arc;

use onceward_vfs::Vfs;
use onceward_wal::{Examined, Preparation};

use super::{Engine, keep_note};
use crate::base::places::{INDEX_DIR, QUARANTINE_DIR, UNCHECKED};
use crate::base::{Damage, FrameKind, RecoveryReport, Result, codec};
use crate::kernel::keys::{Strays, frames_of_lost};
use crate::kernel::{Areas, FrameBody, Kernel, KeysFrame, LostKeys, Share, from_log};

/// What the log lost and the index knows.
#[derive(Debug, Default)]
pub(super) struct LostToDamage {
    keys: Vec<LostKeys>,
    /// Why the index is of no use once the keys are in the log, if it is not.
    pub(super) misfit: Option<String>,
    /// What is reported of it.
    pub(super) damage: Vec<Damage>,
    /// A repair asked for this.
    is_asked: bool,
}

impl LostToDamage {
    /// Looks for what the log lost, if it may have lost anything.
    ///
    /// # Errors
    ///
    /// `Io`: the directory cannot be looked at.
    pub(super) fn find<S: Areas>(
        vfs: &dyn Vfs,
        examined: &mut Examined,
        state: &S,
    ) -> Result<Self> {
        let (covered, end) = (state.kernel().keys.coverage().upto(), examined.highest_lsn());
        let is_behind = covered > end;
        let is_asked = vfs.exists(UNCHECKED)?;
        if covered == 0 || !(is_behind || is_asked || !examined.report().damage.is_empty()) {
            return Ok(Self::default());
        }
        let mut lost = Self { is_asked, ..Self::default() };
        if is_behind {
            examined.raise(covered);
            lost.report(
                "log",
                format!("ends with LSN {end}, and frames up to {covered} were synced"),
            );
        }
        // A log without losses knows every key that its index does.
        let strays = Strays::of_files(&state.kernel().keys, |item| state.knows(item));
        for why in strays.unreadable {
            lost.report(
                INDEX_DIR,
                format!("keys of lost frames that only it had may be lost: {why}"),
            );
            lost.misfit.get_or_insert(why);
        }
        lost.keys = strays.keys;
        Ok(lost)
    }

    /// Whether no key need be written to the log.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys there are.
    pub(super) fn count(&self) -> u64 {
        self.keys.iter().map(LostKeys::count).sum()
    }

    /// From now on these keys are remembered for a window. To be called before slices are forgotten.
    pub(super) fn keep(&self, kernel: &Kernel, trusted_ms: u64) {
        self.keys.iter().for_each(|lost| lost.keep(&kernel.keys, trusted_ms));
    }

    /// How the files of the index are kept: those of one that does not fit are not written.
    pub(super) fn keeping(&self, preparation: Preparation) -> Preparation {
        if self.misfit.is_some() { Preparation::OnDemand } else { preparation }
    }

    /// Writes the keys to the log, durably. Where it has no room for that, the store goes on with an index that fits:
    /// it knows these keys, and the next opening writes them.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: the disk refused, and the index is not to be used. Nothing is lost: it stays
    /// as it is.
    pub(super) fn write<S: Areas>(&self, engine: &mut Engine<S>) -> Result<()> {
        engine.recovery.damage.extend(self.damage.iter().cloned());
        let settled_ms = engine.time.stamp().trusted_ms;
        let frames = frames_of_lost(engine.windows(), &self.keys, settled_ms);
        // What gives room back goes on, but where the store could not be opened otherwise.
        let share = if self.misfit.is_some() { Share::Answers } else { Share::Decisions };
        let mut written_count = 0;
        let written = frames.iter().try_for_each(|keys| {
            write_lost(engine, keys, share)?;
            written_count += 1;
            Ok(())
        });
        if written.is_ok() && !self.is_asked {
            // Afterwards nothing would say so: a repair has its own note.
            note_loss(engine, &self.keys);
        }
        match written {
            Ok(()) if self.is_asked && self.misfit.is_none() => {
                // One that stays only makes the next opening look again.
                drop(engine.vfs.remove(UNCHECKED));
            }
            Ok(()) => {}
            Err(error) if self.misfit.is_some() => return Err(error),
            Err(error) => {
                let mut state = engine.state.lock();
                frames
                    .iter()
                    .skip(written_count)
                    .for_each(|keys| state.apply_lost_keys(keys, None));
                drop(state);
                let what = format!("only the index knows the keys of lost frames: {error}");
                let (file, offset, length) = (INDEX_DIR.to_owned(), 0, 0);
                engine.recovery.damage.push(Damage { file, offset, length, what });
            }
        }
        Ok(())
    }

    fn report(&mut self, file: &str, what: String) {
        self.damage.push(Damage { file: file.to_owned(), offset: 0, length: 0, what });
    }
}

/// Writes to the log keys that it lost.
fn write_lost<S: Areas>(engine: &Engine<S>, keys: &KeysFrame, share: Share) -> Result<()> {
    let _one_at_a_time = engine.control.lock();
    let frame = FrameBody::new(FrameKind::Keys, codec::encode(keys));
    let written = engine.write(&[frame], share)?;
    let mut state = engine.state.lock();
    written.placed.into_iter().for_each(|at| state.apply_lost_keys(keys, Some(at)));
    Ok(())
}

/// Writes down for a person that keys stay taken of which the log has nothing.
fn note_loss<S: Areas>(engine: &mut Engine<S>, keys: &[LostKeys]) {
    let count: u64 = keys.iter().map(LostKeys::count).sum();
    if count == 0 {
        return;
    }
    let text = format!(
        "The log of this store has nothing of {count} keys that its index knows: it was damaged, or an older \
         copy was put in its place. They stay taken, outcome unknown. Find out what became of their events, \
         then remove this file.\n"
    );
    if let Err(error) = keep_note(&*engine.vfs, &text) {
        let what = format!(
            "the note about {count} keys of lost frames could not be written here: {error}"
        );
        let (file, offset, length) = (QUARANTINE_DIR.to_owned(), 0, 0);
        engine.recovery.damage.push(Damage { file, offset, length, what });
    }
}

/// Opens the store again, because its index does not fit the log: which keys it knew and the log had lost
/// is written by now.
///
/// # Errors
///
/// As opening.
pub(super) fn open_again<S: Areas>(
    engine: Engine<S>,
    preparation: Preparation,
) -> Result<Engine<S>> {
    let Engine { vfs, time, settings, checkpointer, log, state, recovery, .. } = engine;
    let clock = Arc::clone(time.clock());
    drop((checkpointer, state));
    log.close().map_err(from_log)?;
    let mut engine = super::open::<S>(vfs, clock, settings, preparation)?;
    let index_rebuilt = engine.recovery.index_rebuilt.take();
    engine.recovery = RecoveryReport { index_rebuilt, ..recovery };
    Ok(engine)
}

/// Has the next opening look whether the index knows what the log lost: a repair is about to mend the log,
/// which will not seem damaged any more.
///
/// # Durability
///
/// It survives a crash when this returned `Ok`.
///
/// # Errors
///
/// `Full`, `Io`: the disk refused.
pub(crate) fn ask_for_check(vfs: &dyn Vfs) -> Result<()> {
    if vfs.exists(INDEX_DIR)? {
        onceward_vfs::replace(vfs, UNCHECKED, b"the log was repaired")?;
    }
    Ok(())
}
