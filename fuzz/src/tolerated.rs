//! Weaknesses that are known and not mended: reported, never silent, and each with an input in
//! `found/`. With `ONCEWARD_FUZZ_STRICT` set they fail like any other.

use std::sync::LazyLock;

/// A weakness that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weakness {
    /// A frame whose append failed, so that the caller was told it is absent, is found again where
    /// damage took everything that was written over it. The damage is reported.
    AbandonedFrameReturns,
    /// A whole frame in the place of an earlier one takes those between them along. Their numbers are
    /// reported as lost; their bytes stay.
    MisdirectedFrameSkips,
    /// A run frame from further on in the place of a segment's first frame is taken for it: damage is
    /// reported behind it, but not the numbers before it.
    MisdirectedFirstFrame,
    /// Where header and first frame of a segment are both damaged, and the segment before it is gone or
    /// left numbers out, its frames are shown under lower numbers. The damage is reported.
    FirstLsnIsGuessed,
    /// A slot of `meta` with a right checksum that lists more segments than there can be: every number is
    /// put into memory.
    ListedNumbersFillMemory,
    /// A segment's header with a right checksum and a lower first LSN than the segment before it ends with
    /// is believed, so numbers fall.
    HeaderLowersLsn,
    /// Where many frames are damaged, each costs time and memory for all those behind it: twice as many
    /// cost four times as much.
    DamageIsQuadratic,
    /// A listed segment whose file is gone is not reported where it was the first or the last one.
    FileMissingAtAnEnd,
}

/// Whether nothing is tolerated: then inputs may also reach what is known to fail.
pub(crate) fn is_strict(_weakness: Weakness) -> bool {
    static STRICT: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("ONCEWARD_FUZZ_STRICT").is_some());
    *STRICT
}

/// Fails, unless what is known is tolerated.
pub(crate) fn tolerate(weakness: Weakness, what: &str) {
    assert!(!is_strict(weakness), "{weakness:?}: {what}");
}
