//! What the upstream may have forgotten is not sent again blindly, and its clock counts from its reply on.

use super::*;
use crate::Verdict;
use crate::sync::Failure;
use crate::testing::{Rig, WALL_MS, WINDOW_MS};

pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A machine that says since which start it counts.
pub(super) fn rig() -> Rig {
    let rig = Rig::new();
    rig.clock.name_boot(1);
    rig
}

/// A session with an upstream that remembers keys for 30 days.
pub(super) fn start(store: &Store) -> Session {
    Session::start(store, options().with_horizon(Duration::from_millis(30 * DAY_MS)), payloads())
        .unwrap()
}

/// Sends the next batch; it arrives, and the reply does not.
pub(super) fn lose_a_reply(session: &mut Session, upstream: &mut ScriptedUpstream) {
    session.on_online();
    let sent = batch(session, 0);
    let failure = upstream.take(&sent, Mood::LosesReply).unwrap_err();
    session.on_failure(sent.id, &failure, 0).unwrap();
}

pub(super) fn states(store: &Store, numbers: std::ops::RangeInclusive<u64>) -> Vec<State> {
    numbers.map(|n| state(store, n)).collect()
}

/// T32.
#[test]
fn what_was_attempted_longer_ago_than_the_upstream_remembers_waits_for_a_person() {
    for (days, is_sent_again) in [(29, true), (31, false)] {
        let rig = rig();
        let store = rig.open();
        capture(&store, 1..=4);
        let mut upstream = ScriptedUpstream::default();
        let mut session = start(&store);
        lose_a_reply(&mut session, &mut upstream);
        // Never attempted, and as old.
        capture(&store, 5..=6);
        rig.clock.advance(days * DAY_MS);
        drain(&mut session, &mut upstream, 100_000);
        assert_eq!(states(&store, 5..=6), [State::Accepted; 2], "{days} days");
        let (expected, requests) =
            if is_sent_again { (State::Duplicate, 3) } else { (State::Uncertain, 2) };
        assert_eq!(states(&store, 1..=4), [expected; 4], "{days} days");
        assert_eq!(upstream.request_count(), requests, "{days} days");
        if !is_sent_again {
            assert_eq!(session.report().rejected, 4);
            let item = store.reviews().get(&sales(), &key(3)).unwrap();
            assert_eq!(item.code, "HORIZON");
            let horizon_ms = (30 * DAY_MS).to_string();
            assert!(item.message.contains(&horizon_ms), "{}", item.message);
        }
    }
}

/// What the upstream's clock shows after so long.
pub(super) fn server_ms(after_ms: u64) -> i64 {
    WALL_MS.saturating_add_unsigned(after_ms)
}

/// A store that sent events 1 to 4, whose reply was lost, and has 5 besides; the machine was off for so
/// long since. `is_noted`: the upstream told the time before.
fn off_after_an_attempt(days: u64, is_noted: bool) -> (Rig, ScriptedUpstream) {
    let rig = rig();
    let store = rig.open();
    if is_noted {
        store.confirm_time(server_ms(0), Duration::ZERO).unwrap();
    }
    capture(&store, 1..=5);
    let mut upstream = ScriptedUpstream::default();
    lose_a_reply(&mut start(&store), &mut upstream);
    let rig = rig.after_kill();
    rig.clock.reboot(days * DAY_MS);
    (rig, upstream)
}

#[test]
fn a_machine_that_was_off_for_longer_does_not_send_again_what_it_had_sent() {
    for (days, is_sent_again) in [(29, true), (31, false)] {
        let (rig, mut upstream) = off_after_an_attempt(days, true);
        let store = rig.open();
        let mut session = start(&store);
        // First what was never sent: its reply tells how long the machine was off.
        let sent = batch(&mut session, 0);
        assert_eq!(sent.item_keys(), ["k5"]);
        session.on_time(server_ms(days * DAY_MS), Duration::ZERO).unwrap();
        let said = upstream.take(&sent, Mood::Well).unwrap();
        session.on_reply(sent.id, &said, 0).unwrap();
        drain(&mut session, &mut upstream, 0);
        let expected = if is_sent_again { State::Duplicate } else { State::Uncertain };
        assert_eq!(states(&store, 1..=5), [[expected; 4].as_slice(), &[State::Accepted]].concat());
    }
}

/// Only events are left that were sent nobody knows how long ago: the driver asks what time it is.
#[test]
fn what_was_sent_before_the_machine_was_off_waits_for_the_upstreams_clock_and_is_asked_for() {
    for effort in [Effort::Forever, Effort::Once] {
        for (time, expected) in [(Some(29), State::Duplicate), (None, State::Uncertain)] {
            let (rig, mut upstream) = off_after_an_attempt(29, true);
            let store = rig.open();
            store.cancel(&sales(), &key(5)).unwrap();
            let options =
                options().with_horizon(Duration::from_millis(30 * DAY_MS)).with_effort(effort);
            let mut session = Session::start(&store, options, payloads()).unwrap();
            assert!(matches!(session.next(0).unwrap(), Step::Idle) && session.asks_time());
            assert_eq!(
                (states(&store, 1..=4), upstream.request_count()),
                (vec![State::InFlight; 4], 1)
            );
            // Nobody answers.
            let (why, answered) = ("timeout".to_owned(), crate::sync::Answered::Stranger);
            let failure = Failure::Unavailable { why, retry_after_ms: None, answered };
            session.on_no_answer(&failure, 0).unwrap();
            match effort {
                Effort::Forever => {
                    assert!(matches!(session.next(0).unwrap(), Step::Wait { .. }), "not at once");
                }
                Effort::Once => assert!(!session.asks_time(), "once"),
            }
            session.on_online();
            match time {
                Some(days) => session.on_time(server_ms(days * DAY_MS), Duration::ZERO).unwrap(),
                None => session.on_no_time(),
            }
            drain(&mut session, &mut upstream, 100_000);
            assert_eq!(states(&store, 1..=4), [expected; 4], "{time:?} {effort:?}");
            if time.is_none() {
                assert_eq!(store.reviews().get(&sales(), &key(3)).unwrap().code, "AGE_UNKNOWN");
            }
        }
    }
}

/// Captured in 1970 or in 2036 by the wall clock, and then the right time: neither says how long ago that was.
#[test]
fn an_attempt_of_unknown_age_waits_for_a_person_with_words_that_are_true() {
    for step_ms in [WALL_MS, -40 * 86_400_000, 0] {
        let (rig, mut upstream) = off_after_an_attempt(1, false);
        rig.clock.step_wall(step_ms);
        let store = rig.open();
        let mut session = start(&store);
        drain(&mut session, &mut upstream, 0);
        assert_eq!(states(&store, 1..=4), [State::Uncertain; 4], "{step_ms}");
        assert_eq!((state(&store, 5), upstream.request_count()), (State::Accepted, 2), "{step_ms}");
        let item = store.reviews().get(&sales(), &key(3)).unwrap();
        assert_eq!(item.code, "AGE_UNKNOWN");
        assert!(item.message.contains("nobody knows how long ago"), "{}", item.message);
        // A person's decision is of now, whatever the wall clock says of it.
        (1..=4).for_each(|n| store.reviews().retry(&sales(), &key(n)).unwrap());
        rig.clock.step_wall(-step_ms);
        lose_a_reply(&mut session, &mut upstream);
        drop(session);
        drain(&mut start(&store), &mut upstream, 100_000);
        assert_eq!(states(&store, 1..=4), [State::Duplicate; 4], "{step_ms}");
    }
}

#[test]
fn a_person_who_retries_sends_it_again() {
    let rig = rig();
    let store = rig.open();
    capture(&store, 1..=1);
    let mut upstream = ScriptedUpstream::default();
    let mut session = start(&store);
    lose_a_reply(&mut session, &mut upstream);
    rig.clock.advance(40 * DAY_MS);
    drain(&mut session, &mut upstream, 100_000);
    assert_eq!(state(&store, 1), State::Uncertain);
    store.reviews().retry(&sales(), &key(1)).unwrap();
    // The reply is lost again; that counts from the decision on, in another session too.
    lose_a_reply(&mut session, &mut upstream);
    drop(session);
    let mut session = start(&store);
    lose_a_reply(&mut session, &mut upstream);
    rig.clock.advance(31 * DAY_MS);
    drain(&mut session, &mut upstream, 100_000);
    assert_eq!((state(&store, 1), upstream.request_count()), (State::Uncertain, 3));
    store.reviews().retry(&sales(), &key(1)).unwrap();
    drain(&mut session, &mut upstream, 200_000);
    assert_eq!(state(&store, 1), State::Duplicate);
}

#[test]
fn what_the_upstream_says_takes_the_place_of_what_the_host_said() {
    let rig = rig();
    let store = rig.open();
    capture(&store, 1..=4);
    let mut upstream = ScriptedUpstream::default();
    let mut session = Session::start(&store, options(), payloads()).unwrap();
    lose_a_reply(&mut session, &mut upstream);
    rig.clock.advance(400 * DAY_MS);
    lose_a_reply(&mut session, &mut upstream);
    assert_eq!(upstream.request_count(), 2, "nobody told a horizon");
    session.on_horizon(Duration::from_millis(401 * DAY_MS));
    lose_a_reply(&mut session, &mut upstream);
    assert_eq!(upstream.request_count(), 3);
    session.on_horizon(Duration::from_millis(DAY_MS));
    drain(&mut session, &mut upstream, 100_000);
    assert_eq!((states(&store, 1..=4), upstream.request_count()), (vec![State::Uncertain; 4], 3));
}

/// An upstream that told its horizon to an earlier session, and remembers less than this one was told.
#[test]
fn what_was_attempted_over_an_hour_ago_waits_until_the_upstream_tells_its_horizon() {
    const HOUR_MS: u64 = DAY_MS / 24;
    for (age_ms, waits) in [(HOUR_MS - 1, false), (HOUR_MS, true), (5 * DAY_MS, true)] {
        for told_ms in [DAY_MS, 30 * DAY_MS] {
            for is_restarted in [false, true] {
                let case = format!("{age_ms} {told_ms} {is_restarted}");
                let rig = rig();
                let store = rig.open();
                capture(&store, 1..=2);
                let mut upstream = ScriptedUpstream::default();
                let mut session = start(&store);
                lose_a_reply(&mut session, &mut upstream);
                if is_restarted {
                    drop(session);
                    session = start(&store);
                }
                rig.clock.advance(age_ms);
                let step = session.next(100_000).unwrap();
                assert_eq!(matches!(step, Step::Send(_)), !waits, "{case}");
                assert_eq!(session.asks_time(), waits, "{case}");
                session.on_abandoned();
                if waits {
                    session.on_horizon(Duration::from_millis(told_ms));
                    session.on_no_time();
                }
                drain(&mut session, &mut upstream, 100_000);
                let is_forgotten = told_ms < age_ms;
                let expected = if is_forgotten { State::Uncertain } else { State::Duplicate };
                assert_eq!(states(&store, 1..=2), [expected; 2], "{case}");
            }
        }
    }
}

#[test]
fn a_tenth_of_the_horizon_and_an_hour_at_most_are_for_the_way() {
    let hour_ms = DAY_MS / 24;
    for (horizon_ms, most_ms) in [(30 * DAY_MS, 30 * DAY_MS - hour_ms), (hour_ms, hour_ms / 10 * 9)]
    {
        for (age_ms, is_sent_again) in [(most_ms - 1, true), (most_ms, false)] {
            let rig = rig();
            let store = rig.open();
            capture(&store, 1..=1);
            let mut upstream = ScriptedUpstream::default();
            let options = options().with_horizon(Duration::from_millis(horizon_ms));
            let mut session = Session::start(&store, options, payloads()).unwrap();
            lose_a_reply(&mut session, &mut upstream);
            rig.clock.advance(age_ms);
            // It was heard lately.
            session.on_no_time();
            let step = session.next(100_000).unwrap();
            assert_eq!(matches!(step, Step::Send(_)), is_sent_again, "{horizon_ms} {age_ms}");
        }
    }
}

#[test]
fn an_upstream_that_remembers_nothing_gets_each_event_once() {
    let store = rig().open();
    capture(&store, 1..=4);
    let mut upstream = ScriptedUpstream::default();
    let mut session =
        Session::start(&store, options().with_horizon(Duration::ZERO), payloads()).unwrap();
    lose_a_reply(&mut session, &mut upstream);
    drain(&mut session, &mut upstream, 100_000);
    assert_eq!((states(&store, 1..=4), upstream.request_count()), (vec![State::Uncertain; 4], 1));
}

#[test]
fn items_that_fail_for_now_and_halves_keep_their_first_attempt() {
    let rig = rig();
    let store = rig.open();
    capture(&store, 1..=4);
    let mut session = start(&store);
    let sent = batch(&mut session, 0);
    session.on_failure(sent.id, &Failure::TooLarge, 0).unwrap();
    let half = batch(&mut session, 0);
    session.on_reply(half.id, &reply(&[1, 2], &transient(None)), 0).unwrap();
    rig.clock.advance(20 * DAY_MS);
    // Half way: another attempt, which does not count as the first.
    session.on_online();
    let other_half = batch(&mut session, 0);
    session.on_reply(other_half.id, &reply(&[3, 4], &transient(None)), 0).unwrap();
    session.on_online();
    let again = batch(&mut session, 0);
    session.on_reply(again.id, &reply(&[1, 2, 3, 4], &transient(None)), 0).unwrap();
    capture(&store, 5..=5);
    rig.clock.advance(11 * DAY_MS);
    let mut upstream = ScriptedUpstream::default();
    drain(&mut session, &mut upstream, 1_000_000);
    assert_eq!(states(&store, 1..=4), [State::Uncertain; 4]);
    assert_eq!(upstream.effects().len(), 1);
}

#[test]
fn an_attempt_of_an_earlier_session_counts_in_a_batch_with_others_too() {
    let rig = rig();
    let store = rig.open();
    capture(&store, 1..=2);
    let mut session = start(&store);
    let sent = batch(&mut session, 0);
    session.on_reply(sent.id, &reply(&[1, 2], &transient(None)), 0).unwrap();
    drop(session);
    rig.clock.advance(20 * DAY_MS);
    capture(&store, 3..=4);
    let mut session = start(&store);
    session.on_no_time();
    let mut upstream = ScriptedUpstream::default();
    lose_a_reply(&mut session, &mut upstream);
    assert_eq!(upstream.effects().len(), 4, "control: one batch");
    rig.clock.advance(11 * DAY_MS);
    drain(&mut session, &mut upstream, 100_000);
    let (old, new) = ([State::Uncertain; 2], [State::Duplicate; 2]);
    assert_eq!(states(&store, 1..=4), [old, new].concat());
}

/// T37.
#[test]
fn a_wall_clock_that_is_set_while_the_machine_runs_makes_nothing_uncertain() {
    let rig = rig();
    let store = rig.open();
    capture(&store, 1..=4);
    let mut upstream = ScriptedUpstream::default();
    let mut session = start(&store);
    lose_a_reply(&mut session, &mut upstream);
    rig.clock.step_wall(10 * 365 * 86_400_000);
    lose_a_reply(&mut session, &mut upstream);
    drop(session);
    drain(&mut start(&store), &mut upstream, 0);
    assert_eq!(states(&store, 1..=4), [State::Duplicate; 4]);
}

#[test]
fn a_reply_settles_by_the_time_that_came_with_it() {
    let rig = rig();
    let store = rig.open();
    capture(&store, 1..=1);
    let mut session = Session::start(&store, options(), payloads()).unwrap();
    let sent = batch(&mut session, 0);
    session.on_time(WALL_MS, Duration::ZERO).unwrap();
    let rig = rig.after_kill();
    drop((session, store));
    let off_ms = 40 * DAY_MS;
    rig.clock.reboot(off_ms);
    let store = rig.open();
    let mut session = Session::start(&store, options(), payloads()).unwrap();
    let again = batch(&mut session, 0);
    assert_eq!(again.id, sent.id);
    session.on_time(WALL_MS.saturating_add_unsigned(off_ms), Duration::ZERO).unwrap();
    session.on_reply(again.id, &reply(&[1], &accepted()), 0).unwrap();
    // Had the time come after the reply, the window would be over.
    rig.clock.advance(WINDOW_MS / 2);
    store.tick().unwrap();
    let verdict = store.capture(&event(1)).unwrap();
    assert!(matches!(verdict, Verdict::Duplicate { .. }), "{verdict:?}");
    rig.clock.advance(WINDOW_MS);
    store.tick().unwrap();
    let verdict = store.capture(&event(1)).unwrap();
    assert!(matches!(verdict, Verdict::Fresh { .. }), "control: it ends, {verdict:?}");
}
