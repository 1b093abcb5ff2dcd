//! When an event was attempted first, by what the log says after a restart.

use super::horizon::{DAY_MS, lose_a_reply, rig, server_ms, start, states};
use super::*;

/// Has cleaning carry what is left in this segment, and trim it.
fn trim(store: &Store, segment: u64) {
    for n in 10..40 {
        store.capture(&crate::testing::sized_event(n, 50_000)).unwrap();
        let answer = crate::Answer::Accepted { receipt: None };
        let (scope, key) = (sales(), key(n));
        store.settle(&[crate::Settlement { scope, key, answer }]).unwrap();
    }
    assert!(store.inner.log.segments().iter().all(|it| it.number != segment), "control");
}

/// Captured long ago and attempted lately: the frame that formed the batch says when, over restarts of the process and
/// of the machine.
#[test]
fn an_old_event_that_was_attempted_lately_is_sent_again_after_a_restart() {
    let hour_ms = DAY_MS / 24;
    for is_rebooted in [false, true] {
        for (since_ms, is_sent_again) in [(hour_ms, true), (31 * DAY_MS, false)] {
            let rig = rig();
            let store = rig.open();
            store.confirm_time(server_ms(0), Duration::ZERO).unwrap();
            capture(&store, 1..=4);
            rig.clock.advance(40 * DAY_MS);
            store.tick().unwrap();
            let mut upstream = ScriptedUpstream::default();
            lose_a_reply(&mut start(&store), &mut upstream);
            let rig = rig.after_kill();
            drop(store);
            if is_rebooted {
                rig.clock.reboot(since_ms);
            } else {
                rig.clock.advance(since_ms);
            }
            let store = rig.open();
            let mut session = start(&store);
            if is_rebooted {
                assert!(matches!(session.next(0).unwrap(), Step::Idle) && session.asks_time());
                session.on_time(server_ms(40 * DAY_MS + since_ms), Duration::ZERO).unwrap();
            } else {
                session.on_no_time();
            }
            drain(&mut session, &mut upstream, 0);
            let expected = if is_sent_again { State::Duplicate } else { State::Uncertain };
            assert_eq!(states(&store, 1..=4), [expected; 4], "{is_rebooted} {since_ms}");
        }
    }
}

/// A later batch with the same event, or one that cleaning carried, does not make its first attempt look later.
#[test]
fn only_the_first_batch_with_an_event_says_when_it_was_attempted_first() {
    for is_trimmed in [false, true] {
        let rig = rig();
        let store = rig.open();
        capture(&store, 1..=2);
        rig.clock.advance(40 * DAY_MS);
        let mut session = start(&store);
        let sent = batch(&mut session, 0);
        session.on_reply(sent.id, &reply(&[1, 2], &transient(None)), 0).unwrap();
        rig.clock.advance(20 * DAY_MS);
        if is_trimmed {
            let first = store.inner.log.segments()[0].number;
            trim(&store, first);
        }
        let mut upstream = ScriptedUpstream::default();
        lose_a_reply(&mut session, &mut upstream);
        assert_eq!(upstream.request_count(), 1, "control: another batch");
        rig.clock.advance(9 * DAY_MS);
        drop((session, store));
        let store = rig.after_kill().open();
        let mut session = start(&store);
        session.on_no_time();
        if is_trimmed {
            // Nobody knows any more, so the capture counts.
            drain(&mut session, &mut upstream, 0);
            assert_eq!(states(&store, 1..=2), [State::Uncertain; 2]);
            continue;
        }
        lose_a_reply(&mut session, &mut upstream);
        assert_eq!(upstream.request_count(), 2, "29 days ago");
        drop(session);
        rig.clock.advance(2 * DAY_MS);
        let mut session = start(&store);
        session.on_no_time();
        drain(&mut session, &mut upstream, 0);
        assert_eq!(
            (states(&store, 1..=2), upstream.request_count()),
            (vec![State::Uncertain; 2], 2)
        );
    }
}

/// Also where only the cleaned form of the event is left.
#[test]
fn an_attempt_whose_run_is_trimmed_is_of_unknown_age_after_a_reboot() {
    let rig = rig();
    let store = rig.open();
    capture(&store, 1..=1);
    let mut upstream = ScriptedUpstream::default();
    lose_a_reply(&mut start(&store), &mut upstream);
    let first = store.inner.log.segments()[0].number;
    drop(store);
    rig.clock.reboot(DAY_MS);
    let store = rig.open();
    trim(&store, first);
    drop(store);
    let store = rig.open();
    drain(&mut start(&store), &mut upstream, 0);
    assert_eq!((state(&store, 1), upstream.request_count()), (State::Uncertain, 1));
}

/// Its wall clock begins in 1970 whenever it starts: the upstream's alone tells how old an attempt is, which counts for
/// nothing else.
#[test]
fn a_machine_without_a_right_clock_learns_from_the_upstream_how_old_an_attempt_is() {
    for is_restarted in [false, true] {
        for (days, is_sent_again) in [(29, true), (31, false)] {
            let rig = rig();
            rig.clock.step_wall(-crate::testing::WALL_MS);
            let store = rig.open();
            store.confirm_time(server_ms(0), Duration::ZERO).unwrap();
            capture(&store, 1..=4);
            let mut upstream = ScriptedUpstream::default();
            lose_a_reply(&mut start(&store), &mut upstream);
            let mut rig = rig.after_kill();
            drop(store);
            rig.clock.reboot(days * DAY_MS);
            rig.clock.step_wall(-i64::try_from(days * DAY_MS).unwrap());
            let mut store = rig.open();
            let mut session = start(&store);
            assert!(matches!(session.next(0).unwrap(), Step::Idle) && session.asks_time());
            session.on_time(server_ms(days * DAY_MS), Duration::ZERO).unwrap();
            if is_restarted {
                rig = rig.after_kill();
                drop((session, store));
                store = rig.open();
                session = start(&store);
                session.on_no_time();
            }
            drain(&mut session, &mut upstream, 0);
            let expected = if is_sent_again { State::Duplicate } else { State::Uncertain };
            assert_eq!(states(&store, 1..=4), [expected; 4], "{is_restarted} {days}");
            if !is_sent_again {
                let item = store.reviews().get(&sales(), &key(1)).unwrap();
                let ago = format!("first {} ms ago", days * DAY_MS);
                assert!(item.code == "HORIZON" && item.message.contains(&ago), "{}", item.message);
            }
        }
    }
}
