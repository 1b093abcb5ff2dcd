//! Events of a lane go in order: an event is sent only when every earlier one of its lane has its final
//! answer, whatever fails, splits, waits for a person or restarts in between.

use super::{accepted, batch, capture, options, pending, reply, start, state, transient};
use crate::review::ReviewFilter;
use crate::sync::payloads;
use crate::sync::{Batch, Failure, ItemOutcome, Reply, Session, Step};
use crate::testing::draw::Draw;
use crate::testing::upstream::rejected;
use crate::testing::{Rig, event, key, sales};
use crate::{Event, Lane, Scope, State, Store};

/// Far enough for whatever waits.
const LATER_MS: u64 = 1_000_000_000;

fn of_lane(n: u64, lane: &str) -> Event {
    event(n).with_lane(Lane::new(lane).unwrap())
}

/// Captures k1, k2 and k3 of a lane, and k4 of none.
fn three_and_one(store: &Store) {
    let events = [of_lane(1, "card"), of_lane(2, "card"), of_lane(3, "card"), event(4)];
    store.capture_batch(&events).unwrap();
}

fn sent(session: &mut Session, now_ms: u64) -> Vec<String> {
    batch(session, now_ms).item_keys()
}

fn answer(session: &mut Session, outcomes: &[(u64, ItemOutcome)], now_ms: u64) {
    let sent = super::again(session, now_ms);
    let items = outcomes.iter().map(|(n, outcome)| (key(*n).to_string(), outcome.clone()));
    session.on_reply(sent.id, &Reply::of(items.collect()), now_ms).unwrap();
}

fn unavailable() -> Failure {
    let answered = crate::sync::Answered::Nobody;
    Failure::Unavailable { why: "away".to_owned(), retry_after_ms: None, answered }
}

#[test]
fn an_event_that_fails_for_now_is_not_overtaken_by_its_lane() {
    let store = Rig::new().open();
    three_and_one(&store);
    let mut session = start(&store);
    assert_eq!(sent(&mut session, 0), ["k1", "k4"], "one of a lane, and whatever has none");
    answer(&mut session, &[(1, transient(None)), (4, accepted())], 0);
    assert!(matches!(session.next(0), Ok(Step::Wait { .. })), "k2 waits for k1");
    for n in 1..=3 {
        assert_eq!(sent(&mut session, LATER_MS), [format!("k{n}")]);
        answer(&mut session, &[(n, accepted())], LATER_MS);
    }
    assert!(matches!(session.next(LATER_MS), Ok(Step::Idle)));
}

#[test]
fn a_lost_reply_and_a_restart_let_nothing_of_the_lane_overtake() {
    let rig = Rig::new();
    let store = rig.open();
    three_and_one(&store);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    session.on_failure(first.id, &unavailable(), 0).unwrap();
    drop((session, store));
    let store = rig.open();
    store.capture(&of_lane(5, "card")).unwrap();
    let mut session = start(&store);
    assert_eq!(sent(&mut session, 0), ["k1", "k4"], "the batch of the earlier session");
    answer(&mut session, &[(1, accepted()), (4, accepted())], 0);
    assert_eq!(sent(&mut session, 0), ["k2"]);
}

#[test]
fn an_event_in_review_parks_its_lane_until_a_person_decides() {
    let rig = Rig::new();
    let store = rig.open();
    three_and_one(&store);
    let mut session = start(&store);
    answer(&mut session, &[(1, rejected("NO")), (4, accepted())], 0);
    assert!(matches!(session.next(LATER_MS), Ok(Step::Idle)), "k2 waits for a person, as k1 does");
    drop((session, store));
    let store = rig.open();
    let mut session = start(&store);
    assert!(matches!(session.next(LATER_MS), Ok(Step::Idle)), "also after a restart");
    let report = session.report();
    assert_eq!((report.behind, store.status().behind), (2, 2));
    let why = report.last_failure.unwrap();
    assert!(why.contains("2 wait in their lane behind one that waits for a person"), "{why}");
    // Sent again, it is first again; given up, the next goes.
    store.reviews().retry(&sales(), &key(1)).unwrap();
    assert_eq!(sent(&mut session, 0), ["k1"]);
    answer(&mut session, &[(1, rejected("NO"))], 0);
    store.reviews().resolve(&sales(), &key(1), "paid in cash").unwrap();
    assert_eq!(sent(&mut session, 0), ["k2"]);
}

#[test]
fn a_cancelled_event_lets_the_next_of_its_lane_go() {
    let store = Rig::new().open();
    three_and_one(&store);
    store.cancel(&sales(), &key(1)).unwrap();
    assert_eq!(sent(&mut start(&store), 0), ["k2", "k4"]);
}

#[test]
fn lanes_of_one_name_in_two_scopes_do_not_wait_for_each_other() {
    let store = Rig::new().open();
    let other = Scope::new("other").unwrap();
    let mut first = of_lane(1, "card");
    first.scope = other;
    store.capture_batch(&[first, of_lane(2, "card")]).unwrap();
    assert_eq!(sent(&mut start(&store), 0), ["k2"]);
}

#[test]
fn once_sends_a_whole_lane_one_after_the_other_and_no_further_than_it_got() {
    let store = Rig::new().open();
    three_and_one(&store);
    store.capture_batch(&[of_lane(5, "other"), of_lane(6, "other")]).unwrap();
    let mut session = super::start_once(&store);
    answer(&mut session, &[(1, accepted()), (4, accepted()), (5, transient(None))], 0);
    answer(&mut session, &[(2, accepted())], 0);
    answer(&mut session, &[(3, accepted())], 0);
    assert!(matches!(session.next(LATER_MS), Ok(Step::Idle)));
    assert_eq!(pending(&store), ["k5", "k6"]);
}

#[test]
fn thousands_of_events_behind_a_parked_one_hold_up_nobody() {
    let store = Rig::new().open();
    let events: Vec<Event> = (1..20_000).map(|n| of_lane(n, "card")).collect();
    for some in events.chunks(1_000) {
        store.capture_batch(some).unwrap();
    }
    capture(&store, 20_000..=20_000);
    let mut session = start(&store);
    answer(&mut session, &[(1, rejected("NO")), (20_000, accepted())], 0);
    assert_eq!((state(&store, 20_000), state(&store, 2)), (State::Accepted, State::Pending));
}

/// How often events are looked at while a lane of so many is sent, one after the other.
fn looks_to_drain(count: u64) -> u64 {
    let store = Rig::new().open();
    for first in (1..=count).step_by(1_000) {
        let last = count.min(first + 999);
        let events: Vec<Event> = (first..=last).map(|n| of_lane(n, "card")).collect();
        store.capture_batch(&events).unwrap();
    }
    let mut session = start(&store);
    let before = crate::base::looked::looked_at();
    for n in 1..=count {
        answer(&mut session, &[(n, accepted())], LATER_MS);
    }
    assert!(matches!(session.next(LATER_MS), Ok(Step::Idle)));
    crate::base::looked::looked_at() - before
}

#[test]
fn a_lane_is_drained_in_steps_that_grow_with_its_length_and_no_faster() {
    let (short, long) = (looks_to_drain(200), looks_to_drain(2_000));
    assert!(long <= 12 * short, "{short} for 200, {long} for 2,000");
}

#[test]
fn an_answer_that_nothing_waits_for_looks_at_no_lane() {
    let store = Rig::new().open();
    let events: Vec<Event> = (1..=1_000).map(|n| of_lane(n, "card")).collect();
    store.capture_batch(&events).unwrap();
    let mut session = start(&store);
    answer(&mut session, &[(1, rejected("NO"))], LATER_MS);
    let before = crate::base::looked::looked_at();
    for _ in 0..10 {
        assert!(matches!(session.next(LATER_MS), Ok(Step::Idle)));
    }
    let looks = crate::base::looked::looked_at() - before;
    assert!(looks < 1_000, "{looks}");
    assert_eq!(session.report().behind, 999);
}

/// Lanes by event: two lanes, and every fourth event has none.
fn lane_of(n: u64) -> Option<u64> {
    (!n.is_multiple_of(4)).then_some(n % 2)
}

/// What is sent is first of its lane, and nothing of a lane is sent twice in one batch.
fn is_in_order(store: &Store, batch: &Batch) {
    let numbers: Vec<u64> = batch.items().map(|item| item.key[1..].parse().unwrap()).collect();
    for n in numbers {
        let Some(lane) = lane_of(n) else { continue };
        for before in (1..n).filter(|before| lane_of(*before) == Some(lane)) {
            assert!(state(store, before).is_final(), "k{n} is sent before k{before} is done");
        }
    }
}

fn outcome(draw: &mut Draw) -> ItemOutcome {
    match draw.below(4) {
        0 => transient(None),
        1 => rejected("NO"),
        2 => ItemOutcome::Duplicate { receipt: None },
        _ => accepted(),
    }
}

fn failure(draw: &mut Draw) -> Failure {
    let (code, message) = ("BAD".to_owned(), "no".to_owned());
    match draw.below(5) {
        0 => Failure::TooLarge,
        1 => Failure::Refused { code, message },
        2 => Failure::BatchKeyRefused { code, message },
        3 => Failure::InProgress { retry_after_ms: None },
        _ => unavailable(),
    }
}

#[test]
fn under_random_faults_no_event_of_a_lane_is_sent_before_those_ahead_of_it_are_done() {
    for seed in 1..=60 {
        let mut draw = Draw(seed);
        let rig = Rig::new();
        let mut store = rig.open();
        let mut captured = 0;
        let mut now_ms = 0;
        for _ in 0..12 {
            let more: Vec<Event> = (captured + 1..=captured + 1 + draw.below(4))
                .map(|n| lane_of(n).map_or_else(|| event(n), |l| of_lane(n, &l.to_string())))
                .collect();
            captured += u64::try_from(more.len()).unwrap();
            store.capture_batch(&more).unwrap();
            let mut session =
                Session::start(&store, options().with_seed(seed), payloads()).unwrap();
            for _ in 0..draw.below(12) {
                now_ms += LATER_MS;
                let Step::Send(batch) = session.next(now_ms).unwrap() else { break };
                is_in_order(&store, &batch);
                assert!(store.inner.state.lock().has_right_counts(), "seed {seed}");
                if draw.below(3) == 0 {
                    session.on_failure(batch.id, &failure(&mut draw), now_ms).unwrap();
                    continue;
                }
                let mut items: Vec<_> = batch
                    .items
                    .iter()
                    .map(|item| (item.key.to_owned(), outcome(&mut draw)))
                    .collect();
                items.truncate(items.len() - usize::try_from(draw.below(2)).unwrap());
                session.on_reply(batch.id, &Reply::of(items), now_ms).unwrap();
            }
            drop(session);
            for item in store.reviews().list(&ReviewFilter::new()).unwrap() {
                match draw.below(3) {
                    0 => store.reviews().retry(&item.scope, &item.key).unwrap(),
                    1 => store.reviews().resolve(&item.scope, &item.key, "note").unwrap(),
                    _ => {}
                }
            }
            assert!(store.inner.state.lock().has_right_counts(), "seed {seed}");
            if draw.below(3) == 0 {
                drop(store);
                store = rig.open();
                assert!(store.inner.state.lock().has_right_counts(), "seed {seed}, opened");
            }
        }
        // A well upstream and a person who decides let everything through, in order.
        for _ in 0..=captured {
            for item in store.reviews().list(&ReviewFilter::new()).unwrap() {
                store.reviews().resolve(&item.scope, &item.key, "note").unwrap();
            }
            let mut session = start(&store);
            while let Step::Send(batch) = session.next(now_ms).unwrap() {
                is_in_order(&store, &batch);
                let numbers: Vec<u64> =
                    batch.items.iter().map(|item| item.key[1..].parse().unwrap()).collect();
                session.on_reply(batch.id, &reply(&numbers, &accepted()), now_ms).unwrap();
            }
        }
        assert_eq!(pending(&store), Vec::<String>::new(), "seed {seed}");
    }
}
