//! A key is never forgotten early and a key that was not taken is never known, over crashes.
//! Method: random histories on a simulated disk with power cuts and faults, against a plain map.

mod history;

use std::{cell::Cell, collections::VecDeque};

use onceward_index::{ContentHash, Entry, ErrorKind, KeyBatch, Lookup, ReadMode, Reserved, Until};
use onceward_vfs::{Fault, SimVfs, Survival};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::reference::{Frame, Reference};
use crate::store::{DIR, MINUTE_MS, SLICE_MS, Store, location, options};
use history::{KEYS, Op, Trouble, fingerprint, op, window};

/// Histories of each way of reading; each has 60 operations on average.
const HISTORIES: u32 = 240;

struct Run {
    disk: SimVfs,
    reading: ReadMode,
    store: Store,
    reference: Reference,
    /// LSNs of the frames in flight.
    flying: VecDeque<u64>,
    power_cuts: u64,
}

impl Run {
    fn new(reading: ReadMode) -> Self {
        let disk = SimVfs::new();
        let store = Store::open(location(disk.clone()), options(reading));
        let (reference, flying) = (Reference::default(), VecDeque::new());
        Self { disk, reading, store, reference, flying, power_cuts: 0 }
    }

    /// Notes the frames that were appended since there were `before`.
    fn note_from(&mut self, before: u64) {
        for (frame, lsn) in self.store.log.iter().zip(1..).skip(usize::try_from(before).unwrap()) {
            self.reference.note(frame, lsn);
        }
    }

    fn capture(&mut self, key: u8, content: ContentHash, from_settle: bool, fails: bool) {
        let (window, lsn, now) = (window(from_settle), self.store.next_lsn(), self.store.now);
        let expected = self.known(key);
        if fails {
            let entry = Entry { key: fingerprint(key), content, lsn };
            if matches!(self.store.index.reserve(entry, window, now).unwrap(), Reserved::Taken(_)) {
                assert_eq!(expected, None);
                self.store.append(Frame::Failed);
                assert!(self.store.index.withdraw(fingerprint(key), lsn).unwrap());
            }
            return;
        }
        match self.store.take(fingerprint(key), content, window).unwrap() {
            Reserved::Known(found) => assert_eq!(Some(found.lsn), expected, "key {key}"),
            Reserved::Taken(_) => assert_eq!(expected, None, "key {key} is taken twice"),
        }
        self.note_from(lsn - 1);
    }

    /// Reserves a key; its frame stands in the log, and may still fail.
    fn begin(&mut self, key: u8, from_settle: bool) {
        let (window, lsn, now) = (window(from_settle), self.store.next_lsn(), self.store.now);
        let content = ContentHash::from_u64(8);
        let begin = self.store.index.slice_begin(window, now);
        let entry = Entry { key: fingerprint(key), content, lsn };
        if let Reserved::Taken(slice) = self.store.index.reserve(entry, window, now).unwrap() {
            self.store.append(Frame::Took { key: fingerprint(key), content, window, begin, now });
            self.store.held.insert(lsn, slice);
            self.note_from(lsn - 1);
            self.flying.push_back(lsn);
        }
    }

    /// The oldest frame in flight is durable, or failed.
    fn end_oldest(&mut self, fails: bool) {
        let Some(lsn) = self.flying.pop_front() else { return };
        let key = self.store.key_of(lsn);
        if !fails {
            self.store.index.confirm(lsn);
            return;
        }
        assert!(self.store.index.withdraw(key, lsn).unwrap());
        self.store.held.remove(&lsn);
        self.store.log[usize::try_from(lsn).unwrap() - 1] = Frame::Failed;
        self.reference.note_gone(key);
    }

    /// Takes some keys at once, one of them twice.
    fn batch(&mut self, first: u8, count: u8, from_settle: bool) {
        let (window, before, now) = (window(from_settle), self.store.next_lsn(), self.store.now);
        let begin = self.store.index.slice_begin(window, now);
        let keys: Vec<u8> = (first..first + count).map(|key| key % KEYS).chain([first]).collect();
        let expected: Vec<Option<u64>> = keys.iter().map(|key| self.known(*key)).collect();
        let content = ContentHash::from_u64(7);
        let entries: Vec<Entry> = keys
            .iter()
            .zip(before..)
            .map(|(key, lsn)| Entry { key: fingerprint(*key), content, lsn })
            .collect();
        // Either way of asking, by turns.
        let mut reserved = Vec::new();
        if before.is_multiple_of(2) {
            self.store.index.insert_batch(&entries, window, now, &mut reserved).unwrap();
        } else {
            let mut items: Vec<(Entry, Option<Reserved>)> =
                entries.iter().map(|entry| (*entry, None)).collect();
            let entry_of = |(entry, _): &(Entry, Option<Reserved>)| Some((*entry, window));
            let put = |(_, place): &mut (Entry, Option<Reserved>), outcome| *place = Some(outcome);
            KeyBatch::of(&self.store.index).reserve_each(&mut items, now, entry_of, put).unwrap();
            reserved.extend(items.into_iter().filter_map(|(_, outcome)| outcome));
        }
        let last = reserved.len() - 1;
        for (nth, (entry, reserved)) in entries.iter().zip(&reserved).enumerate() {
            let Entry { key, lsn, .. } = *entry;
            match *reserved {
                Reserved::Taken(slice) => {
                    assert!(nth != last && expected[nth].is_none(), "{key:?} is taken twice");
                    self.store.append(Frame::Took { key, content, window, begin, now });
                    self.store.held.insert(lsn, slice);
                }
                Reserved::Known(found) => {
                    assert_eq!(found.lsn, expected[nth].unwrap_or(before), "{key:?}");
                    // A frame all the same, so that those behind it have their numbers.
                    self.store.append(Frame::Failed);
                }
            }
        }
        match (entries.first(), entries.last()) {
            (Some(first), Some(last)) if before.is_multiple_of(2) => {
                KeyBatch::of(&self.store.index).confirm_range(first.lsn, last.lsn);
            }
            _ => self.store.index.confirm_batch(entries.iter().map(|entry| entry.lsn)),
        }
        self.note_from(before - 1);
    }

    /// The LSN that must, or may, be known for a key now; what may have gone and has gone is noted.
    fn known(&mut self, key: u8) -> Option<u64> {
        let found = self.store.index.find(fingerprint(key)).unwrap();
        if let Some(objection) =
            self.reference.objection(fingerprint(key), found, self.store.latest)
        {
            panic!("key {key}: {objection}");
        }
        if found.is_none() {
            self.reference.note_gone(fingerprint(key));
        }
        found.map(|found| found.lsn)
    }

    fn settle(&mut self, nth: usize) {
        let is_durable = |lsn: &u64| !self.flying.contains(lsn);
        let open: Vec<u64> = self.store.held.keys().copied().filter(is_durable).collect();
        if let Some(lsn) = open.get(nth % open.len().max(1)).copied() {
            let before = self.store.next_lsn() - 1;
            self.store.settle(lsn);
            self.note_from(before);
        }
    }

    fn release(&mut self, key: u8) {
        if self.reference.get(fingerprint(key)).is_some_and(|taken| taken.is_settled()) {
            let was_known = self.known(key).is_some();
            let before = self.store.next_lsn() - 1;
            assert_eq!(self.store.release(fingerprint(key)).unwrap(), was_known);
            self.note_from(before);
        }
    }

    /// A frame in flight may be found, or not.
    fn crash(&mut self, disk: SimVfs) {
        self.disk = disk;
        for lsn in std::mem::take(&mut self.flying) {
            if lsn % 2 == 0 {
                self.reference.note_gone(self.store.key_of(lsn));
                self.store.log[usize::try_from(lsn).unwrap() - 1] = Frame::Failed;
            }
        }
        let location = location(self.disk.clone());
        let (mut store, told) = Store::reopened(location, options(self.reading), &self.store.log);
        told.unwrap();
        assert_eq!(store.index.discarded(), None);
        (store.now, store.latest) = (self.store.now, self.store.latest);
        self.store = store;
        self.power_cuts += 1;
        // A crash may bring back keys whose slice was dropped: each as it was taken last.
        let of_log = Reference::of(&self.store.log);
        for key in of_log.keys() {
            if self.store.index.find(key).unwrap().is_some() {
                self.reference.note_back(key, &of_log);
            }
        }
    }

    fn checkpoint(&mut self, until: Until, trouble: &Trouble) {
        match *trouble {
            Trouble::None => {}
            Trouble::Fault { op, nth, kind } => {
                let name_contains = DIR.to_owned();
                self.disk.plan(Fault { op, name_contains, nth, kind, forever: false });
            }
            Trouble::PowerCut { nth, .. } => self.disk.cut_power_at(self.disk.op_count() + nth),
        }
        let done = self.store.index.checkpoint(0, until);
        self.disk.forget_faults();
        if let Trouble::PowerCut { seed, .. } = *trouble {
            self.crash(self.disk.after_power_cut(&Survival::Seeded { seed, sector_bytes: 512 }));
        } else if let Err(error) = done {
            assert!(matches!(error.kind(), ErrorKind::Full | ErrorKind::Io), "{error}");
            assert!(!matches!(trouble, Trouble::None), "{error}");
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Capture { key, content, from_settle, fails } => {
                self.capture(key, ContentHash::from_u64(content.into()), from_settle, fails);
            }
            Op::Begin { key, from_settle } => self.begin(key, from_settle),
            Op::End { fails } => self.end_oldest(fails),
            Op::Batch { first, count, from_settle } => self.batch(first, count, from_settle),
            Op::Settle { nth } => self.settle(nth),
            Op::Release { key } => self.release(key),
            Op::Tick { ms } => self.store.now += ms,
            Op::StepBack { ms } => self.store.now = self.store.now.saturating_sub(ms),
            Op::Expire => self.store.expire().unwrap(),
            Op::Checkpoint { close, ref trouble } => {
                self.checkpoint(if close { Until::Close } else { Until::Later }, trouble);
            }
            Op::Crash { seed, syncs } => {
                let seeded = Survival::Seeded { seed, sector_bytes: 512 };
                let survival = if syncs { Survival::Nothing } else { seeded };
                self.crash(self.disk.after_power_cut(&survival));
            }
            Op::Warm { shards } => drop(self.store.index.warm(shards).unwrap()),
        }
    }

    /// Each key gets its one right verdict, with its own content and with another.
    fn check(&mut self) {
        for key in 0..KEYS {
            let known = self.known(key);
            let taken = self.reference.get(fingerprint(key));
            let content = taken.map_or(ContentHash::from_u64(0), |taken| taken.content);
            let other = ContentHash::from_u64(content.as_u64() ^ 1);
            let keys = [(fingerprint(key), content), (fingerprint(key), other)];
            let mut verdicts = Vec::new();
            self.store.index.lookup_batch(&keys, &mut verdicts).unwrap();
            let mut items = keys.map(|key| (Some(key), None));
            let judge = |(key, _): &(Option<_>, Option<Lookup>)| *key;
            let put = |(_, place): &mut (_, _), verdict| *place = Some(verdict);
            KeyBatch::of(&self.store.index).lookup_each(&mut items, judge, put).unwrap();
            assert!(
                items.iter().map(|(_, verdict)| *verdict).eq(verdicts.iter().copied().map(Some))
            );
            // A content that nobody knows is every content.
            let is_unknown = content.as_u64() * other.as_u64() == 0;
            let expected = known.map_or([Lookup::New; 2], |lsn| {
                let duplicate = Lookup::Duplicate { lsn };
                [duplicate, if is_unknown { duplicate } else { Lookup::Conflict { lsn } }]
            });
            assert_eq!(verdicts, expected, "key {key}");
        }
    }

    /// Once everything is settled, nothing is left one slice and one window later.
    fn end(&mut self) {
        while !self.flying.is_empty() {
            self.end_oldest(false);
        }
        while !self.store.held.is_empty() {
            self.settle(0);
        }
        let begins = self.store.index.slices().into_iter().map(|slice| slice.begin);
        let latest = begins.chain([self.store.now, self.store.latest]).max().unwrap_or(0);
        let settled = self.store.index.slices().into_iter().filter_map(|slice| slice.last_settled);
        self.store.now = settled.chain([latest]).max().unwrap_or(0) + SLICE_MS + MINUTE_MS;
        self.store.expire().unwrap();
        self.check();
        assert!(self.store.index.is_empty(), "{:?}", self.store.index.slices());
        assert_eq!(self.reference.keys(), []);
    }
}

fn histories_are_judged_as_a_map_judges_them(reading: ReadMode) {
    let told = Cell::new([0_u64; 2]);
    let mut runner = TestRunner::new(Config { cases: HISTORIES, ..Config::default() });
    let histories = prop::collection::vec(op(), 1..120);
    runner
        .run(&histories, |ops| {
            let mut run = Run::new(reading);
            for op in &ops {
                run.apply(op);
                run.check();
            }
            run.end();
            let [all, power_cuts] = told.get();
            told.set([all + ops.len() as u64, power_cuts + run.power_cuts]);
            Ok(())
        })
        .unwrap();
    let [all, power_cuts] = told.get();
    println!("{reading:?}: {all} operations, {power_cuts} power cuts");
    assert!(all >= 10_000 && power_cuts >= 500, "{all} operations, {power_cuts} power cuts");
}

#[test]
fn random_histories_with_power_cuts_are_judged_as_a_map_judges_them_with_maps() {
    histories_are_judged_as_a_map_judges_them(ReadMode::Mapped);
}

#[test]
fn random_histories_with_power_cuts_are_judged_as_a_map_judges_them_without_maps() {
    histories_are_judged_as_a_map_judges_them(ReadMode::Positioned);
}
