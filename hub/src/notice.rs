//! What an operator should hear of. The library logs nothing; its host decides what to print.

use std::{fmt, sync::Arc};

/// Something that happened in a running hub and that no client is told.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// The cards file changed and was read again.
    CardsReloaded {
        /// Number of cards now known.
        cards: u64,
    },
    /// The cards file changed and cannot be used; the last good one stays in force.
    CardsBroken {
        /// File, line, field and rule.
        why: String,
    },
    /// A tenant's store refused; the client was told only that it is a storage error.
    StorageFailed {
        /// Whose store it is.
        tenant: String,
        /// What the store said.
        why: String,
    },
    /// A request's work panicked; the client was answered 500.
    Panicked {
        /// The request's id, as the client was told.
        request_id: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CardsReloaded { cards } => write!(f, "cards file read again: {cards} cards"),
            Self::CardsBroken { why } => {
                write!(f, "cards file not used, last good one kept: {why}")
            }
            Self::StorageFailed { tenant, why } => write!(f, "storage of tenant {tenant}: {why}"),
            Self::Panicked { request_id } => {
                write!(f, "request {request_id} failed inside the hub")
            }
        }
    }
}

/// What the host does with a notice.
type Observer = dyn Fn(&Notice) + Send + Sync;

/// Where notices go; nowhere by default.
#[derive(Clone, Default)]
pub(crate) struct Notices(Option<Arc<Observer>>);

impl Notices {
    /// Sends notices to `observe`.
    pub(crate) fn to(observe: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observe)))
    }

    /// Tells the observer, if there is one.
    pub(crate) fn tell(&self, notice: &Notice) {
        if let Some(observe) = &self.0 {
            observe(notice);
        }
    }
}
