//! The bodies of what leaving a terminal writes. Field order is the format: never reorder, never reuse.

use bincode::{Decode, Encode};

use crate::base::codec::Control;

/// Whether the store is left. The newest of these frames alone says it.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct FenceFrame {
    /// LSN of the frame that said it first; 0: this one. Another when the frame was carried.
    pub(in crate::rescue) number: u64,
    /// Whether the store is left: then nothing new comes in and nothing is sent. `false`: it no longer is.
    pub(in crate::rescue) is_up: bool,
    /// The bundle for which it is left.
    pub(in crate::rescue) bundle: [u8; 16],
    /// Wall clock then, Unix milliseconds.
    pub(in crate::rescue) since_ms: i64,
}

/// A bundle was imported to its end.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct ImportFrame {
    /// LSN of the frame that said it first; 0: this one. Another when the frame was carried.
    pub(in crate::rescue) number: u64,
    /// The bundle.
    pub(in crate::rescue) bundle: [u8; 16],
    /// The store that it is from.
    pub(in crate::rescue) store: [u8; 16],
    /// The opening of that store in which it was made.
    pub(in crate::rescue) epoch: u64,
    /// Wall clock of that store when it was made, Unix milliseconds.
    pub(in crate::rescue) made_ms: i64,
    /// Wall clock of this store when it was imported, Unix milliseconds.
    pub(in crate::rescue) imported_ms: i64,
    /// Events that were new here.
    pub(in crate::rescue) fresh: u64,
    /// Events that were here.
    pub(in crate::rescue) duplicates: u64,
    /// Events that were left out, because their keys are here with other content.
    pub(in crate::rescue) conflicts: u64,
    /// Events that were left out for another reason.
    pub(in crate::rescue) refused: u64,
}

impl Control for FenceFrame {
    const VERSION: u16 = 1;
}
impl Control for ImportFrame {
    const VERSION: u16 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::golden::assert_bytes;

    #[test]
    fn a_fence_has_these_bytes() {
        let fence = FenceFrame { number: 1, is_up: true, bundle: [7; 16], since_ms: -2 };
        assert_bytes(
            &fence,
            "0100 0100000000000000 01 07070707070707070707070707070707 feffffffffffffff",
        );
    }

    #[test]
    fn an_import_has_these_bytes() {
        let import = ImportFrame {
            number: 1,
            bundle: [7; 16],
            store: [8; 16],
            epoch: 2,
            made_ms: -3,
            imported_ms: 4,
            fresh: 5,
            duplicates: 6,
            conflicts: 7,
            refused: 8,
        };
        assert_bytes(
            &import,
            "0100 0100000000000000 07070707070707070707070707070707 \
             08080808080808080808080808080808 0200000000000000 fdffffffffffffff 0400000000000000 \
             0500000000000000 0600000000000000 0700000000000000 0800000000000000",
        );
    }
}
