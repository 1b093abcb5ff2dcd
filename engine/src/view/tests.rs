//! Carried keys and their answers, while segments go.

use onceward_index::Window;
use onceward_wal::Place;

use super::*;
use crate::config::Config;
use crate::frames::control::{Batch, Envelope, KeyEntry, Keys, Settle};

fn view() -> View {
    let keys = Remembered::in_memory(&Config::new()).unwrap();
    View::new(onceward_index::Secret::from_bytes([7; 16]), keys)
}

/// The frame `lsn`, somewhere in a segment.
fn at(lsn: u64, segment: u64) -> Located {
    Located { place: Place { segment, offset: 4_096 }, bytes: 64, lsn }
}

/// Keys of accepted events, each with its event's number as its print.
fn keys(events: impl Iterator<Item = u64>) -> Keys {
    let entry = |event| KeyEntry {
        print: u128::from(event),
        event,
        content: 1,
        slice_begin: 0,
        state: State::Accepted.code(),
        receipt: Vec::new(),
    };
    Keys {
        scope: "sales".to_owned(),
        entries: events.map(entry).collect(),
        settled_ms: 0,
        has_moved: false,
    }
}

#[test]
fn answers_of_carried_keys_stay_as_long_as_the_frame_that_held_them_last() {
    let mut view = view();
    view.apply_keys(&keys(10..20), at(100, 2));
    view.forget_segment(1);
    let found = |view: &View, lsn| (view.state_of(lsn), view.outcome_at(lsn));
    assert_eq!(found(&view, 15), (State::Accepted, Some(at(100, 2))));
    // Cleaning: first the keys move, all but one that expired, and then the segment goes.
    view.apply_keys(&keys((10..20).filter(|event| *event != 15)), at(200, 3));
    view.forget_segment(2);
    for lsn in (10..20).filter(|lsn| *lsn != 15) {
        assert_eq!(found(&view, lsn), (State::Accepted, Some(at(200, 3))), "{lsn}");
    }
    assert_eq!(found(&view, 15), (State::OutcomeUnknown, None), "the frame that held it is gone");
    assert_eq!(view.outcomes.len(), 2);
    view.forget_segment(3);
    assert_eq!((view.outcomes.len(), view.holders.len()), (0, 0));
}

/// A crash between carrying keys and trimming leaves both frames.
#[test]
fn an_event_that_is_still_in_the_log_is_answered_by_its_settlement_and_then_by_its_carried_key() {
    let mut view = view();
    let (print, content) = (Fingerprint::from_u128(10), onceward_index::ContentHash::from_u64(1));
    let facts = facts(print, content);
    let moment = Moment { trusted_ms: 5, wall: Wall::at(6) };
    assert_eq!(view.state_of(10), State::OutcomeUnknown);
    add(&mut view, 10, &facts, moment);
    assert_eq!((view.state_of(10), view.outcome_at(10)), (State::Pending, None));
    let mut settle = Settle::default();
    settle.add(10, State::Duplicate.code());
    view.apply_settle(&settle, at(11, 1), moment);
    let mut carried = keys(10..11);
    carried.entries[0].state = State::Duplicate.code();
    view.apply_keys(&carried, at(50, 4));
    assert_eq!((view.state_of(10), view.outcome_at(10)), (State::Duplicate, Some(at(50, 4))));
    view.forget_segment(1);
    assert_eq!((view.state_of(10), view.outcome_at(10)), (State::Duplicate, Some(at(50, 4))));
    assert_eq!(view.keys.find(print).unwrap().map(|found| found.lsn), Some(10));
}

fn facts(print: Fingerprint, content: onceward_index::ContentHash) -> Facts<'static> {
    let (scope, window) = ("sales", Window::default());
    Facts { print, content, scope, amount: None, lane: None, is_evictable: false, window }
}

/// An event that is captured and durable.
fn add(view: &mut View, lsn: u64, facts: &Facts<'_>, moment: Moment) {
    let taken = view.keys.take(&[facts.taking(lsn)], moment.trusted_ms);
    view.add_event(lsn, facts, at(lsn, 1), Added { moment, at_once: false, held: taken[0] });
    view.keys.confirm([lsn]);
}

#[test]
fn an_unsettled_event_holds_the_slice_in_which_the_index_has_its_key() {
    const SLICE_MS: u64 = 3_600_000;
    let mut view = view();
    let check = |view: &View| {
        for (lsn, live) in view.events.iter() {
            let found = view.keys.find(live.print).unwrap().unwrap();
            assert_eq!(live.held.slice, Some(found.slice), "{lsn}");
            let begin = view.keys.slice_times(found.slice).map(|(begin, _)| begin);
            assert_eq!(begin, Some(live.held.begin), "{lsn}");
        }
    };
    for (lsn, trusted_ms) in [(1, 5 * SLICE_MS + 7), (2, 3 * SLICE_MS + 7)] {
        let print = Fingerprint::from_u128(u128::from(lsn));
        let content = onceward_index::ContentHash::from_u64(1);
        let facts = facts(print, content);
        add(&mut view, lsn, &facts, Moment { trusted_ms, wall: Wall::at(0) });
    }
    check(&view);
    let first = view.events.get(&1).unwrap().held.slice;
    view.expire(1_000 * SLICE_MS + 7);
    assert!(view.events.values().all(|live| live.held.slice > first), "control: they moved on");
    assert_eq!(view.events.get(&1).unwrap().held.begin, 1_000 * SLICE_MS);
    check(&view);
}

/// Of a batch whose frame cleaning carried, or whose run nobody knows, only the number is left.
#[test]
fn the_first_batch_tells_when_an_event_was_attempted_unless_an_older_one_is_known() {
    let first = |frames: &[(u64, u64, Wall)]| {
        let mut view = view();
        let facts = facts(Fingerprint::from_u128(1), onceward_index::ContentHash::from_u64(1));
        add(&mut view, 1, &facts, Moment { trusted_ms: 5, wall: Wall::at(6) });
        for (lsn, number, wall) in frames {
            let (scope, envelope) = ("sales".to_owned(), Envelope::default());
            let batch =
                Batch { number: *number, scope, parent: *number, events: vec![1], envelope };
            let moment = Moment { trusted_ms: lsn * 10, wall: *wall };
            view.apply_batch(&batch, Scope::new("sales").unwrap(), (at(*lsn, 1), moment));
        }
        let live = view.events.get(&1).unwrap();
        assert!(live.is_attempted);
        live.attempted
    };
    let (wall, since) = (Wall::at(7), |lsn| Some(Since { lsn, trusted_ms: lsn * 10 }));
    assert_eq!(first(&[(20, 0, wall)]), since(20));
    assert_eq!(first(&[(20, 0, wall), (30, 0, wall)]), since(20), "a later one");
    assert_eq!(first(&[(20, 0, wall), (30, 20, wall), (40, 25, wall)]), since(20), "carried");
    assert_eq!(first(&[(20, 0, wall), (30, 15, wall)]), None, "an older one was carried");
    assert_eq!(first(&[(30, 15, wall), (40, 0, wall)]), None);
    assert_eq!(first(&[(20, 0, Wall::UNKNOWN), (30, 0, wall)]), None, "of an unknown run");
}
