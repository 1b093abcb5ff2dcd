//! The checksums of the headers of one batch, which differ in a few fields only.
//!
//! A CRC is linear: that of a header is that of another one, xor what the bits add in which they differ. What each byte
//! of the fields that differ adds, by its place, is in tables. Fields that differ in more begin anew.

use super::{CRC_BYTES, FrameHeader, LEN_OFFSET, header_crc};
use crate::checksum::{ChecksumStart, Salted};
use crate::limits::FRAME_HEADER_BYTES;

/// Bytes that the checksum of a header covers.
const COVERED_BYTES: usize = FRAME_HEADER_BYTES - CRC_BYTES;
/// Places in those of the fields that differ: `body_crc`, `len`, `lsn_delta`, `synced_lag`.
const PLACES: [usize; 10] = [0, 1, 2, 3, 4, 5, 8, 9, 16, 17];
/// The polynomial, reflected.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// What a byte adds to the checksum of a header, by its place.
static TABLES: [[u32; 256]; PLACES.len()] = tables();

#[expect(clippy::indexing_slicing, reason = "at compile time: out of bounds does not compile")]
const fn tables() -> [[u32; 256]; PLACES.len()] {
    let mut one = [0; 256];
    let (mut byte, mut start) = (0, 0_u32);
    while byte < 256 {
        let (mut crc, mut bit) = (start, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        one[byte] = crc;
        byte += 1;
        start = start.wrapping_add(1);
    }
    let mut tables = [one; PLACES.len()];
    let mut table = 0;
    while table < PLACES.len() {
        let mut byte = 0;
        while byte < 256 {
            let mut behind = COVERED_BYTES - 1 - PLACES[table];
            while behind > 0 {
                let crc = tables[table][byte];
                tables[table][byte] = (crc >> 8) ^ one[crc.to_le_bytes()[0] as usize];
                behind -= 1;
            }
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// Makes the checksums of headers.
#[derive(Debug)]
pub(crate) struct HeaderChecksums<'s> {
    salted: &'s Salted,
    /// A header with its checksum, both with 0 as `body_crc`; none for headers that come one by one.
    known: Option<(FrameHeader, u32)>,
    is_batch: bool,
}

impl<'s> HeaderChecksums<'s> {
    /// For the headers of so many frames.
    pub(crate) fn new(salted: &'s Salted, count: usize) -> Self {
        Self { salted, known: None, is_batch: count > 2 }
    }

    /// The checksum of `header`, whose bytes are `bytes`.
    #[inline]
    pub(super) fn of(&mut self, header: &FrameHeader, bytes: &[u8; FRAME_HEADER_BYTES]) -> u32 {
        if !self.is_batch {
            return header_crc(self.salted, &bytes[CRC_BYTES..]);
        }
        match self.difference(header) {
            Some(crc) => crc,
            None => self.begin_anew(header, bytes),
        }
    }

    /// The checksum, if the header differs from the one that is known in nothing else.
    #[inline]
    fn difference(&self, header: &FrameHeader) -> Option<u32> {
        let (known, crc) = self.known.as_ref()?;
        let same = (known.run, known.time, known.kind, known.flags)
            == (header.run, header.time, header.kind, header.flags);
        let len = known.len ^ header.len;
        let lsn_delta = known.lsn_delta ^ header.lsn_delta;
        let synced_lag = known.synced_lag ^ header.synced_lag;
        if !same || (len | lsn_delta | synced_lag) >> 16 != 0 {
            return None;
        }
        let [b0, b1, b2, b3] = header.body_crc.to_le_bytes();
        let [[l0, l1, ..], [d0, d1, ..], [s0, s1, ..]] =
            [len, lsn_delta, synced_lag].map(u32::to_le_bytes);
        let bytes = [b0, b1, b2, b3, l0, l1, d0, d1, s0, s1];
        let added = TABLES.iter().zip(bytes);
        Some(added.fold(*crc, |crc, (table, byte)| {
            crc ^ table.get(usize::from(byte)).copied().unwrap_or_default()
        }))
    }

    /// The same, after which that header is known.
    #[cold]
    fn begin_anew(&mut self, header: &FrameHeader, bytes: &[u8; FRAME_HEADER_BYTES]) -> u32 {
        let mut without_body = *bytes;
        without_body[CRC_BYTES..LEN_OFFSET].fill(0);
        let crc = self.salted.crc(&without_body[CRC_BYTES..]);
        self.known = Some((*header, crc));
        header_crc(self.salted, &bytes[CRC_BYTES..])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::FrameFields;

    proptest! {
        #[test]
        fn every_checksum_of_a_batch_is_that_of_the_bytes(
            salt in any::<u32>(),
            first in any::<[u32; 6]>(),
            steps in prop::collection::vec((any::<u32>(), any::<u16>(), 0..40_u32, 0..9_u8), 1..40),
        ) {
            let salted = Salted::new(salt);
            let mut checksums = HeaderChecksums::new(&salted, 100);
            let [len, mut lsn_delta, run, mut synced_lag, time, kind] = first;
            for (body_crc, other_len, step, flags) in steps {
                lsn_delta = lsn_delta.wrapping_add(step);
                synced_lag = synced_lag.wrapping_add(step);
                let kind = kind.to_le_bytes()[0];
                let fields = FrameFields { lsn_delta, run, synced_lag, time, kind, flags: flags / 8 };
                let mut header = FrameHeader::new(len ^ u32::from(other_len), fields);
                header.body_crc = body_crc;
                let mut bytes = [0; FRAME_HEADER_BYTES];
                bytes[CRC_BYTES..LEN_OFFSET].copy_from_slice(&body_crc.to_le_bytes());
                bytes[LEN_OFFSET..].copy_from_slice(&header.fields());
                prop_assert_eq!(checksums.of(&header, &bytes), salt.crc(&bytes[CRC_BYTES..]));
            }
        }
    }
}
