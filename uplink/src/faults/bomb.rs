//! A gzip file that is small and becomes large. No I/O here.

/// A gzip file of a JSON text, `"xxx..."`, of about so many bytes: at least that many, and one run longer at most.
///
/// # Source
///
/// RFC 1951, section 3.2.6, and RFC 1952: one block with the fixed codes, in which each run of 258 bytes takes 13 bits.
pub(super) fn gzip(byte_count: u64) -> Vec<u8> {
    let run_count = byte_count.div_ceil(RUN_BYTES);
    let mut bits = Bits::default();
    bits.push(0b1, 1); // The last block,
    bits.push(0b01, 2); // with the fixed codes.
    bits.push_code(LITERAL + u32::from(b'"'), 8);
    bits.push_code(LITERAL + u32::from(b'x'), 8);
    for _ in 0..run_count {
        bits.push_code(LONGEST_RUN, 8);
        bits.push_code(ONE_BACK, 5);
    }
    bits.push_code(LITERAL + u32::from(b'"'), 8);
    bits.push_code(END_OF_BLOCK, 7);
    let (sum, length) = checksum(run_count);
    [&HEADER[..], &bits.finish(), &sum.to_le_bytes(), &length.to_le_bytes()].concat()
}

/// The checksum of the text, and its length modulo 2^32.
fn checksum(run_count: u64) -> (u32, u32) {
    let run = [b'x'; 258];
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"\"x");
    for _ in 0..run_count {
        hasher.update(&run);
    }
    hasher.update(b"\"");
    let length = run_count.saturating_mul(RUN_BYTES).saturating_add(3) & u64::from(u32::MAX);
    (hasher.finalize(), u32::try_from(length).unwrap_or(0))
}

/// Bits, the first in the lowest place of each byte.
#[derive(Debug, Default)]
struct Bits {
    /// Whole bytes.
    bytes: Vec<u8>,
    /// The bits of the next one.
    rest: u8,
    /// How many these are.
    rest_count: u32,
}

impl Bits {
    /// Appends a number, its lowest bit first.
    fn push(&mut self, number: u32, bit_count: u32) {
        for place in 0..bit_count {
            let bit = u8::from(number.checked_shr(place).is_some_and(|shifted| shifted & 1 == 1));
            self.rest |= bit << self.rest_count;
            self.rest_count += 1;
            if self.rest_count == 8 {
                self.bytes.push(self.rest);
                (self.rest, self.rest_count) = (0, 0);
            }
        }
    }

    /// Appends a code, its highest bit first.
    fn push_code(&mut self, code: u32, bit_count: u32) {
        self.push(code.reverse_bits() >> (32 - bit_count), bit_count);
    }

    /// The bytes; the last is filled up.
    fn finish(mut self) -> Vec<u8> {
        if self.rest_count > 0 {
            self.bytes.push(self.rest);
        }
        self.bytes
    }
}

/// The head of a gzip file without a name and a date, of an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The code of the byte 0, of 8 bits; those of the others up to 143 follow.
const LITERAL: u32 = 0b0011_0000;

/// The code for a run of 258 bytes, symbol 285, of 8 bits.
const LONGEST_RUN: u32 = 0b1100_0101;

/// The code for "of the byte before", of 5 bits.
const ONE_BACK: u32 = 0;

/// The code for the end, of 7 bits.
const END_OF_BLOCK: u32 = 0;

/// What a run becomes.
const RUN_BYTES: u64 = 258;
