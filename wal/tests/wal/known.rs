//! What a host knows of finished segments takes the place of reading them, where it fits, and damage in them is found
//! later.
//! Method: small logs opened twice, once with what was known and once without; segments changed, exchanged and cut
//! beneath what is known of them; power cuts while segments that nobody read are trimmed.

use std::collections::BTreeMap;
use std::sync::Arc;

use onceward_vfs::{SimVfs, Vfs};
use onceward_wal::{Examined, Frame, KnowingReader, KnownSegment, Log, Lsn, Stamp, examine_known};

use super::scenario::{
    OPTIONS, Seen, body, fill_segment, host, look, open_sim, put, segment, shared,
};

/// What is known, and what was shown and passed.
#[derive(Default)]
struct Host {
    known: BTreeMap<u64, KnownSegment>,
    seen: Vec<Seen>,
    passed: Vec<u64>,
}

impl KnowingReader for Host {
    fn frame(&mut self, frame: &Frame<'_>) {
        self.seen.push(Seen {
            lsn: frame.lsn.get(),
            run: frame.run,
            kind: frame.kind,
            body: frame.body.to_vec(),
            place: frame.place,
            bytes: frame.bytes(),
        });
    }

    fn known(&mut self, number: u64) -> Option<KnownSegment> {
        self.known.get(&number).cloned()
    }

    fn pass(&mut self, number: u64) {
        self.passed.push(number);
    }
}

/// What can be known of the finished segments of a log.
fn known_of(log: &Log) -> BTreeMap<u64, KnownSegment> {
    let finished = log.finished();
    let numbers = finished.infos().into_iter().map(|info| info.number);
    let of = |number| Some((number, finished.describe(number, &mut |_| {}).unwrap()?));
    numbers.filter_map(of).collect()
}

/// A log of three segments, the first two finished, and what is known of them. Open.
fn three(disk: &SimVfs) -> (Log, BTreeMap<u64, KnownSegment>) {
    let log = open_sim(disk);
    while log.segments().len() < 3 {
        put(&log, &body(1, 700)).unwrap();
    }
    put(&log, &body(2, 700)).unwrap();
    let known = known_of(&log);
    assert_eq!(known.keys().copied().collect::<Vec<u64>>(), [1, 2], "control");
    (log, known)
}

/// Examines with what is known.
fn look_knowing(disk: &SimVfs, known: &BTreeMap<u64, KnownSegment>) -> (Examined, Host) {
    let mut host = Host { known: known.clone(), ..Host::default() };
    let examined = examine_known(disk, None, &mut host).unwrap().unwrap();
    assert_eq!(examined.report().unchecked, host.passed);
    (examined, host)
}

/// Opens with what is known.
fn open_knowing(disk: &SimVfs, known: &BTreeMap<u64, KnownSegment>) -> Log {
    let lock = onceward_wal::lock(disk).unwrap();
    let examined = look_knowing(disk, known).0;
    Log::start(shared(disk), lock, examined, OPTIONS, Stamp::default()).unwrap()
}

/// The name that a segment has where damage is kept.
fn kept(number: u64) -> String {
    segment(number).replace("log/", "quarantine/")
}

#[test]
fn what_is_known_is_not_read_and_the_log_is_the_same() {
    let disk = SimVfs::new();
    let (log, known) = three(&disk);
    log.close().unwrap();
    drop(log);
    let (plain, all) = look(&disk).unwrap().unwrap();
    let (examined, shown) = look_knowing(&disk, &known);
    assert_eq!(shown.passed, [1, 2]);
    let last = known[&2].last_lsn();
    let rest: Vec<Seen> = all.iter().filter(|frame| frame.lsn > last).cloned().collect();
    assert_eq!(shown.seen, rest);
    let (told, without) = (examined.report(), plain.report());
    assert_eq!((told.clean, told.frames), (true, without.frames));
    assert!(told.damage.is_empty() && told.bytes < without.bytes);
    assert_eq!(examined.highest_lsn(), plain.highest_lsn());
    let infos = |of: Examined| -> Vec<_> { of.into_segments().infos().collect() };
    let (with, without) = (infos(examined), infos(plain));
    assert_eq!(with.iter().map(|it| it.unchecked).collect::<Vec<bool>>(), [true, true, false]);
    let checked = with.into_iter().map(|it| onceward_wal::SegmentInfo { unchecked: false, ..it });
    assert_eq!(checked.collect::<Vec<_>>(), without);
}

#[test]
fn frames_of_segments_that_were_not_read_are_found_by_number_and_by_place() {
    let disk = SimVfs::new();
    let (log, known) = three(&disk);
    drop(log);
    let all = host(&look(&disk).unwrap().unwrap().1);
    let log = open_knowing(&disk, &known);
    for wanted in [&all[0], &all[100], &all[all.len() - 5]] {
        let (lsn, bytes) = (Lsn::from_u64(wanted.lsn).unwrap(), wanted.bytes.try_into().unwrap());
        let read = log.read(wanted.place, bytes, lsn).unwrap();
        assert_eq!(read.frame().unwrap().body, wanted.body);
        let mut reader = log.read_from(lsn).unwrap();
        let found = reader.next_slice().unwrap().unwrap();
        assert_eq!(found.frames().next().unwrap().lsn, lsn);
    }
}

#[test]
fn whole_segments_are_checked_once_and_the_next_opening_knows_them_again() {
    let disk = SimVfs::new();
    let (log, known) = three(&disk);
    drop(log);
    let log = open_knowing(&disk, &known);
    let finished = log.finished();
    let unchecked = || finished.infos().iter().filter(|info| info.unchecked).count();
    assert_eq!((unchecked(), known_of(&log)), (2, known.clone()));
    for left in [1, 0] {
        assert_eq!(finished.check(2 - left).unwrap(), []);
        assert_eq!(u64::try_from(unchecked()).unwrap(), left);
    }
    let reads = |disk: &SimVfs| disk.trace().iter().filter(|step| step.contains("read")).count();
    let before = reads(&disk);
    assert_eq!((finished.check(1).unwrap(), reads(&disk)), (Vec::new(), before), "not again");
    drop((finished, log));
    assert_eq!(look_knowing(&disk, &known).1.passed, [1, 2]);
}

#[test]
fn damage_behind_what_is_known_is_found_by_the_check_and_kept_when_the_segment_goes() {
    for is_checked in [false, true] {
        let disk = SimVfs::new();
        let (log, known) = three(&disk);
        drop(log);
        let all = host(&look(&disk).unwrap().unwrap().1);
        disk.flip_bit(&segment(1), u64::from(all[50].place.offset) + 40, 3);
        let plain = look(&disk).unwrap().unwrap().0.report().damage.clone();
        assert_eq!(plain.len(), 1, "control");
        let log = open_knowing(&disk, &known);
        assert!(log.segments().iter().all(|info| !info.damaged), "nobody looked");
        if is_checked {
            assert_eq!(log.finished().check(1).unwrap(), plain, "as opening would say");
            assert!(log.segments()[0].damaged);
            assert_eq!(log.finished().describe(1, &mut |_| {}).unwrap(), None);
        }
        log.trim(1).unwrap();
        assert!(disk.exists(&kept(1)).unwrap(), "checked before: {is_checked}");
        log.trim(2).unwrap();
        assert!(!disk.exists(&kept(2)).unwrap(), "control");
    }
}

#[test]
fn damage_to_the_header_the_seal_and_the_length_is_found_by_the_check() {
    type Harm = fn(&SimVfs, &KnownSegment);
    let harms: [(&str, Harm); 3] = [
        ("header", |disk, _| disk.flip_bit(&segment(1), 100, 1)),
        ("seal", |disk, known| disk.flip_bit(&segment(1), known.used_bytes() - 20, 1)),
        ("length", |disk, _| {
            let file = disk.open(&segment(1), onceward_vfs::Mode::Write).unwrap();
            file.set_len(100_000).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let disk = SimVfs::new();
        let (log, known) = three(&disk);
        drop(log);
        let log = open_knowing(&disk, &known);
        harm(&disk, &known[&1]);
        assert_ne!(log.finished().check(1).unwrap(), [], "{what}");
        drop(log);
        // Seen by the opening itself, where the head or the size shows it.
        let expected = if what == "seal" { vec![1, 2] } else { vec![2] };
        assert_eq!(look_knowing(&disk, &known).1.passed, expected, "{what}");
    }
}

#[test]
fn what_is_known_of_another_segment_or_another_log_is_not_used() {
    let disk = SimVfs::new();
    let (log, known) = three(&disk);
    drop(log);
    let plain = host(&look(&disk).unwrap().unwrap().1);
    // The log as it was restored from an earlier copy, which went on otherwise in its first segment.
    let other = SimVfs::new();
    let log = open_sim(&other);
    while log.segments().len() < 3 {
        put(&log, &body(3, 701)).unwrap();
    }
    let foreign = known_of(&log);
    let exchanged = BTreeMap::from([(1, known[&2].clone()), (2, known[&1].clone())]);
    for (what, known) in [("of another log", foreign), ("exchanged", exchanged)] {
        let (examined, shown) = look_knowing(&disk, &known);
        assert_eq!(shown.passed, [0_u64; 0], "{what}");
        assert_eq!((host(&shown.seen), &examined.report().damage[..]), (plain.clone(), &[][..]));
    }
}

#[test]
fn the_last_segment_in_use_is_read_whatever_is_known() {
    let disk = SimVfs::new();
    let (log, known) = three(&disk);
    drop(log);
    // As if a power cut had taken the third segment's first commit.
    disk.remove(&segment(3)).unwrap();
    let (examined, shown) = look_knowing(&disk, &known);
    assert_eq!(shown.passed, [1]);
    assert_eq!(examined.report().damage.len(), 1, "{:?}", examined.report().damage);
}

#[test]
fn where_the_next_segment_is_gone_or_its_header_is_damaged_the_seal_says_how_a_segment_ends() {
    for is_trimmed in [false, true] {
        let disk = SimVfs::new();
        let log = open_sim(&disk);
        (0..3).for_each(|_| fill_segment(&log));
        let known = known_of(&log);
        assert_eq!(known.len(), 3, "control");
        if is_trimmed {
            log.trim(2).unwrap();
        }
        drop(log);
        if !is_trimmed {
            disk.flip_bit(&segment(2), 100, 1);
        }
        assert_eq!(look_knowing(&disk, &known).1.passed, [1, 3], "trimmed: {is_trimmed}");
        disk.flip_bit(&segment(1), known[&1].used_bytes() - 20, 1);
        assert_eq!(look_knowing(&disk, &known).1.passed, [3], "trimmed: {is_trimmed}");
    }
}

#[test]
fn nothing_is_known_of_the_segment_that_is_written_nor_of_one_with_damage() {
    let disk = SimVfs::new();
    let (log, _) = three(&disk);
    let (numbers, finished) = (log.segments(), log.finished());
    assert_eq!((numbers.len(), finished.infos().len()), (3, 2));
    assert_eq!(finished.describe(3, &mut |_| {}).unwrap(), None);
    let all = host(&look(&disk).unwrap().unwrap().1);
    disk.flip_bit(&segment(2), u64::from(all.last().unwrap().place.offset).min(9_000), 3);
    let mut shown = 0;
    assert_eq!(finished.describe(2, &mut |_| shown += 1).unwrap(), None);
    assert!(shown > 0, "what is whole is shown");
    log.trim(1).unwrap();
    assert!(finished.describe(1, &mut |_| {}).is_err(), "gone");
    assert_eq!(finished.check(1).unwrap(), []);
    let disk: Arc<dyn Vfs> = Arc::new(disk);
    drop((log, finished));
    onceward_wal::lock(&*disk).expect("whoever holds the handle does not hold the log open");
}
