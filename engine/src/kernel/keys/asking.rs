//! Who asks for keys. The index reads files, which may be damaged: nobody gets at a key but through here, so that
//! nobody forgets what is to be done then.

use onceward_index::{Fingerprint, KnownKey};

use super::KeyIndex;
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
}
