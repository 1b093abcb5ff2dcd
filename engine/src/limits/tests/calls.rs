//! T20 to T23: limits refuse or make room, and what is counted is what is there.

use std::time::Duration;

use crate::capture::{Applied, Effect, WouldAccept};
use crate::limits::{Limit, Limits, WhenFull};
use crate::outbox::{Live, Stage};
use crate::testing::{
    Rig, SEGMENT_BYTES, WALL_MS, cents, event, key, keys, other_event, receipt, sales, sized_event,
};
use crate::{Answer, Class, ErrorKind, Event, Settlement, State, Status, Store, Verdict};

pub(crate) fn rig(limits: Limits) -> Rig {
    let mut rig = Rig::new();
    rig.config = rig.config.with_limits(limits);
    rig
}

pub(super) fn evicting(limits: Limits) -> Rig {
    rig(limits.with_when_full(WhenFull::EvictOldest))
}

pub(crate) fn evictable(n: u64) -> Event {
    event(n).with_class(Class::Evictable)
}

fn settle(store: &Store, n: u64) {
    let answer = Answer::Accepted { receipt: Some(receipt(n)) };
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

pub(super) fn refused(store: &Store, event: &Event, limit: Limit) -> String {
    let before = store.status();
    assert_eq!(store.would_accept(event).unwrap(), WouldAccept::Refused { limit });
    let error = store.capture(event).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Full, limit.code()), "{error}");
    assert!(!error.in_doubt());
    let deferred = store.capture_deferred(event).unwrap_err();
    assert_eq!(deferred.code(), limit.code());
    assert_eq!(store.status(), before, "nothing was written");
    assert_eq!(store.outcome(&event.scope, &event.key).unwrap().state, State::Unknown);
    error.to_string()
}

pub(super) fn state(store: &Store, n: u64) -> State {
    store.outcome(&sales(), &key(n)).unwrap().state
}

pub(super) fn fresh(store: &Store, event: &Event) {
    assert_eq!(store.would_accept(event).unwrap(), WouldAccept::Fresh);
    let verdict = store.capture(event).unwrap();
    assert!(matches!(verdict, Verdict::Fresh { .. }), "{verdict:?}");
}

/// T21: what is kept up to date is what a count from scratch finds, here and after a restart.
pub(crate) fn check_counters(rig: &Rig, store: &Store, context: &str) {
    let told = store.status();
    {
        let state = store.inner.state.lock();
        let events = state.outbox.events();
        assert!(state.has_right_counts(), "{context}");
        let unsettled: Vec<(u64, Live)> = events.packed().live_between(..).collect();
        let bytes: u64 = unsettled.iter().map(|(_, live)| u64::from(live.at.bytes)).sum();
        assert_eq!(told.unsettled_bytes, bytes, "{context}");
        let amount: i64 = unsettled.iter().map(|(_, live)| live.amount).sum();
        assert_eq!(crate::testing::held::all_amounts(&told), amount, "{context}");
        let waits = |live: &Live| live.stage == Stage::Pending && !live.is_attempted;
        let evictable = unsettled.iter().filter(|(_, live)| live.is_evictable && waits(live));
        let evictable: Vec<u64> = evictable.map(|(lsn, _)| *lsn).collect();
        assert_eq!(events.keys().evictable().collect::<Vec<_>>(), evictable, "{context}");
        assert_eq!(told.pending + told.in_flight + told.in_review, unsettled.len() as u64);
    }
    let look = rig.look();
    let unchecked_segments = told.unchecked_segments;
    let mut seen = Status { unchecked_segments, ..look.status() };
    assert_eq!(look.recovery().damage, [], "{context}");
    (seen.bytes, seen.oldest_pending) = (told.bytes, told.oldest_pending);
    (seen.keys, seen.settled) = (told.keys, told.settled);
    seen.index_trouble.clone_from(&told.index_trouble);
    assert_eq!(told, seen, "{context}");
}

#[test]
fn each_limit_refuses_by_name_with_what_is_held_and_what_was_asked_for() {
    let bytes = {
        let store = Rig::new().open();
        store.capture(&event(1)).unwrap();
        store.status().unsettled_bytes
    };
    let store = rig(Limits::new().with_bytes(2 * bytes)).open();
    fresh(&store, &event(1));
    fresh(&store, &event(2));
    let message = refused(&store, &event(3), Limit::Bytes);
    assert!(message.contains(&format!("{} of at most {}", 2 * bytes, 2 * bytes)), "{message}");

    let store = rig(Limits::new().with_count(1)).open();
    fresh(&store, &event(1));
    let message = refused(&store, &event(2), Limit::Count);
    assert!(message.contains("1 events are unsettled, of at most 1, and 1 more"), "{message}");

    let store = rig(Limits::new().with_amount(cents(5))).open();
    fresh(&store, &event(5));
    let message = refused(&store, &event(6), Limit::Amount);
    assert!(message.contains("0.06") && message.contains("0.05"), "{message}");
    let back = event(7).with_amount("-0.06".parse().unwrap());
    refused(&store, &back, Limit::Amount);

    let store = rig(Limits::new().with_sum(cents(10))).open();
    fresh(&store, &event(8));
    let message = refused(&store, &event(3), Limit::Sum);
    assert!(message.contains("0.08 of at most 0.10, and 0.03 more"), "{message}");
    fresh(&store, &event(2));
    fresh(&store, &event(0));
    let back = event(9).with_amount("-0.06".parse().unwrap());
    fresh(&store, &back);
    fresh(&store, &event(6));

    let rig = rig(Limits::new().with_age(Duration::from_secs(1)));
    let store = rig.open();
    fresh(&store, &event(1));
    rig.clock.advance(1_000);
    fresh(&store, &event(2));
    rig.clock.advance(1);
    let message = refused(&store, &event(3), Limit::Age);
    assert!(message.contains("1001 ms, at most 1000"), "{message}");
    settle(&store, 1);
    fresh(&store, &event(3));
}

#[test]
fn repetitions_are_answered_and_everything_but_captures_goes_on_at_a_limit() {
    let rig = rig(Limits::new().with_count(2));
    let store = rig.open();
    let lsn = store.capture(&event(1)).unwrap().lsn();
    store.capture(&event(2)).unwrap();
    refused(&store, &event(3), Limit::Count);
    let duplicate = Verdict::Duplicate { lsn, state: State::Pending };
    assert_eq!(store.capture(&event(1)).unwrap(), duplicate);
    assert_eq!(store.capture_deferred(&event(1)).unwrap().wait().unwrap(), duplicate);
    assert_eq!(store.capture(&other_event(1)).unwrap(), Verdict::Conflict { lsn });
    assert_eq!(store.would_accept(&other_event(1)).unwrap(), WouldAccept::Conflict { lsn });
    let known = WouldAccept::Duplicate { lsn, state: State::Pending };
    assert_eq!(store.would_accept(&event(1)).unwrap(), known);
    // Settled with its own frame, it waits for nothing.
    let applied = store.apply_batch(&[Effect { event: event(9), receipt: receipt(9) }]).unwrap();
    assert!(matches!(applied[0], Applied::Fresh { .. }));
    let (code, message) = ("NO".to_owned(), "no".to_owned());
    let answer = Answer::Rejected { code, message, reply: Vec::new() };
    store.settle(&[Settlement { scope: sales(), key: key(1), answer }]).unwrap();
    refused(&store, &event(3), Limit::Count);
    store.reviews().resolve(&sales(), &key(1), "note").unwrap();
    fresh(&store, &event(3));
    check_counters(&rig, &store, "");
}

#[test]
fn a_batch_is_judged_as_a_whole_and_only_by_what_is_new_in_it() {
    let store = rig(Limits::new().with_count(3).with_sum(cents(6))).open();
    store.capture_batch(&[event(1), event(2)]).unwrap();
    let error = store.capture_batch(&[event(0), event(10)]).unwrap_err();
    assert_eq!(error.code(), "LIMIT_COUNT");
    assert_eq!((state(&store, 0), store.status().pending), (State::Unknown, 2));
    let verdicts = store.capture_batch(&[event(1), event(3), event(2), event(3)]).unwrap();
    assert!(matches!(verdicts[1], Verdict::Fresh { .. }), "{verdicts:?}");
    assert_eq!(store.status().pending, 3);
}

#[test]
fn the_oldest_evictable_events_make_room_and_are_told_of() {
    let rig = evicting(Limits::new().with_count(4));
    let store = rig.open();
    for event in [event(1), evictable(2), event(3), evictable(4)] {
        fresh(&store, &event);
    }
    rig.clock.advance(70);
    fresh(&store, &evictable(5));
    fresh(&store, &event(6));
    let check = |store: &Store, context: &str| {
        assert_eq!(
            [1, 2, 3, 4, 5, 6].map(|n| state(store, n)),
            [
                State::Pending,
                State::Expired,
                State::Pending,
                State::Expired,
                State::Pending,
                State::Pending
            ],
            "{context}"
        );
        assert_eq!((store.status().pending, store.status().evicted), (4, 2), "{context}");
        let losses = store.losses(None, 9).unwrap();
        let named = losses.iter().map(|loss| loss.key.clone().unwrap()).collect::<Vec<_>>();
        assert_eq!(named, [key(2), key(4)], "{context}");
        assert!(losses.iter().all(|loss| loss.scope == sales()));
        assert!(losses.iter().all(|loss| loss.dropped_ms == WALL_MS + 70), "{losses:?}");
        assert_eq!(store.losses(Some(losses[0].lsn), 9).unwrap(), losses[1..]);
        assert_eq!(store.losses(None, 1).unwrap(), losses[..1]);
        check_counters(&rig, store, context);
    };
    check(&store, "live");
    check(&rig.after_kill().open(), "after kill");
    // Its key stays taken.
    let verdict = store.capture(&evictable(2)).unwrap();
    assert!(matches!(verdict, Verdict::Duplicate { state: State::Expired, .. }), "{verdict:?}");
    settle(&store, 2);
    assert_eq!(state(&store, 2), State::Expired, "a late answer changes nothing");
    // One that may be dropped is left, and then none.
    fresh(&store, &event(7));
    refused(&store, &event(8), Limit::Count);
    refused(&store, &evictable(8), Limit::Count);
    assert_eq!(store.status().evicted, 3, "nothing is dropped for what finds no room anyway");
}

#[test]
fn each_limit_drops_only_what_helps() {
    let rig = evicting(Limits::new().with_sum(cents(10)));
    let store = rig.open();
    for n in [0, 4, 6] {
        fresh(&store, &evictable(n));
    }
    fresh(&store, &event(1));
    assert_eq!([0, 4, 6].map(|n| state(&store, n) == State::Expired), [false, true, false]);

    let rig = evicting(Limits::new().with_age(Duration::from_secs(1)));
    let store = rig.open();
    fresh(&store, &evictable(1));
    fresh(&store, &evictable(2));
    rig.clock.advance(900);
    fresh(&store, &evictable(3));
    rig.clock.advance(900);
    fresh(&store, &event(4));
    assert_eq!([1, 2, 3].map(|n| state(&store, n) == State::Expired), [true, true, false]);
    rig.clock.advance(5_000);
    refused(&store, &event(5), Limit::Age);
    assert_eq!(state(&store, 3), State::Pending, "an older one is to be kept: it would not help");

    let rig = evicting(Limits::new().with_bytes(100_000));
    let store = rig.open();
    for n in 0..10 {
        fresh(&store, &sized_event(n, 9_000).with_class(Class::Evictable));
    }
    fresh(&store, &sized_event(10, 45_000));
    assert!((3..=6).contains(&store.status().evicted), "{:?}", store.status());
    assert!(store.status().unsettled_bytes <= 100_000);
    refused(&store, &sized_event(11, 59_900).with_amount(cents(0)), Limit::Bytes);
}

#[test]
fn what_is_in_flight_or_in_review_is_never_dropped() {
    use crate::sync::Session;
    let rig = evicting(Limits::new().with_count(3));
    let store = rig.open();
    for n in 1..=3 {
        fresh(&store, &evictable(n));
    }
    let options = crate::testing::options().with_items_max(2);
    let mut session = Session::start(&store, options, crate::sync::payloads()).unwrap();
    session.next(0).unwrap();
    assert_eq!(store.status().in_flight, 2, "control");
    let (code, message) = ("NO".to_owned(), "no".to_owned());
    let answer = Answer::Rejected { code, message, reply: Vec::new() };
    store.settle(&[Settlement { scope: sales(), key: key(3), answer }]).unwrap();
    refused(&store, &event(4), Limit::Count);
    store.reviews().retry(&sales(), &key(3)).unwrap();
    fresh(&store, &event(4));
    assert_eq!((state(&store, 3), store.status().in_flight), (State::Expired, 2));
    check_counters(&rig, &store, "");
}

#[test]
fn counts_and_losses_outlive_the_segments_that_told_of_them() {
    let rig = evicting(Limits::new().with_count(60));
    let store = rig.open();
    (0..60).for_each(|n| fresh(&store, &evictable(n)));
    (60..63).for_each(|n| fresh(&store, &event(n)));
    store.cancel(&sales(), &key(62)).unwrap();
    (3..62).for_each(|n| settle(&store, n));
    let first = store.inner.log.segments()[0].number;
    for round in 1..=30 {
        let events: Vec<Event> = (0..50).map(|n| sized_event(round * 100 + n, 2_000)).collect();
        store.capture_batch(&events).unwrap();
        (0..50).for_each(|n| settle(&store, round * 100 + n));
    }
    assert!(store.inner.log.segments()[0].number > first + 1, "control: trimmed");
    for store in [store, rig.after_kill().open()] {
        assert_eq!((store.status().evicted, store.status().cancelled), (3, 1));
        let losses = store.losses(None, 9).unwrap();
        assert_eq!(losses.len(), 3);
        assert!(losses.iter().all(|loss| loss.key.is_none() && loss.dropped_ms == WALL_MS));
        assert_eq!((state(&store, 0), state(&store, 62)), (State::Expired, State::Cancelled));
        check_counters(&rig, &store, "");
    }
}

/// Of two frames that tell of losses, the older one goes first and takes nothing with it.
#[test]
fn a_loss_is_listed_after_its_frame_is_gone_and_a_newer_frame_tells_of_others() {
    let rig = evicting(Limits::new().with_count(1));
    let store = rig.open();
    (0..12).for_each(|n| fresh(&store, &sized_event(n, 50_000).with_class(Class::Evictable)));
    let oldest = store.inner.log.segments()[0].number;
    assert!(store.inner.cleaner().clean_one(oldest).unwrap(), "control: it goes");
    let listed = |store: &Store| store.losses(None, 99).unwrap().len();
    assert_eq!((listed(&store), listed(&rig.after_kill().open())), (11, 11));
}

/// The list is bounded, the count is not.
#[test]
fn of_many_losses_the_last_ones_are_listed() {
    let rig = evicting(Limits::new().with_count(700));
    let store = rig.open();
    let events = |from: u64| (from..from + 700).map(evictable).collect::<Vec<_>>();
    store.capture_batch(&events(0)).unwrap();
    store.capture_batch(&events(1_000)).unwrap();
    for store in [&store, &rig.after_kill().open()] {
        assert_eq!((store.status().evicted, store.status().pending), (700, 700));
        let losses = store.losses(None, 9_999).unwrap();
        assert_eq!((losses.len(), losses[0].key.clone()), (512, Some(key(700 - 512))));
        check_counters(&rig, store, "");
    }
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let rig = rig(Limits::new().with_sum("-1".parse().unwrap()));
    assert_eq!(rig.try_open().unwrap_err().code(), "CONFIG_INVALID");
}

/// T23.
#[test]
fn an_event_that_is_too_large_is_refused_by_name_and_the_queue_goes_on() {
    let rig = Rig::new();
    let store = rig.open();
    fresh(&store, &event(1));
    let large = sized_event(2, 60_001);
    for error in [
        store.capture(&large).unwrap_err(),
        store.capture_deferred(&large).unwrap_err(),
        store.would_accept(&large).unwrap_err(),
        store.capture_batch(&[event(3), large]).unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "PAYLOAD_TOO_LONG"));
    }
    let too_many: Vec<Event> = (10..20).map(|n| sized_event(n, 50_000)).collect();
    for error in [
        store.capture_batch(&too_many).unwrap_err(),
        store.capture_batch_deferred(&too_many).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!((state(&store, 3), state(&store, 10)), (State::Unknown, State::Unknown));
    fresh(&store, &event(3));
    assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k1", "k3"]);
    check_counters(&rig, &store, "");
}

/// T20, T22.
#[test]
fn on_a_full_disk_settling_deciding_and_cancelling_go_on() {
    let rig = Rig::new();
    let store = rig.open();
    rig.disk.set_free_bytes(Some(5 * SEGMENT_BYTES));
    let mut stored = 0;
    let full = loop {
        match store.capture(&sized_event(stored, 20_000)) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((full.kind(), full.in_doubt()), (ErrorKind::Full, false));
    assert!(stored > 10, "control");
    rig.disk.set_free_bytes(Some(0));
    let (code, message) = ("NO".to_owned(), "no".to_owned());
    let answer = Answer::Rejected { code, message, reply: Vec::new() };
    for n in [0, 1] {
        let answer = answer.clone();
        store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
    }
    store.reviews().retry(&sales(), &key(0)).unwrap();
    store.reviews().resolve(&sales(), &key(1), "note").unwrap();
    store.cancel(&sales(), &key(2)).unwrap();
    settle(&store, 3);
    assert_eq!(
        [0, 1, 2, 3].map(|n| state(&store, n)),
        [State::Pending, State::Rejected, State::Cancelled, State::Accepted]
    );
    let error = store.capture(&sized_event(stored, 20_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "control: still full");
    let mut ticket = store.capture_deferred(&sized_event(0, 20_000)).unwrap();
    assert!(matches!(ticket.try_get().unwrap(), Some(Verdict::Duplicate { .. })));
    check_counters(&rig, &store, "");
    // A ticket is a handle of the store.
    drop((store, ticket));
    let store = rig.open();
    check_counters(&rig, &store, "reopened");
    (4..stored).for_each(|n| settle(&store, n));
    assert!(store.capture(&sized_event(stored, 20_000)).is_ok(), "settling made room");
}
