//! Which requests went over a connection of their own: only one that was kept may have died unused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ureq::Error;
use ureq::unversioned::transport::{ConnectionDetails, Connector};

/// Counts connections when they are begun, whether they are made or not. Clones share the count. The first
/// of a chain of connectors: kept connections do not pass it.
#[derive(Clone, Debug, Default)]
pub(super) struct Opened(Arc<AtomicU64>);

impl Opened {
    /// How many so far.
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Connector<()> for Opened {
    type Out = ();

    fn connect(&self, _to: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<()>, Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }
}
