//! Disks that fail under a session.

use std::sync::Arc;

use onceward_vfs::{Fault, FaultKind, FaultOp, Vfs};

use super::*;
use crate::ErrorKind;
use crate::base::FrameKind;
use crate::sync::{Failure, Form, Misfit};
use crate::testing::Rig;

/// The next write into a segment finds no room.
fn full_once(rig: &Rig) {
    let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
    rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
}

#[test]
fn a_reply_that_cannot_be_stored_changes_nothing_and_the_batch_is_sent_again() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=3);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    full_once(&rig);
    let said = reply(&[1, 2, 3], &accepted());
    let error = session.on_reply(first.id, &said, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert_eq!((store.status().in_flight, session.report().accepted), (3, 0));
    let again = batch(&mut session, 0);
    assert_eq!((again.id, &again.items), (first.id, &first.items));
    session.on_reply(again.id, &said, 0).unwrap();
    assert_eq!(store.status().settled, 3);
}

#[test]
fn halves_that_cannot_be_stored_leave_the_batch_to_be_sent_again() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=4);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    let mut now_ms = 0;
    // It fails for want of room, waits, and comes again as it is.
    let fail = |session: &mut Session, sent: &Batch, failure: &Failure, now_ms: &mut u64| {
        full_once(&rig);
        session.on_failure(sent.id, failure, *now_ms).unwrap();
        assert!(session.report().last_failure.unwrap().contains("full"));
        *now_ms = wait(session, *now_ms);
        let again = batch(session, *now_ms);
        assert_eq!((again.id, &again.items), (sent.id, &sent.items));
    };
    for _ in 0..2 {
        fail(&mut session, &first, &Failure::TooLarge, &mut now_ms);
    }
    session.on_failure(first.id, &Failure::TooLarge, now_ms).unwrap();
    let half = batch(&mut session, now_ms);
    assert_eq!(half.item_keys(), ["k1", "k2"]);
    let refused = Failure::Refused { code: "NO".into(), message: "no".into() };
    fail(&mut session, &half, &refused, &mut now_ms);
    session.on_failure(half.id, &refused, now_ms).unwrap();
    let one = batch(&mut session, now_ms);
    assert_eq!(one.item_keys(), ["k1"]);
    fail(&mut session, &one, &refused, &mut now_ms);
    assert_eq!(store.status().in_review, 0);
    session.on_failure(one.id, &refused, now_ms).unwrap();
    let other = batch(&mut session, now_ms);
    assert_eq!((other.item_keys(), store.status().in_review), (vec!["k2".to_owned()], 0));
    // A suspect that cannot be sent to review now is one until the next acceptance.
    session.on_reply(other.id, &reply(&[2], &accepted()), now_ms).unwrap();
    assert_eq!(store.status().in_review, 1);
}

#[test]
fn a_batch_that_cannot_be_stored_is_not_sent() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=1);
    let mut session = start_once(&store);
    full_once(&rig);
    assert_eq!(session.next(0).unwrap_err().kind(), ErrorKind::Full);
    assert_eq!((store.status().pending, session.report().batches), (1, 0));
    assert_eq!(batch(&mut session, 0).item_keys(), ["k1"], "asked again");
}

/// P4: one damaged event costs no neighbour its delivery.
#[test]
fn an_event_that_was_damaged_on_disk_is_told_and_its_neighbours_are_sent() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=6);
    let mut session = start(&store);
    assert_eq!(batch(&mut session, 0).item_keys().len(), 4, "control");
    for needle in ["k2{", "k5{"] {
        flip(&rig, needle);
    }
    session.on_abandoned();
    let mut upstream = ScriptedUpstream::default();
    drain(&mut session, &mut upstream, 0);
    let sent: Vec<&String> = upstream.effects().keys().collect();
    assert_eq!(sent, ["k1", "k3", "k4", "k6"]);
    assert!(session.report().last_failure.unwrap().contains(".seg"), "and it is told");
    assert_eq!((store.status().settled, store.status().pending), (4, 2), "nothing is forgotten");
    // Its bytes stay, however much goes through.
    for first in (100..4_000).step_by(100) {
        let many: Vec<_> =
            (first..first + 50).map(|n| crate::testing::sized_event(n, 2_000)).collect();
        store.capture_batch(&many).unwrap();
        drain(&mut session, &mut upstream, 0);
    }
    drop(session);
    drop(store);
    let store = rig.open();
    assert_eq!(store.recovery().damage.len(), 2, "{:?}", store.recovery());
}

/// Flips a bit of the last place where `needle` stands in a segment.
pub(super) fn flip(rig: &Rig, needle: &str) {
    for name in rig.disk.list("log").unwrap() {
        let path = format!("log/{name}");
        let bytes = rig.disk.bytes(&path).unwrap();
        let found = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
        if let Some(offset) = found {
            rig.disk.flip_bit(&path, offset as u64, 1);
            return;
        }
    }
    panic!("{needle} is nowhere");
}

/// As a dialect whose items say when an event was captured.
fn dated() -> Form {
    Arc::new(|event, _key, item| match event.captured_at_ms {
        Some(_) => {
            item.push(b'x');
            Ok(())
        }
        None => {
            Err(Misfit { code: "TIME_UNKNOWN".to_owned(), message: "nobody knows when".to_owned() })
        }
    })
}

/// The frame that opens a run is damaged: what was sent before with its time is not sent with another one.
#[test]
fn events_whose_time_damage_took_are_not_sent_with_another_one() {
    let rig = Rig::new();
    rig.clock.name_boot(1);
    let store = rig.open();
    capture(&store, 1..=2);
    let mut session = Session::start(&store, options(), dated()).unwrap();
    assert_eq!(batch(&mut session, 0).items.len(), 2);
    drop(session);
    store.capture(&event(3)).unwrap();
    store.capture(&event(4).with_captured_at_ms(7)).unwrap();
    drop(store);
    let (mut file, mut at) = (String::new(), 0);
    onceward_wal::examine(&rig.disk, &mut |frame| {
        if frame.kind == onceward_wal::KIND_RUN {
            at = u64::from(frame.place.offset) + 60;
        }
    })
    .unwrap();
    for name in rig.disk.list("log").unwrap() {
        if name.starts_with("0000000000000001") {
            file = format!("log/{name}");
        }
    }
    rig.disk.flip_bit(&file, at, 1);
    let rig = rig.after_kill();
    let store = rig.open();
    let mut session = Session::start(&store, options(), dated()).unwrap();
    let sent = batch(&mut session, 0);
    assert_eq!(sent.item_keys(), ["k4"], "the host said when that was");
    session.on_reply(sent.id, &reply(&[4], &accepted()), 0).unwrap();
    assert_eq!(
        [1, 2, 3].map(|n| state(&store, n)),
        [State::Uncertain, State::Uncertain, State::InReview]
    );
    assert_eq!(store.reviews().get(&sales(), &key(1)).unwrap().code, "TIME_UNKNOWN");
}

/// Damage takes the note of the upstream's clock that came before the machine was off; the one behind that
/// time, which tells the same, does not make the time between known.
#[test]
fn a_damaged_note_of_the_upstreams_clock_makes_no_gap_known() {
    let rig = Rig::new();
    rig.clock.name_boot(1);
    let store = rig.open();
    capture(&store, 1..=1);
    let options = || options().with_horizon(Duration::from_millis(30 * 86_400_000));
    let mut session = Session::start(&store, options(), payloads()).unwrap();
    assert_eq!(batch(&mut session, 0).items.len(), 1);
    store.confirm_time(crate::testing::WALL_MS, Duration::ZERO).unwrap();
    let rig = rig.after_kill();
    drop((session, store));
    rig.clock.reboot(40 * 86_400_000);
    let store = rig.open();
    rig.clock.advance(2_000);
    store.close().unwrap();
    let rig = rig.after_kill();
    let mut notes = Vec::new();
    onceward_wal::examine(&rig.disk, &mut |frame| {
        if frame.kind == FrameKind::Clock.code() {
            notes.push(frame.place);
        }
    })
    .unwrap();
    let [before, _behind] = notes[..] else { panic!("control: {notes:?}") };
    let number = format!("{:016x}", before.segment);
    let names = rig.disk.list("log").unwrap();
    let name = names.iter().find(|name| name.contains(&number)).unwrap();
    rig.disk.flip_bit(&format!("log/{name}"), u64::from(before.offset) + 40, 1);
    let store = rig.open();
    assert_eq!(store.recovery().damage.len(), 1, "control: {:?}", store.recovery());
    let mut session = Session::start(&store, options(), payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Idle) && session.asks_time());
    session.on_time(crate::testing::WALL_MS + 40 * 86_400_000, Duration::ZERO).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    assert_eq!(store.reviews().get(&sales(), &key(1)).unwrap().code, "HORIZON");
}
