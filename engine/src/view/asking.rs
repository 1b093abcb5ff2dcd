//! Who asks for keys. The index reads files, which may be damaged: nobody gets at a key but through here, so that
//! nobody forgets what is to be done then.

use std::ops::Deref;

use onceward_index::{ContentHash, Fingerprint, KnownKey, Lookup};

use super::View;
use crate::error::Result;

/// The view, for one who can have the index made anew where its files turn out to be damaged.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'v>(&'v View);

impl View {
    /// For `Inner::asking` and for cleaning, which have a damaged index made anew and ask again; everybody else
    /// asks through them.
    pub(crate) fn ask(&self) -> Asking<'_> {
        Asking(self)
    }
}

impl<'v> Asking<'v> {
    /// The view itself.
    pub(crate) fn view(self) -> &'v View {
        self.0
    }

    /// What is remembered of a key.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(crate) fn find(self, key: Fingerprint) -> Result<Option<KnownKey>> {
        self.0.keys.find(key)
    }

    /// Judges the keys of a call.
    ///
    /// # Errors
    ///
    /// As [`Asking::find`].
    pub(crate) fn lookup(self, keys: &[(Fingerprint, ContentHash)]) -> Result<Vec<Lookup>> {
        self.0.keys.lookup(keys)
    }
}

impl Deref for Asking<'_> {
    type Target = View;

    fn deref(&self) -> &View {
        self.0
    }
}
