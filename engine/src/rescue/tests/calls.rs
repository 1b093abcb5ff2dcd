//! Leaving a store: what it tells, the bundle that takes along what it holds, the fence.

use std::time::Duration;

use crate::inbox::Delivery;
use crate::limits::{Cancellation, Limits};
use crate::rescue::{BundleKey, Exported, Imported, SkipReason};
use crate::rescue::{Reason, SafeToWipe};
use crate::review::ReviewFilter;
use crate::sync::payloads;
use crate::sync::{KeyRule, Options, Session, Step};
use crate::testing::upstream::{Mood, ScriptedUpstream};
use crate::testing::{Rig, event, key, keys, other_event, receipt, sales, sized_event};
use crate::{Amount, Class, Event, Headers, Kind, Lane, Payload, Scope, State, Store, Verdict};
use crate::{Answer, Settlement};

pub(crate) fn secret() -> BundleKey {
    BundleKey::from_bytes([9; 32])
}

pub(crate) fn settle(store: &Store, n: u64, answer: Answer) {
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

pub(crate) fn accepted(n: u64) -> Answer {
    Answer::Accepted { receipt: Some(receipt(n)) }
}

pub(crate) fn rejected() -> Answer {
    let (code, message) = ("NO_CARD".to_owned(), "no such card".to_owned());
    Answer::Rejected { code, message, reply: b"{\"e\":1}".to_vec() }
}

pub(crate) fn uncertain() -> Answer {
    Answer::Uncertain { code: "HORIZON".to_owned(), message: "too long ago".to_owned() }
}

pub(crate) fn export(store: &Store, fence: bool) -> (Vec<u8>, Exported) {
    let mut out = Vec::new();
    let exported = store.rescue().export(&mut out, &secret(), fence).unwrap();
    assert_eq!(exported.bytes, out.len() as u64);
    (out, exported)
}

pub(crate) fn import(store: &Store, bundle: &[u8]) -> Imported {
    store.rescue().import(&mut &*bundle, &secret()).unwrap()
}

pub(crate) fn state(store: &Store, n: u64) -> State {
    store.outcome(&sales(), &key(n)).unwrap().state
}

/// An event with everything that an event can have.
fn rich(n: u64) -> Event {
    event(n)
        .with_kind(Kind::new("PAYMENT").unwrap())
        .with_captured_at_ms(123)
        .with_lane(Lane::new("card-7").unwrap())
        .with_class(Class::Evictable)
        .with_headers(Headers::new().with("till", "7").unwrap())
}

/// A store with an event in every state: 1 pending, 2 in flight, 3 in review, 4 uncertain, 5 accepted,
/// 6 cancelled, 7 attempted and pending again.
pub(crate) fn full_house(rig: &Rig) -> Store {
    let store = rig.open();
    store.capture_batch(&[event(2), event(7)]).unwrap();
    let mut session = Session::start(&store, crate::testing::options(), payloads()).unwrap();
    let Step::Send(first) = session.next(0).unwrap() else { panic!() };
    let retry = crate::sync::Reply::of(vec![]);
    session.on_reply(first.id, &retry, 0).unwrap();
    drop(session);
    store.capture_batch(&[event(3), event(4), event(5), event(6)]).unwrap();
    rig.clock.advance(1_000);
    settle(&store, 3, rejected());
    settle(&store, 4, uncertain());
    settle(&store, 5, accepted(5));
    assert!(matches!(store.cancel(&sales(), &key(6)).unwrap(), Cancellation::Cancelled { .. }));
    let mut session =
        Session::start(&store, crate::testing::options().with_items_max(1), payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Send(_)));
    drop(session);
    store.capture(&rich(1)).unwrap();
    let of = |n| (n, state(&store, n));
    assert_eq!(of(2), (2, State::InFlight), "control");
    assert_eq!(of(7), (7, State::Pending), "control");
    store
}

#[test]
fn a_summary_counts_and_sums_by_state_and_scope() {
    let rig = Rig::new();
    let store = full_house(&rig);
    let other = Event::new(Scope::default(), key(1), Payload::json("{}").unwrap());
    store.capture(&other).unwrap();
    rig.clock.advance(500);
    let summary = store.rescue().summary();
    let tally = |tally: crate::rescue::Tally| (tally.count, tally.amount.to_string());
    assert_eq!(tally(summary.pending), (3, "0.08".to_owned()));
    assert_eq!(tally(summary.in_flight), (1, "0.02".to_owned()));
    assert_eq!(tally(summary.in_review), (1, "0.03".to_owned()));
    assert_eq!(tally(summary.uncertain), (1, "0.04".to_owned()));
    assert_eq!(
        (summary.oldest, summary.leases, summary.deliveries),
        (Some(Duration::from_millis(1_500)), 0, 0)
    );
    let scopes: Vec<_> =
        summary.scopes.iter().map(|it| (it.scope.as_str(), it.unsettled())).collect();
    assert_eq!((scopes, summary.scopes_left_out), (vec![("sales", 5), ("default", 1)], 0));
    assert_eq!((summary.store, summary.bytes), (store.id(), store.status().bytes));
    assert_eq!(summary.unsettled_bytes, store.status().unsettled_bytes);
    for n in 0..70 {
        let scope = Scope::new(&format!("s{n}")).unwrap();
        store.capture(&Event::new(scope, key(n), Payload::json("{}").unwrap())).unwrap();
    }
    let summary = store.rescue().summary();
    assert_eq!((summary.scopes.len(), summary.scopes_left_out), (64, 8));
}

#[test]
fn a_sum_that_does_not_fit_is_told_as_a_bound_and_is_exact_again_once_it_fits() {
    for (most, words) in [(i64::MAX, "at least 9"), (i64::MIN, "at most -9")] {
        let store = Rig::new().open();
        let most = Amount::from_ten_thousandths(most);
        let less = Amount::from_ten_thousandths(-most.ten_thousandths().clamp(-7, 7));
        let one = |n: u64, amount| event(n).with_amount(amount);
        store.capture_batch(&[one(1, most), one(2, most), one(3, less)]).unwrap();
        let (pending, status) = (store.rescue().summary().pending, store.status());
        assert_eq!((pending.amount, pending.is_at_limit), (most, true));
        assert_eq!((status.amount_pending, status.amount_is_at_limit), (most, true));
        assert!(pending.to_string().contains(words), "{pending}");
        settle(&store, 1, accepted(1));
        let (pending, status) = (store.rescue().summary().pending, store.status());
        let exact = most.checked_add(less).unwrap();
        assert_eq!((pending.amount, pending.is_at_limit), (exact, false));
        assert_eq!((status.amount_pending, status.amount_is_at_limit), (exact, false));
    }
}

#[test]
fn a_store_is_safe_to_wipe_only_when_nothing_in_it_is_needed_or_unknown() {
    let rig = Rig::new();
    let store = full_house(&rig);
    let SafeToWipe::NotSafe { why } = store.rescue().safe_to_wipe() else { panic!() };
    let texts: Vec<String> = why.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "events to send: 2 with an amount of 0.08",
            "events without an answer: 1 with an amount of 0.02",
            "events in review: 1 with an amount of 0.03",
            "uncertain events: 1 with an amount of 0.04",
        ]
    );
    [1, 2, 7].into_iter().for_each(|n| settle(&store, n, accepted(n)));
    [3, 4].into_iter().for_each(|n| store.reviews().resolve(&sales(), &key(n), "").unwrap());
    assert_eq!(store.rescue().safe_to_wipe(), SafeToWipe::Safe);
    let delivery = Delivery::new("d-1", Payload::json("{}").unwrap()).unwrap();
    let crate::inbox::Received::Fresh { lsn } = store.inbox().receive(&delivery).unwrap() else {
        panic!()
    };
    let begun = store.records().begin(&crate::records::LeaseRequest::new(sales(), key(1))).unwrap();
    let SafeToWipe::NotSafe { why } = store.rescue().safe_to_wipe() else { panic!() };
    assert_eq!(why, [Reason::Leases { count: 1 }, Reason::Deliveries { count: 1 }]);
    let crate::records::LeaseReply::Acquired(lease) = begun else { panic!() };
    store.records().release(&lease).unwrap();
    store.inbox().ack(lsn).unwrap();
    let SafeToWipe::NotSafe { why } = store.rescue().safe_to_wipe() else {
        panic!("the ack is an event")
    };
    assert!(matches!(why[..], [Reason::Pending(_)]));
}

#[test]
fn a_damaged_store_is_not_safe_to_wipe_although_all_it_knows_is_settled() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2)]).unwrap();
    let lsn = store.find(&sales(), &key(1)).unwrap().unwrap().lsn.get();
    let standing = {
        let state = store.inner.state.lock();
        state.outbox.events().standing(&state.kernel, lsn).unwrap()
    };
    [1, 2].into_iter().for_each(|n| settle(&store, n, accepted(n)));
    store.capture(&event(3)).unwrap();
    settle(&store, 3, accepted(3));
    assert!(store.rescue().safe_to_wipe().is_safe(), "control");
    store.close().unwrap();
    let name = onceward_vfs::Vfs::list(&rig.disk, "log")
        .unwrap()
        .into_iter()
        .find(|it| it.ends_with(".seg"))
        .unwrap();
    rig.disk.flip_bit(&format!("log/{name}"), u64::from(standing.at.place.offset) + 40, 0);
    let store = rig.open();
    let SafeToWipe::NotSafe { why } = store.rescue().safe_to_wipe() else { panic!() };
    assert!(why.contains(&Reason::Damage { count: 1 }), "{why:?}");
}

/// Events 1 and 2 are as they were, clocks included.
fn assert_same_events(target: &Store, before: &crate::StoredEvent, what: &str) {
    let after = target.find(&sales(), &key(1)).unwrap().unwrap();
    assert_eq!(after.event, rich(1), "{what}");
    let clocks = |it: &crate::StoredEvent| (it.captured_at_ms, it.wall_ms, it.mono_ms, it.boot);
    assert_eq!(clocks(&after), clocks(before), "{what}");
    let two = target.find(&sales(), &key(2)).unwrap().unwrap();
    assert_eq!(two.captured_at_ms, Some(crate::testing::WALL_MS), "when it happened: {what}");
}

#[test]
fn a_bundle_takes_everything_along_as_it_was() {
    let (old, new) = (Rig::new(), Rig::new());
    let source = full_house(&old);
    let before = source.find(&sales(), &key(1)).unwrap().unwrap();
    let (bundle, exported) = export(&source, true);
    assert_eq!((exported.unsettled, exported.settled, exported.unreadable_count), (5, 2, 0));
    new.clock.advance(777_000);
    let target = new.open();
    let imported = import(&target, &bundle);
    let counts = (imported.fresh, imported.fresh_settled, imported.duplicates, imported.conflicts);
    assert_eq!((counts, imported.is_again), ((7, 2, 0, 0), false));
    assert_eq!((imported.digest, imported.source), (exported.digest, source.id()));
    for (target, what) in [(target, "live"), (new.after_kill().open(), "replayed")] {
        let states: Vec<State> = (1..=7).map(|n| state(&target, n)).collect();
        let (pending, final_) = (State::Pending, State::Accepted);
        assert_eq!(
            states,
            [
                pending,
                pending,
                State::InReview,
                State::Uncertain,
                final_,
                State::Cancelled,
                pending
            ],
            "{what}"
        );
        assert_same_events(&target, &before, what);
        let items = target.reviews().list(&ReviewFilter::new()).unwrap();
        let told: Vec<_> =
            items.iter().map(|it| (it.key.as_str(), it.code.as_str(), it.since_ms)).collect();
        let since_ms = crate::testing::WALL_MS + 1_000;
        assert_eq!(told, [("k3", "NO_CARD", since_ms), ("k4", "HORIZON", since_ms)], "{what}");
        assert_eq!(
            (items[0].message.as_str(), items[0].reply.as_slice()),
            ("no such card", b"{\"e\":1}".as_slice())
        );
        let outcome = target.outcome(&sales(), &key(5)).unwrap();
        assert_eq!(outcome.receipt, Some(receipt(5)), "{what}");
        let verdict = target.capture(&event(5)).unwrap();
        assert!(matches!(verdict, Verdict::Duplicate { state: State::Accepted, .. }), "{what}");
        assert!(matches!(target.capture(&other_event(2)).unwrap(), Verdict::Conflict { .. }));
        // The upstream may have what was sent there, so only what never was can be taken back.
        for n in [2, 7] {
            let cancelled = target.cancel(&sales(), &key(n)).unwrap();
            assert!(matches!(cancelled, Cancellation::TooLate { .. }), "{n}: {what}");
        }
        let known = target.rescue().summary().imports;
        assert_eq!((known[0].bundle, known[0].fresh, known.len()), (exported.bundle, 7, 1));
        assert_eq!(known[0].source, source.id());
    }
    let looked = new.look();
    assert_eq!(looked.reviews().unwrap().len(), 2);
    let seen: Vec<_> = looked.events().map(|event| event.unwrap().state).collect();
    assert_eq!(seen.len(), 7);
}

#[test]
fn what_went_along_is_sent_from_the_new_store_in_its_order_and_once() {
    let (old, new) = (Rig::new(), Rig::new());
    let (source, target) = (full_house(&old), new.open());
    let (bundle, _) = export(&source, true);
    import(&target, &bundle);
    target.reviews().retry(&sales(), &key(4)).unwrap();
    let mut upstream = ScriptedUpstream::default();
    let mut session = Session::start(&target, crate::testing::options(), payloads()).unwrap();
    while let Step::Send(batch) = session.next(0).unwrap() {
        let reply = upstream.take(&batch, Mood::Well).unwrap();
        session.on_reply(batch.id, &reply, 0).unwrap();
    }
    let effects: Vec<_> = upstream.effects().iter().map(|(key, n)| (key.as_str(), *n)).collect();
    assert_eq!(effects, [("k1", 1), ("k2", 1), ("k4", 1), ("k7", 1)]);
    drop(session);
    target.reviews().resolve(&sales(), &key(3), "paid in cash").unwrap();
    assert!(target.rescue().safe_to_wipe().is_safe());
}

#[test]
fn the_same_bundle_again_changes_nothing() {
    let (old, new) = (Rig::new(), Rig::new());
    let (source, target) = (full_house(&old), new.open());
    let (bundle, exported) = export(&source, true);
    import(&target, &bundle);
    let (status, synced) = (target.status(), target.inner.log.synced());
    for target in [target, new.after_kill().open()] {
        let again = import(&target, &bundle);
        assert_eq!((again.fresh, again.duplicates, again.conflicts), (0, 7, 0));
        assert!(again.is_again);
        assert_eq!(
            (target.status().pending, target.status().in_review),
            (status.pending, status.in_review)
        );
        assert!(
            target.inner.log.synced() <= synced + 2,
            "nothing is written but what opening does"
        );
        // A second export of a store that is left has the same number.
        let (second, more) = export(&source, true);
        assert_eq!(more.bundle, exported.bundle);
        assert_ne!(second, bundle, "control: another salt");
        assert!(import(&target, &second).is_again);
    }
}

#[test]
fn a_key_with_other_content_is_left_out_and_listed() {
    let (old, new) = (Rig::new(), Rig::new());
    let (source, target) = (full_house(&old), new.open());
    let lsn = target.capture(&other_event(2)).unwrap().lsn();
    target.capture(&event(7)).unwrap();
    let imported = import(&target, &export(&source, false).0);
    assert_eq!((imported.fresh, imported.duplicates, imported.conflicts), (5, 1, 1));
    let left_out = &imported.left_out[0];
    assert_eq!(
        (&left_out.scope, &left_out.key, &left_out.why),
        (&sales(), &key(2), &SkipReason::Conflict { lsn })
    );
    assert_eq!(target.find(&sales(), &key(2)).unwrap().unwrap().event, other_event(2));
    assert_eq!(target.rescue().summary().imports[0].conflicts, 1);
}

#[test]
fn what_the_importer_may_not_hold_is_left_out_and_its_limits_leave_nothing_out() {
    let (old, mut new) = (Rig::new(), Rig::new());
    let source = old.open();
    source.capture_batch(&[event(1), sized_event(2, 2_000), event(3)]).unwrap();
    new.config = new.config.with_payload_bytes_max(1_000).with_limits(Limits::new().with_count(1));
    let target = new.open();
    let imported = import(&target, &export(&source, false).0);
    assert_eq!((imported.fresh, imported.refused), (2, 1));
    assert!(matches!(&imported.left_out[0].why, SkipReason::Refused { why } if why.contains("2")));
    assert_eq!(target.capture(&event(9)).unwrap_err().code(), "LIMIT_COUNT", "control");
}

#[test]
fn a_bundle_of_many_chunks_comes_whole() {
    let (old, new) = (Rig::new(), Rig::new());
    let source = old.open();
    for n in 0..60 {
        source
            .capture_batch(
                &(n * 10..n * 10 + 10).map(|n| sized_event(n, 3_000)).collect::<Vec<_>>(),
            )
            .unwrap();
    }
    source.capture(&sized_event(1_000, 59_000)).unwrap();
    let (bundle, exported) = export(&source, false);
    assert!(bundle.len() > 20 * 64 * 1024, "control: {}", bundle.len());
    assert_eq!(exported.unsettled, 601);
    let target = new.open();
    assert_eq!(import(&target, &bundle).fresh, 601);
    let mine = keys(&source.pending(&sales(), None, 9_999).unwrap());
    assert_eq!(keys(&target.pending(&sales(), None, 9_999).unwrap()), mine);
    assert_eq!(source.status().fence, None, "the store goes on");
    source.capture(&event(5_000)).unwrap();
}

#[test]
fn a_bundle_takes_along_under_which_keys_an_upstream_got_a_scope() {
    let hub = crate::sync::Upstream::new("https://hub.example", "wede").unwrap();
    let options = Options::new(sales()).with_upstream(hub);
    let source = Rig::new().open();
    source.capture(&event(1)).unwrap();
    let prefixed = options.clone().with_keys(KeyRule::ScopePrefix);
    let mut session = Session::start(&source, prefixed, payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Send(_)), "it may be there");
    drop(session);
    let (bundle, _) = export(&source, true);
    let target = Rig::new().open();
    import(&target, &bundle);
    let other = options.clone().with_keys(KeyRule::Conveyed);
    let error = Session::start(&target, other.clone(), payloads()).unwrap_err();
    assert_eq!(error.code(), "WIRE_KEYS_CHANGED");
    let mut session = Session::start(&target, options, payloads()).unwrap();
    let Step::Send(batch) = session.next(0).unwrap() else { panic!("it waits") };
    assert_eq!(batch.items().next().unwrap().key, "~sales/k1", "the key that the upstream knows");
    // A store that went another way cannot go on for this one.
    let target = Rig::new().open();
    target.capture(&event(2)).unwrap();
    let mut session = Session::start(&target, other, payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Send(_)));
    drop(session);
    let refused = target.rescue().import(&mut bundle.as_slice(), &secret()).unwrap_err();
    assert_eq!((refused.code(), target.status().keys), ("WIRE_KEYS_CHANGED", 1));
}
