//! Of a frame and its carried copy replay makes one item, whichever comes first.

use onceward_wal::Place;

use super::*;
use crate::config::Config;
use crate::frames::records::{Lease, RecordHead};
use crate::view::{Moment, Remembered};

fn view() -> View {
    let keys = Remembered::in_memory(&Config::new()).unwrap();
    View::new(Secret::from_bytes([7; 16]), keys)
}

fn at(lsn: u64, segment: u64) -> Located {
    Located { place: Place { segment, offset: 4_096 }, bytes: 64, lsn }
}

fn lease(item: u64, fence: u64) -> Lease {
    let (scope, key, token) = ("s".to_owned(), "k".to_owned(), Token::new([1; 16]));
    Lease { item, fence, scope, key, token, content: 0, slice_begin: 0, since_ms: 0 }
}

fn record(item: u64, fence: u64) -> RecordHead {
    RecordHead {
        item,
        fence,
        scope: "s".to_owned(),
        key: "k".to_owned(),
        content: 0,
        slice_begin: 0,
        settled_ms: 5,
        completed_at_ms: 6,
        form: 0,
    }
}

#[test]
fn a_lease_and_its_carried_copy_are_one() {
    let moment = Moment::default();
    let mut view = view();
    view.replay_lease(&lease(0, 0), at(10, 1), moment);
    view.replay_lease(&lease(10, 10), at(50, 3), moment);
    assert_eq!(view.records.open_count(), 1);
    let open = view.records.open(10).unwrap();
    assert_eq!((open.at, open.fence), (at(50, 3), 10));
    assert_eq!((view.records.known_frames(1), view.records.known_frames(3)), (0, 1));
    // Alone, as after its segment was trimmed.
    let mut alone = self::view();
    alone.replay_lease(&lease(10, 10), at(50, 3), moment);
    assert_eq!(alone.records.open(10).unwrap().fence, 10);
    let print = alone.record_print("s", "k");
    assert_eq!(alone.ask().item(print).unwrap().unwrap().number, 10);
}

#[test]
fn a_record_stands_whatever_of_its_lease_is_left_before_and_after_it() {
    let moment = Moment::default();
    for order in 0..4 {
        let mut view = view();
        if order % 2 == 0 {
            view.replay_lease(&lease(0, 0), at(10, 1), moment);
        }
        view.replay_record(&record(10, 10), at(20, 2));
        if order > 1 {
            view.replay_record(&record(10, 10), at(60, 4));
            view.replay_lease(&lease(10, 10), at(61, 4), moment);
        }
        let print = view.record_print("s", "k");
        let item = view.ask().item(print).unwrap().unwrap();
        let Known::Done(done) = item.known else { panic!("{item:?}") };
        let place = if order > 1 { at(60, 4) } else { at(20, 2) };
        assert_eq!((item.number, done.at, done.fence), (10, place, 10), "order {order}");
        view.end_records_replay();
        let counts = (view.records.open_count(), view.records.done_count());
        assert_eq!((counts, view.records.live_bytes()), ((0, 1), 64), "order {order}");
    }
}

#[test]
fn a_key_that_an_open_lease_has_is_odd_when_another_frame_takes_it() {
    let moment = Moment::default();
    let mut view = view();
    view.replay_lease(&lease(0, 0), at(10, 1), moment);
    assert!(view.odd.is_empty(), "control");
    view.replay_lease(&lease(0, 0), at(20, 1), moment);
    assert_eq!((view.odd.len(), view.records.open_count()), (1, 1));
}

/// P2: what a newer program wrote may be the record; its key is not called free.
#[test]
fn a_key_without_an_item_is_free_only_if_the_whole_log_could_be_read() {
    let mut view = view();
    view.replay_lease(&lease(0, 0), at(10, 1), Moment::default());
    view.records.forget_for_test(10);
    let print = view.record_print("s", "k");
    assert!(matches!(view.ask().item(print).unwrap().unwrap().known, Known::Released), "control");
    view.odd.push((at(20, 1), "of a newer program".to_owned()));
    assert_eq!(view.ask().item(print).unwrap_err().kind(), crate::ErrorKind::Corrupt);
}
