//! Fingerprints and hashes are what the format document says, and nothing that differs runs into one another.

use super::*;
use onceward_vfs::testing::golden;

const FORMAT: &str = include_str!("../../FORMAT.md");

/// The secret 00 01 .. 0f of the document's examples.
fn secret() -> Secret {
    Secret::from_bytes(std::array::from_fn(|at| u8::try_from(at).unwrap()))
}

#[test]
fn fingerprint_matches_the_bytes_in_the_format_document() {
    let fingerprint = secret().fingerprint("default", b"k1");
    assert_eq!(fingerprint.to_bytes().to_vec(), golden(FORMAT, "fingerprint"));
    assert_eq!(fingerprint.as_u128().to_le_bytes().to_vec(), golden(FORMAT, "fingerprint"));
}

#[test]
fn content_hash_matches_the_bytes_in_the_format_document() {
    let hash = secret().content(&[b"sale", b"4.50"]);
    assert_eq!(hash.as_u64().to_le_bytes().to_vec(), golden(FORMAT, "content"));
}

#[test]
fn fingerprint_is_the_hash_of_the_laid_out_bytes_for_every_scope_length() {
    for length in [0_usize, 1, 63, 254, 255, 256, 497, 498, 600, 70_000] {
        let scope = "s".repeat(length);
        let mut bytes = match u8::try_from(length) {
            Ok(short) if short < 255 => vec![short],
            Ok(_) | Err(_) => {
                let mut bytes = vec![255];
                bytes.extend(u64::try_from(length).unwrap().to_le_bytes());
                bytes
            }
        };
        bytes.extend(scope.as_bytes());
        bytes.extend(b"key");
        let expected = sip128::SipHasher13::new_with_key(secret().as_bytes()).hash(&bytes);
        let fingerprint = secret().fingerprint(&scope, b"key");
        assert_eq!(fingerprint.as_u128(), expected.as_u128(), "scope of {length} bytes");
    }
}

#[test]
fn content_hash_is_the_hash_of_the_laid_out_bytes_for_every_length() {
    for length in [0_usize, 1, 7, 200, 480, 490, 500, 512, 513, 70_000] {
        let payload = vec![0xa5; length];
        let mut bytes = 4_u32.to_le_bytes().to_vec();
        bytes.extend(b"sale");
        bytes.extend(u32::try_from(length).unwrap().to_le_bytes());
        bytes.extend(&payload);
        let expected = sip::SipHasher13::new_with_key(secret().as_bytes()).hash(&bytes);
        let hash = secret().content(&[b"sale", &payload]);
        assert_eq!(hash, ContentHash::from_u64(expected), "payload of {length} bytes");
    }
}

#[test]
fn scope_and_key_do_not_run_into_one_another() {
    let fingerprint = |scope: &str, key: &[u8]| secret().fingerprint(scope, key);
    assert_eq!(fingerprint("ab", b"c"), fingerprint("ab", b"c"), "control: the same is the same");
    assert_ne!(fingerprint("ab", b"c"), fingerprint("a", b"bc"));
    assert_ne!(fingerprint("", b"abc"), fingerprint("abc", b""));
    assert_ne!(fingerprint("a", b"\0"), fingerprint("a", b""));
}

#[test]
fn parts_of_a_content_do_not_run_into_one_another() {
    let hash = |parts: &[&[u8]]| secret().content(parts);
    assert_eq!(hash(&[b"ab", b"c"]), hash(&[b"ab", b"c"]), "control: the same is the same");
    assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    assert_ne!(hash(&[b"abc"]), hash(&[b"abc", b""]));
    assert_ne!(hash(&[]), hash(&[b""]));
    assert_ne!(hash(&[b"a", b"b"]), hash(&[b"b", b"a"]));
}

#[test]
fn another_secret_gives_other_fingerprints_and_hashes() {
    let other = Secret::from_bytes([0xee; 16]);
    assert_ne!(secret().fingerprint("s", b"k"), other.fingerprint("s", b"k"));
    assert_ne!(secret().content(&[b"p"]), other.content(&[b"p"]));
}

#[test]
fn debug_shows_hashes_in_hex_and_nothing_of_the_secret() {
    assert_eq!(
        format!("{:?}", Fingerprint::from_u128(0xab)),
        "Fingerprint(000000000000000000000000000000ab)"
    );
    assert_eq!(format!("{:?}", ContentHash::from_u64(0xab)), "ContentHash(0000000000ab)");
    assert_eq!(format!("{:?}", Secret::from_bytes([0xab; 16])), "Secret(..)");
}
