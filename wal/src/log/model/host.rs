//! What the models do with a log, and how a disk is held against what they were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use onceward_vfs::{SimVfs, Survival};
use shuttle::rand::{Rng, thread_rng};

use super::disk::{SlowDisk, is_due};
use crate::error::{Error, ErrorKind};
use crate::frame::KIND_HOST_MIN;
use crate::identity::Identity;
use crate::limits::SEGMENT_BYTES_MIN;
use crate::log::{Alignment, Log, NewFrame, Options, Preparation, Purpose, create, lock};
use crate::lsn::Lsn;
use crate::report::ExaminationReport;
use crate::run::Stamp;

/// Small segments, so that models roll.
pub(super) const OPTIONS: Options = Options {
    segment_bytes: SEGMENT_BYTES_MIN,
    reserve: 0,
    preparation: Preparation::OnDemand,
    alignment: Alignment::Frame,
};
/// Two of these fill a segment.
pub(super) const LARGE_BYTES: usize = 120_000;
/// Many of these fit into one.
pub(super) const SMALL_BYTES: usize = 40;

/// An open log and its disk.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) log: Arc<Log>,
    pub(super) disk: SimVfs,
    pub(super) slow: Arc<SlowDisk>,
    /// At this confirmation from now on, counting from 1, the power is cut on a copy of the disk.
    look_at: Arc<AtomicU64>,
}

/// The answer for a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// The batch survives a crash.
    Stored,
    /// The batch is surely absent.
    Absent,
    /// Only reopening shows.
    InDoubt,
}

/// A batch and what its writer was told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// LSN of its first frame.
    pub(super) first: u64,
    /// What its bodies begin with, in order.
    pub(super) tags: Vec<u64>,
    /// The segment that holds it.
    pub(super) segment: u64,
    pub(super) answer: Answer,
}

impl Host {
    /// Opens the log on `disk`, creating it when it is missing.
    pub(super) fn open(disk: SimVfs, options: Options) -> Self {
        let (vfs, slow) = SlowDisk::over(disk.clone());
        let lock = lock(&*vfs).unwrap();
        let examined = match crate::examine(&*vfs, &mut |_frame| {}).unwrap() {
            Some(examined) => examined,
            None => {
                create(&*vfs, &lock, Identity { store: [0x5a; 16], secret: [7; 64] }).unwrap();
                crate::examine(&*vfs, &mut |_frame| {}).unwrap().unwrap()
            }
        };
        let log = Log::start(vfs, lock, examined, options, Stamp::default()).unwrap();
        slow.syncs.store(0, Ordering::SeqCst);
        // Of the first few confirmations: later ones say the same.
        let look_at = Arc::new(AtomicU64::new(thread_rng().gen_range(1..8)));
        Self { log: Arc::new(log), disk, slow, look_at }
    }

    /// Queues a batch of frames that begin with `tags`.
    pub(super) fn append(&self, tags: &[u64], bytes: usize) -> Result<Told, Error> {
        let bodies: Vec<Vec<u8>> = tags
            .iter()
            .map(|tag| {
                let mut body = vec![0xee; bytes];
                body[..8].copy_from_slice(&tag.to_le_bytes());
                body
            })
            .collect();
        let parts: Vec<[&[u8]; 1]> = bodies.iter().map(|body| [body.as_slice()]).collect();
        let frames: Vec<NewFrame<'_>> =
            parts.iter().map(|parts| NewFrame { kind: KIND_HOST_MIN, flags: 0, parts }).collect();
        let appended = self.log.append_deferred(&frames, 0, Purpose::Capture)?.appended();
        Ok(Told {
            first: appended.first.get(),
            tags: tags.to_vec(),
            segment: appended.place.segment,
            answer: Answer::InDoubt,
        })
    }

    /// Waits for a batch.
    pub(super) fn wait(&self, told: &mut Told) {
        told.answer = answer(&self.log.wait(told.last()));
        let again = self.log.poll(told.last()).map(|again| answer(&again));
        // In doubt, because the log was poisoned from elsewhere while it was written, may turn out well.
        let turned_out = (told.answer, again) == (Answer::InDoubt, Some(Answer::Stored));
        assert!(again == Some(told.answer) || turned_out, "{told:?}, then {again:?}");
        if told.answer == Answer::Stored {
            assert!(self.log.synced() >= told.last().get(), "{told:?}");
        }
    }

    /// Looks whether a batch that was just confirmed is durable already, at one of a schedule's
    /// confirmations: looking is slow. Nothing may be trimmed.
    fn look(&self, told: &Told) {
        if told.answer == Answer::Stored && is_due(&self.look_at) {
            told.must_be_in(&found(&self.disk.after_power_cut(&Survival::Nothing)).1);
        }
    }

    /// Appends and waits, batch by batch, until one is refused because the log is poisoned.
    pub(super) fn write(&self, writer: u64, batches: u64) -> Vec<Told> {
        let mut all = Vec::new();
        for batch in 0..batches {
            let tag = writer * 100 + batch * 10;
            // Lone frames, and batches of two.
            let tags: Vec<u64> = (tag..=tag + batch % 2).collect();
            match self.append(&tags, SMALL_BYTES) {
                Ok(mut told) => {
                    self.wait(&mut told);
                    self.look(&told);
                    all.push(told);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
                    break;
                }
            }
        }
        all
    }

    /// As [`Host::write`], with frames that make the log roll, where that may fail too.
    pub(super) fn roll(&self, writer: u64, batches: u64) -> Vec<Told> {
        let mut all = Vec::new();
        for batch in 0..batches {
            if let Ok(mut told) = self.append(&[writer * 100 + batch], LARGE_BYTES) {
                self.wait(&mut told);
                all.push(told);
            }
        }
        all
    }

    /// Whether the log takes nothing more.
    pub(super) fn is_poisoned(&self) -> bool {
        match self.append(&[9_999], SMALL_BYTES) {
            Ok(told) => panic!("a poisoned log took {told:?}"),
            Err(error) => error.kind() == ErrorKind::Poisoned,
        }
    }

    /// Ends without closing, and cuts the power: what was told must hold, but for
    /// what was in segments that were trimmed, and the log must go on.
    pub(super) fn must_have_kept(self, all: &[Told], trimmed: &[u64]) {
        let Self { log, disk, .. } = self;
        Arc::into_inner(log).unwrap();
        // Whatever was written survives as well, synced or not.
        let (report, whole) = found(&disk.after_power_cut(&Survival::Everything));
        assert_eq!(report.damage, []);
        let absent = all.iter().filter(|told| told.answer == Answer::Absent);
        absent.for_each(|told| told.must_not_be_in(&whole));
        let after = disk.after_power_cut(&Survival::Nothing);
        let (report, frames) = found(&after);
        assert_eq!(report.damage, []);
        for told in all {
            match told.answer {
                Answer::Stored if trimmed.contains(&told.segment) => {}
                Answer::Stored => told.must_be_in(&frames),
                Answer::Absent => told.must_not_be_in(&frames),
                Answer::InDoubt => {}
            }
        }
        let mut tags: BTreeMap<u64, u64> = BTreeMap::new();
        all.iter().for_each(|told| tags.extend(told.numbered()));
        // 1 is what the disk was prepared with.
        let strange = frames.iter().find(|(lsn, tag)| **tag != 1 && tags.get(lsn) != Some(tag));
        assert_eq!(strange, None, "nobody appended this: {all:?}");
        let next = Self::open(after, OPTIONS);
        let mut more = next.append(&[2], SMALL_BYTES).unwrap();
        let highest =
            all.iter().filter(|told| told.answer == Answer::Stored).map(|told| told.last());
        assert!(highest.max().is_none_or(|highest| more.last() > highest), "{more:?}");
        next.wait(&mut more);
        assert_eq!(more.answer, Answer::Stored);
    }
}

impl Told {
    /// The LSN of the last frame.
    pub(super) fn last(&self) -> Lsn {
        Lsn::from_u64(self.numbered().last().unwrap().0).unwrap()
    }

    /// Each LSN with its tag.
    fn numbered(&self) -> impl Iterator<Item = (u64, u64)> {
        (self.first..).zip(self.tags.iter().copied())
    }

    /// All of it was found.
    pub(super) fn must_be_in(&self, frames: &BTreeMap<u64, u64>) {
        for (lsn, tag) in self.numbered() {
            assert_eq!(frames.get(&lsn), Some(&tag), "confirmed and lost: {self:?}");
        }
    }

    /// Nothing of it was found.
    pub(super) fn must_not_be_in(&self, frames: &BTreeMap<u64, u64>) {
        for tag in &self.tags {
            assert!(!frames.values().any(|found| found == tag), "refused and found: {self:?}");
        }
    }
}

/// The answer in a result. Errors of other kinds are nobody's answer.
fn answer(told: &Result<(), Error>) -> Answer {
    match told {
        Ok(()) => Answer::Stored,
        Err(error) if error.kind() == ErrorKind::Full && !error.in_doubt() => Answer::Absent,
        Err(error) if error.kind() == ErrorKind::Poisoned && error.in_doubt() => Answer::InDoubt,
        Err(error) if error.kind() == ErrorKind::Poisoned => Answer::Absent,
        Err(error) => panic!("{error}"),
    }
}

/// The report and the frames of a disk: each of the host's frames with its tag, by LSN.
pub(super) fn found(disk: &SimVfs) -> (ExaminationReport, BTreeMap<u64, u64>) {
    let mut frames = BTreeMap::new();
    let mut highest = 0;
    let examined = crate::examine(disk, &mut |frame| {
        assert!(frame.lsn.get() > highest, "{} after {highest}", frame.lsn);
        highest = frame.lsn.get();
        if frame.kind >= KIND_HOST_MIN {
            let tag = u64::from_le_bytes(frame.body[..8].try_into().unwrap());
            frames.insert(highest, tag);
        }
    });
    (examined.unwrap().unwrap().report().clone(), frames)
}

/// A disk with a log that has begun a segment.
pub(super) fn begun() -> SimVfs {
    let host = Host::open(SimVfs::new(), OPTIONS);
    let mut told = host.append(&[1], SMALL_BYTES).unwrap();
    host.wait(&mut told);
    Arc::into_inner(host.log).unwrap().close().unwrap();
    host.disk
}

/// A disk with a log that has finished a segment.
pub(super) fn rolled() -> SimVfs {
    let host = Host::open(SimVfs::new(), OPTIONS);
    while host.log.segments().len() < 2 {
        let mut told = host.append(&[1], LARGE_BYTES).unwrap();
        host.wait(&mut told);
    }
    Arc::into_inner(host.log).unwrap().close().unwrap();
    host.disk
}
