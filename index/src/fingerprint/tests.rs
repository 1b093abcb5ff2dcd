//! Fingerprints and hashes are what the format document says, and nothing that differs runs into one another.

use super::*;
use onceward_vfs::testing::golden;
use siphasher::sip128;
use twox_hash::xxhash3_64;

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
    let hash = secret().content(&[b"sale", b"4.50", br#"{"total":"4.50"}"#]);
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

/// XXH3 with the content secret of the document.
fn xxh3(bytes: &[u8]) -> u64 {
    let content_secret = golden(FORMAT, "content-secret");
    assert_eq!(content_secret.len(), 192);
    xxhash3_64::Hasher::oneshot_with_secret(&content_secret, bytes).unwrap()
}

#[test]
fn content_hash_is_the_hash_of_the_laid_out_parts_for_every_length_and_number() {
    for length in [0_usize, 1, 7, 8, 9, 16, 17, 200, 240, 241, 70_000] {
        let payload = vec![0xa5; length];
        let length = u64::try_from(length).unwrap();
        for more in [0, 1, 6, 7, 8, 40] {
            let mut parts = vec![b"sale".as_slice()];
            let mut bytes = b"\x04\0\0\0\0\0\0\0sale\0\0\0\0".to_vec();
            for _ in 0..more {
                parts.push(&payload);
                bytes.extend(length.to_le_bytes());
                if length <= 8 {
                    bytes.extend(&payload);
                    bytes.resize(bytes.len().next_multiple_of(8), 0);
                    if length == 0 {
                        bytes.extend([0; 8]);
                    }
                } else {
                    bytes.extend(xxh3(&payload).to_le_bytes());
                }
            }
            let expected = ContentHash::from_u64(xxh3(&bytes));
            assert_eq!(secret().content(&parts), expected, "{more} payloads of {length} bytes");
        }
    }
}

#[test]
fn a_content_whose_hash_would_mean_that_it_is_not_known_has_another() {
    assert_eq!(content::told_apart(0), ContentHash::from_u64(1));
    assert_eq!(content::told_apart(1 << 48), ContentHash::from_u64(1), "the bits that are kept");
    for hash in [1, 2, u64::MAX] {
        assert_eq!(content::told_apart(hash), ContentHash::from_u64(hash), "{hash:x}");
    }
}

#[test]
fn a_content_that_is_not_known_is_every_content_and_no_other_is() {
    let (one, other) = (ContentHash::from_u64(1), ContentHash::from_u64(2));
    assert!(one.matches(one) && !one.matches(other), "control");
    for hash in [one, other, ContentHash::UNKNOWN] {
        assert!(hash.matches(ContentHash::UNKNOWN) && ContentHash::UNKNOWN.matches(hash));
    }
    assert_eq!(ContentHash::UNKNOWN, ContentHash::from_u64(1 << 48), "only 48 bits count");
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
    assert_ne!(hash(&[b"a"]), hash(&[b"a\0"]), "zeros behind a short part");
    let long = [7; 40];
    let stands = xxh3(&long).to_le_bytes();
    assert_ne!(hash(&[&long]), hash(&[&stands]), "what stands for a long part");
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
