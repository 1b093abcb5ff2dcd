//! The names of a simulated disk: what is seen, what is durable, and the changes in between.

use std::collections::{BTreeMap, BTreeSet};

use crate::name;

/// Number of a file, whatever its name; never used again.
pub(super) type FileId = u64;

/// The file or directory that a name stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DirEntry {
    /// A file.
    File(FileId),
    /// A directory; its entries are in the tree under its path.
    Dir,
}

/// Entries by directory path; the root is `""`.
#[derive(Clone, Debug)]
pub(super) struct Tree(BTreeMap<String, BTreeMap<String, DirEntry>>);

/// A directory and a name in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct EntryPath {
    /// The directory.
    pub(super) dir: String,
    /// The entry's name.
    pub(super) entry: String,
}

/// One change of names.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    /// A new entry.
    Add {
        /// The entry's path.
        at: EntryPath,
        /// The file or directory.
        what: DirEntry,
    },
    /// A file's name goes away.
    Remove {
        /// The entry's path.
        at: EntryPath,
        /// Which file it was.
        file: FileId,
    },
    /// A file's name changes.
    Move {
        /// The old place.
        from: EntryPath,
        /// The new place.
        to: EntryPath,
        /// Which file.
        file: FileId,
    },
}

/// A change that is not durable, or only half.
#[derive(Clone, Debug)]
pub(super) struct PendingName {
    /// The change's place in the order of all unsynced changes of the disk.
    pub(super) seq: u64,
    /// The change.
    pub(super) change: NameChange,
    /// Of a move: the new name is durable already.
    linked: bool,
    /// Of a move: its old directory was synced, so the old name goes once the new is durable.
    unlink_asked: bool,
}

/// All names of a disk.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The names that are seen.
    pub(super) live: Tree,
    /// The names that a power cut leaves for sure.
    pub(super) durable: Tree,
    /// The changes between the two, oldest first.
    pub(super) pending: Vec<PendingName>,
}

impl Names {
    /// Nothing but an empty root.
    pub(super) fn new() -> Self {
        Self::settled(Tree(BTreeMap::from([(String::new(), BTreeMap::new())])))
    }

    /// All of `tree`, durable.
    pub(super) fn settled(tree: Tree) -> Self {
        Self { live: tree.clone(), durable: tree, pending: Vec::new() }
    }

    /// Makes a change that is seen at once and durable later.
    pub(super) fn change(&mut self, seq: u64, change: NameChange) {
        self.live.apply(&change);
        self.pending.push(PendingName { seq, change, linked: false, unlink_asked: false });
    }

    /// Makes the changes in `dir` durable.
    ///
    /// A move between two directories needs both: its old name stays durable until the new one is,
    /// so that no file is without a name.
    pub(super) fn sync(&mut self, dir: &str) {
        let durable = &mut self.durable;
        self.pending.retain_mut(|pending| match &pending.change {
            NameChange::Add { at, .. } | NameChange::Remove { at, .. } if at.dir == dir => {
                durable.apply(&pending.change);
                false
            }
            NameChange::Add { .. } | NameChange::Remove { .. } => true,
            NameChange::Move { from, to, file } => {
                pending.unlink_asked |= from.dir == dir;
                if to.dir == dir && !pending.linked {
                    durable.insert(to, DirEntry::File(*file));
                    pending.linked = true;
                }
                let done = pending.linked && pending.unlink_asked;
                if done {
                    durable.remove(from, *file);
                }
                !done
            }
        });
    }

    /// The files that are seen, or that a power cut may still bring back.
    pub(super) fn files(&self) -> BTreeSet<FileId> {
        let pending = self.pending.iter().filter_map(|pending| match pending.change {
            NameChange::Add { what: DirEntry::Dir, .. } => None,
            NameChange::Add { what: DirEntry::File(file), .. }
            | NameChange::Remove { file, .. }
            | NameChange::Move { file, .. } => Some(file),
        });
        self.live.files().chain(self.durable.files()).chain(pending).collect()
    }
}

impl PendingName {
    /// Applies what of the change is not durable yet.
    pub(super) fn survive_in(&self, tree: &mut Tree) {
        match &self.change {
            // The new name may stand for another file by now.
            NameChange::Move { from, file, .. } if self.linked => tree.remove(from, *file),
            change => tree.apply(change),
        }
    }

    /// Applies only the new name of a move between two directories; any other change is not halved.
    pub(super) fn survive_by_half_in(&self, tree: &mut Tree) {
        match &self.change {
            NameChange::Move { from, to, file } if from.dir != to.dir && !self.linked => {
                tree.insert(to, DirEntry::File(*file));
            }
            NameChange::Move { .. } | NameChange::Add { .. } | NameChange::Remove { .. } => {}
        }
    }
}

impl Tree {
    /// The entries of `dir`.
    pub(super) fn dir(&self, dir: &str) -> Option<&BTreeMap<String, DirEntry>> {
        self.0.get(dir)
    }

    /// The entry at `place`.
    pub(super) fn find(&self, place: &EntryPath) -> Option<DirEntry> {
        self.0.get(&place.dir)?.get(&place.entry).copied()
    }

    /// The files that can be reached from the root, dropping the directories that cannot.
    pub(super) fn prune(&mut self) -> Vec<FileId> {
        let mut files = Vec::new();
        let mut kept = BTreeMap::new();
        let mut open = vec![String::new()];
        while let Some(dir) = open.pop() {
            let entries = self.0.remove(&dir).unwrap_or_default();
            for (entry, what) in &entries {
                match what {
                    DirEntry::File(file) => files.push(*file),
                    DirEntry::Dir => open.push(name::join(&dir, entry)),
                }
            }
            kept.insert(dir, entries);
        }
        self.0 = kept;
        files
    }

    /// Applies a change whole.
    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Add { at, what } => self.insert(at, *what),
            NameChange::Remove { at, file } => self.remove(at, *file),
            NameChange::Move { from, to, file } => {
                self.insert(to, DirEntry::File(*file));
                self.remove(from, *file);
            }
        }
    }

    /// Gives `what` a name; a directory is empty unless it has entries already.
    fn insert(&mut self, at: &EntryPath, what: DirEntry) {
        self.0.entry(at.dir.clone()).or_default().insert(at.entry.clone(), what);
        if what == DirEntry::Dir {
            self.0.entry(name::join(&at.dir, &at.entry)).or_default();
        }
    }

    /// Takes a name from `file`, if it still stands for that file.
    fn remove(&mut self, at: &EntryPath, file: FileId) {
        if let Some(entries) = self.0.get_mut(&at.dir)
            && entries.get(&at.entry) == Some(&DirEntry::File(file))
        {
            entries.remove(&at.entry);
        }
    }

    /// Every entry, with its directory and name.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str, DirEntry)> {
        self.0.iter().flat_map(|(dir, entries)| {
            entries.iter().map(|(entry, what)| (dir.as_str(), entry.as_str(), *what))
        })
    }

    /// Every file that has a name.
    pub(super) fn files(&self) -> impl Iterator<Item = FileId> {
        self.0.values().flat_map(BTreeMap::values).filter_map(|what| match what {
            DirEntry::File(file) => Some(*file),
            DirEntry::Dir => None,
        })
    }
}
