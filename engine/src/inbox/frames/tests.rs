use super::*;
use crate::base::codec::{decode, encode};
use crate::base::golden::assert_bytes;

fn body() -> DeliveryBody {
    DeliveryBody {
        event_id: Some("e".to_owned()),
        external_id: None,
        within: Some(WithinBody {
            subject: "u".to_owned(),
            delivery_id: "d".to_owned(),
            window: "w".to_owned(),
        }),
        steps: 3,
        is_json: true,
        payload: b"1".to_vec(),
    }
}

const BODY: &str = "01 0100000000000000 65 00 01 0100000000000000 75 0100000000000000 64 \
                    0100000000000000 77 03000000 01 0100000000000000 31";

#[test]
fn windows_have_these_bytes() {
    let opened = WindowOpened { number: 1, id: "w".to_owned(), opened_ms: 2, ends_ms: 3 };
    assert_bytes(
        &WindowFrame::Opened(opened),
        "0100 00000000 0100000000000000 0100000000000000 77 0200000000000000 0300000000000000",
    );
    let closed = WindowClosed { number: 1, id: "w".to_owned(), dropped: vec![5], dropped_total: 6 };
    assert_bytes(
        &WindowFrame::Closed(closed),
        "0100 01000000 0100000000000000 0100000000000000 77 \
         0100000000000000 0500000000000000 0600000000000000",
    );
    assert_bytes(&WindowFrame::Counted { dropped_total: 7 }, "0100 02000000 0700000000000000");
}

#[test]
fn deliveries_have_these_bytes() {
    let received = DeliveryFrame::Received { wall_offset_ms: -2, body: body() };
    assert_bytes(&received, &format!("0100 00000000 feffffffffffffff {BODY}"));
    let moved = DeliveryMoved {
        number: 1,
        trusted_ms: 2,
        wall_ms: -1,
        done: 2,
        slice_begins: vec![4, 5],
        body: body(),
    };
    assert_bytes(
        &DeliveryFrame::Moved(moved),
        &format!(
            "0100 01000000 0100000000000000 0200000000000000 ffffffffffffffff 02000000 \
             0200000000000000 0400000000000000 0500000000000000 {BODY}"
        ),
    );
    let key = FinishedKey { fingerprint: 1, is_of_window: true, slice_begin: 2, settled_ms: 3 };
    let entry = FinishedEntry { number: 1, state: 2, event: 9, keys: vec![key] };
    assert_bytes(
        &DeliveryFrame::Finished(vec![entry]),
        "0100 02000000 0100000000000000 0100000000000000 02 0900000000000000 0100000000000000 \
         01000000000000000000000000000000 01 0200000000000000 0300000000000000",
    );
}

#[test]
fn progress_has_these_bytes() {
    assert_bytes(
        &ProgressFrame::Step { delivery: 1, step: 2 },
        "0100 00000000 0100000000000000 02000000",
    );
    let ending = DeliveryEnd { delivery: 1, state: 2, settled_ms: 3, event: 4 };
    assert_bytes(
        &ProgressFrame::Final(ending),
        "0100 01000000 0100000000000000 02 0300000000000000 0400000000000000",
    );
}

#[test]
fn a_hostile_length_is_refused() {
    let mut bytes = encode(&DeliveryFrame::Received { wall_offset_ms: 0, body: body() });
    assert!(decode::<DeliveryFrame>(&bytes).is_some(), "control");
    // The length of the event's number is 2^60.
    bytes[22] = 0x10;
    assert_eq!(decode::<DeliveryFrame>(&bytes), None);
}
