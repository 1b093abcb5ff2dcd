//! What the upstream said of an event.

use std::fmt;

use crate::base::shown::OnlyLength;
use crate::event::{Key, Receipt, Scope};

/// A final answer for one event.
///
/// ```
/// use onceward::{Answer, Config, Event, Key, Payload, Receipt, Scope, Settlement, State, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let (scope, key) = (Scope::default(), Key::new("sale-1")?);
/// store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
/// // A host that delivers by itself heard that it took effect.
/// let answer = Answer::Accepted { receipt: Some(Receipt::new(b"txn_1")?) };
/// store.settle(&[Settlement { scope: scope.clone(), key: key.clone(), answer }])?;
/// assert_eq!(store.outcome(&scope, &key)?.state, State::Accepted);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settlement {
    /// The event's scope.
    pub scope: Scope,
    /// The event's key.
    pub key: Key,
    /// The upstream's answer.
    pub answer: Answer,
}

/// What the upstream said of an event.
///
/// ```
/// use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, State, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let (scope, key) = (Scope::default(), Key::new("sale-1")?);
/// store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
/// let (code, message) = ("LINE_CUT".to_owned(), "sent, and the other side is gone".to_owned());
/// let answer = Answer::Uncertain { code, message };
/// store.settle(&[Settlement { scope: scope.clone(), key: key.clone(), answer }])?;
/// assert_eq!(store.outcome(&scope, &key)?.state, State::Uncertain);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// The event took effect now.
    Accepted {
        /// The upstream's receipt.
        receipt: Option<Receipt>,
    },
    /// The event had taken effect before.
    Duplicate {
        /// The upstream's receipt.
        receipt: Option<Receipt>,
    },
    /// The event is refused for good and goes to review.
    Rejected {
        /// The upstream's code.
        code: String,
        /// The upstream's words.
        message: String,
        /// The reply for this event.
        reply: Vec<u8>,
    },
    /// Whether it took effect cannot be known, and it must not be sent again blindly: it goes to
    /// review.
    Uncertain {
        /// A code for the reason.
        code: String,
        /// The reason in words.
        message: String,
    },
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { receipt } => {
                f.debug_struct("Accepted").field("receipt", receipt).finish()
            }
            Self::Duplicate { receipt } => {
                f.debug_struct("Duplicate").field("receipt", receipt).finish()
            }
            Self::Rejected { code, message, reply } => f
                .debug_struct("Rejected")
                .field("code", code)
                .field("message", message)
                .field("reply", &OnlyLength(reply))
                .finish(),
            Self::Uncertain { code, message } => {
                f.debug_struct("Uncertain").field("code", code).field("message", message).finish()
            }
        }
    }
}
