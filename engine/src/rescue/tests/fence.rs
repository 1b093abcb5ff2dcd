//! A store that is left: it sends nothing and takes nothing new, until a person says that the bundle
//! is not.

use std::io::{self, Write};

use crate::rescue::tests::calls::{accepted, export, full_house, import, secret, settle, state};
use onceward_vfs::{Fault, FaultKind, FaultOp};

use crate::capture::{Effect, WouldAccept};
use crate::inbox::Delivery;
use crate::rescue::BundleId;
use crate::review::Decision;
use crate::sync::payloads;
use crate::sync::{Session, Step};
use crate::testing::{Rig, event, key, other_event, receipt, sales, sized_event};
use crate::{ErrorKind, Payload, Result, State, Store, Verdict};

fn assert_fenced<T: std::fmt::Debug>(answer: Result<T>) {
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Fenced, "STORE_FENCED"), "{error}");
}

fn assert_left(store: &Store) {
    assert_fenced(store.capture(&event(100)));
    assert_fenced(store.capture_batch(&[event(1), event(100)]));
    assert_fenced(store.capture_deferred(&event(100)));
    assert_fenced(store.would_accept(&event(100)));
    let (event_100, receipt) = (event(100), receipt(100));
    assert_fenced(store.apply_batch(&[Effect { event: event_100, receipt }]));
    assert_fenced(store.cancel(&sales(), &key(7)));
    assert_fenced(store.reviews().retry(&sales(), &key(3)));
    assert_fenced(store.reviews().decide(&Decision::resolve(sales(), key(3), "")));
    assert_fenced(
        store.inbox().receive(&Delivery::new("d-1", Payload::json("{}").unwrap()).unwrap()),
    );
    assert_fenced(Session::start(store, crate::testing::options(), payloads()).map(drop));
    // What is known is still told.
    assert!(matches!(store.capture(&event(7)).unwrap(), Verdict::Duplicate { .. }));
    assert!(matches!(store.capture(&other_event(7)).unwrap(), Verdict::Conflict { .. }));
    assert!(matches!(store.would_accept(&event(7)).unwrap(), WouldAccept::Duplicate { .. }));
}

#[test]
fn a_store_that_is_left_takes_and_sends_nothing_until_it_is_opened_again() {
    let rig = Rig::new();
    let store = full_house(&rig);
    let delivery = Delivery::new("d-0", Payload::json("{}").unwrap()).unwrap();
    let crate::inbox::Received::Fresh { lsn } = store.inbox().receive(&delivery).unwrap() else {
        panic!()
    };
    let (_, exported) = export(&store, true);
    let after = rig.after_kill();
    for (store, rig) in [(store, &rig), (after.open(), &after)] {
        assert_left(&store);
        assert_fenced(store.inbox().ack(lsn));
        let fence = store.status().fence.unwrap();
        assert_eq!((fence.bundle, store.rescue().summary().fence), (exported.bundle, Some(fence)));
        assert_eq!(rig.look().status().fence, Some(fence));
        store.tick().unwrap();
        // What came back for what was sent before is true.
        settle(&store, 2, accepted(2));
        assert_eq!(state(&store, 2), State::Accepted);
        let other = store.rescue().unfence(BundleId([3; 16])).unwrap_err();
        assert_eq!((other.kind(), other.code()), (ErrorKind::Invalid, "OTHER_BUNDLE"));
        store.rescue().unfence(exported.bundle).unwrap();
        assert_eq!(store.rescue().unfence(exported.bundle).unwrap_err().code(), "NOT_FENCED");
        assert!(matches!(store.capture(&event(100)).unwrap(), Verdict::Fresh { .. }));
        store.inbox().ack(lsn).unwrap();
        let mut session = Session::start(&store, crate::testing::options(), payloads()).unwrap();
        assert!(matches!(session.next(0).unwrap(), Step::Send(_)));
        drop(session);
        assert_eq!(store.status().fence, None);
    }
    assert_eq!(rig.after_kill().open().status().fence, None);
}

#[test]
fn a_session_that_runs_stops_before_its_next_batch() {
    let rig = Rig::new();
    let store = full_house(&rig);
    let mut session =
        Session::start(&store, crate::testing::options().with_items_max(1), payloads()).unwrap();
    let Step::Send(batch) = session.next(0).unwrap() else { panic!() };
    let (_, exported) = export(&store, true);
    let item = batch.items().next().unwrap().key.to_owned();
    let accepted = crate::sync::ItemOutcome::Accepted { receipt: None };
    session.on_reply(batch.id, &crate::sync::Reply::of(vec![(item, accepted)]), 0).unwrap();
    assert_fenced(session.next(0));
    store.rescue().unfence(exported.bundle).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Send(_)), "it goes on");
}

#[test]
fn a_fence_and_imports_outlive_their_segments() {
    let (old, new) = (Rig::new(), Rig::new());
    let source = full_house(&old);
    let (bundle, exported) = export(&source, true);
    let target = new.open();
    import(&target, &bundle);
    fill(&target);
    clean_first(&target, |segments| segments[0].number > 3);
    for target in [target, new.after_kill().open()] {
        assert_eq!(target.rescue().summary().imports[0].bundle, exported.bundle);
        assert_eq!(target.rescue().summary().imports.len(), 1);
        assert!(import(&target, &bundle).is_again);
        let states = [1, 2, 3, 4, 5, 6, 7].map(|n| state(&target, n));
        assert_eq!(
            states[2..6],
            [State::InReview, State::Uncertain, State::Accepted, State::Cancelled]
        );
        assert_eq!(target.outcome(&sales(), &key(5)).unwrap().receipt, Some(receipt(5)));
        assert_eq!(target.reviews().get(&sales(), &key(3)).unwrap().code, "NO_CARD");
    }
    // A fence stands in the first segments; answers to what is on its way make the others go.
    let rig = Rig::new();
    let store = rig.open();
    let numbers: Vec<u64> = (0..40).collect();
    numbers.chunks(4).for_each(|some| {
        let events: Vec<_> = some.iter().map(|n| sized_event(*n, 50_000)).collect();
        store.capture_batch(&events).unwrap();
    });
    let (_, first) = export(&store, true);
    store.rescue().unfence(first.bundle).unwrap();
    let (_, second) = export(&store, true);
    numbers.iter().for_each(|n| settle(&store, *n, accepted(*n)));
    clean_first(&store, |segments| segments.len() < 3);
    for store in [store, rig.after_kill().open()] {
        assert_eq!(store.status().fence.unwrap().bundle, second.bundle);
    }
}

/// Cleans the oldest segment, whatever lives in it, until it `is_enough`.
fn clean_first(store: &Store, is_enough: impl Fn(&[onceward_wal::SegmentInfo]) -> bool) {
    for _ in 0..60 {
        let segments = store.inner.log.segments();
        if is_enough(&segments) {
            return;
        }
        assert!(store.inner.cleaner().clean_one(segments[0].number).unwrap());
    }
    panic!("the oldest segments do not go");
}

/// Captures and settles until the first segments are gone.
fn fill(store: &Store) {
    for round in 0..12 {
        let numbers: Vec<u64> = (1_000 + round * 10..1_004 + round * 10).collect();
        let events: Vec<_> = numbers.iter().map(|n| sized_event(*n, 50_000)).collect();
        store.capture_batch(&events).unwrap();
        numbers.iter().for_each(|n| settle(store, *n, accepted(*n)));
    }
}

#[test]
fn a_store_does_not_take_up_its_own_bundle() {
    let rig = Rig::new();
    let store = full_house(&rig);
    let (bundle, exported) = export(&store, true);
    for _ in 0..2 {
        let error = store.rescue().import(&mut bundle.as_slice(), &secret()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "SAME_STORE"));
        assert!(error.to_string().contains("unfence"), "{error}");
        drop(store.rescue().unfence(exported.bundle));
    }
    let other = Rig::new();
    let left = other.open();
    export(&left, true);
    assert_fenced(left.rescue().import(&mut bundle.as_slice(), &secret()));
}

/// A stick that takes this many bytes.
struct Stick(usize);

impl Write for Stick {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::Error::from_raw_os_error(28)) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stick_that_is_full_loses_nothing() {
    let rig = Rig::new();
    let store = full_house(&rig);
    let error = store.rescue().export(&mut Stick(3), &secret(), true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert_eq!(store.status().fence, None, "not even the header: the store is as it was");
    let error = store.rescue().export(&mut Stick(300), &secret(), true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    let bundle = store.status().fence.unwrap().bundle;
    let (again, exported) = export(&store, true);
    assert_eq!((exported.bundle, exported.unsettled), (bundle, 5));
    assert_eq!(import(&Rig::new().open(), &again).fresh, 7);
}

#[test]
fn a_disk_that_refuses_the_fence_leaves_the_store_as_it_was() {
    let rig = Rig::new();
    let store = full_house(&rig);
    rig.disk.plan(Fault {
        op: FaultOp::Write,
        name_contains: String::new(),
        nth: 0,
        kind: FaultKind::Enospc,
        forever: true,
    });
    store.rescue().export(&mut Vec::new(), &secret(), true).unwrap_err();
    rig.disk.forget_faults();
    let store = rig.after_kill().open();
    assert_eq!(store.status().fence, None);
    assert!(matches!(store.capture(&event(100)).unwrap(), Verdict::Fresh { .. }));
}

#[test]
fn captures_that_race_with_leaving_are_in_the_bundle_or_refused() {
    let rig = Rig::new();
    let store = rig.open();
    let bundle = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|worker| {
                let store = &store;
                scope.spawn(move || {
                    let stored = (0..).map(|n| worker * 100_000 + n);
                    stored.take_while(|n| store.capture(&event(*n)).is_ok()).last()
                })
            })
            .collect();
        while store.status().pending < 30 {
            std::thread::yield_now();
        }
        let bundle = export(&store, true).0;
        (bundle, workers.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>())
    });
    let target = Rig::new().open();
    let imported = import(&target, &bundle.0);
    assert_eq!(imported.fresh, store.status().pending);
    for last in bundle.1.into_iter().flatten() {
        assert_eq!(state(&target, last), State::Pending, "{last}");
    }
}
