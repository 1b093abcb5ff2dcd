//! Damage of a file, as verifying reports it.

/// Bytes of an index's file that are not what was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileDamage {
    /// The file's path.
    pub file: String,
    /// Offset of the first bad byte.
    pub offset: u64,
    /// Count of bytes that cannot be used.
    pub bytes: u64,
    /// The damage, as text.
    pub what: String,
}
