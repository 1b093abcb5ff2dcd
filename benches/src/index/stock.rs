//! The index that is measured: with files, and with the checkpoints that a store makes.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use onceward_index::{
    Checkpointed, ContentHash, Entry, Fingerprint, Index, Location, Lookup, OpenedIndex, Options,
    ReadMode, Reserved, Secret, SliceId, Until, Window,
};
use onceward_vfs::{OsVfs, Vfs};

use super::keys::{Key, key};
use super::samples::Found;
use super::{CHECKPOINT_KEYS, SCOPE, WINDOW_MS, secret};

/// Memory that the index may take: more than any figure needs.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// The index's directory below the one that it is given.
pub const INDEX_DIR: &str = "index";

/// How keys come.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Slices of the window.
    pub slice_count: u32,
    /// Keys that come in one window.
    pub keys_a_window: u64,
}

impl Flow {
    /// When the key with this number comes, in milliseconds.
    #[must_use]
    pub fn time_of(self, number: u64) -> u64 {
        number * WINDOW_MS / self.keys_a_window
    }
}

/// An index with files.
#[derive(Debug)]
pub struct Stock {
    /// The index.
    pub index: Index,
    /// Frames up to and including this LSN are covered by its files.
    pub covered: u64,
    /// What the last checkpoint before it was opened noted of the log.
    pub mark: u64,
    flow: Flow,
    window: Window,
    secret: Secret,
    content: ContentHash,
}

/// How files are read: as by default, unless the environment asks for maps, to be compared.
fn reading() -> ReadMode {
    match std::env::var_os("ONCEWARD_INDEX_MAPS") {
        Some(_) => ReadMode::Mapped,
        None => ReadMode::default(),
    }
}

/// Where the index of `dir` has its files.
///
/// # Errors
///
/// What the operating system says.
pub fn location(dir: &Path) -> Result<Location, Box<dyn Error>> {
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::create(dir)?);
    Ok(Location { vfs, dir: INDEX_DIR.to_owned() })
}

impl Stock {
    /// Opens the index in `dir`, or begins one.
    ///
    /// # Errors
    ///
    /// What the index says; that it discarded its files.
    pub fn open(dir: &Path, flow: Flow) -> Result<Self, Box<dyn Error>> {
        Self::open_at(location(dir)?, flow)
    }

    /// As [`Stock::open`], of an index whose location is known.
    ///
    /// # Errors
    ///
    /// As [`Stock::open`].
    pub fn open_at(location: Location, flow: Flow) -> Result<Self, Box<dyn Error>> {
        let secret = secret();
        let options = Options {
            slice_count: flow.slice_count,
            memory_bytes_max: MEMORY_BYTES_MAX,
            reading: reading(),
            ..Options::default()
        };
        let OpenedIndex { index, covered, mark } = Index::open(location, &secret, options)?;
        if let Some(discarded) = index.discarded() {
            return Err(format!("the index was discarded: {}", discarded.why).into());
        }
        let content = secret.content(&[b"24.50"]);
        Ok(Self { index, covered, mark, flow, window: Window::default(), secret, content })
    }

    /// Begins an index in `dir` and gives it the first `count` keys.
    ///
    /// # Errors
    ///
    /// What the index says.
    pub fn with_keys(dir: &Path, flow: Flow, count: u64) -> Result<Self, Box<dyn Error>> {
        let stock = Self::open(dir, flow)?;
        stock.grow(1, count)?;
        Ok(stock)
    }

    /// Gives it the keys `first..=last`, each settled at once, with a checkpoint wherever a store makes one and at
    /// the end.
    ///
    /// # Errors
    ///
    /// What the index says.
    pub fn grow(&self, first: u64, last: u64) -> Result<(), Box<dyn Error>> {
        for number in first..=last {
            let slice = self.take(number, &key(number))?;
            self.settle(number, slice);
            if number.is_multiple_of(CHECKPOINT_KEYS) {
                self.checkpoint()?;
            }
        }
        self.checkpoint()?;
        Ok(())
    }

    /// Takes a key for the frame `lsn`, durable at once.
    ///
    /// # Errors
    ///
    /// What the index says; that it knows the key.
    pub fn take(&self, lsn: u64, key: &Key) -> Result<SliceId, Box<dyn Error>> {
        let slice = self.reserve(lsn, key)?;
        self.index.confirm(lsn);
        Ok(slice)
    }

    /// Reserves a key for the frame `lsn`.
    ///
    /// # Errors
    ///
    /// As [`Stock::take`].
    pub fn reserve(&self, lsn: u64, key: &Key) -> Result<SliceId, Box<dyn Error>> {
        match self.index.reserve(self.entry(lsn, key), self.window, self.flow.time_of(lsn))? {
            Reserved::Taken(slice) => Ok(slice),
            Reserved::Known(found) => Err(format!("key {lsn} is known: {found:?}").into()),
        }
    }

    /// Takes keys for the frames from `first` on as one batch; returns the slice of the last one.
    ///
    /// # Errors
    ///
    /// As [`Stock::take`].
    pub fn take_batch(&self, first: u64, keys: &[Key]) -> Result<Vec<Reserved>, Box<dyn Error>> {
        let lsns = first..first + keys.len() as u64;
        let entries: Vec<Entry> =
            lsns.clone().zip(keys).map(|(lsn, key)| self.entry(lsn, key)).collect();
        let mut reserved = Vec::with_capacity(keys.len());
        let now = self.flow.time_of(first);
        self.index.insert_batch(&entries, self.window, now, &mut reserved)?;
        self.index.confirm_batch(lsns);
        Ok(reserved)
    }

    /// Gives an event of a slice its answer, at the time of the key with this number.
    pub fn settle(&self, number: u64, slice: SliceId) {
        self.index.settle(slice, self.flow.time_of(number));
    }

    /// Replays a key of the log, of a frame that no checkpoint covers.
    ///
    /// # Errors
    ///
    /// What the index says.
    pub fn restore(&self, lsn: u64, key: &Key) -> Result<(), Box<dyn Error>> {
        let begin = self.index.slice_begin(self.window, self.flow.time_of(lsn));
        let slice = self.index.slice(self.window, begin);
        Ok(self.index.restore(slice, self.entry(lsn, key), lsn)?)
    }

    /// Makes a checkpoint, as a store does now and then.
    ///
    /// # Errors
    ///
    /// What the index says.
    pub fn checkpoint(&self) -> Result<Checkpointed, Box<dyn Error>> {
        Ok(self.index.checkpoint(0, Until::Later)?)
    }

    /// Forgets what is over when the key with this number comes. Returns how many slices that are.
    pub fn expire(&self, number: u64) -> usize {
        self.index.expire(self.flow.time_of(number)).dropped.len()
    }

    /// The LSN of a key; 0 if it is new.
    ///
    /// # Panics
    ///
    /// If the index cannot answer, or takes the content for another one.
    #[must_use]
    pub fn lsn_of(&self, key: &Key) -> u64 {
        lsn(self.index.lookup(self.print(key), self.content).unwrap())
    }

    /// Judges many keys at once, into `found`.
    ///
    /// # Panics
    ///
    /// As [`Stock::lsn_of`].
    pub fn judge_batch(&self, keys: &[Key], room: &mut BatchRoom, found: &mut Found) {
        room.keys.clear();
        room.verdicts.clear();
        room.keys.extend(keys.iter().map(|key| (self.print(key), self.content)));
        self.index.lookup_batch(&room.keys, &mut room.verdicts).unwrap();
        room.verdicts.iter().for_each(|verdict| found.count(lsn(*verdict)));
    }

    /// Asks for every key of `1..=count` once, so that what is read at first touch was read.
    ///
    /// # Panics
    ///
    /// If a verdict is wrong.
    pub fn touch(&self, count: u64) {
        for number in 1..=count {
            assert_eq!(self.lsn_of(&key(number)), number);
        }
    }

    fn entry(&self, lsn: u64, key: &Key) -> Entry {
        Entry { key: self.print(key), content: self.content, lsn }
    }

    fn print(&self, key: &Key) -> Fingerprint {
        self.secret.fingerprint(SCOPE, key)
    }
}

/// Memory of [`Stock::judge_batch`] that is used again.
#[derive(Debug, Default)]
pub struct BatchRoom {
    keys: Vec<(Fingerprint, ContentHash)>,
    verdicts: Vec<Lookup>,
}

/// The LSN in a verdict; 0 for a new key.
fn lsn(verdict: Lookup) -> u64 {
    match verdict {
        Lookup::New => 0,
        Lookup::Duplicate { lsn } => lsn,
        Lookup::Conflict { lsn } => panic!("the content of {lsn} is another one"),
    }
}
