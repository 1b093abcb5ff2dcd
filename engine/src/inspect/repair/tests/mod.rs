//! Mending a damaged store, and telling what was lost.

mod notices;

use std::collections::BTreeSet;
use std::sync::Arc;

use onceward_vfs::{Fault, FaultKind, FaultOp, Mode, Vfs};
use onceward_wal::{NewFrame, Purpose};

use super::{LostRange, Repair, plan_on, repair_on};
use crate::base::FrameKind;
use crate::event::layout::{Carried, Encoded};
use crate::testing::{Rig, WINDOW_MS, event, key, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{ErrorKind, Event, Lsn, Scope, State, Store, StoredEvent, Verdict};

/// The segment files, in the order of their numbers.
fn segment_files(rig: &Rig) -> Vec<String> {
    let names = rig.disk.list("log").unwrap();
    names.iter().map(|name| format!("log/{name}")).collect()
}

/// File and offset of a text that stands in the log once.
fn find(rig: &Rig, text: &str) -> (String, u64) {
    let found = segment_files(rig).into_iter().find_map(|path| {
        let bytes = rig.disk.bytes(&path)?;
        let offset = bytes.windows(text.len()).position(|window| window == text.as_bytes())?;
        Some((path, offset as u64))
    });
    found.unwrap()
}

/// The events that can be read.
fn readable(rig: &Rig) -> Vec<StoredEvent> {
    rig.look().events().filter_map(Result::ok).collect()
}

/// A closed store with the events `1..=count` of at least `bytes` bytes each, one commit each.
fn filled(count: u64, bytes: usize) -> Rig {
    let rig = Rig::new();
    let store = rig.open();
    (1..=count).for_each(|n| _ = store.capture(&sized_event(n, bytes)).unwrap());
    store.close().unwrap();
    assert_eq!(rig.look().recovery().damage, [], "control");
    assert_eq!(readable(&rig).len() as u64, count, "control");
    rig
}

/// Whether a number is in one of the ranges.
fn is_in(lsn: Lsn, ranges: &[LostRange]) -> bool {
    ranges.iter().any(|lost| lost.first <= lsn && lost.last.is_none_or(|last| lsn <= last))
}

/// Repairs, and holds what is told and what is left against what was there before the damage.
fn check(rig: &Rig, whole: &[StoredEvent], what: &str) -> Repair {
    let ops = rig.disk.changing_ops().len();
    let plan = plan_on(&rig.disk, &None).unwrap();
    assert_eq!(rig.disk.changing_ops().len(), ops, "{what}: a plan changes nothing");
    let before = readable(rig);
    assert_eq!((&plan.left, &plan.kept), (&plan.damage, &Vec::new()), "{what}");

    let done = repair_on(&rig.disk, &None).unwrap();
    assert_eq!((&done.damage, &done.lost), (&plan.damage, &plan.lost), "{what}");
    assert_eq!(done.left, [], "{what}");
    assert_eq!(readable(rig), before, "{what}: what could be read still can");
    for stored in whole {
        // Not its time: the frame that told the run's beginning may be lost.
        let is_same = |seen: &StoredEvent| (seen.lsn, &seen.event) == (stored.lsn, &stored.event);
        let is_here = before.iter().any(is_same);
        let is_lost = is_in(stored.lsn, &done.lost.lsns);
        assert_eq!(is_here, !is_lost, "{what}: LSN {}, {:?}", stored.lsn, done.lost);
    }
    let store = rig.open();
    assert_eq!(store.recovery().damage, [], "{what}");
    let lost = whole.iter().find(|stored| is_in(stored.lsn, &done.lost.lsns));
    if let Some(lost) = lost {
        let verdict = store.capture(&lost.event).unwrap();
        let state = State::OutcomeUnknown;
        assert_eq!(verdict, Verdict::Duplicate { lsn: lost.lsn, state }, "{what}: it stays taken");
    }
    store.capture(&event(1_000_000)).unwrap();
    store.close().unwrap();
    assert_eq!(rig.look().recovery().damage, [], "{what}: it goes on");
    let again = repair_on(&rig.disk, &None).unwrap();
    assert_eq!(again, Repair::default(), "{what}: nothing is left to repair");
    done
}

#[test]
fn a_damaged_event_is_named_by_number_and_key_and_its_bytes_are_kept() {
    let whole = filled(5, 20);
    let events = readable(&whole);
    let rig = whole.after_kill();
    let (path, offset) = find(&rig, r#"{"n":3,"#);
    rig.disk.flip_bit(&path, offset + 5, 0);
    let damaged = rig.disk.bytes(&path).unwrap();
    let done = check(&rig, &events, "event 3");
    let lsn = events[2].lsn;
    assert_eq!(done.lost.lsns, [LostRange { first: lsn, last: Some(lsn) }]);
    let keys = done.lost.keys.iter().map(|l| (l.lsn, l.scope.as_str(), l.key.as_str()));
    assert_eq!(keys.collect::<Vec<_>>(), [(lsn, "sales", "k3")]);
    assert_eq!(done.kept.len(), 2, "{:?}", done.kept);
    let kept = rig.disk.bytes(&done.kept[1]).unwrap();
    let from = usize::try_from(done.damage[0].offset).unwrap();
    assert_eq!(kept, damaged[from..from + kept.len()]);
    assert!(kept.windows(7).any(|window| window == br#"{"n":2,"#), "3 with its bit flipped");
}

/// P4: what is told to be lost is what cannot be read, no more events and no fewer.
#[test]
fn whatever_bit_is_flipped_what_is_lost_is_told_and_nothing_else() {
    let whole = filled(3, 5);
    let events = readable(&whole);
    let (path, first) = find(&whole, r#"{"n":1,"#);
    let mut named = BTreeSet::new();
    for offset in (first - 200..first + 250).step_by(3) {
        let rig = whole.after_kill();
        rig.disk.flip_bit(&path, offset, 5);
        if rig.look().recovery().damage.is_empty() {
            continue;
        }
        let done = check(&rig, &events, &format!("byte {offset}"));
        named.extend(done.lost.keys.into_iter().map(|lost| lost.key.to_string()));
    }
    let all = ["k1", "k2", "k3"].map(str::to_owned);
    assert!(all.iter().all(|key| named.contains(key)), "{named:?}");
}

#[test]
fn a_segment_whose_end_or_file_is_lost_is_told_to_where_the_next_one_begins() {
    let whole = filled(60, 10_000);
    let events = readable(&whole);
    let files = segment_files(&whole);
    assert!(files.len() >= 3, "control");
    let in_first = events.iter().filter(|event| event.lsn.get() < 20).count();
    assert!(in_first > 5, "control");

    let rig = whole.after_kill();
    let (path, offset) = find(&rig, r#"{"n":12,"#);
    assert_eq!(path, files[0], "control");
    rig.disk.open(&path, Mode::Write).unwrap().set_len(offset).unwrap();
    let done = check(&rig, &events, "cut");
    assert_eq!(done.lost.lsns.len(), 1, "{:?}", done.lost);
    assert_eq!(done.lost.lsns[0].first, events[11].lsn);
    assert!(done.lost.lsns[0].last.is_some(), "the next segment says where it ends");

    let rig = whole.after_kill();
    let (path, offset) = find(&rig, r#"{"n":12,"#);
    rig.disk.overwrite(&path, offset, &[0xa5; 15_000]);
    let done = check(&rig, &events, "overwritten");
    let keys: Vec<&str> = done.lost.keys.iter().map(|lost| lost.key.as_str()).collect();
    assert_eq!(keys, ["k12"], "the head of the second one is gone");

    let rig = whole.after_kill();
    rig.disk.remove(&files[1]).unwrap();
    let done = check(&rig, &events, "missing");
    assert_eq!(done.lost.lsns.len(), 1, "{:?}", done.lost);
    assert_eq!(done.kept, ["quarantine/lost.1.txt"], "there are no bytes to keep");
}

#[test]
fn damage_that_costs_no_frame_loses_no_number() {
    let whole = filled(60, 10_000);
    let events = readable(&whole);
    for file in &segment_files(&whole)[..2] {
        let rig = whole.after_kill();
        rig.disk.flip_bit(file, 30, 1);
        let done = check(&rig, &events, file);
        assert_eq!((done.damage.len(), done.lost), (1, super::Lost::default()), "{file}");
    }
}

/// Damage at the end, which only the mark of closing proves: nothing tells how many followed.
#[test]
fn what_followed_at_the_end_of_the_log_is_told_to_be_unknown() {
    let rig = filled(3, 5);
    let events = readable(&rig);
    let (path, offset) = find(&rig, r#"{"n":3,"#);
    rig.disk.overwrite(&path, offset, &[0; 500]);
    let done = check(&rig, &events, "the end");
    assert_eq!(done.lost.lsns, [LostRange { first: events[2].lsn, last: None }]);
}

/// A store with the pending event 1, in which so much was settled that the oldest segments are gone.
fn trimmed() -> (Rig, Store) {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    for first in (100..3_000).step_by(100) {
        let batch: Vec<Event> = (first..first + 50).map(|n| sized_event(n, 2_000)).collect();
        store.capture_batch(&batch).unwrap();
        let accepted = |n| Settlement {
            scope: sales(),
            key: key(n),
            answer: Answer::Accepted { receipt: None },
        };
        store.settle(&(first..first + 50).map(accepted).collect::<Vec<_>>()).unwrap();
    }
    assert!(store.inner.log.segments()[0].number > 1, "control");
    (rig, store)
}

#[test]
fn an_event_that_had_moved_is_named_with_its_own_number() {
    let (rig, store) = trimmed();
    store.close().unwrap();
    let stored = readable(&rig).into_iter().find(|stored| stored.event == event(1)).unwrap();
    let (path, offset) = find(&rig, r#"{"n":1,"x""#);
    rig.disk.flip_bit(&path, offset + 5, 3);
    let plan = plan_on(&rig.disk, &None).unwrap();
    let keys: Vec<_> = plan.lost.keys.iter().map(|l| (l.lsn, l.key.as_str())).collect();
    assert_eq!(keys, [(stored.lsn, "k1")]);
    assert!(!is_in(stored.lsn, &plan.lost.lsns), "its frame has another: {:?}", plan.lost.lsns);
}

#[test]
fn numbers_that_were_trimmed_are_not_called_lost() {
    let (rig, store) = trimmed();
    let oldest = store.inner.log.segments()[0];
    store.close().unwrap();
    rig.disk.flip_bit(&segment_files(&rig)[0], 4_096 + 2, 1);
    let first = Lsn::from_u64(oldest.first_lsn).unwrap();
    let lost = plan_on(&rig.disk, &None).unwrap().lost;
    assert_eq!(lost.lsns, [LostRange { first, last: Some(first) }]);
}

/// A crash between carrying an event and trimming its segment leaves it in two places.
#[test]
fn an_event_that_stands_elsewhere_is_not_called_lost() {
    let rig = Rig::new();
    let store = rig.open();
    let lsn = store.capture(&event(1)).unwrap().lsn().get();
    let carried = Carried { event_lsn: lsn, ..Carried::default() }.encode();
    let one = event(1);
    let moved = Encoded::new(&one);
    let [head, key, payload] = moved.parts();
    let parts = [&carried[..], head, key, payload];
    let frame = NewFrame { kind: FrameKind::Carried.code(), flags: moved.flags, parts: &parts };
    store.inner.log.append(frame, 0, Purpose::Settle).unwrap();
    store.close().unwrap();
    let whole = readable(&rig);
    let (path, first) = find(&rig, r#"{"n":1,"#);
    let from = usize::try_from(first).unwrap() + 1;
    let behind = rig.disk.bytes(&path).unwrap().split_off(from);
    let second = behind.windows(7).position(|window| window == br#"{"n":1,"#).unwrap();
    for offset in [first, first + 1 + second as u64] {
        let rig = rig.after_kill();
        rig.disk.flip_bit(&path, offset + 5, 3);
        let plan = plan_on(&rig.disk, &None).unwrap();
        assert_eq!((plan.damage.len(), plan.lost.lsns.len()), (1, 1), "{offset}");
        assert_eq!(plan.lost.keys, [], "{offset}");
        let events: Vec<Event> = readable(&rig).into_iter().map(|stored| stored.event).collect();
        assert_eq!(events, [whole[0].event.clone()], "{offset}");
    }
}

#[test]
fn a_store_that_is_open_is_not_repaired_but_looked_at() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    assert_eq!(repair_on(&rig.disk, &None).unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(plan_on(&rig.disk, &None).unwrap(), Repair::default());
    drop(store);
    assert_eq!(repair_on(&rig.disk, &None).unwrap(), Repair::default());
}

#[test]
fn where_there_is_no_store_none_is_repaired_and_no_file_is_made() {
    let rig = Rig::new();
    assert_eq!(plan_on(&rig.disk, &None).unwrap_err().code(), "NO_STORE");
    assert_eq!(repair_on(&rig.disk, &None).unwrap_err().code(), "NO_STORE");
    assert!(rig.disk.list("").unwrap().is_empty());
}

#[test]
fn a_frame_that_is_whole_and_does_not_fit_is_left_and_told() {
    let rig = filled(2, 5);
    let store = rig.open();
    let frame = NewFrame { kind: 99, flags: 0, parts: &[&[1, 2, 3]] };
    store.inner.log.append(frame, 0, Purpose::Settle).unwrap();
    store.close().unwrap();
    let done = repair_on(&rig.disk, &None).unwrap();
    assert_eq!(done.left.len(), 1, "{done:?}");
    assert_eq!((&done.left, &done.kept), (&done.damage, &Vec::new()));
    assert_eq!(done.lost, super::Lost::default());
}

/// D12.
#[test]
fn a_store_that_the_disk_cannot_read_is_not_opened_and_the_refusal_says_what_to_do() {
    let whole = filled(5, 20);
    let rig = whole.after_kill();
    rig.disk.plan(Fault {
        op: FaultOp::Read,
        name_contains: segment_files(&rig)[0].clone(),
        nth: 0,
        kind: FaultKind::Eio,
        forever: true,
    });
    let error = rig.try_open().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Io, "UNREADABLE"), "{error}");
    let told = error.to_string();
    assert!(told.contains("try again") && told.contains("onceward repair"), "{told}");
    assert!(told.contains(&segment_files(&rig)[0]), "{told}");
    let rig = rig.after_kill();
    assert_eq!(readable(&rig), readable(&whole), "nothing was written");
    assert!(rig.try_open().is_ok(), "a second try may work");
}

#[test]
fn ranges_that_touch_are_told_as_one() {
    let lsn = |n| Lsn::from_u64(n).unwrap();
    let range = |first, last: Option<u64>| LostRange { first: lsn(first), last: last.map(lsn) };
    let merged = |ranges: &[LostRange]| super::merged(ranges.to_vec());
    assert_eq!(
        merged(&[range(7, Some(9)), range(1, Some(2)), range(3, Some(3)), range(8, Some(8))]),
        [range(1, Some(3)), range(7, Some(9))]
    );
    assert_eq!(
        merged(&[range(4, None), range(9, Some(9)), range(1, Some(2))]),
        [range(1, Some(2)), range(4, None)]
    );
    assert_eq!(merged(&[range(1, Some(3)), range(2, None)]), [range(1, None)]);
}

#[test]
fn events_of_other_scopes_are_named_with_theirs() {
    let rig = Rig::new();
    let store = rig.open();
    let elsewhere = Event { scope: Scope::default(), ..event(1) };
    store.capture_batch(&[elsewhere, event(2), event(3)]).unwrap();
    store.close().unwrap();
    let (path, offset) = find(&rig, r#"{"n":1,"#);
    rig.disk.flip_bit(&path, offset + 5, 3);
    let lost = plan_on(&rig.disk, &None).unwrap().lost;
    assert_eq!(lost.keys.len(), 1, "{lost:?}");
    assert_eq!((lost.keys[0].scope.as_str(), lost.keys[0].key.as_str()), ("default", "k1"));
}

/// One that repairs again before opening has not looked at the index in between.
#[test]
fn repairing_again_keeps_the_index_that_alone_knows_a_lost_key() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    rig.clock.advance(WINDOW_MS / 2);
    let lsn = store.capture(&event(2)).unwrap().lsn();
    store.close().unwrap();
    let (path, offset) = find(&rig, r#"{"n":2,"#);
    rig.disk.flip_bit(&path, offset + 5, 0);
    let files = rig.disk.list("index").unwrap();
    let keys = files.iter().find(|name| name.starts_with("keys-")).unwrap();
    rig.disk.flip_bit(&format!("index/{keys}"), 80, 1);
    let disk: Arc<dyn Vfs> = Arc::new(rig.disk.clone());
    for time in ["first", "second", "third"] {
        let done = super::beside::repair(&disk, &None).unwrap();
        assert_eq!(done.left.len(), 1, "{time}: the index is left to the opening: {done:?}");
        assert_eq!(super::beside::plan(&disk, &None).unwrap().left, done.left, "{time}");
    }
    let store = rig.open();
    let state = State::OutcomeUnknown;
    assert_eq!(store.capture(&event(2)).unwrap(), Verdict::Duplicate { lsn, state });
    let first = store.capture(&event(1)).unwrap();
    assert!(matches!(first, Verdict::Duplicate { state: State::Pending, .. }), "{first:?}");
    store.close().unwrap();
    // It was looked at: what is damaged now may go.
    let files = rig.disk.list("index").unwrap();
    let keys = files.iter().find(|name| name.starts_with("keys-")).unwrap();
    rig.disk.flip_bit(&format!("index/{keys}"), 80, 1);
    assert_eq!(super::beside::repair(&disk, &None).unwrap().left, []);
}
