//! The notices that an operator should get. The library logs nothing; its host decides what to print.

use std::{fmt, path::PathBuf, sync::Arc};

/// Something that happened in a running hub and that no client hears of.
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
    /// A tenant's store refused; the client heard only that it is a storage error.
    StorageFailed {
        /// Whose store it is.
        tenant: String,
        /// The store's error, in words.
        why: String,
    },
    /// Nothing measured how long the hub was off, so that time does not count for forgetting keys.
    OffTimeNotCounted {
        /// Whose store it is.
        tenant: String,
        /// Length of that time by the wall clock, milliseconds; nobody vouches for it.
        by_wall_clock_ms: Option<i64>,
    },
    /// A tenant's store holds damaged bytes: what was there may be lost. Sent once, at opening.
    Damaged {
        /// Whose store it is.
        tenant: String,
        /// The store's directory, which `onceward verify` and `onceward repair` want.
        dir: PathBuf,
        /// File within it.
        file: String,
        /// Offset of the first bad byte.
        offset: u64,
        /// Count of bytes.
        length: u64,
        /// What is wrong, and which numbers are lost.
        what: String,
    },
    /// Something else of note was found when a tenant's store was opened.
    Opened {
        /// Whose store it is.
        tenant: String,
        /// What was found.
        what: String,
    },
    /// A tenant's store takes nothing new: its disk is full. Sent once, until there is room again.
    Full {
        /// Whose store it is.
        tenant: String,
    },
    /// A tenant's store has room again.
    HasRoom {
        /// Whose store it is.
        tenant: String,
    },
    /// A request's work panicked; the client was answered 500.
    Panicked {
        /// The request's id, as the client got it.
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
            Self::OffTimeNotCounted { tenant, by_wall_clock_ms } => {
                write!(f, "tenant {tenant}: nothing measured how long the hub was off (")?;
                match by_wall_clock_ms {
                    Some(ms) if *ms >= 0 => write!(f, "{ms} ms by the clock of this machine")?,
                    Some(_) => f.write_str("the clock of this machine was set back")?,
                    None => f.write_str("not even its clock shows it")?,
                }
                f.write_str("): that time does not count, and keys are remembered so much longer")
            }
            Self::Damaged { tenant, dir, file, offset, length, what } => {
                let dir = dir.display();
                write!(
                    f,
                    "damage in the store of tenant {tenant}, {dir}: {file} {offset} {length} {what}"
                )
            }
            Self::Opened { tenant, what } => write!(f, "store of tenant {tenant}: {what}"),
            Self::Full { tenant } => {
                write!(f, "storage full: the store of tenant {tenant} takes nothing new")
            }
            Self::HasRoom { tenant } => {
                write!(f, "the store of tenant {tenant} has room again")
            }
            Self::Panicked { request_id } => {
                write!(f, "request {request_id} failed inside the hub")
            }
        }
    }
}

/// The function of the host that gets notices.
type Observer = dyn Fn(&Notice) + Send + Sync;

/// The way of notices to the host; they go nowhere by default.
#[derive(Clone, Default)]
pub(crate) struct Notices(Option<Arc<Observer>>);

impl Notices {
    /// Sends notices to `observe`.
    pub(crate) fn to(observe: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observe)))
    }

    /// Sends a notice to the observer, if there is one.
    pub(crate) fn send(&self, notice: &Notice) {
        if let Some(observe) = &self.0 {
            observe(notice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Notice;

    #[test]
    fn the_operator_is_told_what_the_clock_says_and_that_it_does_not_count() {
        for (by_wall_clock_ms, words) in [
            (Some(3_456_000_000), "3456000000 ms by the clock"),
            (Some(-1), "was set back"),
            (None, "not even its clock shows it"),
        ] {
            let notice = Notice::OffTimeNotCounted { tenant: "a".to_owned(), by_wall_clock_ms };
            let text = notice.to_string();
            assert!(text.contains(words) && text.contains("does not count"), "{text}");
        }
    }
}
