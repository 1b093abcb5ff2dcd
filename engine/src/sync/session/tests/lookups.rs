//! What the upstream may have forgotten is asked for by its key, where it can be.

use super::horizon::{DAY_MS, lose_a_reply, rig, states};
use super::*;
use crate::sync::{Answered, Failure, Question};
use crate::testing::Rig;

fn start(store: &Store, effort: Effort) -> Session {
    let horizon = Duration::from_millis(30 * DAY_MS);
    let options = options().with_horizon(horizon).with_lookups().with_effort(effort);
    Session::start(store, options, payloads()).unwrap()
}

/// A session that sent events 1 to 4 without a reply, longer ago than the upstream remembers keys.
fn forgotten() -> (Rig, Store, Session) {
    let rig = rig();
    let store = rig.open();
    capture(&store, 1..=4);
    let mut session = start(&store, Effort::Forever);
    lose_a_reply(&mut session, &mut ScriptedUpstream::default());
    rig.clock.advance(31 * DAY_MS);
    session.on_online();
    (rig, store, session)
}

/// The question that is to be asked now, of this event.
fn question(session: &mut Session, n: u64, now_ms: u64) -> Question {
    assert!(matches!(session.next(now_ms).unwrap(), Step::Wait { .. } | Step::Idle));
    let question = session.question(now_ms).expect("a question");
    assert_eq!(question.key, key(n).as_str());
    assert_eq!(session.question(now_ms), None, "one at a time");
    question
}

fn away() -> Failure {
    let (why, answered) = ("timeout".to_owned(), Answered::Nobody);
    Failure::Unavailable { why, retry_after_ms: None, answered }
}

fn refused() -> Failure {
    Failure::Refused { code: "NO".to_owned(), message: String::new() }
}

fn rejected() -> ItemOutcome {
    ItemOutcome::Rejected { code: "NO".to_owned(), message: String::new(), reply: Vec::new() }
}

#[test]
fn what_the_upstream_says_of_a_key_it_may_have_forgotten_counts_as_its_answer() {
    let (_rig, store, mut session) = forgotten();
    for (n, outcome) in
        [(1, Ok(Some(accepted()))), (2, Ok(None)), (3, Ok(Some(rejected()))), (4, Err(refused()))]
    {
        let asked = match n {
            3 => {
                // What never came is sent again before anything else is asked.
                let sent = batch(&mut session, 0);
                assert_eq!(sent.item_keys(), [key(2).to_string()]);
                session.on_reply(sent.id, &reply(&[2], &accepted()), 0).unwrap();
                question(&mut session, n, 0)
            }
            n => question(&mut session, n, 0),
        };
        session.on_outcome(&asked, &outcome, 0).unwrap();
    }
    let expected = [State::Accepted, State::Accepted, State::InReview, State::Uncertain];
    assert_eq!(states(&store, 1..=4), expected);
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    assert_eq!(session.question(0), None);
    let report = session.report();
    assert_eq!((report.accepted, report.rejected), (2, 2));
}

#[test]
fn an_upstream_that_does_not_say_is_asked_again_later() {
    let (_rig, store, mut session) = forgotten();
    let asked = question(&mut session, 1, 0);
    session.on_outcome(&asked, &Err(away()), 0).unwrap();
    let until_ms = wait(&mut session, 0);
    assert!(until_ms >= 1_000 && session.question(until_ms - 1).is_none(), "the line waits");
    let asked = question(&mut session, 2, until_ms);
    session.on_outcome(&asked, &Ok(Some(transient(Some(60_000)))), until_ms).unwrap();
    // Of the one that waits longest nobody asks before.
    let mut times = Vec::new();
    let mut now_ms = until_ms;
    while states(&store, 1..=4).contains(&State::Pending) {
        now_ms = now_ms.max(match session.next(now_ms).unwrap() {
            Step::Wait { until_ms } => until_ms,
            step => panic!("{step:?}"),
        });
        let Some(asked) = session.question(now_ms) else { continue };
        times.push((asked.key.clone(), now_ms));
        session.on_outcome(&asked, &Ok(Some(accepted())), now_ms).unwrap();
    }
    let (last, at_ms) = times.last().unwrap();
    assert_eq!((last.as_str(), *at_ms), (key(2).as_str(), until_ms + 60_000), "{times:?}");
    assert_eq!(times.len(), 4);
    // Late and twice: nothing changes.
    session.on_outcome(&asked, &Ok(None), now_ms).unwrap();
    assert_eq!(states(&store, 1..=4), [State::Accepted; 4]);
}

#[test]
fn one_run_asks_for_each_once_and_sends_what_never_came() {
    let (rig, store, session) = forgotten();
    drop(session);
    let mut session = start(&store, Effort::Once);
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    for n in 1..=3 {
        let asked = session.question(0).unwrap();
        assert_eq!(asked.key, key(n).as_str());
        let outcome = if n == 3 { None } else { Some(transient(None)) };
        session.on_outcome(&asked, &Ok(outcome), 0).unwrap();
    }
    let sent = batch(&mut session, 0);
    assert_eq!(sent.item_keys(), [key(3).to_string()], "it came to its end, and goes on");
    session.on_reply(sent.id, &reply(&[3], &accepted()), 0).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    let asked = session.question(0).unwrap();
    session.on_outcome(&asked, &Ok(None), 0).unwrap();
    let sent = batch(&mut session, 0);
    // What is sent again is as new: the horizon counts from now.
    session.on_failure(sent.id, &away(), 0).unwrap();
    drop((session, store));
    let store = rig.after_kill().open();
    assert_eq!(pending(&store).len(), 3, "nothing is lost, and nobody has to decide");
}

#[test]
fn what_never_came_is_sent_again_as_long_as_it_takes() {
    let (_rig, store, mut session) = forgotten();
    for n in 1..=4 {
        let asked = session.next(0).map(|_| session.question(0)).unwrap();
        let Some(asked) = asked else { panic!("{n}") };
        session.on_outcome(&asked, &Ok(None), 0).unwrap();
        session.on_abandoned();
    }
    let mut upstream = ScriptedUpstream::default();
    let mut now_ms = 0;
    for _ in 0..3 {
        lose_a_reply(&mut session, &mut upstream);
        now_ms += 1;
    }
    drain(&mut session, &mut upstream, now_ms);
    assert!(
        states(&store, 1..=4).iter().all(|state| state.is_final()),
        "{:?}",
        states(&store, 1..=4)
    );
    assert_eq!(session.report().parked, 0);
}

#[test]
fn without_the_option_nobody_is_asked() {
    let (_rig, store, session) = forgotten();
    drop(session);
    let mut session = horizon::start(&store);
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    assert_eq!(session.question(0), None);
    assert_eq!(states(&store, 1..=4), [State::Uncertain; 4]);
}

#[test]
fn an_event_that_is_asked_for_is_not_waited_for_at_the_time_of_its_next_attempt() {
    let rig = rig();
    let store = rig.open();
    capture(&store, 1..=1);
    let horizon = Duration::from_secs(60);
    let options = options().with_horizon(horizon).with_lookups();
    let mut session = Session::start(&store, options, payloads()).unwrap();
    let sent = batch(&mut session, 0);
    session.on_reply(sent.id, &reply(&[1], &transient(Some(120_000))), 0).unwrap();
    // Its time has come, and the upstream may have forgotten it.
    let due_ms = 600_000;
    rig.clock.advance(due_ms);
    rig.clock.advance(due_ms);
    let asked = question(&mut session, 1, due_ms);
    // Nothing is to be done before the answer, and then not before the wait that it asks for.
    assert!(matches!(session.next(due_ms + 1).unwrap(), Step::Idle | Step::Await));
    session.on_outcome(&asked, &Ok(Some(transient(Some(60_000)))), due_ms + 2).unwrap();
    assert!(wait(&mut session, due_ms + 2) >= due_ms + 60_000);
}
