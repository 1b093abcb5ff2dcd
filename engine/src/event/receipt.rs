//! What the upstream gave as proof of its answer.

use std::fmt;

use crate::base::bounds::RECEIPT_BYTES_MAX;
use crate::base::shown::TextOrHex;
use crate::base::{Error, Result};

/// The upstream's receipt for an event, such as a transaction's number: at most 64 bytes.
///
/// ```
/// use onceward::Receipt;
///
/// let receipt = Receipt::new(b"txn_4711")?;
/// assert_eq!(receipt.as_bytes(), b"txn_4711");
/// assert_eq!(Receipt::new(&[0; 65]).unwrap_err().code(), "RECEIPT_TOO_LONG");
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Receipt {
    length: u8,
    /// Zeros behind the length. In place: there is one for each event that is settled.
    bytes: [u8; RECEIPT_BYTES_MAX],
}

impl Receipt {
    /// Checks a receipt's size.
    ///
    /// # Errors
    ///
    /// `Invalid`: over 64 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let mut receipt = Self::default();
        match (receipt.bytes.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(bytes);
                receipt.length = length;
                Ok(receipt)
            }
            _ => Err(Error::invalid(
                "RECEIPT_TOO_LONG",
                format!("receipt: has {} bytes, at most {RECEIPT_BYTES_MAX}", bytes.len()),
            )),
        }
    }

    /// The receipt as it was given.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&self.bytes)
    }
}

impl Default for Receipt {
    fn default() -> Self {
        Self { length: 0, bytes: [0; RECEIPT_BYTES_MAX] }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receipt").field(&TextOrHex(self.as_bytes())).finish()
    }
}
