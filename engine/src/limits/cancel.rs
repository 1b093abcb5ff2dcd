//! Takes an event back before its first attempt.

use onceward_wal::Lsn;

use super::Admission;
use super::frames::CancelFrame;
use crate::base::{Error, ErrorKind, FrameKind, Result, State, codec};
use crate::event::{Key, Scope};
use crate::kernel::{FrameBody, Share};
use crate::outbox::Stage;
use crate::store::{Store, StoreState};

/// The answer to [`Store::cancel`](crate::Store::cancel).
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward::limits::Cancellation;
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("24.50")?);
/// store.capture(&sale)?;
/// let first = store.cancel(&sale.scope, &sale.key)?;
/// assert!(matches!(first, Cancellation::Cancelled { .. }));
/// let again = store.cancel(&sale.scope, &sale.key)?;
/// assert!(matches!(again, Cancellation::TooLate { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cancellation {
    /// The event is taken back: it was never sent and never will be.
    Cancelled {
        /// The event's number.
        lsn: Lsn,
    },
    /// The event was sent, is settled, or was cancelled before: nothing changed.
    TooLate {
        /// The event's number.
        lsn: Lsn,
        /// How far it is. `Pending` is an event that was attempted before and is to be sent again.
        state: State,
    },
}

impl Store {
    /// Takes an event back that was never sent: it leaves the outbox, and its state is `Cancelled`.
    ///
    /// Its key stays taken as that of other settled events does. Once the event was in a batch it is too
    /// late, also if the upstream asked for it to be sent again, because the upstream may have it; so it
    /// is in review, and after a final answer. Then nothing changes, and the answer says how far it is.
    ///
    /// # Durability
    ///
    /// The cancellation survives a crash when this returned `Cancelled`.
    ///
    /// # Errors
    ///
    /// `NotFound`, code `NO_EVENT`: no event with this key is known. `Full`: no room. `Poisoned`, `Io`:
    /// as for [`Store::capture`].
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, State, Store};
    /// use onceward::limits::Cancellation;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new())?;
    /// let (scope, key) = (Scope::default(), Key::new("sale-1")?);
    /// store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
    /// assert!(matches!(store.cancel(&scope, &key)?, Cancellation::Cancelled { .. }));
    /// assert_eq!(store.outcome(&scope, &key)?.state, State::Cancelled);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&self, scope: &Scope, key: &Key) -> Result<Cancellation> {
        self.inner.reserve().with_room(|| self.inner.admission().cancel_by_key(scope, key))
    }
}

impl Admission<'_> {
    fn cancel_by_key(&self, scope: &Scope, key: &Key) -> Result<Cancellation> {
        let fingerprint = self.inner.secret().fingerprint(scope.as_str(), key.as_str().as_bytes());
        let unknown = || {
            let message = format!("no event has the key {key} in scope {scope}");
            Error::new(ErrorKind::NotFound, "NO_EVENT", message)
        };
        self.inner.refuse_if_closed()?;
        let _one_at_a_time = self.inner.control.lock();
        self.inner.state.lock().rescue.refuse_if_fenced()?;
        let found = self.inner.asking(&mut self.inner.state.lock(), |state, keys| {
            let found = keys.find(fingerprint)?.and_then(|found| Lsn::from_u64(found.lsn));
            Ok(found.map(|lsn| (lsn, state.outbox.events().outcomes().is_lost(lsn.get()))))
        })?;
        let (lsn, is_lost) = found.ok_or_else(unknown)?;
        // One that is queued and not durable yet may turn out to be absent. Of one that damage took nobody hears.
        let waited = if is_lost { Ok(()) } else { self.inner.log.wait(lsn) };
        self.inner.resolve(&mut self.inner.state.lock());
        match waited {
            Ok(()) => {}
            Err(error) if error.kind() == onceward_wal::ErrorKind::Full => return Err(unknown()),
            Err(error) => return Err(self.inner.log_error(error)),
        }
        self.cancel(lsn)
    }

    /// Takes back an event, which is durable. The caller holds `control`.
    fn cancel(&self, lsn: Lsn) -> Result<Cancellation> {
        let cancel = {
            let state = self.inner.state.lock();
            let events = state.outbox.events();
            let live = events.live(lsn.get());
            let is_unsent = live
                .is_some_and(|it| it.stage == Stage::Pending && !it.is_attempted && !it.is_effect);
            if !is_unsent {
                return Ok(Cancellation::TooLate { lsn, state: events.state_of(lsn.get()) });
            }
            let mut totals = state.losses.totals();
            totals.cancelled += 1;
            CancelFrame { event: lsn.get(), totals }
        };
        let frame = FrameBody::new(FrameKind::Cancel, codec::encode(&cancel));
        let written = self.inner.write(&[frame], Share::Decisions)?;
        let mut state = self.inner.state.lock();
        let StoreState { kernel, outbox, losses, .. } = &mut *state;
        for at in written.placed {
            losses.apply_cancel((kernel, outbox), &cancel, (at, written.moment));
        }
        Ok(Cancellation::Cancelled { lsn })
    }
}
