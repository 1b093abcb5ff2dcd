//! `FORMAT.md` alone suffices to decode a segment.
//! Method: a decoder written from the document, with none of the crate's code, reads what a log wrote.

use onceward_vfs::SimVfs;

use self::decoder::number;
use super::scenario::{STORE, body, fill_segment, found, open_sim, put, queue, segment};

mod decoder {
    /// A frame as the document describes it.
    #[derive(Debug, Eq, PartialEq)]
    pub(crate) struct Frame {
        pub(crate) lsn: u64,
        pub(crate) run: u32,
        pub(crate) synced: u64,
        pub(crate) more: bool,
        pub(crate) kind: u8,
        pub(crate) body: Vec<u8>,
        pub(crate) offset: usize,
        /// Running digest before it.
        pub(crate) digest: u64,
    }

    fn crc(from: u32, bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!from, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
            })
        })
    }

    pub(crate) fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
        bytes[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Decodes a segment: its frames, and the running digest behind them.
    pub(crate) fn segment(bytes: &[u8], store: [u8; 16], name: u64) -> (Vec<Frame>, u64) {
        assert_eq!(bytes[..8], [0x89, 0x4f, 0x57, 0x4c, 0x0d, 0x0a, 0x1a, 0x0a]);
        assert_eq!((number(bytes, 8, 2), number(bytes, 10, 2), number(bytes, 20, 4)), (1, 256, 0));
        assert_eq!(number(bytes, 252, 4), u64::from(crc(0, &bytes[..252])));
        assert_eq!((&bytes[24..40], number(bytes, 40, 8)), (&store[..], name));
        assert_eq!(number(bytes, 64, 8), bytes.len() as u64);
        assert!(bytes[160..252].iter().chain(&bytes[256..4096]).all(|byte| *byte == 0));
        let salt = crc(crc(0, &store), &name.to_le_bytes());
        assert_eq!(number(bytes, 56, 4), u64::from(salt));
        let first_lsn = number(bytes, 48, 8);
        let (mut frames, mut digest, mut at) = (Vec::new(), number(bytes, 88, 8), 4096);
        while at + 30 <= bytes.len() {
            let len = usize::try_from(number(bytes, at + 8, 4)).unwrap();
            let end = (at + 30 + len).div_ceil(8) * 8;
            let (header_crc, body_crc) = (number(bytes, at, 4), number(bytes, at + 4, 4));
            if len == 0
                || end > bytes.len()
                || header_crc != u64::from(crc(salt, &bytes[at + 4..at + 30]))
                || body_crc != u64::from(crc(salt, &bytes[at + 30..end]))
            {
                break;
            }
            let lsn = first_lsn + number(bytes, at + 12, 4);
            let lag = number(bytes, at + 20, 4);
            frames.push(Frame {
                lsn,
                run: u32::try_from(number(bytes, at + 16, 4)).unwrap(),
                synced: if lag == 0 { 0 } else { lsn - lag },
                more: bytes[at + 29] & 0x80 != 0,
                kind: bytes[at + 28],
                body: bytes[at + 30..at + 30 + len].to_vec(),
                offset: at,
                digest,
            });
            let x = (digest ^ (header_crc << 32 | body_crc)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            digest = x ^ (x >> 32);
            at = end;
        }
        (frames, digest)
    }
}

#[test]
fn the_decoder_is_short_enough_to_be_written_by_hand() {
    let (_, after) = include_str!("by_hand.rs").split_once("mod decoder {").unwrap();
    let (decoder, _) = after.split_once("\n}\n").unwrap();
    assert!(decoder.lines().count() < 80, "{}", decoder.lines().count());
}

#[test]
fn a_decoder_written_from_the_document_finds_what_the_log_finds() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    let first = put(&log, &body(1, 100)).unwrap();
    let batch = queue(&log, &[body(2, 1), body(3, 2), body(4, 3)]).unwrap();
    log.wait(batch.last).unwrap();
    fill_segment(&log);
    put(&log, &body(5, 77)).unwrap();
    log.close().unwrap();
    let (report, seen) = found(&disk);
    assert!(report.clean && seen.len() > 10, "control");

    let (one, digest_one) = decoder::segment(&disk.bytes(&segment(1)).unwrap(), STORE, 1);
    let second = disk.bytes(&segment(2)).unwrap();
    let (two, digest_two) = decoder::segment(&second, STORE, 2);
    for (number, frames) in [(1, &one), (2, &two)] {
        let expected: Vec<_> = seen
            .iter()
            .filter(|frame| frame.place.segment == number)
            .map(|f| (f.lsn, f.run, f.kind, f.body.clone(), f.place.offset as usize))
            .collect();
        let by_hand: Vec<_> =
            frames.iter().map(|f| (f.lsn, f.run, f.kind, f.body.clone(), f.offset)).collect();
        assert_eq!(by_hand, expected, "segment {number}");
    }

    assert_eq!(one[0].kind, 1);
    assert_eq!((number(&one[0].body, 48, 8), number(&one[0].body, 56, 8)), (1, 0));
    let batch: Vec<bool> =
        one.iter().filter(|f| f.lsn >= batch.first.get()).take(3).map(|f| f.more).collect();
    assert_eq!(batch, [true, true, false]);
    let later = one.iter().find(|frame| frame.lsn == first.get() + 1).unwrap();
    assert_eq!(later.synced, first.get());

    let seal = one.last().unwrap();
    assert_eq!((seal.kind, &seal.body[..16]), (3, &STORE[..]));
    assert_eq!((number(&seal.body, 16, 8), number(&seal.body, 24, 8)), (1, 1));
    assert_eq!(number(&seal.body, 32, 8), seal.digest);
    assert_eq!(number(&seal.body, 40, 4), one.len() as u64 - 1);
    assert_eq!(number(&seal.body, 48, 8), seal.lsn - 1);
    let end = seal.offset + 88;
    assert_eq!((number(&second, 72, 8), number(&second, 80, 8)), (1, end as u64));
    assert_eq!(number(&second, 88, 8), digest_one);

    meta_says_where_it_ends(&disk.bytes("meta").unwrap(), &two, digest_two);
}

fn meta_says_where_it_ends(meta: &[u8], two: &[decoder::Frame], digest: u64) {
    let mark = two.last().unwrap();
    assert_eq!((mark.kind, number(&mark.body, 0, 8)), (2, mark.digest));
    let (older, newer) = (&meta[..65_536], &meta[65_536..]);
    let slot = if number(older, 40, 8) > number(newer, 40, 8) { older } else { newer };
    assert_eq!(number(slot, 52, 4), 1, "CLEAN");
    assert_eq!(number(slot, 64, 8), mark.lsn);
    assert_eq!((number(slot, 80, 8), number(slot, 88, 8)), (2, mark.offset as u64 + 40));
    assert_eq!(number(slot, 96, 8), digest);
}
