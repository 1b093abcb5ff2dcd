//! Whatever a crash leaves of leaving a store and of taking up a bundle: no event is lost, none is sent
//! by two stores, and doing it again comes to the same end.
//!
//! The script runs once to count the disk's operations and again stopping at each of them.

use onceward_vfs::Survival;

use crate::base::Result;
use crate::rescue::tests::calls::{accepted, full_house, import, secret, settle, state};
use crate::review::ReviewFilter;
use crate::testing::script::is_of_a_dead_disk;
use crate::testing::{Rig, event, key, receipt, sales, sized_event};
use crate::{ErrorKind, State, Store};

/// What a power cut at an operation may leave.
fn after(rig: &Rig, op: u64) -> [Rig; 3] {
    let sector_bytes = if op.is_multiple_of(4) { 512 } else { 4_096 };
    let another = if op.is_multiple_of(2) {
        rig.after_power_cut(&Survival::Seeded { seed: op, sector_bytes })
    } else {
        rig.after_kill()
    };
    let [nothing, everything] =
        [Survival::Nothing, Survival::Everything].map(|survival| rig.after_power_cut(&survival));
    [nothing, everything, another]
}

/// The states of all events of [`full_house`].
fn states(store: &Store) -> Vec<State> {
    (1..=7).map(|n| state(store, n)).collect()
}

/// Leaves a store; a stick that does not depend on its disk.
fn leave(rig: &Rig, stick: &mut Vec<u8>) -> Result<()> {
    let store = rig.try_open()?;
    store.rescue().export(stick, &secret(), true).map(drop)
}

#[test]
fn every_crash_of_leaving_a_store_leaves_all_events_and_at_most_a_fence() {
    let prepared = Rig::new();
    let before = {
        let store = full_house(&prepared);
        store.capture(&sized_event(50, 50_000)).unwrap();
        states(&store)
    };
    let whole = prepared.after_kill();
    let opened = whole.disk.op_count();
    let mut stick = Vec::new();
    leave(&whole, &mut stick).unwrap();
    let ops: Vec<u64> = whole.disk.changing_ops().into_iter().filter(|op| *op >= opened).collect();
    assert!(ops.len() >= 3, "{ops:?}");
    let mut fenced = 0;
    for op in ops {
        let rig = prepared.after_kill();
        rig.disk.cut_power_at(op);
        let mut stick = Vec::new();
        if let Err(error) = leave(&rig, &mut stick) {
            assert!(is_of_a_dead_disk(&error), "op {op}: {error}");
        }
        assert!(rig.disk.is_cut(), "op {op}");
        let target = Rig::new().open();
        let is_whole = target.rescue().import(&mut stick.as_slice(), &secret()).is_ok();
        for rig in after(&rig, op) {
            let store = rig.open();
            assert_eq!(store.recovery().damage, [], "op {op}");
            assert_eq!(states(&store), before, "op {op}");
            let fence = store.status().fence;
            assert!(fence.is_some() || !is_whole, "op {op}: a whole bundle and no fence");
            fenced += u32::from(fence.is_some());
            // Either way it can be left, and opened again.
            let mut again = Vec::new();
            let exported = store.rescue().export(&mut again, &secret(), true).unwrap();
            assert!(fence.is_none_or(|fence| fence.bundle == exported.bundle), "op {op}");
            assert_eq!(import(&Rig::new().open(), &again).fresh, 8, "op {op}");
            store.rescue().unfence(exported.bundle).unwrap();
            store.capture(&event(100)).unwrap();
        }
    }
    assert!(fenced > 0, "control: some crashes come behind the fence");
}

/// A bundle with events in every state, and more of them than one commit takes.
fn bundle() -> Vec<u8> {
    let rig = Rig::new();
    let store = full_house(&rig);
    for n in 50..58 {
        store.capture(&sized_event(n, 40_000)).unwrap();
    }
    (52..54).for_each(|n| settle(&store, n, accepted(n)));
    let mut stick = Vec::new();
    store.rescue().export(&mut stick, &secret(), true).unwrap();
    stick
}

fn take_up(rig: &Rig, bundle: &[u8]) -> Result<()> {
    let store = rig.try_open()?;
    store.rescue().import(&mut &*bundle, &secret()).map(drop)
}

/// What an import must come to.
fn assert_taken_up(rig: &Rig, store: &Store, context: &str) {
    let (pending, accepted) = (State::Pending, State::Accepted);
    let expected =
        [pending, pending, State::InReview, State::Uncertain, accepted, State::Cancelled, pending];
    assert_eq!(states(store), expected, "{context}");
    for n in 50..58 {
        let expected = if (52..54).contains(&n) { accepted } else { pending };
        assert_eq!(state(store, n), expected, "{n}: {context}");
    }
    assert_eq!(store.outcome(&sales(), &key(53)).unwrap().receipt, Some(receipt(53)), "{context}");
    assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap().len(), 2, "{context}");
    assert_eq!(rig.look().reviews().unwrap().len(), 2, "{context}");
    let status = store.status();
    assert_eq!((status.pending, status.keys, status.settled), (9, 15, 4), "{context}");
    assert_eq!(store.rescue().summary().imports.len(), 1, "{context}");
}

#[test]
fn every_crash_of_an_import_and_the_same_import_again_come_to_the_same_end() {
    let bundle = bundle();
    let whole = Rig::new();
    take_up(&whole, &bundle).unwrap();
    assert_taken_up(&whole, &whole.after_kill().open(), "control");
    let ops = whole.disk.changing_ops();
    assert!(ops.len() > 15, "{}", ops.len());
    for op in ops {
        let rig = Rig::new();
        rig.disk.cut_power_at(op);
        if let Err(error) = take_up(&rig, &bundle) {
            assert!(is_of_a_dead_disk(&error), "op {op}: {error}");
        }
        assert!(rig.disk.is_cut(), "op {op}");
        for rig in after(&rig, op) {
            let store = rig.open();
            assert_eq!(store.recovery().damage, [], "op {op}");
            // What waits for a person never shows up as something to send.
            let seen = states(&store);
            assert!(matches!(seen[3], State::Unknown | State::Uncertain), "op {op}: {seen:?}");
            assert!(matches!(seen[4], State::Unknown | State::Accepted), "op {op}: {seen:?}");
            let imported = import(&store, &bundle);
            assert_eq!((imported.fresh + imported.duplicates, imported.conflicts), (15, 0));
            for store in [store, rig.after_kill().open()] {
                assert_taken_up(&rig, &store, &format!("op {op}"));
            }
        }
    }
}

#[test]
fn a_full_disk_stops_an_import_cleanly_and_it_goes_on_when_there_is_room() {
    let bundle = bundle();
    let rig = Rig::new();
    let store = rig.open();
    rig.disk.set_free_bytes(Some(0));
    let error = store.rescue().import(&mut bundle.as_slice(), &secret()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(store.rescue().summary().imports.is_empty());
    rig.disk.set_free_bytes(None);
    import(&store, &bundle);
    assert_taken_up(&rig, &store, "live");
    assert_taken_up(&rig, &rig.after_kill().open(), "replayed");
}
