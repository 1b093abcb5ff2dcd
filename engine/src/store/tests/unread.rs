//! Segments in which nothing lives but keys of settled events go without being read.

use onceward_vfs::Vfs;

use crate::testing::{Rig, key, sales, sized_event};
use crate::{Answer, Event, Lsn, State, Store, Verdict};

/// Bytes of an event, so that some hundred fill a segment.
const BYTES: usize = 400;
/// Events that are captured at once.
const TOGETHER: u64 = 50;

fn capture(store: &Store, numbers: std::ops::Range<u64>) {
    let events: Vec<Event> = numbers.map(|n| sized_event(n, BYTES)).collect();
    for some in events.chunks(usize::try_from(TOGETHER).unwrap()) {
        store.capture_batch(some).unwrap();
    }
}

/// Settles the first hundred that wait.
fn drain_some(store: &Store) {
    let pending = store.pending(&sales(), None, 100).unwrap();
    let (first, last) = (pending[0].lsn, pending[99].lsn);
    store.settle_range(&sales(), first, last, &Answer::Accepted { receipt: None }).unwrap();
}

/// Settles all that waits, some at a time, without receipts.
fn drain(store: &Store) {
    let answer = Answer::Accepted { receipt: None };
    loop {
        let pending = store.pending(&sales(), None, 100).unwrap();
        let Some((first, last)) = pending.first().zip(pending.last()) else { return };
        store.settle_range(&sales(), first.lsn, last.lsn, &answer).unwrap();
    }
}

/// Segments that went, and how many of them were read.
fn gone(store: &Store) -> (u64, u64) {
    let segments = store.inner.log.segments();
    let gone = segments.last().unwrap().number - segments.len() as u64;
    (gone, store.inner.cleaner().read_segments())
}

fn assert_accepted(store: &Store, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let outcome = store.outcome(&sales(), &key(n)).unwrap();
        assert_eq!((outcome.state, outcome.receipt), (State::Accepted, None), "{n}");
        let verdict = store.capture(&sized_event(n, BYTES)).unwrap();
        let lsn: Lsn = outcome.lsn.unwrap();
        assert_eq!(verdict, Verdict::Duplicate { lsn, state: State::Accepted }, "{n}");
    }
}

#[test]
fn segments_of_settled_events_go_without_being_read() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 0..2_500);
    drain(&store);
    let (gone_open, read) = gone(&store);
    assert!(gone_open > 2 && read <= 1, "{gone_open} went, {read} were read");
    assert_accepted(&store, 0..2_500);
    drop(store);
    let store = rig.open();
    assert_accepted(&store, 0..2_500);
    capture(&store, 3_000..5_500);
    drop(store);
    let store = rig.open();
    drain(&store);
    let (gone, read) = gone(&store);
    assert!(gone > gone_open + 2 && read <= 2, "{gone} went, {read} were read");
    assert_accepted(&store, 3_000..5_500);
    drop(store);
    assert_accepted(&rig.open(), 0..2_500);
}

/// What nobody needs any more need not be read: damage of it costs nothing.
#[test]
fn a_settled_event_whose_frame_is_damaged_goes_with_its_segment_and_its_key_stays() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 0..2_500);
    let at = {
        let state = store.inner.state.lock();
        state.outbox.events().packed().live_between(..).nth(50).unwrap().1.at
    };
    drain_some(&store);
    let mut names = rig.disk.list("log").unwrap();
    names.sort();
    rig.disk.flip_bit(&format!("log/{}", names[0]), u64::from(at.place.offset + at.bytes / 2), 1);
    drain(&store);
    let segments = store.inner.log.segments();
    assert!(segments.iter().all(|it| it.number != at.place.segment), "it went");
    assert_accepted(&store, 0..2_500);
    drop(store);
    let store = rig.open();
    assert_eq!(store.recovery().damage, []);
    assert_accepted(&store, 0..2_500);
}

/// Keys that moved to a later slice are not where the log says: their segment is read.
#[test]
fn a_segment_of_keys_that_moved_is_read() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 0..1_200);
    let lsn = |n: u64| store.outcome(&sales(), &key(n)).unwrap().lsn.unwrap();
    let (from, to) = (lsn(0), lsn(540));
    store.settle_range(&sales(), from, to, &Answer::Accepted { receipt: None }).unwrap();
    for _ in 0..40 {
        rig.clock.advance(600_000);
        store.tick().unwrap();
    }
    drain(&store);
    store.tick().unwrap();
    let (gone, read) = gone(&store);
    assert!(gone > 1 && read > 0, "{gone} went, {read} were read");
    assert_accepted(&store, 541..1_200);
    drop(store);
    assert_accepted(&rig.open(), 541..1_200);
}

/// Where the index is made of the log, the keys of events that went come behind those of events that are still there.
#[test]
fn a_segment_whose_keys_the_index_has_in_another_order_is_read() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 0..6_000);
    let lsn = |n: u64| store.outcome(&sales(), &key(n)).unwrap().lsn.unwrap();
    let answer = Answer::Accepted { receipt: None };
    store.settle_range(&sales(), lsn(0), lsn(1_999), &answer).unwrap();
    store.tick().unwrap();
    assert!(gone(&store).0 > 1, "control: keys were carried");
    let rig = rig.after_kill();
    // Then the whole log is applied to an empty index.
    for name in rig.disk.list("index").unwrap() {
        rig.disk.remove(&format!("index/{name}")).unwrap();
    }
    let store = rig.open();
    drain(&store);
    let segments = store.inner.log.segments();
    for segment in segments.split_last().unwrap().1 {
        assert!(store.inner.cleaner().clean_one(segment.number).unwrap());
    }
    let (_, read) = gone(&store);
    assert!(read > 0, "control: not all are found where they would be in order");
    assert_accepted(&store, 0..6_000);
    assert_accepted(&rig.after_kill().open(), 0..6_000);
}
