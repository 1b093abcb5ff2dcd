//! The catalog of an open store: made when the first rare thing comes, fed beside memory, made
//! anew from the log when it fails.
//!
//! Order of locks: `control`, then the catalog's, then `state`. The state has a change before the
//! catalog does, and what the state no longer has is not answered, so a row that is too many does no
//! harm, and what is put twice changes nothing the second time.

mod reading;

use std::collections::BTreeSet;
use std::path::Path;

use parking_lot::Mutex;

use super::catalog::{AppliedUpTo, Directories, Fact, Memory, RowId, Shelf, Sled, Trouble};
use crate::base::places::CATALOG_DIR;
use crate::store::{Shared, StoreState};

pub(crate) use reading::rejection_in;

/// Facts that are put in one transaction when a catalog is made.
const FACTS_TOGETHER: usize = 256;
/// How often files are made anew before the store goes on in memory, until it is opened again.
const REBUILDS_MAX: u32 = 2;
/// Below this its files are left as they are, however little lives in them.
const COMPACT_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// How many times what lives in it its files may take.
const COMPACT_RATIO: u64 = 4;
/// Transactions after which the files are looked at, and flushed.
const WRITES_BETWEEN_LOOKS: u32 = 64;

/// The catalog of an open store.
#[derive(Debug)]
pub(crate) struct KeptCatalog {
    /// `None`: on a simulated disk, where the store is encrypted, and without the feature `sled`.
    directories: Option<Directories>,
    state: Mutex<CatalogState>,
}

/// What of it changes.
#[derive(Debug, Default)]
struct CatalogState {
    /// `None`: nobody needed it yet.
    shelf: Option<Shelf>,
    /// Whether the catalog is in files.
    is_in_files: bool,
    /// Why the files could not be used the last time.
    trouble: Option<String>,
    rebuilds: u32,
    /// The log had nothing for it when the store was opened: files that are there are of no use.
    is_first: bool,
    /// Transactions since the files were looked at.
    writes: u32,
    /// The store was closed: its files are not opened again.
    is_closed: bool,
}

impl KeptCatalog {
    /// The catalog in the store's directory, or in memory without one. Nothing is opened yet.
    pub(crate) fn new(store: Option<&Path>) -> Self {
        Self { directories: store.and_then(Directories::within), state: Mutex::default() }
    }

    /// Why the files could not be used the last time.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.state.lock().trouble.clone()
    }

    /// Puts another catalog in the place of the files', for tests of what happens when they fail.
    #[cfg(test)]
    #[cfg(feature = "sled")]
    pub(crate) fn replace(&self, catalog: Box<dyn crate::review::catalog::Catalog>) {
        let mut state = self.state.lock();
        assert!(state.is_in_files, "the files are in use");
        state.shelf = Shelf::open(catalog).ok();
    }

    /// Whether the catalog is in files now.
    #[cfg(test)]
    #[cfg(feature = "sled")]
    pub(crate) fn is_in_files(&self) -> bool {
        let state = self.state.lock();
        state.shelf.is_some() && state.is_in_files
    }

    /// Closes the files, and forgets what became of them: whoever asks next opens what is there then.
    #[cfg(test)]
    #[cfg(feature = "sled")]
    pub(crate) fn forget(&self) {
        *self.state.lock() = CatalogState::default();
    }

    /// Writes what is in memory: the store is closed.
    ///
    /// Whoever is still asking gets what the log says, from memory: the files may be another handle's by now.
    pub(crate) fn close(&self) {
        let shelf = {
            let mut state = self.state.lock();
            state.is_closed = true;
            state.shelf.take()
        };
        if let Some(mut shelf) = shelf {
            // What it could not write is in the log.
            drop(shelf.flush());
        }
    }
}

/// The catalog of an open store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cataloguing<'s> {
    inner: &'s Shared,
}

impl<'s> Cataloguing<'s> {
    /// The calls of this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }

    /// Opens the catalog if the log has something for it. Returns why it was made anew, if it was.
    pub(crate) fn open(&self) -> Option<String> {
        let mut state = self.inner.kept_catalog.state.lock();
        if self.is_empty() {
            state.is_first = true;
            return None;
        }
        self.make_ready(&mut state);
        // While there are files again, it is over; while there are none, the status reports it too.
        if state.is_in_files { state.trouble.take() } else { state.trouble.clone() }
    }

    /// Puts into the catalog what a durable frame said, `lsn` being its number. The caller holds
    /// `control`.
    pub(crate) fn keep(&self, facts: &[Fact], lsn: u64) {
        if facts.is_empty() {
            return;
        }
        self.ask(|shelf| shelf.apply(facts, self.applied(lsn)));
        let mut state = self.inner.kept_catalog.state.lock();
        state.writes = state.writes.saturating_add(1);
    }

    /// Asks the catalog. If its files fail, they are made anew and asked again, or what was in them
    /// is kept in memory, which does not fail.
    pub(crate) fn ask<R: Default>(&self, ask: impl Fn(&mut Shelf) -> Result<R, Trouble>) -> R {
        let mut state = self.inner.kept_catalog.state.lock();
        loop {
            self.make_ready(&mut state);
            let Some(shelf) = &mut state.shelf else { return R::default() };
            match ask(shelf) {
                Ok(answer) => return answer,
                Err(trouble) if state.is_in_files => self.give_up(&mut state, &trouble),
                // Memory returns what was put into it.
                Err(_) => return R::default(),
            }
        }
    }

    /// Asks the catalog, and returns nothing where nothing rare ever came: no files are made to be
    /// asked.
    pub(crate) fn ask_if_any<R: Default>(
        &self,
        ask: impl Fn(&mut Shelf) -> Result<R, Trouble>,
    ) -> R {
        if self.is_empty() { R::default() } else { self.ask(ask) }
    }

    /// Flushes the files now and then, and makes them anew when they are mostly empty.
    pub(crate) fn tidy(&self) {
        let mut state = self.inner.kept_catalog.state.lock();
        if !state.is_in_files || state.writes < WRITES_BETWEEN_LOOKS {
            return;
        }
        state.writes = 0;
        if !self.is_there(&mut state) {
            return;
        }
        let tidied = self.try_tidy(&mut state);
        if let Err(trouble) = tidied {
            self.give_up(&mut state, &trouble);
        }
    }

    fn try_tidy(&self, state: &mut CatalogState) -> Result<(), Trouble> {
        let (Some(shelf), Some(directories)) =
            (&mut state.shelf, &self.inner.kept_catalog.directories)
        else {
            return Ok(());
        };
        shelf.flush()?;
        let (disk, live) = (shelf.disk_bytes()?, shelf.live_bytes());
        if disk < COMPACT_BYTES_MIN || disk <= live.saturating_mul(COMPACT_RATIO) {
            return Ok(());
        }
        let on_disk = |error: std::io::Error| Trouble::Files(error.to_string());
        directories.clean().map_err(on_disk)?;
        // Both are closed before their directories move.
        shelf.copy_to(&mut Sled::open(&directories.next())?)?;
        state.shelf = None;
        directories.switch().map_err(on_disk)?;
        state.shelf = Some(Shelf::open(Box::new(Sled::open(&directories.current())?))?);
        Ok(())
    }

    /// Whether the path of the store's directory still leads to it: the catalog goes by paths, and must not
    /// touch what took its place.
    fn is_there(&self, state: &mut CatalogState) -> bool {
        let checked = self.inner.vfs.check_ground();
        if let Err(moved) = &checked {
            state.trouble = Some(moved.to_string());
        }
        checked.is_ok()
    }

    /// Sees to it that there is a catalog.
    fn make_ready(&self, state: &mut CatalogState) {
        if state.shelf.is_some() {
            return;
        }
        if let Some(directories) = &self.inner.kept_catalog.directories
            && !state.is_closed
            && self.is_there(state)
        {
            while state.rebuilds <= REBUILDS_MAX {
                match self.open_files(directories, state.is_first) {
                    Ok((shelf, why)) => {
                        state.shelf = Some(shelf);
                        state.trouble = state.trouble.take().or(why);
                        (state.is_in_files, state.is_first) = (true, false);
                        return;
                    }
                    Err(trouble) => self.give_up(state, &trouble),
                }
            }
        }
        let mut shelf = Shelf::open(Box::new(Memory::default())).ok();
        if let Some(shelf) = &mut shelf {
            // Memory takes whatever it is given.
            drop(self.fill(shelf));
        }
        (state.shelf, state.is_in_files) = (shelf, false);
    }

    /// The files are of no use, and are set aside; or nobody can use them before the store is opened
    /// again, and they stay.
    fn give_up(&self, state: &mut CatalogState, why: &Trouble) {
        state.shelf = None;
        state.is_in_files = false;
        state.trouble = Some(why.to_string());
        let set_aside = match (why, &self.inner.kept_catalog.directories) {
            (Trouble::Files(_), Some(directories)) if self.is_there(state) => {
                directories.set_aside()
            }
            (Trouble::Files(_), Some(_)) => {
                state.rebuilds = REBUILDS_MAX.saturating_add(1);
                return;
            }
            (Trouble::Files(_), None) => Ok(()),
            (Trouble::Machine(_), _) => {
                state.rebuilds = REBUILDS_MAX.saturating_add(1);
                return;
            }
        };
        state.rebuilds = state.rebuilds.saturating_add(1);
        if let Err(error) = set_aside {
            state.trouble = Some(format!("{why}; and cannot be set aside: {error}"));
            // What cannot be moved would fail again.
            state.rebuilds = REBUILDS_MAX.saturating_add(1);
        }
    }

    /// Opens the files and brings them up to the log. Returns with them why they were missing, if
    /// there should have been some.
    fn open_files(
        &self,
        directories: &Directories,
        is_first: bool,
    ) -> Result<(Shelf, Option<String>), Trouble> {
        let on_disk = |error: std::io::Error| Trouble::Files(error.to_string());
        directories.check().map_err(on_disk)?;
        directories.clean().map_err(on_disk)?;
        if is_first {
            directories.discard().map_err(on_disk)?;
        }
        let was_there = directories.exists();
        // With the rights of the store's other directories.
        self.inner.vfs.create_dir(CATALOG_DIR).map_err(on_disk)?;
        let mut shelf = Shelf::open(Box::new(Sled::open(&directories.current())?))?;
        let mut why = None;
        match shelf.applied()? {
            Some(applied) => self.catch_up(&mut shelf, applied)?,
            // A crash may have come before anything of it was written.
            None if was_there && self.inner.report().clean => {
                return Err(Trouble::Files("it is empty".to_owned()));
            }
            None => {
                let is_missing = !is_first && !was_there;
                why = is_missing.then(|| "the catalog's files are missing".to_owned());
                self.fill(&mut shelf)?;
            }
        }
        Ok((shelf, why))
    }

    /// Puts everything into an empty catalog.
    fn fill(&self, shelf: &mut Shelf) -> Result<(), Trouble> {
        let known = ExpectedRows::of(&self.inner.state.lock());
        // Not to be believed before all is in it.
        self.put(shelf, &known.items, &known.decisions, self.applied(0))?;
        shelf.apply(&[], self.applied(known.changed))
    }

    /// Reads items and decisions from the log and puts them into the catalog; what is gone meanwhile is left out.
    fn put(
        &self,
        shelf: &mut Shelf,
        items: &BTreeSet<RowId>,
        decisions: &BTreeSet<u64>,
        applied: AppliedUpTo,
    ) -> Result<(), Trouble> {
        let arrived = items.iter().filter_map(|id| self.review_row(*id)).map(Fact::Arrived);
        let made = decisions.iter().filter_map(|number| self.decision_at(*number));
        let mut facts = arrived.chain(made.map(Fact::Decided)).peekable();
        while facts.peek().is_some() {
            let some: Vec<Fact> = facts.by_ref().take(FACTS_TOGETHER).collect();
            shelf.apply(&some, applied)?;
        }
        Ok(())
    }

    /// Puts into a catalog what the log said since, and compares all that it holds with the state.
    fn catch_up(&self, shelf: &mut Shelf, at: AppliedUpTo) -> Result<(), Trouble> {
        let known = ExpectedRows::of(&self.inner.state.lock());
        let last = self.inner.log.synced();
        if at.store != self.inner.id().0 {
            return Err(Trouble::Files("it is of another store".to_owned()));
        }
        if at.lsn > last {
            let why = format!("it knows LSN {}, and the log ends at {last}", at.lsn);
            return Err(Trouble::Files(why));
        }
        if self.inner.report().clean && at.lsn < known.changed {
            // After a crash that is no wonder.
            let why = format!("it was closed with LSN {}, and knows {}", known.changed, at.lsn);
            return Err(Trouble::Files(why));
        }
        let (items, decisions) = shelf.contents()?;
        let (items, decisions) = (BTreeSet::from_iter(items), BTreeSet::from_iter(decisions));
        let lacking: BTreeSet<RowId> = known.items.difference(&items).copied().collect();
        let unmade: BTreeSet<u64> = known.decisions.difference(&decisions).copied().collect();
        let oldest =
            lacking.first().map(|id| id.version).into_iter().chain(unmade.first().copied());
        if let Some(oldest) = oldest.min().filter(|oldest| *oldest <= at.lsn) {
            let why = format!("it lacks LSN {oldest}, and says that it has all up to {}", at.lsn);
            return Err(Trouble::Files(why));
        }
        let gone = items.difference(&known.items).map(|id| Fact::Gone(*id));
        let old = decisions.difference(&known.decisions).map(|number| Fact::Forgotten(*number));
        for some in gone.chain(old).collect::<Vec<_>>().chunks(FACTS_TOGETHER) {
            shelf.apply(some, at)?;
        }
        self.put(shelf, &lacking, &unmade, at)?;
        shelf.apply(&[], self.applied(known.changed.max(at.lsn)))
    }

    /// Whether there is nothing to catalogue.
    fn is_empty(&self) -> bool {
        let state = self.inner.state.lock();
        state.outbox.reviews().is_empty() && state.decisions.is_empty()
    }

    /// What a catalog says of how far it is.
    fn applied(&self, lsn: u64) -> AppliedUpTo {
        AppliedUpTo { store: self.inner.id().0, lsn }
    }
}

/// The rows that the catalog should hold, as memory has them.
#[derive(Debug)]
struct ExpectedRows {
    items: BTreeSet<RowId>,
    decisions: BTreeSet<u64>,
    /// LSN of the last frame that changed any of it.
    changed: u64,
}

impl ExpectedRows {
    fn of(state: &StoreState) -> Self {
        let reviews = state.outbox.reviews();
        let all = reviews.items().filter(|(event, _)| state.outbox.waiting(*event).is_some());
        let items = all.map(|(event, review)| RowId { version: review.version, event }).collect();
        let decisions = state.decisions.numbers().collect();
        let changed = reviews.changed().max(state.decisions.changed());
        Self { items, decisions, changed }
    }
}
