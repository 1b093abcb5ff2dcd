//! What is known and cannot be mended: reported, never silent. With `ONCEWARD_FUZZ_STRICT` set it fails
//! like anything else.

use std::sync::LazyLock;

/// A weakness that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weakness {
    /// A frame whose append failed, so that the caller was told it is absent, is found again where damage
    /// took everything that was written over it. Only if the disk, which had refused the append, refused
    /// most of the zeros over it too: then nothing is left that could tell. The damage is reported.
    AbandonedFrameReturns,
}

/// Fails, unless what is known is tolerated.
pub(crate) fn tolerate(weakness: Weakness, what: &str) {
    static STRICT: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("ONCEWARD_FUZZ_STRICT").is_some());
    assert!(!*STRICT, "{weakness:?}: {what}");
}
