//! Windows that the upstream issues: once in each, dropped and counted when it is over.

use std::time::Duration;

use crate::ErrorKind;
use crate::base::{FrameKind, codec};
use crate::inbox::frames::DeliveryFrame;
use crate::inbox::tests::calls::{
    HOUR_MS, MINUTE_MS, answers, delivery, duplicate, fresh, open_numbers, payload,
};
use crate::inbox::{Delivery, DeliveryState, DropReason, Received, WindowId, WindowKey};
use crate::kernel::{FrameBody, Share};
use crate::testing::{Rig, event, key, sales};
use crate::{Answer, Settlement};

fn window(n: u64) -> WindowId {
    WindowId::new(&format!("w{n}")).unwrap()
}

/// Survey number `n` for a subject, once in this window.
fn survey(subject: &str, n: u64, window: &WindowId) -> Delivery {
    let within = WindowKey::new(subject, &format!("survey-{n}"), window.clone()).unwrap();
    Delivery::of_window(within, payload(n))
}

const NOT_OPEN: Received = Received::Dropped { why: DropReason::WindowNotOpen };

/// T55: three reconnects in a window deliver once, the next window once more, and no clock of the
/// client has a say.
#[test]
fn within_a_window_of_the_upstream_it_is_delivered_once_whatever_the_wall_clock_says() {
    let rig = Rig::new();
    let store = rig.open();
    assert_eq!(
        store.inbox().receive(&survey("user", 1, &window(1))).unwrap(),
        NOT_OPEN,
        "never told"
    );
    store.inbox().open_window(&window(1), Duration::from_millis(30 * MINUTE_MS)).unwrap();
    let first = fresh(&store, &survey("user", 1, &window(1)));
    store.inbox().ack(first).unwrap();
    for reconnect in 0..3 {
        rig.clock.advance(5 * MINUTE_MS);
        rig.clock.step_wall(if reconnect % 2 == 0 { -7 } else { 9 } * 3_600_000);
        store
            .inbox()
            .open_window(&window(1), Duration::from_millis((25 - 5 * reconnect) * MINUTE_MS))
            .unwrap();
        let again = store.inbox().receive(&survey("user", 1, &window(1))).unwrap();
        assert_eq!(again, duplicate(first, DeliveryState::Acked), "reconnect {reconnect}");
    }
    rig.clock.advance(15 * MINUTE_MS - 1);
    fresh(&store, &survey("user", 2, &window(1)));
    rig.clock.advance(1);
    assert_eq!(
        store.inbox().receive(&survey("user", 3, &window(1))).unwrap(),
        NOT_OPEN,
        "it is over"
    );
    store.inbox().open_window(&window(2), Duration::from_millis(30 * MINUTE_MS)).unwrap();
    let second = fresh(&store, &survey("user", 1, &window(2)));
    assert_ne!(second, first);
    let again = store.inbox().receive(&survey("user", 1, &window(2))).unwrap();
    assert_eq!(again, duplicate(second, DeliveryState::Open));
}

/// T55: a window that outlasts the inbox's own window keeps its keys.
#[test]
fn what_was_finished_in_a_long_window_stays_a_duplicate_until_that_is_over() {
    for told_first_ms in [2 * HOUR_MS, 5 * HOUR_MS] {
        stays_a_duplicate_for_five_hours(told_first_ms);
    }
}

/// Five hours are told either at once, or after the delivery was finished.
fn stays_a_duplicate_for_five_hours(told_first_ms: u64) {
    let rig = Rig::new();
    let rig = Rig {
        config: rig.config.clone().with_inbox_window(Duration::from_millis(MINUTE_MS)),
        ..rig
    };
    let mut store = rig.open();
    store.inbox().open_window(&window(1), Duration::from_millis(told_first_ms)).unwrap();
    let lsn = fresh(&store, &survey("user", 1, &window(1)));
    store.inbox().ack(lsn).unwrap();
    let plain = fresh(&store, &delivery(9));
    store.inbox().ack(plain).unwrap();
    // The upstream makes the window longer after it was acked, or tells it as it was.
    store.inbox().open_window(&window(1), Duration::from_millis(5 * HOUR_MS)).unwrap();
    for turn in 0..9 {
        rig.clock.advance(HOUR_MS / 2);
        store.tick().unwrap();
        // Time passes only while frames tell it.
        store.capture(&event(turn)).unwrap();
        let again = store.inbox().receive(&survey("user", 1, &window(1))).unwrap();
        assert_eq!(again, duplicate(lsn, DeliveryState::Acked), "turn {turn}");
        drop(store);
        store = rig.open();
    }
    assert_ne!(fresh(&store, &delivery(9)), plain, "control: the inbox's own window is short");
    rig.clock.advance(HOUR_MS);
    assert_eq!(store.inbox().receive(&survey("user", 1, &window(1))).unwrap(), NOT_OPEN);
    // Told again much later, it is a window like any other.
    rig.clock.advance(2 * HOUR_MS);
    store.inbox().open_window(&window(1), Duration::from_millis(HOUR_MS)).unwrap();
    fresh(&store, &survey("user", 1, &window(1)));
}

/// T57: one user with two devices.
#[test]
fn the_subject_decides_whether_it_is_once_a_user_or_once_a_device() {
    let store = Rig::new().open();
    store.inbox().open_window(&window(1), Duration::from_millis(HOUR_MS)).unwrap();
    let user = fresh(&store, &survey("user-1", 1, &window(1)));
    let again = store.inbox().receive(&survey("user-1", 1, &window(1))).unwrap();
    assert_eq!(again, duplicate(user, DeliveryState::Open), "the laptop of the same user");
    fresh(&store, &survey("user-1/phone", 2, &window(1)));
    fresh(&store, &survey("user-1/laptop", 2, &window(1)));
    // Texts that run together are kept apart.
    let joined = |subject: &str, id: &str| {
        Delivery::of_window(WindowKey::new(subject, id, window(1)).unwrap(), payload(1))
    };
    fresh(&store, &joined("ab", "c"));
    fresh(&store, &joined("a", "bc"));
}

/// T58: a window that is over drops what is unfinished, and what comes late; both are counted.
#[test]
fn what_is_unfinished_when_its_window_is_over_is_dropped_counted_and_listed() {
    let rig = Rig::new();
    let store = rig.open();
    store.inbox().open_window(&window(1), Duration::from_millis(HOUR_MS)).unwrap();
    store.inbox().open_window(&window(2), Duration::from_millis(9 * HOUR_MS)).unwrap();
    let (one, two) = (survey("user", 1, &window(1)), survey("user", 2, &window(1)));
    let (first, second) = (fresh(&store, &one), fresh(&store, &two));
    let (scope, key) = (sales(), key(1));
    store.capture(&event(1)).unwrap();
    store.settle(&[Settlement { scope, key, answer: Answer::Accepted { receipt: None } }]).unwrap();
    let numbered = delivery(7).with_window(WindowKey::new("u", "d", window(1)).unwrap());
    let third = fresh(&store, &numbered);
    let stays = fresh(&store, &survey("user", 1, &window(2)));
    store.inbox().ack(second).unwrap();
    rig.clock.advance(HOUR_MS);
    assert_eq!(open_numbers(&store), [stays], "nobody begins work on what is over");
    assert_eq!(store.inbox().resume(first).unwrap_err().code(), "ALREADY_FINISHED");
    store.tick().unwrap();
    let error = store.inbox().ack(first).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Fenced, "ALREADY_FINISHED"));
    for store in [&store, &rig.after_kill().open()] {
        let dropped = store.inbox().dropped();
        let told = |at: usize| (dropped[at].lsn, dropped[at].id.as_str(), &*dropped[at].window);
        assert_eq!((told(0), told(1)), ((first, "survey-1", "w1"), (third, "e7", "w1")));
        let status = store.inbox().status();
        assert_eq!((status.dropped, status.open, status.finished, status.windows), (2, 1, 1, 1));
        assert_eq!(store.inbox().get(first).unwrap().unwrap().state, DeliveryState::Dropped);
        assert_eq!(answers(store), ["ack:survey-2~".to_owned() + &answers(store)[0][13..]]);
        assert_eq!(store.inbox().receive(&one).unwrap(), NOT_OPEN);
        assert_eq!(store.inbox().status().refused_window_not_open, 1);
        assert_eq!(store.inbox().status().dropped, 2, "it was not stored again");
        // What was finished is still known, so that a lost ack can be repeated.
        assert_eq!(store.inbox().receive(&two).unwrap(), duplicate(second, DeliveryState::Acked));
        // It never took effect: sent for another window, or for none, it is taken.
        let once_more = fresh(store, &delivery(7));
        assert_eq!(
            store.inbox().receive(&delivery(7)).unwrap(),
            duplicate(once_more, DeliveryState::Open)
        );
        assert_eq!((store.status().settled, store.status().pending), (1, 1));
        store.inbox().fail(once_more, "no").unwrap();
    }
    drop(store);
    let store = rig.open();
    assert_eq!(store.inbox().status().dropped, 2);
    assert_eq!(store.inbox().status().finished, 2);
}

#[test]
fn a_window_that_is_closed_is_over_at_once() {
    let rig = Rig::new();
    let store = rig.open();
    assert_eq!(store.inbox().close_window(&window(1)).unwrap(), [], "never told");
    store.inbox().open_window(&window(1), Duration::from_millis(HOUR_MS)).unwrap();
    let lsn = fresh(&store, &survey("user", 1, &window(1)));
    assert_eq!(store.inbox().close_window(&window(1)).unwrap(), [lsn]);
    assert_eq!(store.inbox().close_window(&window(1)).unwrap(), []);
    for store in [store, rig.after_kill().open()] {
        assert_eq!(store.inbox().receive(&survey("user", 2, &window(1))).unwrap(), NOT_OPEN);
        assert_eq!((store.inbox().status().dropped, store.inbox().status().windows), (1, 0));
        // Told again it is open again, and what was dropped can be delivered.
        store.inbox().open_window(&window(1), Duration::from_millis(HOUR_MS)).unwrap();
        fresh(&store, &survey("user", 1, &window(1)));
    }
}

#[test]
fn windows_are_bounded_and_those_that_are_over_make_room() {
    let rig = Rig::new();
    let store = rig.open();
    (0..64).for_each(|n| {
        store.inbox().open_window(&window(n), Duration::from_millis(HOUR_MS + n)).unwrap();
    });
    let error = store.inbox().open_window(&window(64), Duration::from_millis(HOUR_MS)).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Full, "WINDOWS_FULL"));
    store.inbox().open_window(&window(63), Duration::from_millis(HOUR_MS * 2)).unwrap();
    rig.clock.advance(HOUR_MS);
    store.inbox().open_window(&window(64), Duration::from_millis(HOUR_MS)).unwrap();
    drop(store);
    assert_eq!(rig.open().inbox().status().windows, 64);
    for bad in [0, 400 * 24 * HOUR_MS + 1] {
        let error =
            rig.open().inbox().open_window(&window(1), Duration::from_millis(bad)).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "WINDOW_INVALID"));
    }
}

/// P4: what can never end otherwise is dropped, and said so.
#[test]
fn a_delivery_whose_window_was_lost_with_a_damaged_frame_is_dropped_and_counted() {
    let rig = Rig::new();
    let store = rig.open();
    let body = DeliveryFrame::Received {
        wall_offset_ms: 0,
        body: survey("user", 1, &window(1)).to_body(),
    };
    let frame = codec::encode(&body);
    let frame = FrameBody::new(FrameKind::Delivery, frame);
    let placed = store.inner.write(&[frame], Share::Decisions).unwrap().placed;
    drop(store);
    let store = rig.open();
    assert_eq!((store.inbox().status().open, store.inbox().status().dropped), (1, 0), "control");
    assert_eq!(store.inbox().list(None, 9).unwrap(), [], "its window is not open");
    store.tick().unwrap();
    for store in [store, rig.after_kill().open()] {
        assert_eq!((store.inbox().status().open, store.inbox().status().dropped), (0, 1));
        assert_eq!(store.inbox().dropped()[0].lsn.get(), placed[0].lsn);
    }
}
