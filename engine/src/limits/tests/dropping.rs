//! Which events are dropped to make room.

use crate::capture::WouldAccept;
use crate::limits::tests::calls::{check_counters, evictable, evicting, fresh, refused, state};
use crate::limits::{Limit, Limits, WhenFull};
use crate::testing::{Rig, event};
use crate::{Amount, Class, State, Verdict};

/// A request without a reply may have arrived: its events wait to be sent again, and may be upstream.
#[test]
fn what_was_attempted_is_never_dropped_also_after_a_restart() {
    use crate::sync::{ItemOutcome, Reply, Session, Step};
    let rig = evicting(Limits::new().with_count(3));
    let store = rig.open();
    (1..=3).for_each(|n| fresh(&store, &evictable(n)));
    let options = crate::testing::options().with_items_max(2);
    let mut session = Session::start(&store, options, crate::sync::payloads()).unwrap();
    let Step::Send(batch) = session.next(0).unwrap() else { panic!("nothing to send") };
    // The upstream asks for each of them again, so the batch is over.
    let again = |code: &str| ItemOutcome::Transient { code: code.to_owned(), retry_after_ms: None };
    let items = batch.items().map(|item| (item.key.to_owned(), again("BUSY")));
    let reply = Reply::of(items.collect());
    session.on_reply(batch.id, &reply, 0).unwrap();
    assert_eq!((store.status().pending, store.status().in_flight), (3, 0), "control");
    drop(session);
    drop(store);
    let rig = rig.after_kill();
    let store = rig.open();
    fresh(&store, &event(4));
    assert_eq!(
        [1, 2, 3].map(|n| state(&store, n)),
        [State::Pending, State::Pending, State::Expired]
    );
    refused(&store, &event(5), Limit::Count);
    check_counters(&rig, &store, "");
}

/// Dropping a refund raises the sum, which matters only where there is a limit on it.
#[test]
fn refunds_are_dropped_like_others_and_refuse_nothing_for_a_sum_that_nobody_limits() {
    let refund = |n: u64| {
        let amount = Amount::from_minor(-500, 2).unwrap();
        event(n).with_amount(amount).with_class(Class::Evictable)
    };
    let limits = || Limits::new().with_count(2).with_when_full(WhenFull::EvictOldest);
    let sums = [None, Some(100), Some(0)];
    for sum in sums {
        let rig = Rig::new();
        let limits = match sum {
            None => limits(),
            Some(most) => limits().with_sum(Amount::from_minor(most * 100, 2).unwrap()),
        };
        let config = rig.config.clone().with_limits(limits);
        let store = Rig { config, ..rig }.open();
        store.capture(&refund(1)).unwrap();
        store.capture(&refund(2)).unwrap();
        let sale = event(3).with_amount(Amount::from_minor(100, 2).unwrap());
        assert_eq!(store.would_accept(&sale).unwrap(), WouldAccept::Fresh, "{sum:?}");
        assert!(matches!(store.capture(&sale).unwrap(), Verdict::Fresh { .. }), "{sum:?}");
        assert_eq!(store.status().evicted, 1, "{sum:?}");
    }
    // Where it would raise the sum over its limit, it is not dropped.
    let rig = Rig::new();
    let limits = limits().with_sum(Amount::from_minor(0, 2).unwrap());
    let config = rig.config.clone().with_limits(limits);
    let store = Rig { config, ..rig }.open();
    store.capture(&refund(1)).unwrap();
    store.capture(&event(2).with_amount(Amount::from_minor(500, 2).unwrap())).unwrap();
    let sale = event(3).with_amount(Amount::from_minor(0, 2).unwrap());
    assert_eq!(store.capture(&sale).unwrap_err().code(), "LIMIT_SUM");
    assert_eq!(store.status().evicted, 0);
}
