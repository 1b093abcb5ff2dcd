//! Batches that are refused as a whole.

use super::*;
use crate::review::ReviewFilter;
use crate::sync::Failure;
use crate::testing::{Rig, sized_event};

/// About 2 log2 n requests, wherever the poison is.
#[test]
fn bisecting_finds_the_one_event_for_which_a_batch_is_refused() {
    for poison in [1, 2, 31, 32, 33, 63, 64] {
        let rig = Rig::new();
        let store = rig.open();
        capture(&store, 1..=64);
        let poison = key(poison).to_string();
        let mut upstream = ScriptedUpstream::default();
        upstream.refuse_batches_with(&poison);
        let mut session = Session::start(&store, options().with_items_max(64), payloads()).unwrap();
        drain(&mut session, &mut upstream, 0);
        assert!(upstream.request_count() <= 2 * 6 + 1, "{poison}: {}", upstream.request_count());
        let reviews = store.reviews().list(&ReviewFilter::new()).unwrap();
        assert_eq!(reviews.len(), 1, "{poison}");
        assert_eq!((reviews[0].key.as_str(), reviews[0].code.as_str()), (&*poison, "VALIDATION"));
        assert_eq!(reviews[0].message, "an item breaks a rule");
        assert_eq!((store.status().settled, store.status().in_flight), (63, 0));
        assert_eq!(upstream.effects().len(), 63);
        assert_eq!(session.report().rejected, 1);
    }
}

#[test]
fn several_poisoned_events_are_all_found_and_nothing_else_is_held() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=40);
    let poison: std::collections::BTreeSet<String> =
        [3, 4, 20, 39].map(|n| key(n).to_string()).into();
    let mut upstream = ScriptedUpstream::default();
    poison.iter().for_each(|key| upstream.refuse_batches_with(key));
    let mut session = Session::start(&store, options().with_items_max(20), payloads()).unwrap();
    drain(&mut session, &mut upstream, 0);
    let found: Vec<String> = store
        .reviews()
        .list(&ReviewFilter::new())
        .unwrap()
        .into_iter()
        .map(|item| item.key.to_string())
        .collect();
    assert_eq!(found, ["k3", "k4", "k20", "k39"]);
    assert_eq!(store.status().settled, 36);
    assert!(upstream.effects().values().all(|count| *count == 1));
}

#[test]
fn a_crash_in_the_middle_of_bisecting_goes_on_with_the_same_halves() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=8);
    let mut upstream = ScriptedUpstream::default();
    upstream.refuse_batches_with("k7");
    let mut session = Session::start(&store, options().with_items_max(8), payloads()).unwrap();
    let whole = batch(&mut session, 0);
    let refused = upstream.take(&whole, Mood::Well).unwrap_err();
    session.on_failure(whole.id, &refused, 0).unwrap();
    let half = batch(&mut session, 0);
    assert_eq!(half.item_keys(), ["k1", "k2", "k3", "k4"]);
    upstream.take(&half, Mood::LosesReply).unwrap_err();
    let killed = rig.after_kill();
    drop(session);
    let store = killed.open();
    let mut session = Session::start(&store, options().with_items_max(8), payloads()).unwrap();
    let again = batch(&mut session, 0);
    assert_eq!((again.id, &again.items), (half.id, &half.items));
    session.on_abandoned();
    drain(&mut session, &mut upstream, 0);
    assert_eq!((store.status().settled, store.status().in_review), (7, 1));
    let is_whole = |(key, count): (&str, usize)| key != whole.idempotency_key && count > 4;
    assert!(!upstream.batches().any(is_whole));
}

/// T23.
#[test]
fn a_batch_that_is_too_large_is_halved_and_a_single_event_that_is_goes_to_review() {
    let rig = Rig::new();
    let store = rig.open();
    for n in 1..=32 {
        let bytes = if n == 5 { 5_000 } else { 100 };
        store.capture(&sized_event(n, bytes)).unwrap();
    }
    let mut session = Session::start(&store, options().with_items_max(16), payloads()).unwrap();
    let mut sizes = Vec::new();
    let mut refused = 0;
    while let Step::Send(sent) = session.next(0).unwrap() {
        let bytes: usize = sent.items().map(|i| i.body.len()).sum();
        sizes.push(sent.items().len());
        if bytes > 2_000 {
            refused += 1;
            session.on_failure(sent.id, &Failure::TooLarge, 0).unwrap();
        } else {
            let numbers: Vec<(String, ItemOutcome)> =
                sent.items().map(|i| (i.key.to_owned(), accepted())).collect();
            session.on_reply(sent.id, &Reply::of(numbers), 0).unwrap();
        }
    }
    let reviews = store.reviews().list(&ReviewFilter::new()).unwrap();
    assert_eq!(reviews.len(), 1);
    assert_eq!((reviews[0].key.as_str(), reviews[0].code.as_str()), ("k5", "TOO_LARGE"));
    assert_eq!((store.status().settled, refused), (31, 5), "{sizes:?}");
    assert_eq!(sizes.last(), Some(&16), "one large event makes no batch small for ever: {sizes:?}");
}

#[test]
fn what_an_upstream_takes_at_most_is_learned() {
    let rig = Rig::new();
    let store = rig.open();
    for n in 1..=64 {
        store.capture(&sized_event(n, 200)).unwrap();
    }
    let mut session = Session::start(&store, options().with_items_max(16), payloads()).unwrap();
    let (mut refused, mut taken) = (0, 0);
    while let Step::Send(sent) = session.next(0).unwrap() {
        let bytes: usize = sent.items().map(|i| i.body.len()).sum();
        if bytes > 2_000 {
            refused += 1;
            session.on_failure(sent.id, &Failure::TooLarge, 0).unwrap();
        } else {
            taken += sent.items().len();
            let items = sent.items().map(|i| (i.key.to_owned(), accepted()));
            session.on_reply(sent.id, &Reply::of(items.collect()), 0).unwrap();
        }
    }
    assert_eq!((refused, taken), (1, 64), "only the first was too large");
}

#[test]
fn a_reply_that_is_too_large_halves_the_batch_and_the_next_ones_and_rejects_nothing() {
    let store = Rig::new().open();
    capture(&store, 1..=12);
    let mut session = Session::start(&store, options().with_items_max(8), payloads()).unwrap();
    let failure = Failure::ReplyTooLarge { why: "the reply has more bytes".to_owned() };
    let whole = batch(&mut session, 0);
    assert_eq!(whole.items().len(), 8);
    session.on_failure(whole.id, &failure, 0).unwrap();
    for numbers in [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]] {
        let half = batch(&mut session, 0);
        assert_eq!(half.items().len(), 4, "{numbers:?}");
        session.on_reply(half.id, &reply(&numbers, &accepted()), 0).unwrap();
    }
    assert_eq!((session.report().accepted, store.status().in_review), (12, 0));
}

#[test]
fn a_reply_to_a_single_event_that_is_too_large_is_the_line_and_never_sends_it_to_review() {
    let store = Rig::new().open();
    capture(&store, 1..=1);
    let mut session = start(&store);
    let failure = Failure::ReplyTooLarge { why: "the reply has more bytes".to_owned() };
    let mut now_ms = 0;
    for _ in 0..20 {
        let single = batch(&mut session, now_ms);
        session.on_failure(single.id, &failure, now_ms).unwrap();
        now_ms += 10_000_000;
    }
    assert_eq!((store.status().in_review, session.report().unreachable), (0, true));
    let single = batch(&mut session, now_ms);
    session.on_reply(single.id, &reply(&[1], &accepted()), now_ms).unwrap();
    assert_eq!(session.report().accepted, 1);
}

/// A limit on the way, which the upstream does not know.
#[test]
fn a_request_that_is_too_large_for_who_is_on_the_way_is_halved_and_no_event_is_rejected_for_it() {
    for effort in [Effort::Once, Effort::Forever] {
        let store = Rig::new().open();
        for n in 1..=64 {
            store.capture(&sized_event(n, if n == 5 { 5_000 } else { 200 })).unwrap();
        }
        let options = options().with_items_max(64).with_effort(effort);
        let mut session = Session::start(&store, options, payloads()).unwrap();
        let failure = Failure::LineTooNarrow { why: "status 413: a web page".to_owned() };
        let (mut now_ms, mut upstream) = (0, ScriptedUpstream::default());
        while now_ms < 60_000 {
            match session.next(now_ms).unwrap() {
                Step::Send(sent) => {
                    let size = |it: crate::sync::Item<'_>| it.body.len();
                    if sent.items().map(size).sum::<usize>() > 2_000 {
                        session.on_failure(sent.id, &failure, now_ms).unwrap();
                    } else {
                        let reply = upstream.take(&sent, Mood::Well).unwrap();
                        session.on_reply(sent.id, &reply, now_ms).unwrap();
                    }
                }
                Step::Wait { until_ms } => now_ms = until_ms,
                step => {
                    assert!(matches!(step, Step::Idle | Step::Blocked), "{step:?}");
                    break;
                }
            }
        }
        assert_eq!((pending(&store), store.status().in_review), (vec!["k5".to_owned()], 0));
        assert!(session.report().batches < 30, "{:?}", session.report());
    }
}

#[test]
fn a_gate_that_calls_everything_too_large_is_the_line_and_not_asked_more_and_more() {
    let store = Rig::new().open();
    capture(&store, 1..=64);
    let options = options().with_items_max(64).with_effort(Effort::Once);
    let mut session = Session::start(&store, options, payloads()).unwrap();
    let failure = Failure::LineTooNarrow { why: "status 413: a web page".to_owned() };
    let mut now_ms = 0;
    loop {
        match session.next(now_ms).unwrap() {
            Step::Send(sent) => session.on_failure(sent.id, &failure, now_ms).unwrap(),
            Step::Wait { until_ms } => now_ms = until_ms,
            step => {
                assert!(matches!(step, Step::Idle | Step::Blocked), "{step:?}");
                break;
            }
        }
    }
    assert!(session.report().batches <= 12, "{:?}", session.report());
    assert_eq!((pending(&store).len(), session.report().unreachable), (64, true));
}
