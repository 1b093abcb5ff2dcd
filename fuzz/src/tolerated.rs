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
}

/// Fails, unless what is known is tolerated.
pub(crate) fn tolerate(weakness: Weakness, what: &str) {
    static STRICT: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("ONCEWARD_FUZZ_STRICT").is_some());
    assert!(!*STRICT, "{weakness:?}: {what}");
}
