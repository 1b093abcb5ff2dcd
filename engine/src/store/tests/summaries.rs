//! Opening reads summaries of finished segments in their place, and everything is as if it had read the segments.
//! Method: whoever opens from summaries in these tests holds the state against that of a reading of the whole log
//! (`assert_as_read`); here are stores with something of every area, files that were cut, flipped, exchanged and left
//! over, and an index that is older than they are.
//! Segments that were damaged behind their summaries: see `unchecked`.

use std::time::Duration;

use onceward_vfs::{Mode, Survival, Vfs};
use onceward_wal::testing::ToySealing;

use super::lost_keys::{capture, settle};
use crate::inbox::tests::calls::delivery;
use crate::records::tests::calls::{acquired, body};
use crate::sync::payloads;
use crate::sync::{Session, Step};
use crate::testing::{Rig, WINDOW_MS, cents, event, key, sales, sized_event};
use crate::{Answer, Class, Lane, Scope, Settlement, Status, Store, Verdict};

/// Files with summaries, by name.
pub(super) fn files(rig: &Rig) -> Vec<String> {
    let names = rig.disk.list("summaries").unwrap_or_default();
    names.iter().map(|name| format!("summaries/{name}")).collect()
}

/// Fills about a segment with events that stay, from number `first` on.
pub(super) fn fill(store: &Store, first: u64) {
    (first..first + 330).for_each(|n| capture_sized(store, n));
}

fn capture_sized(store: &Store, n: u64) {
    store.capture(&sized_event(n, 700)).unwrap();
}

/// A store of several segments, and nothing but pending events. Closed.
pub(super) fn pending() -> Rig {
    let rig = Rig::new();
    let store = rig.open();
    (0..3).for_each(|part| fill(&store, 1_000 * part));
    store.close().unwrap();
    rig
}

/// Something of every area, over several segments, with some of it settled, sent, refused and dropped; closed.
fn everything() -> Rig {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 10_000);
    (0..12).for_each(|n| assert!(capture(&store, n) > 0));
    for n in [0, 1] {
        settle(&store, n);
    }
    for n in [2, 3] {
        let (code, message) = ("NO".to_owned(), "no".to_owned());
        let answer = Answer::Rejected { code, message, reply: vec![] };
        store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
    }
    store.reviews().retry(&sales(), &key(2)).unwrap();
    let other = Scope::new("other").unwrap();
    for n in 20..26 {
        let plain = crate::Event { scope: other.clone(), ..event(n) };
        let event = match n % 3 {
            0 => plain.with_lane(Lane::new("a").unwrap()),
            1 => plain.with_class(Class::Evictable),
            _ => plain,
        };
        store.capture(&event).unwrap();
        rig.clock.advance(1_000);
    }
    fill(&store, 20_000);
    let mut session =
        Session::start(&store, crate::testing::options().with_items_max(40), payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Send(_)), "control: in flight");
    drop(session);
    acquired(&store, 1);
    let lease = acquired(&store, 2);
    store.records().complete(&lease, &body(2, 9_000)).unwrap();
    store.inbox().receive(&delivery(5)).unwrap();
    store.cancel(&other, &key(25)).unwrap();
    rig.clock.advance(WINDOW_MS / 20);
    fill(&store, 30_000);
    store.tick().unwrap();
    fill(&store, 40_000);
    store.close().unwrap();
    rig
}

/// Opens; the segments that were not read, and what the store says of itself besides.
pub(super) fn opened(rig: &Rig) -> (Store, u64, Status) {
    let store = rig.open();
    let (unread, mut status) = (store.recovery().unchecked_segments, store.status());
    status.unchecked_segments = 0;
    (store, unread, status)
}

/// The same without summaries.
fn scanned(rig: &Rig) -> Status {
    let rig = rig.after_kill();
    files(&rig).iter().for_each(|file| rig.disk.remove(file).unwrap());
    let (_, unread, status) = opened(&rig);
    assert_eq!(unread, 0, "control");
    status
}

#[test]
fn a_store_with_something_of_every_area_is_the_same_from_summaries() {
    let rig = everything();
    for rig in [rig.after_kill(), rig.after_power_cut(&Survival::Everything)] {
        let whole = scanned(&rig);
        let (store, unread, status) = opened(&rig);
        assert!(unread >= 4 && status == whole, "{unread}: {status:?}, {whole:?}");
        assert_eq!((status.in_flight, status.in_review, status.leases), (40, 1, 1), "control");
        assert_eq!(store.recovery().frames, rig.look().recovery().frames);
        for n in [0, 2, 11, 10_003, 40_100] {
            let sized = if n < 1_000 { event(n) } else { sized_event(n, 700) };
            let verdict = store.capture(&sized).unwrap();
            assert!(matches!(verdict, Verdict::Duplicate { .. }), "{n}: {verdict:?}");
            let found = store.find(&sales(), &key(n)).unwrap().unwrap();
            assert_eq!(found.event, sized, "read from the segment, which nobody read before");
        }
        let unsent = store.pending(&sales(), None, 100_000).unwrap().len() as u64;
        let of = store.status_of(&sales());
        assert_eq!(unsent, of.pending + of.in_flight);
    }
}

#[test]
fn events_of_other_slices_amounts_and_wall_clocks_are_the_same_from_summaries() {
    let rig = Rig::new();
    let store = rig.open();
    for n in 0..900 {
        let amount = match n % 50 {
            7 => crate::Amount::from_ten_thousandths(i64::MAX - 5),
            8 => crate::Amount::from_ten_thousandths(-3),
            _ => cents(n),
        };
        store.capture(&sized_event(n, 600).with_amount(amount)).unwrap();
        rig.clock.advance(if n % 200 == 0 { WINDOW_MS / 24 } else { 700 });
        if n % 300 == 0 {
            rig.clock.step_wall(5_000 + i64::try_from(n).unwrap());
        }
    }
    store.close().unwrap();
    drop(store);
    let whole = scanned(&rig);
    let (_, unread, status) = opened(&rig);
    assert_eq!((unread, status), (2, whole));
}

#[test]
fn what_settles_and_sends_afterwards_is_applied_to_events_of_summaries() {
    let rig = pending();
    for round in 0..3_u64 {
        let (store, unread, status) = opened(&rig);
        assert!(unread > 0 && status == scanned(&rig.after_kill()), "round {round}");
        (round * 40..round * 40 + 40).for_each(|n| settle(&store, n));
        assert_eq!(store.status().pending, status.pending - 40);
        store.close().unwrap();
    }
}

#[test]
fn a_file_that_is_not_as_it_was_written_is_not_believed_and_costs_nothing() {
    type Harm = fn(&Rig, &str);
    let harms: [(&str, Harm); 6] = [
        ("flipped at the front", |rig, file| rig.disk.flip_bit(file, 9, 1)),
        ("flipped within", |rig, file| rig.disk.flip_bit(file, 150, 1)),
        ("cut", |rig, file| rig.disk.open(file, Mode::Write).unwrap().set_len(300).unwrap()),
        ("empty", |rig, file| rig.disk.open(file, Mode::Write).unwrap().set_len(0).unwrap()),
        ("gone", |rig, file| rig.disk.remove(file).unwrap()),
        ("of another segment", |rig, file| {
            let other = files(rig).into_iter().find(|it| it != file).unwrap();
            let bytes = rig.disk.bytes(&other).unwrap();
            rig.disk.remove(file).unwrap();
            rig.disk.open(file, Mode::CreateNew).unwrap().write_all_at(0, &bytes).unwrap();
        }),
    ];
    let rig = pending();
    let (count, whole) = (files(&rig).len() as u64, scanned(&rig));
    assert!(count >= 2, "control: {count}");
    for (what, harm) in harms {
        let rig = rig.after_kill();
        harm(&rig, &files(&rig)[0]);
        let (store, unread, status) = opened(&rig);
        assert_eq!((unread, status), (count - 1, whole.clone()), "{what}");
        assert_eq!(store.recovery().damage, [], "{what}");
        store.close().unwrap();
        drop(store);
        assert_eq!(opened(&rig).1, count, "{what}: written again");
    }
}

#[test]
fn a_summary_is_not_believed_beyond_what_the_index_covers() {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0);
    store.inner.write_index();
    let older: Vec<(String, Vec<u8>)> = {
        let names = rig.disk.list("index").unwrap();
        let paths = names.into_iter().map(|name| format!("index/{name}"));
        paths.map(|path| (path.clone(), rig.disk.bytes(&path).unwrap())).collect()
    };
    fill(&store, 1_000);
    fill(&store, 2_000);
    store.close().unwrap();
    drop(store);
    // As somebody restored it, or a disk that lies lost what it had synced.
    for name in rig.disk.list("index").unwrap() {
        rig.disk.remove(&format!("index/{name}")).unwrap();
    }
    for (path, bytes) in &older {
        rig.disk.open(path, Mode::CreateNew).unwrap().write_all_at(0, bytes).unwrap();
    }
    let count = files(&rig).len() as u64;
    let (store, unread, _) = opened(&rig);
    assert!(unread < count, "{unread} of {count}");
    assert_eq!(store.recovery().index_rebuilt, None, "control: the older files fit");
    for n in [0, 329, 1_000, 1_329, 2_000, 2_329] {
        let verdict = store.capture(&sized_event(n, 700)).unwrap();
        assert!(matches!(verdict, Verdict::Duplicate { .. }), "{n}: {verdict:?}");
    }
}

#[test]
fn an_index_that_does_not_fit_is_made_from_the_whole_log() {
    let rig = pending();
    let other = Rig { config: rig.config.clone().with_window(Duration::from_hours(2)), ..rig };
    let (store, unread, status) = opened(&other);
    assert_eq!((unread, status.pending, status.keys), (0, 990, 990));
    assert!(store.recovery().index_rebuilt.is_some());
}

#[test]
fn segments_with_events_whose_keys_moved_on_are_read() {
    let rig = pending();
    let store = rig.open();
    // All but a few are settled; the slices of those end, and their keys move.
    (0..3_000).filter(|n| n % 1_000 < 325).for_each(|n| settle(&store, n));
    rig.clock.advance(2 * WINDOW_MS);
    store.inner.expire_now();
    assert_eq!(store.status().keys, 15, "control");
    store.close().unwrap();
    drop(store);
    let (store, _, status) = opened(&rig);
    assert_eq!((status.pending, status.keys), (15, 15));
    assert!(matches!(store.capture(&sized_event(328, 700)), Ok(Verdict::Duplicate { .. })));
}

#[test]
fn summaries_go_with_their_segments_and_leftovers_go_at_opening() {
    let rig = pending();
    let store = rig.open();
    let before = files(&rig);
    (0..1_000).filter(|n| n % 1_000 < 330).for_each(|n| settle(&store, n));
    store.tick().unwrap();
    let there: Vec<u64> = store.inner.log.segments().iter().map(|info| info.number).collect();
    assert!(!there.contains(&1), "control: the first segment went");
    assert!(!files(&rig).contains(&before[0]) && files(&rig).contains(&before[1]));
    drop(store);
    let left = files(&rig);
    let bytes = rig.disk.bytes(&before[1]).unwrap();
    rig.disk.open(&before[0], Mode::CreateNew).unwrap().write_all_at(0, &bytes).unwrap();
    rig.disk.open("summaries/note.txt", Mode::CreateNew).unwrap();
    drop(rig.open());
    assert_eq!(files(&rig), [left, vec!["summaries/note.txt".to_owned()]].concat());
}

#[test]
fn a_cut_at_any_step_of_writing_summaries_leaves_those_that_fit() {
    let rig = Rig::new();
    let store = rig.open();
    (0..3).for_each(|part| fill(&store, 1_000 * part));
    drop(store);
    let whole = scanned(&rig);
    let tried = rig.after_kill();
    let store = tried.open();
    let first = tried.disk.op_count();
    store.inner.write_index();
    let ops: Vec<u64> = tried.disk.changing_ops().into_iter().filter(|op| *op >= first).collect();
    assert!(files(&tried).len() >= 2 && ops.len() > 4, "control: {}", ops.len());
    for op in ops {
        let cut = rig.after_kill();
        let store = cut.open();
        cut.disk.cut_power_at(op);
        store.inner.write_index();
        drop(store);
        let seeded = Survival::Seeded { seed: op, sector_bytes: 512 };
        for survival in [Survival::Nothing, Survival::Everything, seeded] {
            let left = cut.after_power_cut(&survival);
            let (_, _, mut status) = opened(&left);
            status.bytes = whole.bytes;
            assert_eq!(status, whole, "op {op}, {survival:?}");
        }
    }
}

#[test]
fn a_sealed_store_and_one_of_large_control_frames_have_none() {
    let toy = std::sync::Arc::new(ToySealing::default());
    let rig = Rig::new().sealed(&toy);
    let store = rig.open();
    (0..2).for_each(|part| fill(&store, 1_000 * part));
    store.close().unwrap();
    assert!(files(&rig).is_empty());
    let rig = Rig::new();
    let store = rig.open();
    // Of events in lanes their keys must be known: here these are most of them.
    for n in 0..2_500 {
        let lane = Lane::new(&"a".repeat(60)).unwrap();
        store.capture(&event(n).with_lane(lane)).unwrap();
    }
    store.close().unwrap();
    assert!(store.inner.log.segments().len() > 1 && files(&rig).is_empty(), "control");
    drop(store);
    assert_eq!(opened(&rig).1, 0);
}
