use super::*;
use crate::base::golden::hex;

const HEADER: Header = Header { salt: [1; 16], store: [2; 16], bundle: [3; 16] };

fn key() -> BundleKey {
    BundleKey::from_bytes([9; 32])
}

fn sealed(records: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sealer = Sealer::begin(&mut out, &key(), &HEADER).unwrap();
    records.iter().for_each(|record| sealer.push(record).unwrap());
    let (_, bytes) = sealer.end(|digest| digest.to_vec()).unwrap();
    assert_eq!(bytes, out.len() as u64);
    out
}

/// What other programs must write and read; an implementation of its own, from RFC 8439 and the draft
/// of XChaCha20, gave the same bytes.
#[test]
fn a_bundle_has_these_bytes() {
    let bytes = sealed(&[b"one"]);
    let head = format!(
        "4f4e4345424e444c01000000{}{}{}",
        "01".repeat(16),
        "02".repeat(16),
        "03".repeat(16)
    );
    assert_eq!(hex(&bytes[..60]), head);
    assert_eq!(hex(&bytes[60..]), GOLDEN.replace(' ', ""));
}

/// Proof, chunk, last chunk.
const GOLDEN: &str = "e7d408061fb89117400293914049cc55 \
    13000000 00 aaafc242011804f0747d4fce547f101635e39b \
    30000000 01 14b9013b2d5c377619254a49e8f7979a88defc1698d4552137e11637ed90f2a0 \
    87d97325ace47fcc8059df71c7d90208";

#[test]
fn chunks_come_back_and_the_last_one_knows_the_digest_of_all_before() {
    let long = vec![7; 70_000];
    let bytes = sealed(&[b"one", &long, b"two", b"three"]);
    let mut input = bytes.as_slice();
    let mut opener = Opener::begin(&mut input, &key()).unwrap();
    assert_eq!(opener.header(), HEADER);
    let chunks: Vec<SealedChunk> = (0..4).map(|_| opener.next().unwrap()).collect();
    let contents: Vec<&[u8]> = chunks.iter().map(|chunk| chunk.bytes.as_slice()).collect();
    assert_eq!(contents[..3], [b"one".as_slice(), &long, b"twothree"]);
    assert_eq!(contents[3], chunks[3].digest);
    let all: [u8; 32] = Sha256::digest([b"one".as_slice(), &long, b"twothree"].concat()).into();
    assert_eq!(chunks[3].digest, all);
    assert_eq!(chunks.iter().map(|it| it.is_last).collect::<Vec<_>>(), [false, false, false, true]);
}

#[test]
fn a_length_that_no_chunk_has_takes_no_memory() {
    let mut bytes = sealed(&[b"one"]);
    bytes[76..80].copy_from_slice(&(CHUNK_BYTES_MAX - 1).to_le_bytes());
    let mut input = bytes.as_slice();
    let error = Opener::begin(&mut input, &key()).unwrap().next().err().unwrap();
    assert_eq!(error.code(), "BUNDLE_TRUNCATED");
    bytes[76..80].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut input = bytes.as_slice();
    let error = Opener::begin(&mut input, &key()).unwrap().next().err().unwrap();
    assert_eq!(error.code(), "BUNDLE_DAMAGED");
}

#[test]
fn a_key_is_not_in_debug_output() {
    assert_eq!(format!("{:?}", key()), "BundleKey(bytes)");
    let passphrase = BundleKey::from_passphrase("correct horse").unwrap();
    assert_eq!(format!("{passphrase:?}"), "BundleKey(passphrase)");
}
