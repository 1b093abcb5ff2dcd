//! The bytes of leases, records and the ends of leases.

use super::*;
use crate::base::golden::{assert_bytes, hex};

fn lease() -> LeaseFrame {
    LeaseFrame {
        item: 1,
        fence: 2,
        scope: "s".to_owned(),
        key: "k1".to_owned(),
        token: Token::new([0xaa; 16]),
        content_hash: 3,
        slice_begin: 4,
        since_ms: -1,
    }
}

fn head(form: u8) -> RecordHead {
    RecordHead {
        item: 1,
        fence: 2,
        scope: "s".to_owned(),
        key: "k1".to_owned(),
        content_hash: 3,
        slice_begin: 4,
        settled_ms: 5,
        completed_at_ms: 6,
        form,
    }
}

#[test]
fn a_lease_has_these_bytes() {
    assert_bytes(
        &lease(),
        "0200 0100000000000000 0200000000000000 0100000000000000 73 0200000000000000 6b31 \
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 0300000000000000 0400000000000000 ffffffffffffffff",
    );
}

#[test]
fn the_end_of_a_lease_has_these_bytes() {
    let end = LeaseEndFrame { item: 1, fence: 2, fingerprint: 3 };
    assert_bytes(&end, "0100 0100000000000000 0200000000000000 03000000000000000000000000000000");
}

#[test]
fn a_record_has_these_bytes_and_its_body_behind_them() {
    let head = head(FORM_JSON);
    let bytes = [head.encode().as_slice(), b"{}"].concat();
    assert_eq!(
        hex(&bytes),
        "46000000 0200 0100000000000000 0200000000000000 0100000000000000 73 0200000000000000 6b31 \
         0300000000000000 0400000000000000 0500000000000000 0600000000000000 01 7b7d"
            .replace(' ', "")
    );
    assert_eq!(RecordHead::decode(&bytes), Some((head, b"{}".as_slice())));
}

#[test]
fn leases_and_records_of_the_first_version_are_those_of_requests_that_are_not_known() {
    let mut bytes = codec::encode(&lease());
    bytes[0] = 1;
    assert_eq!(codec::decode(&bytes), Some(LeaseFrame { content_hash: 0, ..lease() }));
    let mut bytes = [head(FORM_JSON).encode().as_slice(), b"{}"].concat();
    bytes[4] = 1;
    let expected = RecordHead { content_hash: 0, ..head(FORM_JSON) };
    assert_eq!(RecordHead::decode(&bytes), Some((expected, b"{}".as_slice())));
    bytes[4] = 0;
    assert_eq!(RecordHead::decode(&bytes), None, "no such version was written");
}

#[test]
fn a_record_that_is_cut_within_its_head_or_of_a_form_that_nobody_knows_is_refused() {
    let bytes = head(0).encode();
    assert!(RecordHead::decode(&bytes).is_some(), "control: with an empty body");
    for cut in 0..bytes.len() {
        assert_eq!(RecordHead::decode(&bytes[..cut]), None, "cut at {cut}");
    }
    let mut invalid = bytes.clone();
    *invalid.last_mut().unwrap() = 2;
    assert_eq!(RecordHead::decode(&invalid), None);
    let mut long = bytes;
    long[3] = 0xff;
    assert_eq!(RecordHead::decode(&long), None, "a length beyond the frame");
}

#[test]
fn tokens_are_equal_in_all_bytes_or_not_at_all_and_are_never_shown() {
    let token = Token::new([7; 16]);
    assert_eq!(token, Token::new([7; 16]), "control");
    for at in 0..16 {
        let mut bytes = [7; 16];
        bytes[at] = 8;
        assert_ne!(token, Token::new(bytes), "byte {at}");
    }
    let shown = format!("{:?}", lease());
    assert!(shown.contains("Token(..)") && !shown.contains("170") && !shown.contains("aa"));
}
