use super::*;
use crate::base::golden::hex;

fn item() -> BundleItem {
    let reason =
        Reason { code: "C".to_owned(), message: "m".to_owned(), reply: vec![1], since_ms: -2 };
    BundleItem {
        lsn: 1,
        state: 6,
        is_attempted: true,
        batch: 2,
        wall_ms: -3,
        mono_ms: 4,
        boot: [5; 16],
        reason: Some(reason),
        receipt: vec![7],
        flags: 1,
    }
}

#[test]
fn a_record_of_an_event_has_these_bytes() {
    let event = [2, b'k', b'1', b'{', b'}'];
    let bytes = encode(&Head::Item(item()), &[&event[..1], &event[1..]]);
    assert_eq!(
        hex(&bytes),
        "6f000000 66000000 0100 01000000 0100000000000000 06 01 0200000000000000 \
         fdffffffffffffff 0400000000000000 05050505050505050505050505050505 \
         01 0100000000000000 43 0100000000000000 6d 0100000000000000 01 feffffffffffffff \
         0100000000000000 07 01 026b317b7d"
            .replace(' ', "")
    );
    let mut rest = bytes.as_slice();
    assert_eq!(take(&mut rest), Some((Head::Item(item()), event.as_slice())));
    assert!(rest.is_empty());
    for end in 0..bytes.len() {
        assert_eq!(take(&mut &bytes[..end]), None, "cut at {end}");
    }
}

#[test]
fn the_first_and_the_last_record_have_these_bytes() {
    let begin = Begin { bundle: [1; 16], store: [2; 16], epoch: 3, made_ms: -4, is_fenced: true };
    let bytes = encode(&Head::Begin(begin), &[]);
    let expected = "3b000000 37000000 0100 00000000 01010101010101010101010101010101 \
                    02020202020202020202020202020202 0300000000000000 fcffffffffffffff 01";
    assert_eq!(hex(&bytes), expected.replace(' ', ""));
    assert_eq!(take(&mut bytes.as_slice()), Some((Head::Begin(begin), [].as_slice())));
    let end = End { unsettled: 1, settled: 2, unreadable: 3, digest: [4; 32] };
    let bytes = encode(&Head::End(end), &[]);
    let digest = "04".repeat(32);
    let expected = "42000000 3e000000 0100 02000000 0100000000000000 0200000000000000 \
                    0300000000000000 ";
    assert_eq!(hex(&bytes), expected.replace(' ', "") + &digest);
    assert_eq!(take(&mut bytes.as_slice()), Some((Head::End(end), [].as_slice())));
}
