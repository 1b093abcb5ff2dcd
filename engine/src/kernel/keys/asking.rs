//! Who asks for keys. The index reads files, which may be damaged: nobody gets at a key but through here, so that
//! nobody forgets what is to be done then.

use std::ops::RangeInclusive;

use onceward_index::{Entry, Fingerprint, KeyBatch, KnownKey, SliceId, Window};

use super::{KeyIndex, failed};
use crate::base::Result;

/// Keys, for one who can have the index made anew where its files turn out to be damaged: `Engine::asking`, and
/// cleaning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'k>(pub(super) &'k KeyIndex);

impl KeyIndex {
    /// Access to the index, for those who have a damaged index made anew and ask again; everybody else asks through
    /// them.
    pub(crate) fn ask(&self) -> Asking<'_> {
        Asking(self)
    }
}

impl Asking<'_> {
    /// What is remembered of a key.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(crate) fn find(self, key: Fingerprint) -> Result<Option<KnownKey>> {
        self.0.find(key)
    }

    /// Shows entries of frames with these LSNs that the slice has which began then, and returns the slice; `None`: it
    /// is over. Who needs all of them counts, see [`KeyBatch::entries_between`].
    ///
    /// # Errors
    ///
    /// As [`Asking::find`].
    pub(crate) fn entries_between(
        self,
        slice: (Window, u64),
        lsns: RangeInclusive<u64>,
        show: impl FnMut(Entry),
    ) -> Result<Option<SliceId>> {
        self.0.refuse_if_unusable()?;
        KeyBatch::of(&self.0.index)
            .entries_between(slice, lsns, show)
            .map_err(|error| failed(&error))
    }
}
