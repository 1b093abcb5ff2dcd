//! Damage of the log's own frames: no time is made up, and none is skipped.

use std::sync::Arc;

use onceward_wal::{KIND_HOST_MIN, KIND_RUN};

use crate::inspect::repair::repair_on;
use crate::testing::{Rig, SEGMENT_BYTES, WALL_MS, WINDOW_MS, event, key, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Store, StoredEvent, Verdict};

/// Events of a run.
const OF_RUN: u64 = 6;
/// How long each run lasts.
const RUN_MS: u64 = WINDOW_MS / 4 * 3;

/// A frame of the log's own: its file, offset, size and kind.
type Own = (String, u64, u64, u8);

fn settle(store: &Store, n: u64) {
    let answer = Answer::Accepted { receipt: None };
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

/// Event `n`; every third one is so large that three of them fill a segment.
fn of(n: u64) -> crate::Event {
    if n.is_multiple_of(3) { sized_event(n, 50_000) } else { event(n) }
}

/// Three runs in one start of the machine. Of each, the first events are settled at once, one just before
/// the end, and the rest is pending.
fn three_runs() -> Rig {
    let rig = Rig::new();
    rig.clock.name_boot(1);
    for run in 0..3 {
        let store = rig.open();
        let first = run * OF_RUN;
        for n in first..first + OF_RUN {
            store.capture(&of(n)).unwrap();
            rig.clock.advance(RUN_MS / OF_RUN);
        }
        settle(&store, first);
        settle(&store, first + 1);
        if run == 1 {
            store.close().unwrap();
        } else {
            store.inner.log.mark().unwrap();
        }
    }
    rig
}

/// The log's own frames.
fn own_frames(rig: &Rig) -> Vec<Own> {
    let names = onceward_vfs::Vfs::list(&rig.disk, "log").unwrap();
    let file = |segment: u64| {
        let name = names.iter().find(|name| name.starts_with(&format!("{segment:016x}"))).unwrap();
        format!("log/{name}")
    };
    let mut own = Vec::new();
    onceward_wal::examine(&rig.disk, &mut |frame| {
        if frame.kind < KIND_HOST_MIN {
            let bytes = frame.bytes() as u64;
            own.push((file(frame.place.segment), frame.place.offset.into(), bytes, frame.kind));
        }
    })
    .unwrap();
    own
}

fn events(rig: &Rig) -> Vec<StoredEvent> {
    rig.look().events().filter_map(Result::ok).collect()
}

fn trusted_ms(store: &Store) -> u64 {
    store.inner.time.moment(store.inner.time.mono_ms()).trusted_ms
}

/// Opens what is left and holds it against what was there: times are true or unknown, trusted time is not
/// ahead, and nothing that was captured is fresh.
fn check(rig: &Rig, whole: &[StoredEvent], what: &str) {
    for seen in events(rig) {
        let was = whole.iter().find(|it| it.lsn == seen.lsn).unwrap();
        assert_eq!(seen.event, was.event, "{what}");
        assert!(seen.wall_ms.is_none() || seen.wall_ms == was.wall_ms, "{what}: {seen:?}");
        assert_eq!(seen.captured_at_ms, seen.wall_ms, "{what}");
        let is_unknown = seen.wall_ms.is_none();
        assert_eq!(is_unknown, seen.boot.to_string() == "0".repeat(32), "{what}: {seen:?}");
    }
    let store = rig.open();
    let passed_ms = crate::base::clock::Clock::mono_ms(&*rig.clock) - 77;
    assert!(trusted_ms(&store) <= passed_ms, "{what}: {} > {passed_ms}", trusted_ms(&store));
    store.tick().unwrap();
    // Settled within the window: the last run's, and those that were settled as the one before ended.
    for n in OF_RUN..3 * OF_RUN {
        let verdict = store.capture(&of(n)).unwrap();
        assert!(matches!(verdict, Verdict::Duplicate { .. }), "{what}: {n}: {verdict:?}");
    }
    drop(store);
}

#[test]
fn a_flipped_byte_of_the_logs_own_frames_moves_no_time_and_makes_none_up() {
    let rig = three_runs();
    let whole = events(&rig);
    assert!(whole.len() as u64 == 3 * OF_RUN && whole.iter().all(|it| it.wall_ms.is_some()));
    check(&rig.after_kill(), &whole, "control");
    let own = own_frames(&rig);
    let kinds: std::collections::BTreeSet<u8> = own.iter().map(|(.., kind)| *kind).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [1, 2, 3], "run, mark and seal");
    assert!(rig.disk.bytes(&own[0].0).unwrap().len() as u64 == SEGMENT_BYTES);
    for (file, offset, bytes, kind) in own {
        for at in offset..offset + bytes {
            let what = format!("kind {kind}, {file}, byte {} of the frame", at - offset);
            let hurt = rig.after_kill();
            hurt.disk.flip_bit(&file, at, u8::try_from(at % 8).unwrap());
            check(&hurt.after_kill(), &whole, &what);
        }
    }
}

#[test]
fn what_damage_took_of_time_stays_unknown_after_a_repair() {
    let rig = three_runs();
    let whole = events(&rig);
    let runs: Vec<Own> =
        own_frames(&rig).into_iter().filter(|(.., kind)| *kind == KIND_RUN).collect();
    let mut unknown = 0;
    for (file, offset, ..) in runs {
        let hurt = rig.after_kill();
        hurt.disk.flip_bit(&file, offset + 60, 3);
        let before = events(&hurt);
        assert_eq!(repair_on(&hurt.disk, &None).unwrap().left, []);
        assert_eq!(events(&hurt), before);
        check(&hurt.after_kill(), &whole, &file);
        // And after the next run, and the one after that.
        for _ in 0..2 {
            let store = hurt.open();
            store.capture(&event(1_000)).unwrap();
            store.close().unwrap();
        }
        assert_eq!(events(&hurt)[..before.len()], before[..]);
        unknown += before.iter().filter(|it| it.wall_ms.is_none()).count();
    }
    assert!(unknown > 0, "control");
}

/// A run that goes on in the next segment says there again when it began.
#[test]
fn a_run_whose_beginning_is_repeated_in_the_next_segment_loses_no_time() {
    let rig = Rig::new();
    rig.clock.name_boot(1);
    let store = rig.open();
    for n in 1..=8 {
        store.capture(&sized_event(n, 50_000)).unwrap();
        rig.clock.advance(1_000);
    }
    store.close().unwrap();
    let whole = events(&rig);
    let (file, offset, ..) = own_frames(&rig).swap_remove(0);
    rig.disk.flip_bit(&file, offset + 60, 3);
    assert!(!rig.look().recovery().damage.is_empty(), "control");
    assert_eq!(events(&rig), whole);
    assert_eq!(whole[7].wall_ms, Some(WALL_MS + 7_000));
}

/// Nothing bounds the only run from either side.
#[test]
fn a_store_whose_first_run_frame_is_damaged_says_that_nobody_knows() {
    let rig = Rig::new();
    rig.clock.name_boot(1);
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    store.capture(&event(2).with_captured_at_ms(5)).unwrap();
    settle(&store, 1);
    rig.clock.advance(WINDOW_MS / 2);
    store.capture(&event(3)).unwrap();
    drop(store);
    let (file, offset, ..) = own_frames(&rig).swap_remove(0);
    rig.disk.flip_bit(&file, offset + 60, 3);
    let rig = Rig { clock: Arc::clone(&rig.clock), ..rig.after_kill() };
    let store = rig.open();
    assert_eq!(trusted_ms(&store), 0, "a run that began nobody knows when moves no trusted time");
    let times =
        |n| store.find(&sales(), &key(n)).unwrap().map(|it| (it.wall_ms, it.captured_at_ms));
    assert_eq!(times(1), Some((None, None)));
    assert_eq!(times(2), Some((None, Some(5))), "what the host said is known");
    assert_eq!(store.recovery().unmeasured.unwrap().by_wall_clock_ms, None);
    rig.clock.advance(WINDOW_MS - 1);
    store.tick().unwrap();
    assert!(matches!(store.capture(&event(1)).unwrap(), Verdict::Duplicate { .. }));
}
