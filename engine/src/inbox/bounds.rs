//! How much the inbox holds.

/// Bounds of the inbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InboxBounds {
    /// Most unfinished deliveries.
    pub(crate) deliveries_max: usize,
    /// Most bytes of unfinished deliveries.
    pub(crate) bytes_max: u64,
}
