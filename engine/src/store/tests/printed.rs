//! What `Debug` prints goes into logs: numbers as people know them, and no content.

use super::lost_keys::damage;
use crate::limits::Limits;
use crate::records::LeaseRequest;
use crate::sync::ItemOutcome;
use crate::testing::{Rig, cents, event, key, receipt, sales};
use crate::{Answer, Payload, Receipt};

const CONTENT: &str = "4711-secret";

fn content() -> Vec<u8> {
    CONTENT.as_bytes().to_vec()
}

#[test]
fn what_a_host_or_an_upstream_wrote_is_not_printed() {
    let payload = Payload::json(&format!(r#"{{"card":"{CONTENT}"}}"#)).unwrap();
    let event = crate::Event { payload, ..event(1) };
    let (code, message) = ("NO_CARD".to_owned(), "no such card".to_owned());
    let answer =
        Answer::Rejected { code: code.clone(), message: message.clone(), reply: content() };
    let outcome = ItemOutcome::Rejected { code, message, reply: content() };
    let lease = LeaseRequest::new(sales(), key(1)).with_request(content());
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event).unwrap();
    let settlement = crate::Settlement { scope: sales(), key: key(1), answer: answer.clone() };
    store.settle(&[settlement]).unwrap();
    let item = store.reviews().get(&sales(), &key(1)).unwrap();
    for shown in [
        format!("{event:?}"),
        format!("{answer:?}"),
        format!("{outcome:?}"),
        format!("{lease:?}"),
        format!("{item:?}"),
    ] {
        let list = format!("{:?}", &content()[..4]);
        assert!(
            !shown.contains(CONTENT) && !shown.contains(list.trim_matches(['[', ']'])),
            "{shown}"
        );
        assert!(
            shown.contains("11 bytes") || shown.contains("bytes: 22, is_json: true"),
            "{shown}"
        );
    }
    assert_eq!(format!("{item:?}").matches("k1").count(), 1, "{item:?}");
    assert_eq!(format!("{:?}", Payload::bytes(vec![7; 3])), "Payload { bytes: 3, is_json: false }");
    let shown = format!("{:?}", Answer::Duplicate { receipt: Some(receipt(1)) });
    assert_eq!(shown, format!("Duplicate {{ receipt: Some(Receipt(\"txn_{:032x}\")) }}", 1));
    assert_eq!(format!("{:?}", Receipt::new(&[0, 171]).unwrap()), "Receipt(00ab)");
}

#[test]
fn numbers_are_printed_as_everybody_prints_them() {
    let store = Rig::new().open();
    store.capture(&event(245_000)).unwrap();
    assert_eq!(format!("{:?}", store.id()), format!("StoreId({})", store.id()));
    let tally = store.rescue().summary().pending;
    assert_eq!(
        format!("{tally:?}"),
        "Tally { count: 1, amount: Amount(2450.00), is_at_limit: false }"
    );
    let limits = format!("{:?}", Limits::new().with_sum(cents(111_000)));
    assert!(limits.contains("Amount(1110.00)"), "{limits}");
    let boot = store.find(&sales(), &key(245_000)).unwrap().unwrap().boot;
    assert_eq!(format!("{boot:?}"), format!("BootId({boot})"));
}

#[cfg(feature = "rescue")]
#[test]
fn bundles_are_printed_by_their_hexadecimal_numbers() {
    let (store, other) = (Rig::new().open(), Rig::new().open());
    store.capture(&event(1)).unwrap();
    let (mut out, secret) = (Vec::new(), crate::rescue::BundleKey::from_bytes([9; 32]));
    let exported = store.rescue().export(&mut out, &secret, true).unwrap();
    let imported = other.rescue().import(&mut &*out, &secret).unwrap();
    let digest: String = exported.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    for shown in [format!("{exported:?}"), format!("{imported:?}")] {
        let told = format!("bundle: BundleId({})", exported.bundle);
        assert!(shown.contains(&told), "{shown}");
        assert!(shown.contains(&format!("digest: {digest}")), "{shown}");
    }
    let shown = format!("{store:?}");
    assert!(shown.contains("is_left: true"), "{shown}");
    assert!(format!("{other:?}").contains("is_left: false"), "{other:?}");
}

#[test]
fn a_store_says_that_it_is_damaged_and_nothing_of_that_if_it_is_not() {
    let rig = Rig::new();
    let store = rig.open();
    let lsn = store.capture(&event(1)).unwrap().lsn();
    store.capture(&event(2)).unwrap();
    assert!(!format!("{store:?}").contains("damaged"), "{store:?}");
    store.close().unwrap();
    damage(&rig, lsn.get());
    let store = rig.open();
    let shown = format!("damaged_ranges: {}", store.status().damaged_ranges);
    assert!(format!("{store:?}").contains(&shown) && !shown.ends_with(" 0"), "{store:?}");
}
