//! The segments that are ready to be begun, and what the log's thread is asked for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::filling::SegmentSpace;
use super::room::Plenty;
use crate::bell::Bell;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// A segment that is listed in `meta` and not begun.
#[derive(Debug)]
pub(super) struct PreparedSegment {
    pub(super) space: Arc<SegmentSpace>,
    /// Some of the file's bytes are those of an earlier segment.
    pub(super) recycled: bool,
}

/// The segments that are ready to be begun.
#[derive(Debug)]
pub(super) struct Spares {
    /// Ascending by number.
    pub(super) list: Mutex<VecDeque<PreparedSegment>>,
    /// Held by whoever makes one: only they give out numbers.
    pub(super) making: Mutex<()>,
    /// How many wait for one to be made.
    pub(super) waiting: AtomicUsize,
    /// A reserved segment was begun, and nothing took its place yet.
    in_use: AtomicBool,
    /// For how much the disk was seen to have plenty.
    pub(super) plenty: Plenty,
    /// Rings when one was taken, or when there may be other work for the log's thread.
    taken: Bell,
    /// The log's thread sleeps until it is woken.
    asleep: AtomicBool,
    /// The log's thread is to sync what is queued, now.
    sync_wanted: AtomicBool,
    /// It is to look whether zeros are due.
    fill_wanted: AtomicBool,
    /// Held by whoever fills a step.
    pub(super) filling: Mutex<()>,
    /// Watermarks for `meta`, which may lag behind.
    pub(super) synced: AtomicU64,
    pub(super) next_lsn: AtomicU64,
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
            taken: Bell::new(),
            asleep: AtomicBool::new(false),
            sync_wanted: AtomicBool::new(false),
            fill_wanted: AtomicBool::new(false),
            filling: Mutex::new(()),
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
        self.list.lock().iter().map(|spare| spare.space.bytes).collect()
    }

    /// The bytes that they take if each is begun with so many: all of them, and the last `count`.
    pub(super) fn room(&self, count: usize, begin: u64) -> (u64, u64) {
        let (mut all, mut last) = (0, 0);
        for (nth, spare) in self.list.lock().iter().rev().enumerate() {
            let bytes = spare.space.bytes.saturating_sub(begin);
            all += bytes;
            last += if nth < count { bytes } else { 0 };
        }
        (all, last)
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

    /// Shows them to `look`, the next one first, as long as it returns `true`.
    pub(super) fn each_until(&self, mut look: impl FnMut(&Arc<SegmentSpace>) -> bool) {
        self.list.lock().iter().all(|spare| look(&spare.space));
    }

    /// Takes back one that was not begun after all; it has the lowest number.
    pub(super) fn put_back(&self, spare: PreparedSegment) {
        self.list.lock().push_front(spare);
    }

    /// Takes the next one, if there are more than `kept`.
    pub(super) fn take_beyond(&self, kept: usize) -> Option<PreparedSegment> {
        let mut list = self.list.lock();
        let taken = if list.len() > kept { list.pop_front() } else { None };
        drop(list);
        if taken.is_some() {
            self.taken.ring();
        }
        taken
    }

    /// Wakes the log's thread.
    pub(super) fn wake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
        self.taken.ring();
    }

    /// Has the log's thread sync what is queued.
    pub(super) fn ask_sync(&self) {
        self.sync_wanted.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Has the log's thread look whether zeros are due.
    pub(super) fn ask_fill(&self) {
        self.fill_wanted.store(true, Ordering::SeqCst);
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
    /// Does not wait once `stop` is set, or a sync or zeros are wanted: whoever sets it calls [`Spares::wake`] then.
    pub(super) fn wait_below(
        &self,
        count: usize,
        timeout: Option<Duration>,
        stop: &AtomicBool,
    ) -> bool {
        let before = self.taken.rings();
        let fill_wanted = self.fill_wanted.swap(false, Ordering::SeqCst);
        let sync_wanted = self.sync_wanted.load(Ordering::SeqCst);
        let is_asked = stop.load(Ordering::Acquire) || sync_wanted || fill_wanted;
        if self.list.lock().len() >= count && !is_asked {
            match timeout {
                Some(timeout) => self.taken.wait(before, Some(timeout)),
                None if self.asleep.load(Ordering::SeqCst) => self.taken.wait(before, None),
                None => {}
            }
        }
        self.asleep.store(false, Ordering::SeqCst);
        self.list.lock().len() < count
    }
}
