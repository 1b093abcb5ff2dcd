//! One line of the terminal's own record: what its log held when everything was captured.

use serde::Deserialize;

/// A captured purchase, as `dump` printed it. Fields that the demo does not compare are left out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(super) struct Captured {
    /// The event's number.
    pub(super) lsn: u64,
    /// The event's scope.
    pub(super) scope: String,
    /// The purchase's key.
    pub(super) key: String,
    /// The money.
    pub(super) amount: Option<String>,
}
