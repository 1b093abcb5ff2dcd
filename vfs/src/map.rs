//! Read-only bytes of a whole file. Where they come from is the implementation's business.

use std::{fmt, ops::Deref, sync::Arc};

/// The bytes of a file that never changes again; see [`Vfs::map`](crate::Vfs::map).
///
/// Clones are the same bytes, which stay readable until the last clone is dropped.
#[derive(Clone)]
pub struct Map(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl Map {
    /// Wraps what holds the bytes: for implementations of [`Vfs`](crate::Vfs).
    ///
    /// `owner` gives the same bytes at the same place for as long as it lives.
    #[must_use]
    pub fn new(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(owner))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the bytes: there may be millions, and they are somebody's.
        f.debug_struct("Map").field("byte_count", &self.len()).finish()
    }
}
