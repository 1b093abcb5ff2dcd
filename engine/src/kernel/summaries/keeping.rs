//! Keeps the summaries of an open log, and has segments checked that were not read. For the thread of the index, beside
//! captures, which never wait for it; without that thread for whoever ticks.

use std::collections::BTreeSet;
use std::sync::Arc;

use onceward_vfs::{Mode, Vfs};
use onceward_wal::{FinishedSegments, Frame, Log, SegmentInfo};
use parking_lot::Mutex;

use super::writing::NewSummary;
use super::{numbers, path};
use crate::base::places::SUMMARIES_DIR;
use crate::base::{Damage, observe};
use crate::kernel::Areas;
use crate::kernel::opening::log_damage;

/// Segments' worth of space that must be left on the disk: the log comes first.
const FREE_SEGMENTS: u64 = 4;

/// The segments that an opening did not read.
#[derive(Debug, Default)]
pub(in crate::kernel) struct Unread {
    /// By number, each with a summary that fits.
    pub(in crate::kernel) passed: BTreeSet<u64>,
    /// Whether summaries are used at all.
    pub(in crate::kernel) is_used: bool,
}

/// The summaries of an open log.
#[derive(Debug)]
pub(crate) struct Summaries {
    vfs: Arc<dyn Vfs>,
    finished: FinishedSegments,
    is_used: bool,
    /// Adds a frame of a segment to its summary.
    add: fn(&mut NewSummary, &Frame<'_>),
    work: Mutex<SummaryWork>,
    damage: Mutex<Vec<Damage>>,
    /// Held while one of those segments is read: so whoever finds none left knows what all of them are.
    checking: Mutex<()>,
}

/// What is to be done.
#[derive(Debug, Default)]
struct SummaryWork {
    /// Segments that have a summary, or of which there is to be none.
    done: BTreeSet<u64>,
    /// Segments that are to have one.
    due: BTreeSet<u64>,
    /// Segments that nobody read.
    unchecked: BTreeSet<u64>,
    /// Those of them that are to be read.
    to_check: BTreeSet<u64>,
}

impl Summaries {
    /// Of a log that was opened just now. Removes what is of no use: files of segments that are gone.
    pub(in crate::kernel) fn start<S: Areas>(vfs: Arc<dyn Vfs>, log: &Log, unread: Unread) -> Self {
        let Unread { passed, is_used } = unread;
        let there: BTreeSet<u64> = log.segments().iter().map(|info| info.number).collect();
        for stray in numbers(&*vfs).difference(&there) {
            // One that stays is looked at again by the next opening.
            drop(vfs.remove(&path(*stray)));
        }
        let work = SummaryWork {
            done: passed.clone(),
            due: BTreeSet::new(),
            unchecked: passed.clone(),
            to_check: passed,
        };
        let (finished, add) = (log.finished(), NewSummary::add::<S> as fn(&mut _, &Frame<'_>));
        let (work, damage, checking) = (Mutex::new(work), Mutex::default(), Mutex::default());
        Self { vfs, finished, is_used, add, work, damage, checking }
    }

    /// The index's files cover frames up to this one: finished segments up to there are to have summaries.
    pub(in crate::kernel) fn covered(&self, upto: u64) {
        if !self.is_used {
            return;
        }
        let infos = self.finished.infos();
        let mut work = self.work.lock();
        let is_due = |info: &&SegmentInfo| {
            info.last_lsn <= upto && !info.damaged && !work.done.contains(&info.number)
        };
        work.due = infos.iter().filter(is_due).map(|info| info.number).collect();
    }

    /// Whether anything is to be done.
    pub(in crate::kernel) fn has_work(&self) -> bool {
        let work = self.work.lock();
        !work.due.is_empty() || !work.to_check.is_empty()
    }

    /// Writes a summary, or checks a segment: one of those.
    pub(in crate::kernel) fn work_some(&self) {
        if !self.write_one() {
            self.check_one();
        }
    }

    /// Writes a summary that is due. `false`: none is.
    pub(in crate::kernel) fn write_one(&self) -> bool {
        let due = self.work.lock().due.pop_first();
        let Some(number) = due else { return false };
        let infos = self.finished.infos();
        let Some(info) = infos.iter().find(|info| info.number == number) else { return true };
        let free = self.vfs.free_bytes().ok().flatten();
        if free.is_some_and(|free| free / FREE_SEGMENTS < info.file_bytes) {
            // The next checkpoint of the index asks again.
            return true;
        }
        // One that cannot be read or written now is not tried again before the next opening.
        self.work.lock().done.insert(number);
        self.write(info);
        if self.finished.infos().iter().all(|info| info.number != number) {
            // It went meanwhile, perhaps before there was a file.
            self.forget(number);
        }
        true
    }

    fn write(&self, info: &SegmentInfo) {
        let mut summary = NewSummary::new(info.used_bytes);
        let known =
            self.finished.describe(info.number, &mut |frame| (self.add)(&mut summary, frame));
        let Ok(Some(known)) = known else { return };
        let Some(file) = summary.finish(&known) else { return };
        let path = path(info.number);
        if self.put(&path, &file).is_err() {
            drop(self.vfs.remove(&path));
        }
    }

    /// Writes a file. Not synced: what a power cut leaves of it is not taken for a summary, and a sync would make the
    /// log's own wait.
    fn put(&self, path: &str, file: &[u8]) -> std::io::Result<()> {
        self.vfs.create_dir(SUMMARIES_DIR)?;
        // One of that name is damaged, or of another log.
        drop(self.vfs.remove(path));
        self.vfs.open(path, Mode::CreateNew)?.write_all_at(0, file)
    }

    /// Checks a segment that nobody read. `false`: there is none, and none is being read by another thread.
    pub(crate) fn check_one(&self) -> bool {
        let _one_at_a_time = self.checking.lock();
        let next = self.work.lock().to_check.pop_first();
        next.is_some_and(|number| {
            self.check(number);
            true
        })
    }

    /// Checks a segment, unless somebody read it since the log was opened.
    pub(in crate::kernel) fn check(&self, number: u64) {
        if !self.work.lock().unchecked.contains(&number) {
            return;
        }
        // What cannot be read now stays unchecked.
        let Ok(found) = self.finished.check(number) else { return };
        if !found.is_empty() {
            // The next opening reads it, and does what is to be done about damage.
            drop(self.vfs.remove(&path(number)));
        }
        for damage in found.iter().map(log_damage) {
            observe::damage_found(&damage.file, damage.offset, damage.length);
            self.damage.lock().push(damage);
        }
        let mut work = self.work.lock();
        work.unchecked.remove(&number);
        work.to_check.remove(&number);
    }

    /// The segment went.
    pub(in crate::kernel) fn forget(&self, number: u64) {
        let mut work = self.work.lock();
        work.unchecked.remove(&number);
        work.to_check.remove(&number);
        work.due.remove(&number);
        if work.done.remove(&number) {
            drop(work);
            // One that stays is removed by the next opening: no other segment gets its number.
            drop(self.vfs.remove(&path(number)));
        }
    }

    /// How many segments nobody has read yet.
    pub(crate) fn unchecked(&self) -> u64 {
        u64::try_from(self.work.lock().unchecked.len()).unwrap_or(u64::MAX)
    }

    /// The damage that checking found.
    pub(in crate::kernel) fn damage(&self) -> Vec<Damage> {
        self.damage.lock().clone()
    }
}
