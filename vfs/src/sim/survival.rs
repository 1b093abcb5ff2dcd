//! What a power cut leaves.
//!
//! Unsynced changes, of bytes and of names, have one order across the disk. A survival picks from
//! them; the synced rest is always there. Within a sector, versions are in order: it holds the
//! first so many of its writes, never a later one without an earlier one, since memory held them
//! all when it was written.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    disk::{DataChange, DiskState, Inode},
    image::{Image, bytes_of},
    names::{FileId, Names, PendingName, Tree},
    random::Random,
};

/// Which of the unsynced changes are found after a power cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Survival {
    /// None.
    Nothing,
    /// All; only what a failed sync dropped is lost.
    Everything,
    /// The oldest ones, as many as this says, of bytes and of names together.
    Prefix(u64),
    /// The oldest ones, and the first bytes of the write after them.
    Torn {
        /// How many survive whole.
        whole: u64,
        /// How many bytes of the next one; of a change of names, nothing.
        bytes: u64,
    },
    /// A subset that is spelt out, so that all of them can be tried.
    Pieces {
        /// Bit `i` set: piece `i` survives. Pieces are the changes of names, oldest first, then the
        /// sectors that were written, file by file in ascending order; a sector survives with its
        /// newest bytes or keeps the old ones. Pieces from 64 on, and new lengths, are lost.
        kept: u64,
        /// Size of a sector, which the disk writes atomically: 512 or 4096.
        sector_bytes: u32,
    },
    /// A random subset: of writes sector by sector (a lost one keeps its old bytes, or zeros where
    /// it had none), of names one by one. The same seed gives the same disk. Each seed draws its
    /// own mix: some lose nothing or everything of one sort, some keep a prefix.
    Seeded {
        /// Everything follows from it.
        seed: u64,
        /// Size of a sector, which the disk writes atomically: 512 or 4096.
        sector_bytes: u32,
    },
}

/// An unsynced change.
enum UnsyncedChange<'a> {
    /// Of a file's bytes.
    Data(FileId, &'a DataChange),
    /// Of names.
    Name(&'a PendingName),
}

/// How one sort of change fares under a seed.
enum Fate {
    /// The changes numbered below this survive, in the disk's order.
    Before(u64),
    /// Each survives with this chance in eighths.
    Each(u64),
}

/// The disk under construction.
struct DiskAfterCut {
    /// The images of the files.
    files: BTreeMap<FileId, Image>,
    /// The names.
    tree: Tree,
}

/// Number of unsynced changes of a disk.
pub(super) fn unsynced_count(disk: &DiskState) -> u64 {
    u64::try_from(changes(disk).len()).unwrap_or(u64::MAX)
}

/// The disk as found after a power cut.
pub(super) fn survive(disk: &DiskState, survival: &Survival) -> DiskState {
    let files = disk.files.iter().map(|(file, inode)| (*file, inode.durable.clone())).collect();
    let mut found = DiskAfterCut { files, tree: disk.names.durable.clone() };
    let mut oldest_first = changes(disk).into_values();
    match survival {
        Survival::Nothing => {}
        Survival::Everything => oldest_first.for_each(|change| found.keep(&change)),
        Survival::Prefix(count) => {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            oldest_first.take(count).for_each(|change| found.keep(&change));
        }
        Survival::Torn { whole, bytes } => {
            let count = usize::try_from(*whole).unwrap_or(usize::MAX);
            oldest_first.by_ref().take(count).for_each(|change| found.keep(&change));
            if let Some(UnsyncedChange::Data(file, DataChange::Write { offset, bytes: all })) =
                oldest_first.next()
            {
                let count = usize::try_from(*bytes).unwrap_or(usize::MAX);
                found.image(file).write(*offset, all.get(..count).unwrap_or(all));
            }
        }
        Survival::Pieces { kept, sector_bytes } => {
            found.pick(disk, *kept, u64::from(*sector_bytes).max(1));
        }
        Survival::Seeded { seed, sector_bytes } => {
            found.draw(disk, &mut Random::new(*seed), u64::from(*sector_bytes).max(1));
        }
    }
    if !disk.medium.is_faithful() {
        let seed = if let Survival::Seeded { seed, .. } = survival { *seed } else { 0 };
        found.spoil(disk, &mut Random::new(disk.medium.seed ^ seed.rotate_left(32)));
    }
    found.into_disk(disk)
}

/// The sectors of a file that unsynced writes touch.
pub(super) fn sectors(inode: &Inode, sector_bytes: u64) -> BTreeSet<u64> {
    let mut touched = BTreeSet::new();
    for pending in &inode.pending {
        if let DataChange::Write { offset, bytes } = &pending.change {
            let end = offset + bytes_of(bytes);
            touched.extend(offset / sector_bytes..end.div_ceil(sector_bytes));
        }
    }
    touched
}

/// See [`SimVfs::piece_count`](super::SimVfs::piece_count).
pub(super) fn piece_count(disk: &DiskState, sector_bytes: u32) -> usize {
    let sector_bytes = u64::from(sector_bytes).max(1);
    let sectors = disk.files.values().map(|inode| sectors(inode, sector_bytes).len());
    disk.names.pending.len() + sectors.sum::<usize>()
}

/// See [`SimVfs::unsynced_writes`](super::SimVfs::unsynced_writes).
pub(super) fn unsynced_writes(disk: &DiskState) -> Vec<(u64, u64)> {
    (0..)
        .zip(changes(disk).into_values())
        .filter_map(|(before, change)| match change {
            UnsyncedChange::Data(_, DataChange::Write { bytes, .. }) => {
                Some((before, bytes_of(bytes)))
            }
            UnsyncedChange::Data(_, DataChange::SetLen(_)) | UnsyncedChange::Name(_) => None,
        })
        .collect()
}

/// All unsynced changes, oldest first.
fn changes(disk: &DiskState) -> BTreeMap<u64, UnsyncedChange<'_>> {
    let data = disk.files.iter().flat_map(|(file, inode)| {
        inode
            .pending
            .iter()
            .map(|pending| (pending.seq, UnsyncedChange::Data(*file, &pending.change)))
    });
    let names =
        disk.names.pending.iter().map(|pending| (pending.seq, UnsyncedChange::Name(pending)));
    data.chain(names).collect()
}

impl Fate {
    /// Draws one for a disk whose unsynced changes are numbered below `next_seq`.
    fn draw(random: &mut Random, first_seq: u64, next_seq: u64) -> Self {
        match random.below(8) {
            0 => Self::Before(first_seq),
            1 => Self::Before(next_seq),
            2 | 3 => Self::Before(first_seq + random.below(next_seq - first_seq + 1)),
            4 => Self::Each(1),
            5 => Self::Each(7),
            _ => Self::Each(4),
        }
    }

    /// Whether the change numbered `seq` survives.
    fn keeps(&self, random: &mut Random, seq: u64) -> bool {
        match self {
            Self::Before(end) => seq < *end,
            Self::Each(eighths) => random.chance(*eighths),
        }
    }
}

impl DiskAfterCut {
    /// The image of `file`.
    fn image(&mut self, file: FileId) -> &mut Image {
        self.files.entry(file).or_default()
    }

    /// Lets a change survive whole.
    fn keep(&mut self, change: &UnsyncedChange<'_>) {
        match change {
            UnsyncedChange::Data(file, change) => change.apply(self.image(*file)),
            UnsyncedChange::Name(pending) => pending.survive_in(&mut self.tree),
        }
    }

    /// Lets the pieces survive whose bit is set.
    fn pick(&mut self, disk: &DiskState, kept: u64, sector_bytes: u64) {
        let mut bits = (0..u64::BITS).map(|bit| kept >> bit & 1 == 1);
        for pending in &disk.names.pending {
            if bits.next() == Some(true) {
                pending.survive_in(&mut self.tree);
            }
        }
        for (file, inode) in &disk.files {
            let picked: BTreeSet<u64> = sectors(inode, sector_bytes)
                .into_iter()
                .filter(|_| bits.next() == Some(true))
                .collect();
            for pending in inode.pending.iter().filter(|_| !picked.is_empty()) {
                let DataChange::Write { offset, bytes } = &pending.change else { continue };
                for (at, piece) in pieces(*offset, bytes, sector_bytes) {
                    if picked.contains(&(at / sector_bytes)) {
                        self.image(*file).write(at, piece);
                    }
                }
            }
        }
    }

    /// Lets a random subset survive.
    fn draw(&mut self, disk: &DiskState, random: &mut Random, sector_bytes: u64) {
        let changes = changes(disk);
        let Some(first_seq) = changes.keys().next().copied() else { return };
        let data_fate = Fate::draw(random, first_seq, disk.next_seq);
        let name_fate = Fate::draw(random, first_seq, disk.next_seq);
        for (seq, change) in &changes {
            if let UnsyncedChange::Name(pending) = change {
                if name_fate.keeps(random, *seq) {
                    self.keep(change);
                } else if random.chance(2) {
                    pending.survive_by_half_in(&mut self.tree);
                }
            }
        }
        for (file, inode) in &disk.files {
            match data_fate {
                Fate::Before(end) => {
                    for pending in inode.pending.iter().filter(|pending| pending.seq < end) {
                        pending.change.apply(self.image(*file));
                    }
                }
                Fate::Each(eighths) => {
                    draw_sectors(self.image(*file), inode, random, (sector_bytes, eighths));
                }
            }
        }
    }

    /// Does to every file what this sort of disk does to it.
    fn spoil(&mut self, disk: &DiskState, random: &mut Random) {
        for (file, inode) in disk.files.iter().filter(|(_, inode)| !inode.pending.is_empty()) {
            let others =
                || disk.files.iter().filter(|(other, it)| *other != file && it.durable.len() > 0);
            let count = u64::try_from(others().count()).unwrap_or(u64::MAX);
            let drawn = usize::try_from(random.below(count)).unwrap_or(0);
            let stale = others().nth(drawn).map(|(_, other)| &other.durable);
            disk.medium.spoil(random, inode, stale, self.image(*file));
        }
    }

    /// The finished disk, everything on it durable.
    fn into_disk(mut self, before: &DiskState) -> DiskState {
        // A move that was cut may leave a file with both its names.
        let reachable: BTreeSet<FileId> = self.tree.prune().into_iter().collect();
        let mut files = BTreeMap::new();
        for file in reachable {
            let image = self.files.remove(&file).unwrap_or_default();
            let bad = before.files.get(&file).map(|inode| inode.bad.clone()).unwrap_or_default();
            let inode = Inode { live: image.clone(), durable: image, bad, ..Inode::default() };
            files.insert(file, inode);
        }
        let used_before: u64 = live_bytes(before);
        let mut disk = DiskState::with(files, Names::settled(self.tree), None);
        let used = live_bytes(&disk);
        disk.medium = before.medium;
        disk.free_bytes = before.free_bytes.map(|free| (free + used_before).saturating_sub(used));
        disk
    }
}

/// Bytes of all files that have a name.
fn live_bytes(disk: &DiskState) -> u64 {
    disk.names.live.files().filter_map(|file| disk.files.get(&file)).map(|it| it.live.len()).sum()
}

/// Lets a random version of each sector survive.
fn draw_sectors(
    image: &mut Image,
    inode: &Inode,
    random: &mut Random,
    (sector_bytes, eighths): (u64, u64),
) {
    let mut written: BTreeMap<u64, u64> = BTreeMap::new();
    for pending in &inode.pending {
        if let DataChange::Write { offset, bytes } = &pending.change {
            for (at, _) in pieces(*offset, bytes, sector_bytes) {
                *written.entry(at / sector_bytes).or_default() += 1;
            }
        }
    }
    let mut surviving = written;
    for count in surviving.values_mut() {
        if !random.chance(eighths) {
            *count = random.below(*count);
        }
    }
    for pending in &inode.pending {
        let (offset, bytes) = match &pending.change {
            DataChange::SetLen(len) => {
                if random.chance(eighths) {
                    image.set_len(*len);
                }
                continue;
            }
            DataChange::Write { offset, bytes } => (*offset, bytes),
        };
        for (at, piece) in pieces(offset, bytes, sector_bytes) {
            match surviving.get_mut(&(at / sector_bytes)) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    image.write(at, piece);
                }
                Some(_) | None => {}
            }
        }
        // The length is metadata: it may survive where the bytes did not.
        let end = offset + bytes_of(bytes);
        if end > image.len() && random.chance(4) {
            image.set_len(end);
        }
    }
}

/// The parts of a write by sector, each with its offset.
fn pieces(offset: u64, bytes: &[u8], sector_bytes: u64) -> impl Iterator<Item = (u64, &[u8])> {
    let mut at = offset;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let left = usize::try_from(sector_bytes - at % sector_bytes).unwrap_or(usize::MAX);
        let (piece, after) = rest.split_at(rest.len().min(left));
        let start = at;
        at += bytes_of(piece);
        rest = after;
        (!piece.is_empty()).then_some((start, piece))
    })
}
