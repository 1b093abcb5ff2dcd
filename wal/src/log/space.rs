//! Segments: prepared ahead, trimmed when nothing in them is needed, recycled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use onceward_vfs::{File, Mode, Pace, Vfs};

use super::room::Plenty;
use super::{Commit, Core, Log, Preparation, Purpose};
use crate::error::{Error, ErrorKind};
use crate::name;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};

/// Segments that are kept ready beyond the reserve, where a thread prepares them.
const AHEAD: usize = 1;

/// A segment that is listed in `meta` and not begun.
#[derive(Debug)]
pub(super) struct PreparedSegment {
    pub(super) number: u64,
    pub(super) file: Arc<dyn File>,
    pub(super) segment_bytes: u64,
    /// The file's bytes are those of an earlier segment, not zeros.
    pub(super) recycled: bool,
}

/// The segments that are ready to be begun.
#[derive(Debug)]
pub(super) struct Spares {
    /// Ascending by number.
    list: Mutex<VecDeque<PreparedSegment>>,
    /// Held by whoever makes one: only they give out numbers.
    making: Mutex<()>,
    /// How many wait for one to be made.
    waiting: AtomicUsize,
    /// A reserved segment was begun, and nothing took its place yet.
    in_use: AtomicBool,
    /// For how much the disk was seen to have plenty.
    pub(super) plenty: Plenty,
    /// Woken when one was taken, or when there may be other work for the log's thread.
    taken: Condvar,
    /// The log's thread sleeps until it is woken.
    asleep: AtomicBool,
    /// The log's thread is to sync what is queued, now.
    sync_wanted: AtomicBool,
    /// Watermarks for `meta`, which may lag behind.
    synced: AtomicU64,
    next_lsn: AtomicU64,
}

impl Spares {
    /// Begins with the segments that an earlier opening left.
    pub(super) fn new(found: VecDeque<PreparedSegment>, synced: u64, next_lsn: u64) -> Self {
        Self {
            list: Mutex::new(found),
            making: Mutex::new(()),
            waiting: AtomicUsize::new(0),
            in_use: AtomicBool::new(false),
            plenty: Plenty::default(),
            taken: Condvar::new(),
            asleep: AtomicBool::new(false),
            sync_wanted: AtomicBool::new(false),
            synced: AtomicU64::new(synced),
            next_lsn: AtomicU64::new(next_lsn),
        }
    }

    /// Bytes of their files.
    pub(super) fn bytes(&self) -> u64 {
        self.sizes().iter().sum()
    }

    /// How far the log is, for the next state of `meta`.
    pub(super) fn note(&self, synced: u64, next_lsn: u64) {
        self.synced.store(synced, Ordering::Relaxed);
        self.next_lsn.store(next_lsn, Ordering::Relaxed);
    }

    /// The sizes of those that are ready.
    pub(super) fn sizes(&self) -> Vec<u64> {
        self.list.lock().iter().map(|spare| spare.segment_bytes).collect()
    }

    /// The bytes that the last `count` of them take if each is begun with so many.
    pub(super) fn room(&self, count: usize, begin: u64) -> u64 {
        let list = self.list.lock();
        list.iter().rev().take(count).map(|it| it.segment_bytes.saturating_sub(begin)).sum()
    }

    /// Whether one of those that are reserved was begun, and nothing took its place yet.
    pub(super) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    /// As many are there again as are reserved.
    pub(super) fn is_whole(&self) {
        self.in_use.store(false, Ordering::Relaxed);
    }

    /// Fewer are there than are reserved: perhaps one of those was begun.
    pub(super) fn lack(&self) {
        self.in_use.store(true, Ordering::Relaxed);
    }

    /// Takes back one that was not begun after all; it has the lowest number.
    pub(super) fn put_back(&self, spare: PreparedSegment) {
        self.list.lock().push_front(spare);
    }

    /// Takes the next one, if there are more than `kept`.
    fn take_beyond(&self, kept: usize) -> Option<PreparedSegment> {
        let mut list = self.list.lock();
        let taken = if list.len() > kept { list.pop_front() } else { None };
        if taken.is_some() {
            self.taken.notify_one();
        }
        taken
    }

    /// Wakes the log's thread.
    pub(super) fn wake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
        let _list = self.list.lock();
        self.taken.notify_all();
    }

    /// Has the log's thread sync what is queued.
    pub(super) fn ask_sync(&self) {
        self.sync_wanted.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether somebody asked for that since this was last called.
    pub(super) fn take_sync_wanted(&self) -> bool {
        self.sync_wanted.swap(false, Ordering::SeqCst)
    }

    /// Wakes the log's thread if it sleeps until then: something was appended.
    pub(super) fn stir(&self) {
        if self.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Says that the log's thread will sleep until it is woken. Whatever is appended from now on wakes it:
    /// it must look once more before it does.
    pub(super) fn will_sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    /// Waits until fewer than `count` are ready, for `timeout`, or without one until it is woken.
    ///
    /// Does not wait once `stop` is set or a sync is wanted: whoever sets it calls [`Spares::wake`] then.
    pub(super) fn wait_below(
        &self,
        count: usize,
        timeout: Option<Duration>,
        stop: &AtomicBool,
    ) -> bool {
        let mut list = self.list.lock();
        let is_asked = stop.load(Ordering::Acquire) || self.sync_wanted.load(Ordering::SeqCst);
        if list.len() >= count && !is_asked {
            match timeout {
                Some(timeout) => {
                    self.taken.wait_for(&mut list, timeout);
                }
                None if self.asleep.load(Ordering::SeqCst) => self.taken.wait(&mut list),
                None => {}
            }
        }
        self.asleep.store(false, Ordering::SeqCst);
        list.len() < count
    }
}

impl Core {
    /// Takes a prepared segment, or makes one.
    pub(super) fn take_prepared(
        &self,
        commit: &mut Commit,
        purpose: Purpose,
    ) -> Result<PreparedSegment, Error> {
        let reserve = self.options.reserve;
        loop {
            if let Some(spare) = self.spares.take_beyond(reserve) {
                return Ok(spare);
            }
            match (self.prepare_now(reserve + 1), purpose) {
                (Ok(()), _) => {}
                (Err(error), Purpose::Settle | Purpose::SettleLeaving { .. })
                    if error.kind() != ErrorKind::Poisoned =>
                {
                    break;
                }
                (Err(error), _) => {
                    commit.note(&error);
                    return Err(error);
                }
            }
        }
        let reserved = self.spares.take_beyond(0).ok_or_else(|| {
            Error::new(ErrorKind::Full, "the disk is full and the reserved segments are used up")
        })?;
        self.spares.lack();
        Ok(reserved)
    }

    /// How many segments a log keeps ready.
    pub(super) fn spares_wanted(&self) -> usize {
        match self.options.preparation {
            Preparation::InBackground => self.options.reserve + AHEAD,
            Preparation::OnDemand => self.options.reserve,
        }
    }

    /// As [`Core::prepare`], as fast as the disk can; so is one that is being made meanwhile.
    pub(super) fn prepare_now(&self, count: usize) -> Result<(), Error> {
        self.spares.waiting.fetch_add(1, Ordering::Relaxed);
        let prepared = self.prepare(count, &|| Pace::Fast);
        self.spares.waiting.fetch_sub(1, Ordering::Relaxed);
        prepared
    }

    /// Makes one segment, gently unless somebody waits for one. Once `stop` is set it is given up: whoever ends
    /// the log would wait for the rest of it, and the next opening makes one.
    pub(super) fn prepare_ahead(&self, stop: &AtomicBool) -> Result<(), Error> {
        let waited_for = || self.spares.waiting.load(Ordering::Relaxed) > 0;
        let pace = || match stop.load(Ordering::Acquire) {
            true => Pace::Abandon,
            false if waited_for() => Pace::Fast,
            false => Pace::Gentle,
        };
        self.prepare(self.spares_wanted(), &pace)
    }

    /// Makes one segment, unless `count` are ready. The caller may hold `commit`.
    pub(super) fn prepare(&self, count: usize, pace: &dyn Fn() -> Pace) -> Result<(), Error> {
        let _one_at_a_time = self.spares.making.lock();
        if self.spares.list.lock().len() >= count {
            return Ok(());
        }
        let number = self.meta.lock().current.next_number;
        let path = name::segment(&self.identity.store, number);
        let segment_bytes = self.options.segment_bytes;
        let file = self.zeros(&path, segment_bytes, pace).inspect_err(|_full_or_given_up| {
            // What is left of it only takes space. If removing fails too, the next attempt or
            // opening removes it, because its number is not listed.
            self.vfs.remove(&path).unwrap_or_default();
        })?;
        self.list(PreparedSegment { number, file, segment_bytes, recycled: false })
    }

    /// Lists a segment in `meta` and makes it ready. The caller holds `making`.
    fn list(&self, spare: PreparedSegment) -> Result<(), Error> {
        let mut meta = self.meta.lock();
        let mut next = meta.current.clone();
        next.segments.add(spare.number);
        next.next_number = spare.number + 1;
        next.synced = self.spares.synced.load(Ordering::Relaxed);
        next.next_lsn = self.spares.next_lsn.load(Ordering::Relaxed);
        meta.write(next)?;
        drop(meta);
        self.spares.list.lock().push_back(spare);
        Ok(())
    }

    /// A new file of zeros whose name and content are durable.
    fn zeros(
        &self,
        path: &str,
        bytes: u64,
        pace: &dyn Fn() -> Pace,
    ) -> Result<Arc<dyn File>, Error> {
        let io = |source| Error::io(source, "create", path);
        if self.vfs.exists(path).map_err(io)? {
            // Never listed, so never written: what a crash left of an earlier preparation.
            self.vfs.remove(path).map_err(io)?;
        }
        let file = self.vfs.open(path, Mode::CreateNew).map_err(io)?;
        file.fill_zeros(bytes, pace).map_err(io)?;
        if !cfg!(bug = "no-directory-sync") {
            self.vfs.sync_dir(name::LOG_DIR).map_err(io)?;
        }
        Ok(file)
    }

    /// Uses the file of a trimmed segment again, under the next number; `false` if none is wanted.
    ///
    /// Its old frames are stale under the new number's salt. Until the new number is listed the file
    /// is what a crash of a preparation leaves.
    fn recycle(&self, old: u64) -> Result<bool, Error> {
        let _one_at_a_time = self.spares.making.lock();
        // One beyond what is prepared ahead: otherwise the thread, which fills a file as soon as one was
        // taken, would leave no room for those that come back, and each would be filled anew.
        if self.spares.list.lock().len() >= self.spares_wanted() + AHEAD {
            return Ok(false);
        }
        let number = self.meta.lock().current.next_number;
        let (from, to) =
            (name::segment(&self.identity.store, old), name::segment(&self.identity.store, number));
        let io = |source| Error::io(source, "recycle", &from);
        self.vfs.rename(&from, &to).map_err(io)?;
        self.vfs.sync_dir(name::LOG_DIR).map_err(io)?;
        let file = self.vfs.open(&to, Mode::Write).map_err(io)?;
        let segment_bytes = file.len().map_err(io)?;
        self.list(PreparedSegment { number, file, segment_bytes, recycled: true })?;
        Ok(true)
    }

    /// See [`Log::trim`].
    fn trim(&self, number: u64) -> Result<(), Error> {
        self.refuse_if_forked()?;
        self.trim_once(number).inspect_err(|_poisoned| self.tailing.announce())
    }

    fn trim_once(&self, number: u64) -> Result<(), Error> {
        let (synced, next_lsn) = {
            let commit = self.commit.lock();
            commit.refuse_if_poisoned()?;
            (commit.synced, commit.next_lsn)
        };
        // What is queued, or was synced last, is never finished.
        let finished = self.segments.read().goes_on_after(number);
        let mut meta = self.meta.lock();
        if !finished || !meta.current.segments.contains(number) {
            return Err(Error::invalid(format!("segment {number} is not a finished one")));
        }
        if cfg!(bug = "segment-removed-before-meta") {
            discard(&*self.vfs, &self.identity.store, number, false)?;
        }
        let mut next = meta.current.clone();
        next.segments.remove(number);
        next.synced = synced;
        next.next_lsn = next_lsn;
        let written = meta.write(next);
        drop(meta);
        written.inspect_err(|error| self.commit.lock().note(error))?;
        let removed = self.segments.write().remove(number);
        let Some((segment, pinned)) = removed else { return Ok(()) };
        if cfg!(bug = "segment-removed-before-meta") {
            return Ok(());
        }
        // A reader that still holds the file must not see it change; none gets it from now on. One of another
        // setting only where the disk has none to give of this one.
        let fits = segment.file_bytes == self.options.segment_bytes || self.spares.is_in_use();
        if !segment.damaged && (!pinned || cfg!(bug = "recycled-under-a-reader")) && fits {
            match self.recycle(number) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    self.commit.lock().note(&error);
                    discard(&*self.vfs, &self.identity.store, number, false).unwrap_or_default();
                    return Err(error);
                }
            }
        }
        discard(&*self.vfs, &self.identity.store, number, segment.damaged)
    }
}

impl Log {
    /// Forgets a finished segment whose frames nobody needs, also one whose file is missing.
    ///
    /// The file becomes the next prepared segment where one is wanted, and is removed otherwise. One
    /// with damage is moved to `quarantine/`.
    ///
    /// # Durability
    ///
    /// `meta` no longer lists it before the file goes; a crash or a failure between leaves a file that the
    /// next opening removes, or moves to `quarantine/` if it is damaged.
    ///
    /// # Errors
    ///
    /// `Invalid`: there is none of that number, or the log does not go on in a later one yet. `Full`,
    /// `Io`, `Poisoned`.
    pub fn trim(&self, number: u64) -> Result<(), Error> {
        self.core.trim(number)
    }
}

/// Removes a trimmed segment's file; a damaged one is kept in `quarantine/`.
pub(super) fn discard(
    vfs: &dyn Vfs,
    store: &[u8; 16],
    number: u64,
    damaged: bool,
) -> Result<(), Error> {
    let path = name::segment(store, number);
    let io = |source| Error::io(source, "remove", &path);
    if !damaged {
        return vfs.remove(&path).map_err(io);
    }
    let kept = format!("{}/{}", name::QUARANTINE_DIR, name::segment_file(store, number));
    vfs.create_dir(name::QUARANTINE_DIR).map_err(io)?;
    vfs.rename(&path, &kept).map_err(io)?;
    vfs.sync_dir(name::QUARANTINE_DIR).map_err(io)
}
