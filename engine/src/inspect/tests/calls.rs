//! Looking without a lock: the same answers as the store's own.

use crate::review::ReviewFilter;
use crate::sync::payloads;
use crate::sync::{Session, Step};
use crate::testing::{Rig, event, key, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Event, Scope, Store, StoredEvent};

/// Every event that the store still has, by asking for each key.
fn by_key(store: &Store, count: u64) -> Vec<StoredEvent> {
    let find = |n: u64| store.find(&sales(), &key(n)).unwrap();
    let mut all: Vec<StoredEvent> = (0..count).filter_map(find).collect();
    all.sort_by_key(|event| event.lsn);
    all
}

fn assert_same(rig: &Rig, store: &Store, count: u64, what: &str) {
    let seen = rig.look();
    let events: Vec<StoredEvent> = seen.events().map(Result::unwrap).collect();
    assert_eq!(events, by_key(store, count), "{what}");
    assert_eq!(
        seen.reviews().unwrap(),
        store.reviews().list(&ReviewFilter::new()).unwrap(),
        "{what}"
    );
    assert_eq!(seen.status(), store.status(), "{what}");
    assert_eq!(seen.recovery().damage, [], "{what}");
}

#[test]
fn a_look_at_a_store_that_is_open_tells_what_the_store_tells() {
    let rig = Rig::new();
    let store = rig.open();
    assert_same(&rig, &store, 0, "empty");
    store.capture_batch(&(0..20).map(event).collect::<Vec<_>>()).unwrap();
    assert_same(&rig, &store, 20, "captured");
    let answers: Vec<Settlement> = (0..6)
        .map(|n| {
            let answer = match n {
                0 | 1 => Answer::Accepted { receipt: Some(receipt(n)) },
                2 => Answer::Duplicate { receipt: None },
                _ => Answer::Rejected { code: "C".into(), message: "m".into(), reply: vec![7] },
            };
            Settlement { scope: sales(), key: key(n), answer }
        })
        .collect();
    store.settle(&answers).unwrap();
    assert_same(&rig, &store, 20, "settled");
    store.reviews().retry(&sales(), &key(3)).unwrap();
    store.reviews().resolve(&sales(), &key(4), "gone").unwrap();
    assert_same(&rig, &store, 20, "decided");
    let options = crate::testing::options().with_items_max(4);
    let mut session = Session::start(&store, options, payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Send(_)));
    assert_same(&rig, &store, 20, "in flight");
    rig.clock.advance(5_000);
    store.capture(&event(20)).unwrap();
    assert_same(&rig, &store, 21, "later");
    for first in (100..3_000).step_by(100) {
        let batch: Vec<Event> = (first..first + 50).map(|n| sized_event(n, 2_000)).collect();
        store.capture_batch(&batch).unwrap();
        let accepted = |n| Settlement {
            scope: sales(),
            key: key(n),
            answer: Answer::Accepted { receipt: Some(receipt(n)) },
        };
        store.settle(&(first..first + 50).map(accepted).collect::<Vec<_>>()).unwrap();
    }
    assert!(store.inner.log.segments()[0].number > 2, "control: trimmed");
    assert_same(&rig, &store, 3_000, "cleaned");
    drop(session);
    drop(store);
    let store = rig.open();
    assert_same(&rig, &store, 3_000, "reopened");
}

/// T12: what a writer trims and uses again while somebody reads is not lost.
#[test]
fn what_is_trimmed_after_a_look_is_read_where_it_stands_now() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2), event(3)]).unwrap();
    let answer = Answer::Rejected { code: "C".into(), message: "m".into(), reply: vec![7] };
    store.settle(&[Settlement { scope: sales(), key: key(2), answer }]).unwrap();
    let accepted = |n| Settlement {
        scope: sales(),
        key: key(n),
        answer: Answer::Accepted { receipt: Some(receipt(n)) },
    };
    store.settle(&[accepted(3)]).unwrap();
    let seen = rig.look();
    let before: Vec<StoredEvent> = seen.events().map(Result::unwrap).collect();
    let reviews = seen.reviews().unwrap();
    assert_eq!((before.len(), reviews.len()), (3, 1), "control");
    for first in (100..3_000).step_by(100) {
        let batch: Vec<Event> = (first..first + 50).map(|n| sized_event(n, 2_000)).collect();
        store.capture_batch(&batch).unwrap();
        store.settle(&(first..first + 50).map(accepted).collect::<Vec<_>>()).unwrap();
    }
    assert!(store.inner.log.segments()[0].number > 1, "control: trimmed");
    let after: Vec<StoredEvent> = seen.events().map(Result::unwrap).collect();
    assert_eq!(after, before[..2], "what is settled is gone, and nothing else");
    assert_eq!(seen.reviews().unwrap(), reviews);
}

/// T24.
#[test]
fn a_look_at_a_long_store_tells_what_the_store_tells() {
    let rig = Rig::new();
    let store = rig.open();
    for n in 0..170 {
        store.capture(&sized_event(n, 59_000)).unwrap();
    }
    assert!(store.inner.log.segments().len() > 40, "control: more than stay open");
    assert_same(&rig, &store, 170, "long");
    drop(store);
    assert_same(&rig, &rig.open(), 170, "reopened");
}

#[test]
fn a_look_changes_nothing() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    drop(store);
    let ops = rig.disk.changing_ops().len();
    assert_eq!(rig.look().events().count(), 1);
    assert_eq!(rig.disk.changing_ops().len(), ops);
}

/// T12, P4: a damaged byte costs its frame and no neighbour, and is told.
#[test]
fn a_damaged_frame_is_told_and_its_neighbours_are_shown() {
    let rig = Rig::new();
    let store = rig.open();
    let elsewhere = Event { scope: Scope::default(), ..event(4) };
    store.capture_batch(&[event(1), event(2), event(3), elsewhere]).unwrap();
    store.close().unwrap();
    assert_eq!(rig.look().events().count(), 4, "control");
    let names = onceward_vfs::Vfs::list(&rig.disk, "log").unwrap();
    let found = names.iter().find_map(|name| {
        let path = format!("log/{name}");
        let bytes = rig.disk.bytes(&path)?;
        // The key and the beginning of the payload: two letters may stand anywhere by chance.
        let needle = br#"k2{"n":2"#;
        let offset = bytes.windows(needle.len()).position(|window| window == needle)?;
        Some((path, offset as u64))
    });
    let (path, offset) = found.unwrap();
    rig.disk.flip_bit(&path, offset, 3);
    let seen = rig.look();
    let keys: Vec<String> =
        seen.events().filter_map(Result::ok).map(|e| e.event.key.to_string()).collect();
    assert_eq!(keys, ["k1", "k3", "k4"]);
    assert_eq!(seen.recovery().damage.len(), 1, "{:?}", seen.recovery());
    assert!(seen.recovery().damage[0].file.contains(".seg"));
    let store = rig.open();
    assert_eq!(store.recovery().damage, seen.recovery().damage);
    assert_eq!(store.status().pending, 3);
    assert!(matches!(store.capture(&event(5)).unwrap(), crate::Verdict::Fresh { .. }));
}
