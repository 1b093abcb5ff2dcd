//! What a session says of a disk that is full, also where it goes on.

use super::*;
use crate::testing::{Rig, SEGMENT_BYTES, sized_event};

/// A store on a disk without room: captures have taken all that they may.
fn full_store(rig: &Rig) -> Store {
    let store = rig.open();
    rig.disk.set_free_bytes(Some(3 * SEGMENT_BYTES));
    for bytes in [10_000, 1] {
        for n in 0.. {
            if store
                .capture(&sized_event(bytes * 1_000 + n, usize::try_from(bytes).unwrap()))
                .is_err()
            {
                break;
            }
        }
    }
    rig.disk.set_free_bytes(Some(0));
    store
}

#[test]
fn reasons_that_find_no_room_are_told_until_there_is_some() {
    let rig = Rig::new();
    let store = full_store(&rig);
    let mut session = start_once(&store);
    assert!(!session.report().is_full, "control: nothing was to be written yet");
    let refused = ItemOutcome::Rejected {
        code: "NO".to_owned(),
        message: "m".repeat(1_000),
        reply: vec![b'r'; 4_000],
    };
    for _ in 0..1_000 {
        let Step::Send(sent) = session.next(0).unwrap() else { break };
        let items = sent.items().map(|item| (item.key.to_owned(), refused.clone()));
        session.on_reply(sent.id, &Reply::of(items.collect()), 0).unwrap();
        if session.report().is_full {
            break;
        }
    }
    let report = session.report();
    assert!(
        report.last_failure.as_deref().unwrap_or("").contains("the disk is full"),
        "{report:?}"
    );
    assert!(report.is_full, "{report:?}");
    rig.disk.set_free_bytes(None);
    assert!(!session.report().is_full, "there is room");
}

#[test]
fn what_is_parked_is_counted_apart_from_what_a_reply_rejects() {
    let store = Rig::new().open();
    capture(&store, 1..=3);
    let mut session =
        Session::start(&store, options(), crate::testing::upstream::payloads_but(&["k1"])).unwrap();
    let sent = batch(&mut session, 0);
    let outcomes = [("k2", accepted()), ("k3", crate::testing::upstream::rejected("NO"))];
    let items = outcomes.into_iter().map(|(key, outcome)| (key.to_owned(), outcome)).collect();
    session.on_reply(sent.id, &Reply::of(items), 0).unwrap();
    let report = session.report();
    assert_eq!((report.accepted, report.rejected, report.parked), (1, 2, 1));
}
