//! How long an exchange may take.

use std::time::Duration;

/// How long an exchange may take.
///
/// ```
/// use std::time::Duration;
///
/// use onceward_uplink::Timeouts;
///
/// // A till on a slow line.
/// let timeouts = Timeouts { total: Duration::from_secs(60), ..Timeouts::default() };
/// assert_eq!(timeouts.connect, Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Until the connection is made, name resolution and TLS included. 5 s by default.
    pub connect: Duration,
    /// Until the last byte of the reply is there, however slowly bytes drip. 15 s by default.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(15) }
    }
}
