//! The identity of a store. No I/O here.

use std::fmt;

use crate::limits::SECRET_BYTES;

/// The identity of a store: made once, at random, and in every segment.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Identity {
    /// The store's number.
    pub store: [u8; 16],
    /// Key of the store's fingerprints, 16 bytes and zeros.
    pub secret: [u8; SECRET_BYTES],
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret stays out of logs.
        write!(f, "Identity {{ store: {:032x} }}", u128::from_be_bytes(self.store))
    }
}
