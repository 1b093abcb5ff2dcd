//! Keys that the index knows and the log lost to damage. They stay taken: they are told to the log before
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

use super::INDEX_DIR;
use crate::error::Result;
use crate::frames::control::Keys;
use crate::frames::{KIND_KEYS, codec};
use crate::repair::keep_note;
use crate::report::{Damage, RecoveryReport};
use crate::store::{Inner, Share, Store, from_log};
use crate::usurpers::QUARANTINE_DIR;
use crate::view::{LostKeys, View};

/// The log was repaired, and nobody looked since whether the index knows what it lost.
pub(crate) const UNCHECKED: &str = "index/unchecked";

/// What the log lost and the index knows.
#[derive(Debug, Default)]
pub(super) struct Lost {
    keys: Vec<LostKeys>,
    /// Why the index is of no use once the log was told, if it is not.
    pub(super) misfit: Option<String>,
    /// What is told of it.
    pub(super) damage: Vec<Damage>,
    /// A repair asked for this.
    is_asked: bool,
}

impl Lost {
    /// Looks for what the log lost, if it may have lost anything.
    ///
    /// # Errors
    ///
    /// `Io`: the directory cannot be looked at.
    pub(super) fn find(vfs: &dyn Vfs, examined: &mut Examined, view: &View) -> Result<Self> {
        let (covered, end) = (view.keys.covered(), examined.highest_lsn());
        let is_behind = covered > end;
        let is_asked = vfs.exists(UNCHECKED)?;
        if covered == 0 || !(is_behind || is_asked || !examined.report().damage.is_empty()) {
            return Ok(Self::default());
        }
        let mut lost = Self { is_asked, ..Self::default() };
        if is_behind {
            examined.raise(covered);
            lost.tell(
                "log",
                format!("ends with LSN {end}, and frames up to {covered} were synced"),
            );
        }
        let strays = view.strays();
        for why in strays.unreadable {
            lost.tell(INDEX_DIR, format!("what it knew of lost frames may be lost: {why}"));
            lost.misfit.get_or_insert(why);
        }
        lost.keys = strays.keys;
        Ok(lost)
    }

    /// Whether the log need not be told of any key.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys there are.
    pub(super) fn count(&self) -> u64 {
        self.keys.iter().map(LostKeys::count).sum()
    }

    /// From now on these keys are remembered for a window. To be called before slices are forgotten.
    pub(super) fn keep(&self, view: &View, trusted_ms: u64) {
        view.keys.keep_lost(&self.keys, trusted_ms);
    }

    /// How the files of the index are kept: those of one that does not fit are not written.
    pub(super) fn keeping(&self, preparation: Preparation) -> Preparation {
        if self.misfit.is_some() { Preparation::OnDemand } else { preparation }
    }

    /// Tells the log, durably. Where it has no room for that, the store goes on with an index that fits:
    /// it knows these keys, and the next opening tells the log.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: the disk refused, and the index is not to be used. Nothing is lost: it stays
    /// as it is.
    pub(super) fn write(&self, inner: &mut Inner) -> Result<()> {
        inner.recovery.damage.extend(self.damage.iter().cloned());
        let settled_ms = inner.stamp.trusted_ms;
        let frames = inner.view.lock().keys.frames_of_lost(&self.keys, settled_ms);
        // What gives room back goes on, but where the store could not be opened otherwise.
        let share = if self.misfit.is_some() { Share::Answers } else { Share::Decisions };
        let mut told = 0;
        let written = frames.iter().try_for_each(|keys| {
            inner.write_lost(keys, share)?;
            told += 1;
            Ok(())
        });
        if written.is_ok() && !self.is_asked {
            // Afterwards nothing would tell: a repair has its own note.
            inner.note_loss(&self.keys);
        }
        match written {
            Ok(()) if self.is_asked && self.misfit.is_none() => {
                // One that stays only makes the next opening look again.
                drop(inner.vfs.remove(UNCHECKED));
            }
            Ok(()) => {}
            Err(error) if self.misfit.is_some() => return Err(error),
            Err(error) => {
                let mut view = inner.view.lock();
                frames.iter().skip(told).for_each(|keys| view.note_lost(keys));
                drop(view);
                let what = format!("only the index knows the keys of lost frames: {error}");
                let (file, offset, length) = (INDEX_DIR.to_owned(), 0, 0);
                inner.recovery.damage.push(Damage { file, offset, length, what });
            }
        }
        Ok(())
    }

    fn tell(&mut self, file: &str, what: String) {
        self.damage.push(Damage { file: file.to_owned(), offset: 0, length: 0, what });
    }
}

impl Inner {
    /// Tells the log of keys that it lost.
    fn write_lost(&self, keys: &Keys, share: Share) -> Result<()> {
        let _one_at_a_time = self.control.lock();
        let (placed, _) = self.append_control(&[(KIND_KEYS, codec::encode(keys))], share)?;
        let mut view = self.view.lock();
        placed.into_iter().for_each(|at| view.apply_keys(keys, at));
        Ok(())
    }

    /// Writes down for a person that keys stay taken of which the log has nothing.
    fn note_loss(&mut self, keys: &[LostKeys]) {
        let count: u64 = keys.iter().map(LostKeys::count).sum();
        if count == 0 {
            return;
        }
        let text = format!(
            "The log of this store has nothing of {count} keys that its index knows: it was damaged, or an older \
             copy was put in its place. They stay taken, outcome unknown. Find out what became of their events, \
             then remove this file.\n"
        );
        if let Err(error) = keep_note(&*self.vfs, &text) {
            let what = format!("{count} keys of lost frames could not be noted there: {error}");
            let (file, offset, length) = (QUARANTINE_DIR.to_owned(), 0, 0);
            self.recovery.damage.push(Damage { file, offset, length, what });
        }
    }

    /// Opens the store again, because its index does not fit the log: which keys it knew and the log had lost
    /// is told by now.
    ///
    /// # Errors
    ///
    /// As opening.
    pub(super) fn open_again(self, preparation: Preparation) -> Result<Store> {
        let Self { vfs, clock, config, rare, keeper, log, view, recovery, .. } = self;
        drop((keeper, view));
        log.close().map_err(from_log)?;
        let mut store = Store::open_with(vfs, clock, config, (preparation, rare))?;
        if let Some(inner) = Arc::get_mut(&mut store.inner) {
            let RecoveryReport { index_rebuilt, catalog_rebuilt, .. } =
                std::mem::take(&mut inner.recovery);
            inner.recovery = RecoveryReport { index_rebuilt, catalog_rebuilt, ..recovery };
        }
        Ok(store)
    }
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
