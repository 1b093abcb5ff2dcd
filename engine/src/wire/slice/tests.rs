//! Slices come back as they were made, and nothing else is taken for one.

use proptest::prelude::*;

use super::*;
use crate::event::{Event, Key, Lane, Payload};

fn events() -> Vec<StoredEvent> {
    let plain = Event::new(Scope::default(), Key::new("k1").unwrap(), Payload::json("{}").unwrap());
    let full = Event::new(
        Scope::default(),
        Key::new("\u{e4}-2").unwrap(),
        Payload::bytes(vec![0, 255, 7]),
    )
    .with_kind(Kind::new("PAYMENT").unwrap())
    .with_amount(Amount::from_ten_thousandths(-12_500))
    .with_lane(Lane::new("card-7").unwrap())
    .with_headers(Headers::new().with("till", "7").unwrap().with("empty", "").unwrap());
    let mut unknown = StoredEvent::as_if_captured(full.clone(), 5);
    unknown.captured_at_ms = None;
    vec![StoredEvent::as_if_captured(plain, -3), StoredEvent::as_if_captured(full, 5), unknown]
}

fn encoded(events: &[StoredEvent], behind: &[(u32, u64)]) -> Vec<u8> {
    let mut bytes = begin_slice(u32::try_from(events.len()).unwrap());
    for stored in events {
        push_entry(stored, stored.event.key.as_str(), &mut bytes);
    }
    end_slice(behind, &mut bytes);
    bytes
}

#[test]
fn a_slice_comes_back_as_it_was_made() {
    let events = events();
    let bytes = encoded(&events, &[(2, 77)]);
    let slice = StreamSlice::decode(&bytes).unwrap();
    assert_eq!(slice.entries.len(), 3);
    for (entry, stored) in slice.entries.iter().zip(&events) {
        let headers = entry.checked_headers().unwrap();
        let scope = Scope::default();
        let event = entry.event(&scope, &headers).unwrap().to_event();
        let expected = Event { captured_at_ms: stored.captured_at_ms, ..stored.event.clone() };
        assert_eq!((event, entry.lsn), (expected, stored.lsn.get()));
    }
    let behind: Vec<_> = slice.entries.iter().map(|entry| entry.behind).collect();
    assert_eq!(behind, [None, None, Some(77)]);
    assert_eq!(StreamSlice::decode(&encoded(&[], &[])).unwrap().entries, []);
}

#[test]
fn an_entry_has_these_bytes() {
    let mut bytes = Vec::new();
    push_entry(&events()[0], "k1", &mut bytes);
    let body = [
        1, 0, 0, 0, 0, 0, 0, 0, 253, 255, 255, 255, 255, 255, 255, 255, 1, 2, b'k', b'1', b'{',
        b'}',
    ];
    assert_eq!(bytes[8..], body);
    assert_eq!(bytes[..8], [22, 0, 0, 0, 224, 210, 51, 246], "length, CRC-32");
}

#[test]
fn a_slice_that_is_cut_anywhere_or_goes_on_is_none() {
    let bytes = encoded(&events(), &[(0, 1)]);
    assert!(StreamSlice::decode(&bytes).is_ok(), "control");
    for end in 0..bytes.len() {
        assert!(StreamSlice::decode(&bytes[..end]).is_err(), "{end}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(StreamSlice::decode(&longer), Err(SliceFault::Length));
    let outside = encoded(&events(), &[(3, 1)]);
    assert_eq!(StreamSlice::decode(&outside), Err(SliceFault::Entry { index: 3 }));
}

#[test]
fn what_is_not_utf_8_and_says_that_it_is_json_is_refused_as_an_event() {
    let scope = Scope::default();
    let bytes = encoded(&events()[1..2], &[]);
    let mut slice = StreamSlice::decode(&bytes).unwrap();
    slice.entries[0].is_json = true;
    let headers = Headers::new();
    let refused = slice.entries[0].event(&scope, &headers).unwrap_err();
    assert_eq!(refused.kind(), crate::ErrorKind::Invalid);
}

proptest! {
    #[test]
    fn a_flipped_bit_is_seen(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = encoded(&events(), &[]);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(StreamSlice::decode(&bytes).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(StreamSlice::decode(&bytes));
        drop(StreamSlice::decode(&[MAGIC.as_slice(), &bytes].concat()));
    }
}
