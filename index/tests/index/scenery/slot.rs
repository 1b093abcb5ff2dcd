//! Where in the bytes of its file the newest manifest stands.
//! Method: by number and length of both slots, as the format document says; checksums are not looked at.

use std::ops::Range;

/// The bytes of a slot in which there is a number and no manifest.
const SUPERSEDED_BYTES: usize = 40;

/// The newest manifest of a file, from its magic to its checksum.
pub(crate) fn newest(file: &[u8]) -> Range<usize> {
    let half = file.len() / 2;
    let slot = |start: usize| {
        let sequence = u64::from_le_bytes(file[start + 20..start + 28].try_into().unwrap());
        let length = u32::from_le_bytes(file[start + 32..start + 36].try_into().unwrap());
        let length = usize::try_from(length).unwrap();
        (length > SUPERSEDED_BYTES).then_some((sequence, start..start + length))
    };
    let (_, range) = [0, half].into_iter().filter_map(slot).max_by_key(|slot| slot.0).unwrap();
    range
}

/// Makes the checksum at the end right.
pub(crate) fn seal(bytes: &mut [u8]) {
    let (fields, crc) = bytes.split_last_chunk_mut::<4>().unwrap();
    *crc = crc32fast::hash(fields).to_le_bytes();
}
