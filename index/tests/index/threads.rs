//! Captures, questions and checkpoints at once disturb no answer, and all of it is there afterwards.
//! Method: three takers, two askers and a checkpoint after the other, from cold shards on; then a crash.

use std::{
    sync::{
        Condvar, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use onceward_index::{ContentHash, Fingerprint, Index, Lookup, ReadMode, Until};
use onceward_vfs::{SimVfs, Survival};

use crate::reference::{Frame, Reference};
use crate::store::{Store, capturing, location, options, secret, settling};

const BASE: u64 = 1_500;
const EACH: u64 = 600;
const CONTENT: ContentHash = ContentHash::from_u64(5);

fn key(number: u64) -> Fingerprint {
    secret().fingerprint("till", &number.to_le_bytes())
}

/// Checkpoints that were written, and who waits for more of them.
#[derive(Default)]
struct Turns {
    count: Mutex<u64>,
    more: Condvar,
}

impl Turns {
    fn note(&self) -> u64 {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        self.more.notify_all();
        *count
    }

    /// Waits until there were so many; not for ever, should the checkpoints have failed.
    fn wait_for(&self, wanted: u64) {
        let count = self.count.lock().unwrap();
        let most = Duration::from_secs(60);
        drop(self.more.wait_timeout_while(count, most, |count| *count < wanted).unwrap());
    }
}

/// Takes keys; each is known with its LSN as soon as it is reserved, and from then on.
fn take(index: &Index, log: &Mutex<Vec<Frame>>, turns: &Turns, first: u64) {
    let mut lsns = Vec::new();
    for number in first..first + EACH {
        let window = if number % 2 == 0 { settling() } else { capturing() };
        let (key, content, now) = (key(number), CONTENT, 1_000_000);
        let lsn = {
            // In the order of the log.
            let mut log = log.lock().unwrap();
            let (lsn, begin) = (log.len() as u64 + 1, index.slice_begin(window, now));
            let entry = onceward_index::Entry { key, content, lsn };
            index.reserve(entry, window, now).unwrap();
            log.push(Frame::Took { key, content, window, begin, now });
            lsn
        };
        lsns.push(lsn);
        let nth = usize::try_from(number * 7 % (number - first + 1)).unwrap();
        let found = index.lookup(self::key(first + nth as u64), CONTENT).unwrap();
        assert_eq!(found, Lookup::Duplicate { lsn: lsns[nth] });
        index.confirm(lsn);
        // So that captures and checkpoints are beside one another, however the threads are run.
        turns.wait_for((number - first) / (EACH / 6));
    }
}

/// Asks for keys that are in files, and for keys that nobody takes.
fn ask(index: &Index, takers: &AtomicUsize, seed: u64) {
    let mut round = seed;
    while takers.load(SeqCst) > 0 {
        let numbers: Vec<u64> = (0..50).map(|nth| (round * 50 + nth * 37) % BASE).collect();
        let known = numbers.iter().map(|number| (key(*number), CONTENT));
        let asked: Vec<_> =
            known.chain(numbers.iter().map(|number| (key(1 << 40 | *number), CONTENT))).collect();
        let mut verdicts = Vec::new();
        index.lookup_batch(&asked, &mut verdicts).unwrap();
        for (nth, number) in numbers.iter().enumerate() {
            assert_eq!(verdicts[nth], Lookup::Duplicate { lsn: number + 1 });
            assert_eq!(verdicts[numbers.len() + nth], Lookup::New);
        }
        round += 1;
    }
}

fn at_once(reading: ReadMode) {
    let disk = SimVfs::new();
    let mut store = Store::open(location(disk.clone()), options(reading));
    for number in 0..BASE {
        store.take(key(number), CONTENT, settling()).unwrap();
    }
    store.index.checkpoint(0, Until::Close).unwrap();
    let (store, told) = Store::reopened(location(disk.clone()), options(reading), &store.log);
    told.unwrap();
    let index: &Index = &store.index;
    let (log, takers) = (Mutex::new(store.log.clone()), AtomicUsize::new(3));
    let turns = Turns::default();
    std::thread::scope(|scope| {
        for nth in 0..3 {
            let (log, takers, turns) = (&log, &takers, &turns);
            scope.spawn(move || {
                // Also when it fails: the others must end.
                let _end = End(takers);
                take(index, log, turns, BASE + nth * EACH);
            });
        }
        for seed in [0, 17] {
            let takers = &takers;
            scope.spawn(move || ask(index, takers, seed));
        }
        let mut turn = 0_u64;
        while takers.load(SeqCst) > 0 {
            let until = if turn.is_multiple_of(3) { Until::Close } else { Until::Later };
            index.checkpoint(turn, until).unwrap();
            turn = turns.note();
        }
        assert!(turn >= 5, "{turn} checkpoints beside the captures");
    });
    let log = log.into_inner().unwrap();
    assert_eq!(index.len(), BASE + 3 * EACH);
    index.checkpoint(0, Until::Later).unwrap();
    let disk = disk.after_power_cut(&Survival::Nothing);
    let (again, told) = Store::reopened(location(disk), options(reading), &log);
    told.unwrap();
    let reference = Reference::of(&log);
    for number in 0..BASE + 3 * EACH + 100 {
        let found = again.index.find(key(number)).unwrap();
        assert_eq!(reference.objection(key(number), found, 0), None);
    }
}

/// Counts a taker off.
struct End<'a>(&'a AtomicUsize);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[test]
fn captures_questions_and_checkpoints_at_once_are_right_with_maps() {
    at_once(ReadMode::Mapped);
}

#[test]
fn captures_questions_and_checkpoints_at_once_are_right_without_maps() {
    at_once(ReadMode::Positioned);
}
