//! What became of an event.

use onceward_wal::Lsn;

use crate::base::State;
use crate::event::Receipt;

/// What is known of a key.
///
/// ```
/// use onceward::{Config, Key, Scope, State, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let outcome = store.outcome(&Scope::default(), &Key::new("never-seen")?)?;
/// assert_eq!((outcome.state, outcome.lsn, outcome.receipt), (State::Unknown, None, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// How far the event is; `Unknown` when the key is not remembered.
    pub state: State,
    /// The event's number, if the key is known.
    pub lsn: Option<Lsn>,
    /// The upstream's receipt, if it gave one.
    pub receipt: Option<Receipt>,
}
