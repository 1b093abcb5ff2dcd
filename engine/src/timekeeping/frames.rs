//! The body of a clock frame. Field order is the format: never reorder, never reuse.

use bincode::{Decode, Encode};

use crate::base::codec::Control;

/// What time it is, as far as somebody said. The frame's own time says how long the store was open.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub(crate) struct ClockFrame {
    /// What the upstream said last.
    pub(in crate::timekeeping) server: Option<ServerNote>,
}

/// What the upstream's clock showed.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub(crate) struct ServerNote {
    /// The upstream's time, Unix milliseconds.
    pub(in crate::timekeeping) server_ms: i64,
    /// How far from that it may have been, milliseconds.
    pub(in crate::timekeeping) uncertainty_ms: u64,
    /// Trusted time at that moment.
    pub(in crate::timekeeping) trusted_ms: u64,
    /// Whether time has passed since that nobody measured.
    pub(in crate::timekeeping) has_gap: bool,
    /// The first LSN since which all time until then was measured, or proven.
    pub(in crate::timekeeping) known_since: u64,
    /// The machine's wall clock at that moment, Unix milliseconds.
    pub(in crate::timekeeping) wall_ms: i64,
    /// What the upstream alone said of the last time that nobody measured, and was not counted.
    pub(in crate::timekeeping) uncounted: Option<Uncounted>,
}

/// Time that one clock showed, and no other.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub(crate) struct Uncounted {
    /// The first LSN behind it.
    pub(in crate::timekeeping) lsn: u64,
    /// How much, milliseconds.
    pub(in crate::timekeeping) ms: u64,
}

impl Control for ClockFrame {
    const VERSION: u16 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::codec::{decode, encode};

    #[test]
    fn a_clock_frame_has_these_bytes() {
        let none = encode(&ClockFrame { server: None });
        assert_eq!(none, [1, 0, 0]);
        assert_eq!(decode::<ClockFrame>(&none), Some(ClockFrame { server: None }));
        let note = ServerNote {
            server_ms: -2,
            uncertainty_ms: 3,
            trusted_ms: 4,
            has_gap: true,
            known_since: 5,
            wall_ms: 6,
            uncounted: Some(Uncounted { lsn: 7, ms: 8 }),
        };
        let bytes = encode(&ClockFrame { server: Some(note) });
        let expected = [
            &[1, 0, 1, 0xfe][..],
            &[0xff; 7],
            &[3, 0, 0, 0, 0, 0, 0, 0],
            &[4, 0, 0, 0, 0, 0, 0, 0],
            &[1],
            &[5, 0, 0, 0, 0, 0, 0, 0],
            &[6, 0, 0, 0, 0, 0, 0, 0],
            &[1, 7, 0, 0, 0, 0, 0, 0, 0],
            &[8, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(decode::<ClockFrame>(&bytes), Some(ClockFrame { server: Some(note) }));
        for cut in 0..bytes.len() {
            assert_eq!(decode::<ClockFrame>(&bytes[..cut]), None, "cut at {cut}");
        }
    }
}
