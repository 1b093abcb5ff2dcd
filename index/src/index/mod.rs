//! The index: the calls of a store. How keys are kept is behind it.
//!
//! No segments and no clock here: LSNs and times are arguments.

mod anew;
mod batch;
#[cfg(all(test, shuttle))]
mod model;
mod persist;
mod shared_state;

use std::fmt;

use crate::{
    answer::{KnownKey, Lookup, Reserved},
    disk::{Discarded, IndexFiles},
    entry::Entry,
    error::Result,
    fingerprint::{ContentHash, Fingerprint},
    options::{Options, OptionsError, Window},
    slices::{Expired, SliceId, SliceInfo},
    state::{IndexState, LocatedEntry, PURGED_FOR_ROOM, RoomCheck, Taking},
    sync::Mutex,
};

pub use batch::KeyBatch;
pub use persist::{Location, OpenedIndex, discard, verify};
use shared_state::SharedState;

/// Remembers keys for a window of trusted time, in slices that are forgotten whole.
///
/// `now` is always trusted time in milliseconds, as the caller's clock vouches for it; the index
/// believes it. A `now` that steps back moves no deadline down and forgets nothing.
///
/// To be shared between threads by reference: any number may ask at once. One thread at a time
/// changes it, for no longer than copying one 4,096th of the table takes.
///
/// **In the order of the log.** Frames that take, restore or release keys are applied in the order of
/// their LSNs: a checkpoint covers all up to the last one that was applied and can no longer fail.
///
/// ```
/// use onceward_index::{Entry, Index, Lookup, Options, Reserved, Secret, Window, WindowStart};
///
/// let secret = Secret::from_bytes([7; 16]);
/// let index = Index::new(Options::default())?;
/// let minute = Window::new(60_000, WindowStart::FromSettle)?;
/// let (key, content) = (secret.fingerprint("till", b"sale-1"), secret.content(&[b"4.50"]));
///
/// assert_eq!(index.lookup(key, content)?, Lookup::New);
/// let entry = Entry { key, content, lsn: 1 };
/// let Reserved::Taken(slice) = index.reserve(entry, minute, 0)? else { panic!() };
/// index.confirm(1);
/// assert_eq!(index.lookup(key, content)?, Lookup::Duplicate { lsn: 1 });
///
/// // The outage may last: the window starts when the event is settled.
/// assert!(index.expire(900_000).dropped.is_empty());
/// index.settle(slice, 1_000_000);
/// assert!(index.expire(1_059_999).dropped.is_empty());
/// assert_eq!(index.expire(1_060_000).dropped, [slice]);
/// assert_eq!(index.lookup(key, content)?, Lookup::New);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Index {
    state: SharedState,
    /// The files; `None` for an index that lives in memory only. Locked before the state.
    files: Option<Mutex<IndexFiles>>,
    /// The reason why the index began empty although there were files.
    discarded: Option<Discarded>,
}

impl Index {
    /// An empty index that lives in memory only.
    ///
    /// # Errors
    ///
    /// An option is out of its range.
    pub fn new(options: Options) -> std::result::Result<Self, OptionsError> {
        options.check()?;
        Ok(Self { state: SharedState::new(IndexState::new(options)), files: None, discarded: None })
    }

    /// Judges a key that comes with `content`. Reserved and confirmed keys are seen alike.
    ///
    /// A key whose deadline has passed is still remembered until [`Index::expire`] is called.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: a file of the index cannot be read, so no answer would be exact. See
    /// [`discard`].
    pub fn lookup(&self, key: Fingerprint, content: ContentHash) -> Result<Lookup> {
        self.state.ask(|state| {
            Ok(state.find(key)?.map_or(Lookup::New, |known| found(known).judge(content)))
        })
    }

    /// Finds a key that is remembered.
    ///
    /// # Errors
    ///
    /// As [`Index::lookup`].
    pub fn find(&self, key: Fingerprint) -> Result<Option<KnownKey>> {
        self.state.ask(|state| Ok(state.find(key)?.map(found)))
    }

    /// Takes a key for the frame `entry.lsn` until [`Index::confirm`] or [`Index::withdraw`], and holds its
    /// slice until [`Index::settle`].
    ///
    /// # Errors
    ///
    /// `Full`: it would take more memory than [`Options::memory_bytes_max`]; nothing is forgotten for
    /// it. `Corrupt`, `Io`: as [`Index::lookup`]. Nothing was changed.
    pub fn reserve(&self, entry: Entry, window: Window, now: u64) -> Result<Reserved> {
        self.state.change(|state| {
            let mut taking = Taking::begin(state, (window, now), RoomCheck::Needed);
            let taken = state.take(&mut taking, entry);
            taking.end(state);
            taken.map(reserved)
        })
    }

    /// Refuses if `count` more keys, whichever they are, may not find room.
    ///
    /// For a caller that must know before it writes frames: after `Ok`, so many keys can be reserved,
    /// if nobody else reserves any.
    ///
    /// # Errors
    ///
    /// `Full`.
    pub fn check_room(&self, count: usize) -> Result<()> {
        if self.state.read().check_room_for(count).is_ok() {
            return Ok(());
        }
        let mut state = self.state.write();
        // What slices left behind that were dropped is taken back as it is needed.
        state.purge(PURGED_FOR_ROOM);
        state.check_room_for(count)
    }

    /// Notes that the frame `lsn`, for which a key was reserved, is durable.
    pub fn confirm(&self, lsn: u64) {
        self.state.write().confirm(lsn, lsn);
    }

    /// Forgets a key because the frame `lsn`, for which it was reserved, is not stored.
    ///
    /// Returns whether it did: not if the key is confirmed, nor if it is another frame's by now.
    ///
    /// # Errors
    ///
    /// As [`Index::lookup`].
    pub fn withdraw(&self, key: Fingerprint, lsn: u64) -> Result<bool> {
        self.state.change(|state| state.withdraw(key, lsn))
    }

    /// Notes the final answer for one event of a slice that it held: its keys stay for a window from
    /// `now` on. The caller settles each event once.
    pub fn settle(&self, slice: SliceId, now: u64) {
        self.settle_many(slice, 1, now);
    }

    /// Settles `count` events of one slice, as [`Index::settle`] does one.
    pub fn settle_many(&self, slice: SliceId, count: u64, now: u64) {
        self.state.write().slices.settle(slice, count, now);
    }

    /// Forgets a key before its time, because the frame `frame`, which is durable, says so: failed
    /// work may be tried again under it. An entry of a later frame stays.
    ///
    /// Returns whether the key was remembered. Does not end the hold on its slice: see
    /// [`Index::settle`].
    ///
    /// # Errors
    ///
    /// As [`Index::lookup`].
    pub fn release(&self, key: Fingerprint, frame: u64) -> Result<bool> {
        self.state.change(|state| state.release(key, frame))
    }

    /// Holds the slice that has a key for an unsettled event, and returns it; `None` if the key is not
    /// remembered.
    ///
    /// # Errors
    ///
    /// As [`Index::lookup`].
    pub fn hold(&self, key: Fingerprint) -> Result<Option<SliceId>> {
        self.state.change(|state| {
            let slice = state.find(key)?.map(|known| known.slice);
            if let Some(slice) = slice {
                state.slices.hold(slice);
            }
            Ok(slice)
        })
    }

    /// Holds the slice of `window` that begins at `begin`, which the files had when the index was
    /// opened, for so many unsettled events that they cover; `None` if they had it not: then the keys
    /// were carried, see [`Index::hold`].
    pub fn hold_covered(&self, window: Window, begin: u64, count: u64) -> Option<SliceId> {
        let mut state = self.state.write();
        let slice = state.slices.at(window, begin)?;
        let is_from_files = state.slices.get(slice)?.is_from_files;
        is_from_files.then(|| state.slices.hold_for(slice, count))?;
        Some(slice)
    }

    /// Holds a slice for an unsettled event whose key was restored into it.
    pub fn hold_slice(&self, slice: SliceId) {
        self.state.write().slices.hold(slice);
    }

    /// Notes that a frame was applied that needs nothing of the index: the next checkpoint covers it.
    pub fn mark_applied(&self, frame: u64) {
        self.state.write().note_applied(frame);
    }

    /// Ends a hold without a settlement.
    pub fn unhold(&self, slice: SliceId) {
        self.state.write().slices.unhold(slice, 1);
    }

    /// Forgets the slices whose deadline is `now` or earlier.
    ///
    /// The deadline of a slice is its end or, if its window counts from the settlement, its last
    /// settlement, whichever is later, plus the window. A slice that unsettled events hold is never
    /// dropped: up to `carry_max` of them the caller is asked to carry, with more the slice waits.
    ///
    /// # Durability
    ///
    /// The slice's files go with the next checkpoint. After a crash before that its keys are there
    /// again: remembered longer, never shorter.
    ///
    /// # Cost
    ///
    /// A walk over the live slices and the blocks, of 256 keys each, of those that are dropped. Their
    /// keys are not visited; their slots are taken back one shard at a time, as new keys come.
    pub fn expire(&self, now: u64) -> Expired {
        let (expired, unused) = self.state.write().expire(now);
        // Closing files takes a while: not under the lock.
        drop(unused);
        expired
    }

    /// Moves an unsettled event's key into the slice that is current at `now`, and the hold with it.
    ///
    /// `from` is the slice that was held. Returns the slice that is held from now on, which is the
    /// key's own while the frame may still fail for which it was reserved; `None` if the key is not
    /// remembered.
    ///
    /// # Errors
    ///
    /// As [`Index::lookup`]; the key is where it was.
    pub fn carry(&self, key: Fingerprint, from: SliceId, now: u64) -> Result<Option<SliceId>> {
        self.state.change(|state| {
            let target = state.carry(key, now)?;
            if let Some(target) = target {
                state.slices.hold(target);
                state.slices.unhold(from, 1);
            }
            Ok(target)
        })
    }

    /// The number of the slice of `window` that begins at `begin`, opened if there is none.
    ///
    /// For replaying the log, whose frames name the beginning of a slice.
    pub fn slice(&self, window: Window, begin: u64) -> SliceId {
        self.state.write().slices.open(window, begin)
    }

    /// The beginning of the slice that a key of `window` belongs to at `now`.
    #[must_use]
    pub fn slice_begin(&self, window: Window, now: u64) -> u64 {
        self.state.read().slices.begin_of(window, now)
    }

    /// Notes a settlement that is in the log, of a key whose slice of `window` began at `begin`:
    /// moves last settlements up, never down.
    ///
    /// To be called for every settlement in the log, also for those that a checkpoint covers.
    pub fn raise_settled(&self, window: Window, begin: u64, at: u64) {
        self.state.write().slices.raise_settled(window, begin, at);
    }

    /// Puts an entry into a slice, as the durable frame `frame` has it.
    ///
    /// Repeating a call changes nothing. Of several entries of a key the one with the highest LSN
    /// counts. Never refused for want of memory: what was accepted must be remembered.
    ///
    /// # Errors
    ///
    /// As [`Index::lookup`].
    pub fn restore(&self, slice: SliceId, entry: Entry, frame: u64) -> Result<()> {
        self.state.change(|state| state.restore(slice, entry, frame))
    }

    /// Counts and times of a live slice.
    #[must_use]
    pub fn slice_info(&self, slice: SliceId) -> Option<SliceInfo> {
        self.state.read().slices.get(slice).map(|live| live.info(slice))
    }

    /// The live slices, by rising number.
    #[must_use]
    pub fn slices(&self) -> Vec<SliceInfo> {
        self.state.read().slices.iter().map(|(id, slice)| slice.info(id)).collect()
    }

    /// Keys that are remembered. Exact, but for keys that were carried by a run that crashed: those
    /// count twice until their old slice is dropped.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.state.read().slices.iter().map(|(_, slice)| slice.keys).sum()
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the index has allocated, without what the allocator adds and without
    /// mapped files, which the system takes back as it needs to.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.state.read().memory_bytes()
    }

    /// Entries that no checkpoint wrote yet.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.state.read().blocks.in_memory()
    }
}

impl fmt::Debug for Index {
    /// Shows slices, never keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("slices", &self.slices()).finish_non_exhaustive()
    }
}

/// The outcome of a reservation as callers see it.
fn reserved(taken: std::result::Result<SliceId, LocatedEntry>) -> Reserved {
    match taken {
        Ok(slice) => Reserved::Taken(slice),
        Err(known) => Reserved::Known(found(known)),
    }
}

/// A located entry as callers see it.
fn found(known: LocatedEntry) -> KnownKey {
    let Entry { lsn, content, .. } = known.entry;
    KnownKey { lsn, content, slice: known.slice }
}
