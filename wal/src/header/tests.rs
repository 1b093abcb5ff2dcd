//! A segment header's bytes are those of `FORMAT.md`, and no other bytes pass for it.

use super::*;
use onceward_vfs::testing::golden;

const FORMAT: &str = include_str!("../../FORMAT.md");

fn example() -> SegmentHeader {
    let mut secret = [0; SECRET_BYTES];
    secret.iter_mut().zip(0xa0..0xb0).for_each(|(to, from)| *to = from);
    SegmentHeader {
        identity: Identity { store: std::array::from_fn(|i| u8::try_from(i).unwrap()), secret },
        envelope: None,
        number: 1,
        first_lsn: 1,
        run: 1,
        segment_bytes: 1024 * 1024,
        before: 0,
        before_end: 0,
        digest: Digest::default(),
        read_compat: 0,
        recycled: false,
    }
}

/// The block with its checksum made right again.
fn resealed(mut block: Vec<u8>) -> Vec<u8> {
    let crc = crc_from(0, &block[..252]);
    block[252..256].copy_from_slice(&crc.to_le_bytes());
    block
}

#[test]
fn encoding_gives_the_bytes_of_the_format_document() {
    let block = example().encode();
    assert_eq!(block.len(), HEADER_BLOCK_BYTES);
    assert_eq!(block[..HEADER_BYTES], golden(FORMAT, "header"));
    assert!(block[HEADER_BYTES..].iter().all(|byte| *byte == 0));
}

#[test]
fn decoding_the_bytes_of_the_format_document_gives_its_fields() {
    assert_eq!(SegmentHeader::decode(&golden(FORMAT, "header")), Ok(example()));
}

#[test]
fn a_sealed_header_has_key_and_secret_where_the_others_are_zero() {
    let identity = Identity { secret: [0; SECRET_BYTES], ..example().identity };
    let envelope = Some(KeyEnvelope { key: [0xc1; 88], secret: [0xc2; 32] });
    let header = SegmentHeader { identity, envelope, ..example() };
    let (block, plain) = (header.encode(), example().encode());
    assert_eq!(SegmentHeader::decode(&block), Ok(header));
    assert_eq!((block[20], &block[96..128], &block[128..160]), (1, &[0xc2; 32][..], &[0; 32][..]));
    assert_eq!((&block[160..248], &block[248..252]), (&[0xc1; 88][..], &[0; 4][..]));
    assert_eq!((&block[..20], &block[24..96]), (&plain[..20], &plain[24..96]));
    for at in 128..160 {
        let mut odd = block.clone();
        odd[at] = 1;
        assert!(SegmentHeader::decode(&resealed(odd)).is_err(), "reserved byte {at}");
    }
}

#[test]
fn every_field_has_its_own_place() {
    let it = example();
    let digest = Digest::from_u64(u64::MAX);
    let changes: [(&str, SegmentHeader, std::ops::Range<usize>); 8] = [
        ("read_compat", SegmentHeader { read_compat: u32::MAX, ..it }, 16..20),
        ("compat", SegmentHeader { recycled: true, ..it }, 12..13),
        ("first_lsn", SegmentHeader { first_lsn: 0x7fff_ffff_ffff_ff00, ..it }, 48..56),
        ("run", SegmentHeader { run: 0xffff_ff00, ..it }, 60..64),
        ("segment_bytes", SegmentHeader { segment_bytes: !(1024 * 1024), ..it }, 64..72),
        ("before", SegmentHeader { before: u64::MAX, ..it }, 72..80),
        ("before_end", SegmentHeader { before_end: u64::MAX, ..it }, 80..88),
        ("digest", SegmentHeader { digest, ..it }, 88..96),
    ];
    let before = it.encode();
    for (field, header, place) in changes {
        let after = header.encode();
        for at in 0..HEADER_BYTES - 4 {
            assert_eq!(before[at] != after[at], place.contains(&at), "{field} at {at}");
        }
        assert_eq!(SegmentHeader::decode(&after), Ok(header), "control: {field}");
    }
}

#[test]
fn no_flipped_bit_of_the_block_passes_for_the_header() {
    let block = example().encode();
    assert!(SegmentHeader::decode(&block).is_ok(), "control");
    for bit in 0..block.len() * 8 {
        let mut damaged = block.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(SegmentHeader::decode(&damaged), Err(HeaderError::NotAHeader), "bit {bit}");
    }
}

#[test]
fn a_right_checksum_does_not_save_wrong_fields() {
    let block = example().encode();
    assert!(SegmentHeader::decode(&resealed(block.clone())).is_ok(), "control");
    let reserved = 160..252;
    for at in (40..64).chain(10..12).chain(reserved) {
        let mut wrong = block.clone();
        match at {
            // Number, first LSN, salt, run: each wrong when zeroed.
            40..64 => wrong[at / 4 * 4..at / 4 * 4 + 4].fill(0),
            _ => wrong[at] ^= 1,
        }
        if wrong == block {
            continue;
        }
        assert_eq!(SegmentHeader::decode(&resealed(wrong)), Err(HeaderError::NotAHeader), "{at}");
    }
}

#[test]
fn a_newer_version_and_unknown_required_features_are_told_apart_from_damage() {
    let block = example().encode();
    let mut newer = block.clone();
    newer[8] = 2;
    let found = SegmentHeader::decode(&resealed(newer));
    assert_eq!(found, Err(HeaderError::Newer { version: 2, incompat: 0 }));
    let mut required = block.clone();
    required[23] = 0x80;
    let found = SegmentHeader::decode(&resealed(required));
    assert_eq!(found, Err(HeaderError::Newer { version: 1, incompat: 0x8000_0000 }));
    let mut ignorable = block;
    ignorable[12] = 1;
    assert!(SegmentHeader::decode(&resealed(ignorable)).is_ok(), "compat bits are ignored");
}

#[test]
fn the_secret_stays_out_of_debug() {
    let text = format!("{:?}", example());
    assert!(text.contains("000102030405060708090a0b0c0d0e0f"), "control: {text}");
    let shown = format!("{:?}", example().identity.secret);
    assert!(shown.contains("160, 161"), "control: {shown}");
    assert!(!text.contains("160, 161") && !text.contains("a0a1"), "{text}");
}
