//! The index's files: opening trusts them as far as they fit the log, and no further.

use std::time::Duration;

use onceward_vfs::{Mode, Vfs};

use crate::testing::{Rig, WINDOW_MS, event, key, other_event, receipt, sales};
use crate::{Answer, Settlement};
use crate::{Error, ErrorKind, Event, State, Store, Verdict};

fn capture(store: &Store, numbers: std::ops::Range<u64>) {
    let events: Vec<Event> = numbers.map(event).collect();
    let verdicts = store.capture_batch(&events).unwrap();
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Fresh { .. })));
}

fn settle(store: &Store, n: u64) {
    let answer = Answer::Accepted { receipt: Some(receipt(n)) };
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

/// Every key is known with its content, and no other key is.
fn check(store: &Store, numbers: std::ops::Range<u64>) {
    for n in numbers.clone() {
        assert!(matches!(store.capture(&event(n)).unwrap(), Verdict::Duplicate { .. }), "{n}");
        assert!(matches!(store.capture(&other_event(n)).unwrap(), Verdict::Conflict { .. }), "{n}");
    }
    assert_eq!(store.status().keys, numbers.count() as u64);
}

/// A store with 20 events, half of them settled, closed.
fn closed() -> Rig {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 0..20);
    (0..10).for_each(|n| settle(&store, n));
    store.close().unwrap();
    rig
}

/// The names of the index's files that begin so.
fn names(rig: &Rig, prefix: &str) -> Vec<String> {
    let names = rig.disk.list("index").unwrap();
    names.into_iter().filter(|name| name.starts_with(prefix)).collect()
}

#[test]
fn a_store_that_was_closed_knows_its_keys_by_its_files_and_one_that_was_killed_tells_the_rest() {
    let rig = closed();
    assert!(!names(&rig, "table-").is_empty(), "closing wrote them");
    let store = rig.open();
    assert_eq!(store.recovery().index_rebuilt, None);
    check(&store, 0..20);
    capture(&store, 20..30);
    settle(&store, 25);
    let store = rig.after_kill().open();
    assert_eq!(store.recovery().index_rebuilt, None);
    check(&store, 0..30);
    assert_eq!(store.status().settled, 11);
}

/// T13.
#[test]
fn damaged_missing_and_foreign_files_are_rebuilt_from_the_log_and_told_of() {
    type Spoil = fn(&Rig);
    let spoilt: [(&str, Spoil, &str); 4] = [
        (
            "a flipped bit",
            |rig| {
                // In the slot that counts; the other one says only that, and is shorter.
                let bytes = rig.disk.bytes("index/manifest").unwrap();
                let length = |slot: &usize| {
                    u32::from_le_bytes(bytes[slot + 32..slot + 36].try_into().unwrap())
                };
                let slot = [0, bytes.len() / 2].into_iter().max_by_key(length).unwrap();
                rig.disk.flip_bit("index/manifest", u64::try_from(slot + 40).unwrap(), 3);
            },
            "manifest",
        ),
        (
            "a missing key file",
            |rig| rig.disk.remove(&format!("index/{}", names(rig, "keys-")[0])).unwrap(),
            "keys-",
        ),
        (
            "a table file of zeros",
            |rig| {
                let name = format!("index/{}", names(rig, "table-")[0]);
                rig.disk.open(&name, Mode::Write).unwrap().write_all_at(0, &[0; 64]).unwrap();
            },
            "table-",
        ),
        (
            "the manifest of another store",
            |rig| {
                let other = closed().disk.bytes("index/manifest").unwrap();
                let file = rig.disk.open("index/manifest", Mode::Write).unwrap();
                file.set_len(0).unwrap();
                file.write_all_at(0, &other).unwrap();
            },
            "another store",
        ),
    ];
    for (what, spoil, why) in spoilt {
        let rig = closed();
        spoil(&rig);
        let store = rig.open();
        let told = store.recovery().index_rebuilt.clone().unwrap_or_default();
        assert!(told.contains(why), "{what}: {told:?}");
        check(&store, 0..20);
        drop(store);
        assert_eq!(rig.after_kill().open().recovery().index_rebuilt, None, "{what}: only once");
    }
}

#[test]
fn files_that_know_more_than_the_log_are_made_anew_and_what_they_knew_stays_taken() {
    // A copy of the log is put back that is older than the index beside it.
    let rig = closed();
    let backup: Vec<(String, Vec<u8>)> = ["meta".to_owned()]
        .into_iter()
        .chain(rig.disk.list("log").unwrap().into_iter().map(|name| format!("log/{name}")))
        .map(|name| (name.clone(), rig.disk.bytes(&name).unwrap()))
        .collect();
    let store = rig.open();
    capture(&store, 20..40);
    store.close().unwrap();
    for (name, bytes) in backup {
        let file = rig.disk.open(&name, Mode::Write).unwrap();
        file.set_len(0).unwrap();
        file.write_all_at(0, &bytes).unwrap();
        file.sync_data().unwrap();
    }
    let store = rig.after_kill().open();
    assert!(store.recovery().index_rebuilt.is_some());
    assert_eq!(store.recovery().keys_of_lost_frames, 20);
    check(&store, 0..40);
    let Verdict::Duplicate { state, .. } = store.capture(&event(30)).unwrap() else {
        panic!("free")
    };
    assert_eq!(state, State::OutcomeUnknown);
    capture(&store, 40..50);
    drop(store);
    check(&rig.after_kill().open(), 0..40);
}

#[test]
fn another_window_is_kept_from_the_log_as_if_it_had_always_been_so() {
    let mut rig = closed();
    rig.config = rig.config.clone().with_window(Duration::from_millis(3 * WINDOW_MS));
    let store = rig.open();
    assert!(store.recovery().index_rebuilt.as_ref().unwrap().contains("window"));
    rig.clock.advance(2 * WINDOW_MS);
    store.tick().unwrap();
    check(&store, 0..20);
}

/// T29.
#[test]
fn a_full_index_refuses_captures_with_its_own_code_and_stores_nothing_of_them() {
    let mut rig = Rig::new();
    rig.config = rig.config.clone().with_index_memory_bytes_max(onceward_index::MEMORY_BYTES_MIN);
    let store = rig.open();
    let mut next = 0;
    let refused: Error = loop {
        let events: Vec<Event> = (next..next + 1_000).map(event).collect();
        match store.capture_batch(&events) {
            Ok(_) => next += 1_000,
            Err(error) => break error,
        }
    };
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Full, "INDEX_FULL"), "{refused}");
    assert!(!refused.in_doubt());
    assert!(next > 10_000, "{next}");
    for n in [0, next / 2, next - 1] {
        assert!(matches!(store.capture(&event(n)).unwrap(), Verdict::Duplicate { .. }), "{n}");
    }
    assert_eq!(store.status().pending, next);
    assert_eq!(store.outcome(&sales(), &key(next)).unwrap().lsn, None, "nothing of it is there");
}

#[test]
fn the_first_lookup_that_meets_damage_in_an_index_file_has_it_made_anew_and_is_answered() {
    let rig = closed();
    let name = format!("index/{}", names(&rig, "keys-")[0]);
    rig.disk.flip_bit(&name, 90, 0);
    let store = rig.open();
    assert_eq!(
        store.recovery().index_rebuilt,
        None,
        "entries are looked at when they are asked for"
    );
    capture(&store, 20..25);
    check(&store, 0..25);
    let why = store.status().index_trouble.unwrap();
    assert!(why.contains("keys-"), "it is told: {why}");
    assert_eq!((store.status().pending, store.status().settled), (15, 10));
    // What is settled and captured since is in files again, by their own names.
    settle(&store, 12);
    rig.clock.advance(WINDOW_MS / 3);
    store.tick().unwrap();
    check(&store, 0..25);
    store.close().unwrap();
    let store = rig.open();
    assert_eq!(store.recovery().index_rebuilt, None, "nothing is left to be made anew");
    check(&store, 0..25);
    // Unsettled keys are held, and settled ones go after their window.
    rig.clock.advance(3 * WINDOW_MS);
    store.tick().unwrap();
    assert_eq!(store.status().keys, 14, "those without a final answer");
}

#[test]
fn an_index_made_anew_holds_what_is_not_settled_however_long_it_waits() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 0..20);
    (10..15).for_each(|n| settle(&store, n));
    store.close().unwrap();
    for name in names(&rig, "keys-") {
        rig.disk.flip_bit(&format!("index/{name}"), 90, 0);
    }
    let store = rig.open();
    check(&store, 0..20);
    assert!(store.status().index_trouble.is_some(), "control: made anew");
    for _ in 0..6 {
        rig.clock.advance(WINDOW_MS / 2);
        store.tick().unwrap();
        for n in (0..10).chain(15..20) {
            assert!(matches!(store.capture(&event(n)).unwrap(), Verdict::Duplicate { .. }), "{n}");
        }
    }
    assert_eq!(store.status().keys, 15);
}

#[test]
fn an_opening_in_which_nothing_new_came_leaves_an_index_that_fits_its_log() {
    let rig = closed();
    for time in 0..3 {
        let store = rig.open();
        assert_eq!(store.recovery().index_rebuilt, None, "{time}");
        assert!(matches!(store.capture(&event(1)).unwrap(), Verdict::Duplicate { .. }));
        store.close().unwrap();
    }
}
