use super::*;
use crate::Receipt;
use crate::base::{BootId, Wall};
use onceward_vfs::testing::golden;
use proptest::prelude::*;

fn body(event: &Event) -> (u8, Vec<u8>) {
    let encoded = Encoded::new(event);
    (encoded.flags, encoded.parts().concat())
}

fn full() -> Event {
    Event::new(
        Scope::new("sales").unwrap(),
        Key::new("k1").unwrap(),
        Payload::json(r#"{"n":1.50}"#).unwrap(),
    )
    .with_kind(Kind::new("PAYMENT").unwrap())
    .with_captured_at_ms(-5)
    .with_amount("1.50".parse().unwrap())
    .with_lane(Lane::new("card-7").unwrap())
    .with_class(Class::Evictable)
}

const FORMAT: &str = include_str!("../../../FORMAT.md");

#[test]
fn the_smallest_event_takes_one_byte_over_key_and_payload() {
    let event =
        Event::new(Scope::default(), Key::new("k1").unwrap(), Payload::json(r#"{"n":1}"#).unwrap());
    let (flags, bytes) = body(&event);
    assert_eq!((flags, bytes.len()), (JSON, 1 + 2 + 7));
    assert_eq!(bytes, golden(FORMAT, "event"));
    assert_eq!(View::decode(flags, &bytes).unwrap().to_event().unwrap(), event);
}

#[test]
fn every_attribute_comes_back() {
    let (flags, bytes) = body(&full());
    assert_eq!(flags, 0b111_1111);
    assert_eq!(bytes, golden(FORMAT, "full"));
    assert_eq!(View::decode(flags, &bytes).unwrap().to_event().unwrap(), full());
}

fn with_headers() -> Event {
    let headers = Headers::new().with("till", "7").unwrap().with("t", "").unwrap();
    Event::new(Scope::default(), Key::new("k1").unwrap(), Payload::json(r#"{"n":1}"#).unwrap())
        .with_lane(Lane::new("a").unwrap())
        .with_headers(headers)
}

#[test]
fn how_far_the_wall_clock_was_set_is_told_with_the_event() {
    let event =
        Event::new(Scope::default(), Key::new("k1").unwrap(), Payload::json(r#"{"n":1}"#).unwrap());
    let encoded = Encoded::dated(&event, -5);
    let bytes = encoded.parts().concat();
    assert_eq!((encoded.flags, &bytes), (JSON, &golden(FORMAT, "wall")));
    let view = View::decode(JSON, &bytes).unwrap();
    let moment = Moment { trusted_ms: 3, wall: Wall::at(100) };
    assert_eq!(view.captured(moment), Moment { trusted_ms: 3, wall: Wall::at(95) });
    assert_eq!(view.to_event().unwrap(), event);
    for unknown in [0, 4, 0xff] {
        let mut bytes = bytes.clone();
        bytes[1] = unknown;
        assert!(View::decode(JSON, &bytes).is_none(), "{unknown}");
    }
}

#[test]
fn headers_come_back_in_their_order() {
    let (flags, bytes) = body(&with_headers());
    assert_eq!((flags, &bytes), (JSON | LANE, &golden(FORMAT, "headers")));
    assert_eq!(View::decode(flags, &bytes).unwrap().to_event().unwrap(), with_headers());
    for cut in 0..bytes.len() - 7 {
        assert!(View::decode(flags, &bytes[..cut]).is_none(), "cut at {cut}");
    }
    let mut newer = bytes;
    newer[1] = 2;
    assert!(View::decode(flags, &newer).is_none(), "flags of a newer program");
}

#[test]
fn a_body_that_ends_early_is_refused_and_never_panics() {
    let (flags, bytes) = body(&full());
    assert!(View::decode(flags, &bytes).is_some(), "control");
    let payload = br#"{"n":1.50}"#.len();
    for cut in 0..bytes.len() - payload {
        assert!(View::decode(flags, &bytes[..cut]).is_none(), "cut at {cut}");
    }
}

#[test]
fn carried_and_effect_heads_come_back() {
    let origin = Origin { boot: BootId([6; 16]), mono_ms: 5 };
    let carried = Carried {
        event_lsn: 1,
        trusted_ms: 2,
        slice_begin: 3,
        wall: Wall::at(-4),
        origin,
        is_attempted: true,
        is_imported: false,
    };
    let mut bytes = carried.encode().to_vec();
    assert_eq!(bytes, golden(FORMAT, "carried"));
    bytes.extend_from_slice(b"rest");
    assert_eq!(Carried::decode(9, &bytes), Some((carried, b"rest".as_slice())));
    assert_eq!(Carried::decode(9, &bytes[..CARRIED_BYTES - 1]), None);

    for event in [full(), with_headers()] {
        let receipt = Receipt::new(b"txn_1").unwrap();
        let view = View::of(&event);
        let head = EventHead::new(&view, Some(&receipt), 0);
        let (flags, rest) = body(&event);
        assert_eq!(head.flags, flags);
        let mut bytes = Vec::new();
        head.append(&mut bytes);
        bytes.extend(event.key.as_str().bytes().chain(event.payload.as_bytes().iter().copied()));
        assert_eq!(split_effect(&bytes), Some((b"txn_1".as_slice(), rest.as_slice())));
        assert_eq!(split_effect(&bytes[..4]), None);
    }
}

proptest! {
    #[test]
    fn bytes_of_any_origin_never_panic(flags in any::<u8>(), bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Some(view) = View::decode(flags, &bytes) {
            prop_assert!(view.payload.len() < bytes.len());
            view.to_event();
        }
    }
}
