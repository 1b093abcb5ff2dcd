//! No bytes make the log's decoder panic, or allocate what they ask for.
//!
//! The first four bytes are the salt. The rest is decoded as it is, and once more as the body of a
//! frame with right checksums of which one bit is flipped, since random bytes rarely get past a
//! checksum.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onceward_wal::fuzzing::{decode_frame, encode_frame};

fuzz_target!(|data: &[u8]| {
    let Some((salt, rest)) = data.split_first_chunk() else { return };
    let salt = u32::from_le_bytes(*salt);
    if let Some(bytes) = decode_frame(rest, salt) {
        assert!(bytes <= rest.len(), "a frame goes beyond its bytes");
    }
    let Some((flip, body)) = rest.split_first_chunk() else { return };
    if body.is_empty() {
        return;
    }
    let mut frame = encode_frame(salt, body);
    assert_eq!(decode_frame(&frame, salt), Some(frame.len()), "control: a right frame passes");
    let bit = usize::from(u16::from_le_bytes(*flip)) % (8 * frame.len());
    if let Some(byte) = frame.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
    assert_eq!(decode_frame(&frame, salt), None, "bit {bit} was flipped");
});
