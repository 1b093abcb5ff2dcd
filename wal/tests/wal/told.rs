//! What a crash must not take back: everything that the log told its caller.
//! Method: a script notes each answer before the next step; a check holds a disk against the notes.

use std::collections::{BTreeMap, BTreeSet};

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use onceward_vfs::{SimVfs, Survival, Vfs};
use onceward_wal::{Alignment, Appended, Error, ErrorKind, ExaminationReport, Log, Options};

use super::scenario::{OPTIONS, Seen, body, found, host, look, open_in_boot, put, queue, shared};

/// One thing that a host does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Appends a body of this size, and waits.
    Append(usize),
    /// Appends bodies as one batch, and waits.
    Batch(&'static [usize]),
    /// Appends a body and does not wait.
    Defer(usize),
    /// Trims the oldest finished segment.
    Trim,
    /// Marks the end of an idle log.
    Mark,
    /// Closes and opens.
    Close,
    /// Ends without closing, and opens.
    Kill,
}

/// What the log told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The log was created.
    created: bool,
    /// Body's seed and size, batch, and segment by LSN.
    appended: BTreeMap<u64, (u64, usize, u64, u64)>,
    /// LSNs that were confirmed.
    pub(crate) acked: BTreeSet<u64>,
    /// Segments whose trimming was begun.
    pub(crate) trimmed: BTreeSet<u64>,
    /// The log was closed, and not opened since.
    closed: bool,
    /// The log is being opened in the boot of the run before: then confirmed blocks may be written again.
    pub(crate) reopening: bool,
    /// The boot of the machine: another one after each power cut.
    boot: u8,
    /// Where commits end.
    pub(crate) alignment: Alignment,
    /// The power went, so that nobody knows whether a closing took effect.
    crashed: bool,
}

/// Where a script puts its notes for whoever stops it.
pub(crate) type Journal = Arc<Mutex<Arc<Told>>>;

/// A host at work.
pub(crate) struct Script {
    vfs: Arc<dyn Vfs>,
    log: Option<Log>,
    next_seed: u64,
    journal: Option<Journal>,
    /// What it was told.
    pub(crate) told: Told,
}

impl Script {
    /// A host that has not opened its log yet.
    pub(crate) fn new(disk: SimVfs) -> Self {
        Self { vfs: shared(&disk), log: None, next_seed: 1, journal: None, told: Told::default() }
    }

    /// A host that goes on after `told`, and notes each answer in the journal.
    pub(crate) fn after(vfs: Arc<dyn Vfs>, told: Told, journal: Journal) -> Self {
        let next_seed = told.appended.values().map(|(seed, ..)| seed + 1).max().unwrap_or(1);
        // Seeds of what a crash took back are not used again either.
        let it =
            Self { vfs, log: None, next_seed: next_seed + 10_000, journal: Some(journal), told };
        it.publish();
        it
    }

    fn publish(&self) {
        if let Some(journal) = &self.journal {
            *journal.lock().unwrap() = Arc::new(self.told.clone());
        }
    }

    /// Drops the log, as a host does that opens it again.
    pub(crate) fn give_up(&mut self) {
        self.log = None;
    }

    /// Does one step.
    pub(crate) fn step(&mut self, step: &Step) -> Result<(), Error> {
        if self.log.is_none() {
            let was_closed = std::mem::take(&mut self.told.closed);
            self.told.reopening = !self.told.crashed;
            self.publish();
            let (log, report, seen) = self.told.open(&self.vfs)?;
            // What an opening shows is there for good, and what it does not show is not.
            let shown: BTreeSet<u64> = seen.iter().map(|frame| frame.lsn).collect();
            let told = &mut self.told;
            told.appended.retain(|lsn, _| told.acked.contains(lsn) || shown.contains(lsn));
            told.acked.extend(shown.into_iter().filter(|lsn| told.appended.contains_key(lsn)));
            let crashed = std::mem::take(&mut self.told.crashed);
            assert!(crashed || report.clean == was_closed, "{step:?}");
            assert_eq!(report.damage, [], "{step:?}");
            self.told.created = true;
            self.told.reopening = false;
            self.log = Some(log);
            self.publish();
        }
        let log = self.log.as_ref().unwrap();
        match step {
            Step::Append(bytes) => self.append(&[*bytes], true),
            Step::Batch(sizes) => self.append(sizes, true),
            Step::Defer(bytes) => self.append(&[*bytes], false),
            Step::Trim => {
                let Some(first) = log.segments().first().copied() else { return Ok(()) };
                let is_new = self.told.trimmed.insert(first.number);
                self.publish();
                match log.trim(first.number) {
                    Err(error) if error.kind() == ErrorKind::Invalid && is_new => {
                        self.told.trimmed.remove(&first.number);
                        self.publish();
                        Ok(())
                    }
                    trimmed => trimmed,
                }
            }
            Step::Mark => log.mark(),
            Step::Close => {
                let queued: Vec<u64> = self.told.appended.keys().copied().collect();
                self.log.take().unwrap().close()?;
                self.told.acked.extend(queued);
                self.told.closed = true;
                self.publish();
                Ok(())
            }
            Step::Kill => {
                // What was not waited for may be lost with the process.
                self.log = None;
                Ok(())
            }
        }
    }

    fn append(&mut self, sizes: &[usize], wait: bool) -> Result<(), Error> {
        let log = self.log.as_ref().unwrap();
        let first_seed = self.next_seed;
        let bodies: Vec<Vec<u8>> =
            (first_seed..).zip(sizes).map(|(seed, bytes)| body(seed, *bytes)).collect();
        self.next_seed += u64::try_from(sizes.len()).unwrap();
        let Appended { first, last, place, .. } = match queue(log, &bodies) {
            Err(error) if error.kind() == ErrorKind::Full => return Ok(()),
            queued => queued?,
        };
        for (i, lsn) in (first.get()..=last.get()).enumerate() {
            let seed = first_seed + u64::try_from(i).unwrap();
            let note = (seed, sizes[i], first_seed, place.segment);
            let lower = !self.told.acked.contains(&lsn);
            assert!(lower, "LSN {lsn} was given out and confirmed before");
            self.told.appended.insert(lsn, note);
        }
        self.publish();
        if wait {
            if let Err(error) = log.wait(last) {
                if error.kind() != ErrorKind::Full {
                    return Err(error);
                }
                // Surely absent, with all that was queued before it: to be found is a failure.
                let synced = log.synced();
                self.told.appended.retain(|lsn, _| *lsn <= synced);
                return Ok(());
            }
            self.told.acked.extend(first.get()..=last.get());
            self.publish();
        }
        Ok(())
    }
}

impl Told {
    /// Opens the log as this host does.
    fn open(&self, vfs: &Arc<dyn Vfs>) -> Result<(Log, ExaminationReport, Vec<Seen>), Error> {
        let options = Options { alignment: self.alignment, ..OPTIONS };
        open_in_boot(vfs, options, self.boot.checked_add(1).unwrap())
    }

    /// As a host that comes back after the power went.
    pub(crate) fn after_crash(&self) -> Self {
        Self { crashed: true, boot: self.boot + 1, ..self.clone() }
    }

    /// What two crash states of the same disk may differ in.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.created, &self.acked, &self.trimmed).hash(&mut hasher);
        hasher.finish()
    }

    /// As [`Told::check`], with fewer looks: what is shown, that the log takes a further append, and
    /// that both are found after another power cut.
    pub(crate) fn check_quickly(&self, disk: &SimVfs, context: &str) {
        let exists = disk.exists("meta").unwrap();
        assert!(exists || !self.created, "no log: {context}");
        let opened = self.open(&shared(disk)).unwrap_or_else(|e| panic!("{e}: {context}"));
        let (log, report, seen) = opened;
        assert_eq!(report.damage, [], "{context}");
        self.check_frames(&seen, context);
        let last = seen.last().map_or(0, |frame| frame.lsn);
        // A block that is shared with what the crash left is filled at once.
        let filled = self.alignment == Alignment::Block && log.synced() > last;
        assert!(log.synced() == last || filled, "{context}");
        assert!(last >= self.last_kept(), "{context}");
        assert!(seen.iter().all(|frame| frame.run < log.run()), "{context}");

        let next = body(77, 40);
        let new = put(&log, &next).unwrap_or_else(|e| panic!("{e}: {context}"));
        let confirmed = self.acked.last().copied().unwrap_or(0);
        assert!(new.get() > last.max(confirmed), "LSN {new}: {context}");
        drop(log);

        // T15.
        let (report, after) = found(&disk.after_power_cut(&Survival::Nothing));
        assert_eq!(report.damage, [], "{context}");
        assert!(after.len() > seen.len() && after[..seen.len()] == seen, "T15: {context}");
        let found = host(&after).pop().unwrap();
        assert!(found.lsn == new.get() && found.body == next, "the new one: {context}");
    }

    /// The highest LSN that was confirmed and stands in no trimmed segment.
    fn last_kept(&self) -> u64 {
        let kept = |lsn: &&u64| {
            self.appended.get(lsn).is_some_and(|(.., segment)| !self.trimmed.contains(segment))
        };
        self.acked.iter().rev().find(kept).copied().unwrap_or(0)
    }

    /// Holds what is found on `disk` against what was told; then goes on with the log.
    pub(crate) fn check(&self, disk: &SimVfs, context: &str) {
        let Some((examined, seen)) = look(disk).unwrap_or_else(|e| panic!("{e}: {context}")) else {
            assert!(!self.created, "no log: {context}");
            return;
        };
        assert_eq!(examined.report().damage, [], "{context}");
        self.check_frames(&seen, context);

        let (log, _, again) = self.open(&shared(disk)).unwrap_or_else(|e| panic!("{e}: {context}"));
        assert_eq!(again, seen, "{context}");
        let kept = disk.after_power_cut(&Survival::Nothing);
        assert_eq!(found(&kept).1[..seen.len()], seen, "what was shown is durable: {context}");
        // Every other time one for which the segment must be sealed first.
        let bytes = if seen.len() % 2 == 0 { 20 } else { 240_000 };
        let next = body(seen.len() as u64, bytes);
        let new = put(&log, &next).unwrap_or_else(|e| panic!("{e}: {context}"));
        let highest = seen.last().map_or(0, |frame| frame.lsn);
        let confirmed = self.acked.last().copied().unwrap_or(0);
        assert!(new.get() > highest.max(confirmed), "LSN {new}: {context}");
        drop(log);

        // T15.
        let (report, after) = found(&disk.after_power_cut(&Survival::Nothing));
        assert_eq!(report.damage, [], "{context}");
        assert_eq!(after[..seen.len()], seen, "{context}");
        let last = host(&after).pop().unwrap();
        assert!(last.lsn == new.get() && last.body == next, "what was appended then: {context}");
    }

    fn check_frames(&self, seen: &[Seen], context: &str) {
        assert!(seen.windows(2).all(|w| w[0].lsn < w[1].lsn), "not ascending: {context}");
        assert!(seen.windows(2).all(|w| w[0].run <= w[1].run), "a run fell: {context}");
        let host: BTreeMap<u64, Seen> =
            host(seen).into_iter().map(|frame| (frame.lsn, frame)).collect();
        for (lsn, frame) in &host {
            let Some((seed, bytes, ..)) = self.appended.get(lsn) else {
                panic!("LSN {lsn} was never appended: {context}");
            };
            assert!(frame.body == body(*seed, *bytes), "LSN {lsn} has another body: {context}");
        }
        let mut batches: BTreeMap<u64, BTreeSet<bool>> = BTreeMap::new();
        let mut missing = None;
        for (lsn, (_, _, batch, segment)) in &self.appended {
            if self.trimmed.contains(segment) {
                continue;
            }
            let there = host.contains_key(lsn);
            assert!(there || !self.acked.contains(lsn), "LSN {lsn} was confirmed: {context}");
            assert!(!there || missing.is_none(), "{missing:?} is a hole before {lsn}: {context}");
            if !there && missing.is_none() {
                missing = Some(*lsn);
            }
            batches.entry(*batch).or_default().insert(there);
        }
        for (batch, there) in batches {
            assert_eq!(there.len(), 1, "batch {batch} is neither whole nor absent: {context}");
        }
    }
}
