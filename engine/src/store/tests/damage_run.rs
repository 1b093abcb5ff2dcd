//! One flipped bit or byte, wherever it is: nothing is served wrong, no key is fresh again, nothing is silent.
//! Method: a closed store with items in every state; each byte of the log's own frames, once a bit of it and once
//! all of them, and 1,000 sampled bytes of every file, one at a time.

use std::collections::BTreeSet;

use onceward_vfs::Vfs;
use onceward_wal::KIND_HOST_MIN;

use crate::inbox::Received;
use crate::inbox::tests::calls::delivery;
use crate::records::LeaseReply;
use crate::records::tests::calls::{acquired, asks, body};
use crate::sync::payloads;
use crate::sync::{Session, Step};
use crate::testing::{Rig, event, key, receipt, sales};
use crate::{Answer, Settlement};
use crate::{Lsn, Result, State, Store, Verdict};

/// Sampled bytes of a file.
const SAMPLES: usize = 1_000;
/// Events in the store.
const EVENTS: u64 = 8;

/// What the store said before anything was damaged.
struct Whole {
    rig: Rig,
    events: Vec<(Lsn, State)>,
    delivery: Lsn,
}

/// Two pending events, two settled ones, two in review, two in flight; a lease, a record, a delivery.
fn whole() -> Whole {
    let rig = Rig::new();
    let store = rig.open();
    for n in 0..6 {
        store.capture(&event(n)).unwrap();
    }
    let settle = |n, answer| store.settle(&[Settlement { scope: sales(), key: key(n), answer }]);
    for n in [2, 3] {
        settle(n, Answer::Accepted { receipt: Some(receipt(n)) }).unwrap();
    }
    for n in [4, 5] {
        let (code, message) = ("NO".to_owned(), "no".to_owned());
        settle(n, Answer::Rejected { code, message, reply: vec![] }).unwrap();
    }
    let mut session =
        Session::start(&store, crate::testing::options().with_items_max(2), payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Send(_)), "control: in flight");
    drop(session);
    for n in 6..EVENTS {
        store.capture(&event(n)).unwrap();
    }
    acquired(&store, 1);
    let lease = acquired(&store, 2);
    store.records().complete(&lease, &body(2, 10)).unwrap();
    let Received::Fresh { lsn: delivery } = store.inbox().receive(&delivery(5)).unwrap() else {
        panic!("control")
    };
    let of = |n: u64| {
        let outcome = store.outcome(&sales(), &key(n)).unwrap();
        (outcome.lsn.unwrap(), outcome.state)
    };
    let events: Vec<(Lsn, State)> = (0..EVENTS).map(of).collect();
    let states: BTreeSet<&str> = events.iter().map(|(_, state)| state.as_str()).collect();
    assert_eq!(states.len(), 4, "control: {states:?}");
    store.close().unwrap();
    Whole { rig, events, delivery }
}

/// Whether this is what the store said before, but for what it says is lost or asks for again.
fn check(store: &Store, whole: &Whole, what: &str) -> Result<()> {
    let found = store.recovery();
    let is_told = !found.damage.is_empty() || found.index_rebuilt.is_some() || found.torn_bytes > 0;
    for (n, (lsn, before)) in (0..EVENTS).zip(&whole.events) {
        let verdict = store.capture(&event(n))?;
        let Verdict::Duplicate { lsn: of, state } = verdict else {
            panic!("{what}: {n} {verdict:?}")
        };
        assert_eq!(of, *lsn, "{what}: event {n}");
        // An answer whose frame is lost is asked for again; what is lost itself is known to be.
        let is_again =
            *before != State::Pending && matches!(state, State::Pending | State::InFlight);
        assert!(state == *before || is_told, "{what}: {n} is {state}, silently");
        let is_right = state == *before || is_again || state == State::OutcomeUnknown;
        assert!(is_right, "{what}: {n} was {before} and is {state}");
        if let Some(stored) = store.find(&sales(), &key(n))? {
            assert_eq!(stored.event, event(n), "{what}");
        } else {
            assert!(is_told, "{what}: {n} is gone, silently");
        }
    }
    for n in [1, 2] {
        match store.records().begin(&asks(n))? {
            LeaseReply::Acquired(_) => panic!("{what}: record {n} is free again"),
            LeaseReply::Cached(record) => assert_eq!((n, record.body), (2, body(2, 10)), "{what}"),
            _ => assert!(n == 1 || is_told, "{what}: record {n}"),
        }
    }
    let again = store.inbox().receive(&delivery(5))?;
    assert!(
        matches!(again, Received::Duplicate { lsn, .. } if lsn == whole.delivery),
        "{what}: {again:?}"
    );
    assert!(matches!(store.capture(&event(99))?, Verdict::Fresh { .. }), "{what}");
    Ok(())
}

/// Flips a bit of each of these bytes, one at a time.
fn flip_each(whole: &Whole, name: &str, offsets: impl IntoIterator<Item = u64>) {
    flip_bits(whole, name, offsets, |offset| 1 << (offset % 8));
}

/// Flips these bits of each of these bytes, one byte at a time.
fn flip_bits(
    whole: &Whole,
    name: &str,
    offsets: impl IntoIterator<Item = u64>,
    bits: impl Fn(u64) -> u8,
) {
    let bytes = whole.rig.disk.bytes(name).unwrap();
    let mut count = 0;
    for offset in offsets {
        let what = format!("byte {offset} of {name}");
        let rig = whole.rig.after_kill();
        let flipped = bytes[usize::try_from(offset).unwrap()] ^ bits(offset);
        rig.disk.overwrite(name, offset, &[flipped]);
        let store = rig.try_open().unwrap_or_else(|error| panic!("{what}: {error}"));
        // A part of the index that is read when it is asked for is made anew then.
        check(&store, whole, &what).unwrap_or_else(|error| panic!("{what}: {error}"));
        count += 1;
    }
    assert!(count > 0, "control: {name}");
}

/// Evenly spread bytes of a file, of which no one is special.
fn sampled(bytes: usize) -> impl Iterator<Item = u64> {
    let step = (bytes / SAMPLES).max(1);
    (0..bytes).step_by(step).map(move |at| (at + at / step * 7 % step) as u64)
}

fn flip_sampled(names: impl Fn(&str) -> bool) {
    let whole = whole();
    let in_index = whole.rig.disk.list("index").unwrap().into_iter();
    let mut all: Vec<String> = in_index.map(|name| format!("index/{name}")).collect();
    all.push("meta".to_owned());
    all.retain(|name| names(name));
    assert!(!all.is_empty(), "control");
    for name in all {
        let bytes = whole.rig.disk.bytes(&name).unwrap().len();
        flip_each(&whole, &name, sampled(bytes));
    }
}

#[test]
fn a_flipped_bit_of_the_logs_own_frames_changes_nothing_that_is_not_told() {
    let whole = whole();
    let names = whole.rig.disk.list("log").unwrap();
    let mut own: Vec<(String, u64, u64)> = vec![];
    onceward_wal::examine(&whole.rig.disk, &mut |frame| {
        if frame.kind < KIND_HOST_MIN {
            let number = format!("{:016x}", frame.place.segment);
            let name = names.iter().find(|name| name.contains(&number)).unwrap();
            let offset = u64::from(frame.place.offset);
            own.push((format!("log/{name}"), offset, frame.bytes() as u64));
        }
    })
    .unwrap();
    assert!(own.len() >= 2, "control: {own:?}");
    for (name, offset, bytes) in &own {
        flip_each(&whole, name, *offset..offset + bytes);
        flip_bits(&whole, name, *offset..offset + bytes, |_all| 0xff);
    }
    let header = own[0].0.clone();
    flip_each(&whole, &header, 0..256);
}

#[test]
fn a_flipped_bit_of_the_hosts_frames_changes_nothing_that_is_not_told() {
    let whole = whole();
    let first = whole.rig.disk.list("log").unwrap().swap_remove(0);
    let name = format!("log/{first}");
    let bytes = whole.rig.disk.bytes(&name).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    flip_each(&whole, &name, sampled(used - 4096).map(|at| at + 4096));
}

#[test]
fn a_flipped_bit_of_meta_or_of_the_manifest_changes_nothing_that_is_not_told() {
    flip_sampled(|name| name == "meta" || name == "index/manifest");
}

#[test]
fn a_flipped_bit_of_the_indexs_keys_or_tables_changes_nothing_that_is_not_told() {
    flip_sampled(|name| name.starts_with("index/") && name != "index/manifest");
}
