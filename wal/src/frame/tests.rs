//! A frame's bytes are those of `FORMAT.md`, and no other bytes pass for it.

use super::*;
use onceward_vfs::testing::golden;
use proptest::prelude::*;

const FORMAT: &str = include_str!("../../FORMAT.md");
const SALT: u32 = 0x0102_0304;
const HEAD: FrameFields =
    FrameFields { lsn_delta: 2, run: 2, synced_lag: 1, time: 1000, kind: 16, flags: 0 };

fn encoded(head: FrameFields, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out, SALT, head, parts);
    out
}

#[test]
fn encoding_gives_the_bytes_of_the_format_document() {
    assert_eq!(encoded(HEAD, &[b"hi"]), golden(FORMAT, "frame"));
    assert_eq!(encoded(HEAD, &[b"h", b"", b"i"]), golden(FORMAT, "frame"), "in pieces");
}

#[test]
fn decoding_the_bytes_of_the_format_document_gives_its_fields() {
    let bytes = golden(FORMAT, "frame");
    let (header, body) = decode(&bytes, SALT).unwrap();
    assert_eq!(body, b"hi");
    assert_eq!(header.frame_bytes(), bytes.len());
    assert_eq!((header.len, header.lsn_delta, header.run), (2, 2, 2));
    assert_eq!((header.synced_lag, header.time, header.kind, header.flags), (1, 1000, 16, 0));
    assert_eq!(header.synced(7), 6, "the document says: up to 6 synced");
}

#[test]
fn every_field_has_its_own_place() {
    let changes: [(&str, FrameFields, std::ops::Range<usize>); 6] = [
        ("lsn_delta", FrameFields { lsn_delta: u32::MAX, ..HEAD }, 12..16),
        ("run", FrameFields { run: u32::MAX, ..HEAD }, 16..20),
        ("synced_lag", FrameFields { synced_lag: u32::MAX, ..HEAD }, 20..24),
        ("time", FrameFields { time: u32::MAX, ..HEAD }, 24..28),
        ("kind", FrameFields { kind: u8::MAX, ..HEAD }, 28..29),
        ("flags", FrameFields { flags: u8::MAX, ..HEAD }, 29..30),
    ];
    let before = encoded(HEAD, &[b"hi"]);
    for (field, head, place) in changes {
        let after = encoded(head, &[b"hi"]);
        for at in 4..before.len() {
            assert_eq!(before[at] != after[at], place.contains(&at), "{field} at {at}");
        }
        assert!(decode(&after, SALT).is_ok(), "control: {field}");
    }
}

#[test]
fn no_flipped_bit_passes_for_the_frame() {
    for body_bytes in [1, 2, 3, 9, 100] {
        let bytes = encoded(HEAD, &[&vec![0xa5; body_bytes]]);
        assert!(decode(&bytes, SALT).is_ok(), "control");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged, SALT).is_err(), "bit {bit} of {body_bytes}");
        }
    }
}

#[test]
fn no_prefix_passes_for_the_frame() {
    let bytes = encoded(HEAD, &[b"a body of some size"]);
    assert!(decode(&bytes, SALT).is_ok(), "control");
    for end in 0..bytes.len() {
        assert_eq!(decode(&bytes[..end], SALT).err(), Some(FrameError::Short), "{end}");
    }
}

#[test]
fn the_salt_is_part_of_both_checksums() {
    let bytes = encoded(HEAD, &[b"hi"]);
    assert!(decode(&bytes, SALT).is_ok(), "control");
    assert_eq!(decode(&bytes, SALT ^ 1).err(), Some(FrameError::HeaderChecksum));
    // With a header of another salt before it, the body alone does not pass either.
    let mut other = Vec::new();
    encode(&mut other, SALT ^ 1, HEAD, &[b"hi"]);
    assert_ne!(bytes[4..8], other[4..8], "body_crc");
}

#[test]
fn zeros_are_no_frame_even_under_a_salt_of_zero() {
    assert_eq!(decode(&[0; 64], 0).err(), Some(FrameError::Empty));
}

#[test]
fn the_header_alone_refuses_another_length() {
    let mut bytes = Vec::new();
    encode(&mut bytes, SALT, HEAD, &[b"hi"]);
    bytes.resize(1 << 20, 0);
    assert!(decode_header(&bytes, SALT).is_ok(), "control");
    for bit in 0..16 {
        bytes[8 + bit / 8] ^= 1 << (bit % 8);
        assert!(decode_header(&bytes, SALT).is_err(), "bit {bit}");
        bytes[8 + bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_length_beyond_the_bytes_is_refused_before_anything_is_read() {
    let mut bytes = encoded(HEAD, &[b"hi"]);
    for len in [3, 1000, u32::MAX - 37, u32::MAX] {
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        assert!(decode(&bytes, SALT).is_err(), "{len}");
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        body in proptest::collection::vec(any::<u8>(), 1..300),
        cut in 0_usize..300,
        salt in any::<u32>(),
        fields in any::<(u32, u32, u32, u32, u8, u8)>(),
        after in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let (lsn_delta, run, synced_lag, time, kind, flags) = fields;
        let head = FrameFields { lsn_delta, run, synced_lag, time, kind, flags };
        let (one, two) = body.split_at(cut.min(body.len()));
        let mut bytes = Vec::new();
        let written = encode(&mut bytes, salt, head, &[one, two]);
        prop_assert_eq!(bytes.len() % 8, 0);
        prop_assert!(bytes.len() <= body.len() + 37);
        bytes.extend_from_slice(&after);
        let (header, found) = decode(&bytes, salt).unwrap();
        prop_assert_eq!(found, &body[..]);
        prop_assert_eq!(header, written);
        prop_assert_eq!((header.lsn_delta, header.run, header.synced_lag), (lsn_delta, run, synced_lag));
        prop_assert_eq!((header.time, header.kind, header.flags), (time, kind, flags));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), salt in any::<u32>()) {
        if let Ok((header, body)) = decode(&bytes, salt) {
            prop_assert!(header.frame_bytes() <= bytes.len());
            prop_assert!(!body.is_empty());
        }
    }
}
