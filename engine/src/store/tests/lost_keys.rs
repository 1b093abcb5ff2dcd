//! Damage frees no key: what the index knows and the log lost stays taken, outcome unknown.

use std::time::Duration;

use onceward_vfs::{Survival, Vfs};
use onceward_wal::KIND_RUN;

use crate::base::{FrameKind, codec};
use crate::capture::{Applied, Effect};
use crate::inbox::tests::calls::delivery;
use crate::inbox::{DeliveryState, Received};
use crate::inspect::repair::{plan_on, repair_on};
use crate::kernel::{FrameBody, KeyEntry, KeysFrame, Share};
use crate::records::RecordState;
use crate::records::tests::calls::{acquired, body, orphaned};
use crate::testing::{Rig, WINDOW_MS, event, key, other_event, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Event, State, Store, Verdict};

/// A frame of the log: number, kind, file, offset and bytes.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(super) lsn: u64,
    pub(super) kind: u8,
    pub(super) file: String,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// Every frame that can be read.
pub(crate) fn frames(rig: &Rig) -> Vec<Seen> {
    let names = rig.disk.list("log").unwrap();
    let mut seen = Vec::new();
    onceward_wal::examine(&rig.disk, &mut |frame| {
        let number = format!("{:016x}", frame.place.segment);
        let name = names.iter().find(|name| name.contains(&number)).unwrap();
        seen.push(Seen {
            lsn: frame.lsn.get(),
            kind: frame.kind,
            file: format!("log/{name}"),
            offset: u64::from(frame.place.offset),
            bytes: frame.bytes() as u64,
        });
    })
    .unwrap();
    seen
}

/// Flips a bit of the frame with this number.
pub(crate) fn damage(rig: &Rig, lsn: u64) {
    let seen = frames(rig).into_iter().find(|frame| frame.lsn == lsn).unwrap();
    rig.disk.flip_bit(&seen.file, seen.offset + seen.bytes / 2, 3);
}

pub(crate) fn capture(store: &Store, n: u64) -> u64 {
    let Verdict::Fresh { lsn } = store.capture(&event(n)).unwrap() else {
        panic!("{n}: not fresh")
    };
    lsn.get()
}

pub(crate) fn settle(store: &Store, n: u64) {
    let answer = Answer::Accepted { receipt: Some(receipt(n)) };
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

fn effect(n: u64) -> Effect {
    Effect { event: Event { scope: "effects".parse().unwrap(), ..event(n) }, receipt: receipt(n) }
}

/// The key stays taken, with its content, and nobody can tell what became of it.
pub(crate) fn assert_lost(store: &Store, n: u64, lsn: u64) {
    let known = store.capture(&event(n)).unwrap();
    let Verdict::Duplicate { lsn: of, state } = known else { panic!("{n}: {known:?}") };
    assert_eq!((of.get(), state), (lsn, State::OutcomeUnknown), "{n}");
    assert_eq!(store.capture(&other_event(n)).unwrap(), Verdict::Conflict { lsn: of }, "{n}");
    let outcome = store.outcome(&sales(), &key(n)).unwrap();
    assert_eq!((outcome.state, outcome.receipt), (State::OutcomeUnknown, None), "{n}");
    assert_eq!(outcome.lsn, Some(of));
}

/// Without the index: what is known is what the log says.
pub(crate) fn without_index(rig: &Rig) -> Rig {
    let rig = rig.after_kill();
    onceward_index::discard(&rig.disk, "index").unwrap();
    rig
}

/// Three events, of which the second is settled, and the LSN of each; closed.
pub(crate) fn closed() -> (Rig, Vec<u64>) {
    let rig = Rig::new();
    let store = rig.open();
    let lsns = (0..3).map(|n| capture(&store, n)).collect();
    settle(&store, 1);
    store.close().unwrap();
    (rig, lsns)
}

#[test]
fn a_key_whose_frame_is_damaged_stays_taken_and_its_outcome_is_unknown() {
    for n in 0..3 {
        let (rig, lsns) = closed();
        let lsn = lsns[usize::try_from(n).unwrap()];
        damage(&rig, lsn);
        let store = rig.open();
        let found = store.recovery().clone();
        assert_eq!((found.damage.len(), found.keys_of_lost_frames), (1, 1), "{found:?}");
        assert_eq!(found.index_rebuilt, None, "the index is intact");
        assert_lost(&store, n, lsn);
        for other in (0..3).filter(|other| *other != n) {
            let state = if other == 1 { State::Accepted } else { State::Pending };
            assert_eq!(store.outcome(&sales(), &key(other)).unwrap().state, state);
        }
        store.close().unwrap();
        // What the log was told outlives the index, and is told once.
        let before = frames(&rig).len();
        for rig in [rig.after_kill(), without_index(&rig)] {
            let store = rig.open();
            assert_eq!(store.recovery().keys_of_lost_frames, 0);
            assert_lost(&store, n, lsn);
            assert_eq!(
                frames(&rig).iter().filter(|it| it.kind == FrameKind::Keys.code()).count(),
                1
            );
        }
        assert_eq!(frames(&rig).len(), before);
    }
}

#[test]
fn an_effect_whose_frame_is_damaged_is_never_applied_again() {
    let rig = Rig::new();
    let store = rig.open();
    let applied = store.apply_batch(&[effect(1), effect(2)]).unwrap();
    let Applied::Fresh { lsn } = applied[0] else { panic!("{applied:?}") };
    store.close().unwrap();
    damage(&rig, lsn.get());
    for has_index in [true, false] {
        let rig = if has_index { rig.clone() } else { without_index(&rig) };
        let store = rig.open();
        let again = store.apply_batch(&[effect(1), effect(2), effect(3)]).unwrap();
        assert_eq!(again[0], Applied::OutcomeUnknown { lsn });
        assert!(matches!(again[1], Applied::Duplicate { receipt: Some(_), .. }), "{again:?}");
        assert!(matches!(again[2], Applied::Fresh { .. } | Applied::Duplicate { .. }));
    }
}

#[test]
fn a_repaired_store_keeps_the_keys_of_what_it_lost() {
    let (rig, lsns) = closed();
    damage(&rig, lsns[1]);
    let done = repair_on(&rig.disk, &None).unwrap();
    assert_eq!((done.damage.len(), done.left.len()), (1, 0), "control: {done:?}");
    let store = rig.open();
    assert_eq!(store.recovery().damage, [], "it is mended");
    assert_eq!(store.recovery().keys_of_lost_frames, 1);
    assert_lost(&store, 1, lsns[1]);
    drop(store);
    for rig in [rig.after_kill(), without_index(&rig)] {
        let store = rig.open();
        assert_eq!(store.recovery().keys_of_lost_frames, 0, "told once");
        assert_lost(&store, 1, lsns[1]);
    }
    assert!(!rig.disk.exists("index/unchecked").unwrap());
}

#[test]
fn no_crash_between_damage_and_the_first_answer_frees_a_key() {
    let (whole, lsns) = closed();
    damage(&whole, lsns[1]);
    for is_repaired in [false, true] {
        let run = |rig: &Rig| {
            if is_repaired {
                repair_on(&rig.disk, &None)?;
            }
            rig.try_open().map(drop)
        };
        let dry = whole.after_kill();
        run(&dry).unwrap();
        let ops = dry.disk.changing_ops();
        assert!(ops.len() > 10, "control: {}", ops.len());
        for op in ops {
            let rig = whole.after_kill();
            rig.disk.cut_power_at(op);
            assert!(run(&rig).is_err() || rig.disk.is_cut(), "control: op {op}");
            for survival in [Survival::Everything, Survival::Nothing] {
                let rig = rig.after_power_cut(&survival);
                for rig in [rig.after_kill(), rig] {
                    let store = rig.open();
                    assert_lost(&store, 1, lsns[1]);
                    drop(store);
                    assert_lost(&without_index(&rig).open(), 1, lsns[1]);
                }
            }
        }
    }
}

/// The log is told before an index that does not fit is given up.
#[test]
fn keys_that_the_log_lost_outlive_an_index_that_must_be_made_anew() {
    let (rig, lsns) = closed();
    damage(&rig, lsns[0]);
    let mut other = rig.after_kill();
    other.config = other.config.with_window(Duration::from_millis(2 * WINDOW_MS));
    let store = other.open();
    let found = store.recovery();
    assert_eq!((found.damage.len(), found.keys_of_lost_frames), (1, 1), "{found:?}");
    assert!(found.index_rebuilt.as_ref().unwrap().contains("window"), "{found:?}");
    assert_lost(&store, 0, lsns[0]);
    // The frame that says in which opening the index was written is lost too.
    let run = frames(&rig).into_iter().find(|frame| frame.kind == KIND_RUN).unwrap();
    damage(&rig, run.lsn);
    let store = rig.open();
    let why = store.recovery().index_rebuilt;
    assert!(why.unwrap().contains("another log"), "{:?}", store.recovery());
    assert_lost(&store, 0, lsns[0]);
    drop(store);
    assert_lost(&without_index(&rig).open(), 0, lsns[0]);
}

#[test]
fn keys_behind_a_log_that_lost_its_end_stay_taken_and_their_numbers_are_not_given_again() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&sized_event(9, 2_000)).unwrap();
    let lsns: Vec<u64> = (0..3).map(|n| capture(&store, n)).collect();
    store.tick().unwrap();
    assert!(rig.disk.exists("index/manifest").unwrap(), "control: a checkpoint");
    // Killed: nothing in the log vouches for its last frame.
    let rig = rig.after_kill();
    let last =
        frames(&rig).into_iter().rfind(|frame| frame.kind == FrameKind::Event.code()).unwrap();
    assert_eq!(last.lsn, lsns[2]);
    damage(&rig, last.lsn);
    let store = rig.open();
    let found = store.recovery();
    assert_eq!(found.keys_of_lost_frames, 1, "{found:?}");
    assert!(found.damage.iter().any(|damage| damage.what.contains("were synced")), "{found:?}");
    assert_lost(&store, 2, lsns[2]);
    assert!(capture(&store, 7) > lsns[2], "a number is never given again");
    drop(store);
    for rig in [rig.after_kill(), without_index(&rig)] {
        let store = rig.open();
        assert!(
            !store.rescue().safe_to_wipe().is_safe() && store.status().lost == 1,
            "it stays told"
        );
        assert_lost(&store, 2, lsns[2]);
        assert!(matches!(store.capture(&event(7)).unwrap(), Verdict::Duplicate { .. }));
    }
}

/// The numbers of the keys in it are those of frames that went long ago.
#[test]
fn a_damaged_frame_of_carried_keys_frees_none_of_them() {
    let rig = Rig::new();
    let store = rig.open();
    let mut lsns = Vec::new();
    for n in 0..20 {
        lsns.push(capture(&store, n));
        settle(&store, n);
    }
    for first in (100..2_000).step_by(50) {
        let many: Vec<Event> = (first..first + 50).map(|n| sized_event(n, 2_000)).collect();
        store.capture_batch(&many).unwrap();
        (first..first + 50).for_each(|n| settle(&store, n));
    }
    store.tick().unwrap();
    assert_eq!(store.find(&sales(), &key(3)).unwrap(), None, "control: carried");
    store.close().unwrap();
    let keys: Vec<u64> = frames(&rig)
        .into_iter()
        .filter(|it| it.kind == FrameKind::Keys.code())
        .map(|it| it.lsn)
        .collect();
    assert!(!keys.is_empty(), "control");
    keys.iter().for_each(|lsn| damage(&rig, *lsn));
    let store = rig.open();
    assert!(store.recovery().keys_of_lost_frames >= 20, "{:?}", store.recovery());
    for rig in [rig.after_kill(), without_index(&rig)] {
        let store = rig.open();
        (0..20).for_each(|n| assert_lost(&store, n, lsns[usize::try_from(n).unwrap()]));
    }
}

#[test]
fn a_lost_record_is_told_as_unknown_and_a_lost_delivery_is_not_handed_over_again() {
    let rig = Rig::new();
    let store = rig.open();
    let lease = acquired(&store, 1);
    store.records().complete(&lease, &body(1, 10)).unwrap();
    let Received::Fresh { lsn } = store.inbox().receive(&delivery(5)).unwrap() else {
        panic!("control")
    };
    store.close().unwrap();
    let all = frames(&rig);
    let host = all.iter().filter(|frame| frame.kind >= 16 && frame.kind != FrameKind::Keys.code());
    host.for_each(|frame| damage(&rig, frame.lsn));
    let lost = rig.after_kill();
    drop(lost.open());
    for has_index in [true, false] {
        let rig = if has_index { rig.after_kill() } else { without_index(&lost) };
        let store = rig.open();
        let state = store.records().get(&sales(), &key(1)).unwrap();
        assert!(matches!(state, RecordState::OutcomeUnknown { .. }), "{state:?}");
        let state = DeliveryState::OutcomeUnknown;
        assert_eq!(
            store.inbox().receive(&delivery(5)).unwrap(),
            Received::Duplicate { lsn, state }
        );
        // Whoever asks for it gets the lease and finds out.
        let lease = orphaned(&store, 1);
        store.records().complete(&lease, &body(2, 10)).unwrap();
        drop(store);
        let store = rig.after_kill().open();
        assert!(matches!(
            store.records().get(&sales(), &key(1)).unwrap(),
            RecordState::Completed(_)
        ));
    }
}

/// A disk that once gave other bytes than it has takes nothing away for good.
#[test]
fn what_can_be_read_again_is_what_it_was() {
    let (rig, lsns) = closed();
    let seen = frames(&rig).into_iter().find(|frame| frame.lsn == lsns[0]).unwrap();
    let at = seen.offset + seen.bytes / 2;
    rig.disk.flip_bit(&seen.file, at, 3);
    assert_lost(&rig.open(), 0, lsns[0]);
    rig.disk.flip_bit(&seen.file, at, 3);
    for rig in [rig.after_kill(), without_index(&rig)] {
        let store = rig.open();
        assert_eq!(store.outcome(&sales(), &key(0)).unwrap().state, State::Pending);
        settle(&store, 0);
    }
}

#[test]
fn a_full_disk_does_not_keep_a_damaged_store_from_opening_and_frees_no_key() {
    let (rig, lsns) = closed();
    damage(&rig, lsns[1]);
    rig.disk.set_free_bytes(Some(0));
    let store = rig.open();
    assert_lost(&store, 1, lsns[1]);
    drop(store);
    rig.disk.set_free_bytes(None);
    drop(rig.open());
    assert_lost(&without_index(&rig).open(), 1, lsns[1]);
}

/// Its payload was delivered, and what is left of it is in another frame.
#[test]
fn a_repair_names_no_key_as_lost_that_stands_in_another_frame() {
    let rig = Rig::new();
    let store = rig.open();
    let lsns = [capture(&store, 1), capture(&store, 2)];
    settle(&store, 1);
    let keys = {
        let state = store.inner.state.lock();
        let keys = &state.kernel.keys;
        let fingerprint = state.kernel.secret.fingerprint("sales", b"k1");
        let found = keys.find(fingerprint).unwrap().unwrap();
        let (slice_begin, settled_ms) = keys.slice_times(found.slice).unwrap();
        let entry = KeyEntry {
            fingerprint: fingerprint.as_u128(),
            event: lsns[0],
            content_hash: found.content.as_u64(),
            slice_begin,
            state: State::Accepted.code(),
            receipt: Vec::new(),
        };
        let (scope, entries) = ("sales".to_owned(), vec![entry]);
        KeysFrame { scope, entries, settled_ms, has_moved: false }
    };
    let frame = FrameBody::new(FrameKind::Keys, codec::encode(&keys));
    store.inner.write(&[frame], Share::Decisions).unwrap();
    drop(store);
    for (n, lsn) in [1, 2].into_iter().zip(lsns) {
        let seen = frames(&rig).into_iter().find(|frame| frame.lsn == lsn).unwrap();
        let bytes = rig.disk.bytes(&seen.file).unwrap();
        // In the payload, so that the key can still be told.
        let needle = format!(r#"{{"n":{n},"#);
        let at = bytes.windows(needle.len()).position(|some| some == needle.as_bytes()).unwrap();
        rig.disk.flip_bit(&seen.file, at as u64 + 5, 1);
    }
    let lost = plan_on(&rig.disk, &None).unwrap().lost.keys;
    assert_eq!(lost.iter().map(|lost| lost.key.as_str()).collect::<Vec<_>>(), ["k2"]);
}
