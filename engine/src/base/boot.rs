//! Which boot of the machine.

use std::fmt;

use super::shown::Hex;

/// A boot of the machine, by the number that its system gives it. Prints as 32 hexadecimal digits;
/// zeros where the system has none.
///
/// ```
/// use onceward::time::BootId;
///
/// assert_eq!(BootId::default().to_string(), "0".repeat(32));
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct BootId(pub(crate) [u8; 16]);

impl BootId {
    /// The boot id's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BootId").field(&Hex(&self.0)).finish()
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
