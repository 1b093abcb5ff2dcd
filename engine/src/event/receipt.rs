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
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Receipt(Box<[u8]>);

impl Receipt {
    /// Checks a receipt's size.
    ///
    /// # Errors
    ///
    /// `Invalid`: over 64 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(Error::invalid(
                "RECEIPT_TOO_LONG",
                format!("receipt: has {} bytes, at most {RECEIPT_BYTES_MAX}", bytes.len()),
            ));
        }
        Ok(Self(bytes.into()))
    }

    /// The receipt as it was given.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receipt").field(&TextOrHex(&self.0)).finish()
    }
}
