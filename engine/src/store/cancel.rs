//! Takes an event back before its first attempt.

use onceward_wal::Lsn;

use super::{Inner, Share, Store, from_log};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Key, Scope};
use crate::frames::limits::Cancel;
use crate::frames::{KIND_CANCEL, codec};
use crate::verdict::Cancellation;
use crate::view::Stage;

impl Store {
    /// Takes an event back that was never sent: it leaves the outbox, and its state is `Cancelled`.
    ///
    /// Its key stays taken as that of other settled events does. Once the event was in a batch it is too
    /// late, also if the upstream asked for it to be sent again, because the upstream may have it; so it
    /// is in review, and after a final answer. Then nothing changes, and the answer tells how far it is.
    ///
    /// # Durability
    ///
    /// The cancellation survives a crash when this returned `Cancelled`.
    ///
    /// # Errors
    ///
    /// `NotFound`, code `NO_EVENT`: no event with this key is known. `Full`, `Io`, `Poisoned`: the disk
    /// refused; where the error is in doubt, ask again after reopening.
    ///
    /// ```
    /// use onceward::{Cancellation, Config, Event, Key, Payload, Scope, State, Store};
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
        self.inner.with_room(|| self.inner.cancel_by_key(scope, key))
    }
}

impl Inner {
    fn cancel_by_key(&self, scope: &Scope, key: &Key) -> Result<Cancellation> {
        let print = self.secret.fingerprint(scope.as_str(), key.as_str().as_bytes());
        let unknown = || {
            let message = format!("no event has the key {key} in scope {scope}");
            Error::new(ErrorKind::NotFound, "NO_EVENT", message)
        };
        self.refuse_if_closed()?;
        let _one_at_a_time = self.control.lock();
        self.refuse_if_fenced()?;
        let found = self.asking(&mut self.view.lock(), |view| {
            let found = view.find(print)?.and_then(|found| Lsn::from_u64(found.lsn));
            Ok(found.map(|lsn| (lsn, view.is_lost(lsn.get()))))
        })?;
        let (lsn, is_lost) = found.ok_or_else(unknown)?;
        // One that is queued and not durable yet may turn out to be absent. Of one that damage took nobody hears.
        let waited = if is_lost { Ok(()) } else { self.log.wait(lsn) };
        match waited {
            Ok(()) => {}
            Err(error) if error.kind() == onceward_wal::ErrorKind::Full => {
                self.view.lock().withdraw(print, lsn.get());
                return Err(unknown());
            }
            Err(error) => return Err(from_log(error)),
        }
        self.cancel(lsn)
    }

    /// Takes back an event, which is durable. The caller holds `control`.
    fn cancel(&self, lsn: Lsn) -> Result<Cancellation> {
        let cancel = {
            let view = self.view.lock();
            let live = view.events.get(&lsn.get());
            let is_unsent = live
                .is_some_and(|it| it.stage == Stage::Pending && !it.is_attempted && !it.at_once);
            if !is_unsent {
                return Ok(Cancellation::TooLate { lsn, state: view.state_of(lsn.get()) });
            }
            let mut totals = view.room.totals();
            totals.cancelled += 1;
            Cancel { event: lsn.get(), totals }
        };
        let (placed, moment) =
            self.append_control(&[(KIND_CANCEL, codec::encode(&cancel))], Share::Decisions)?;
        let mut view = self.view.lock();
        for at in placed {
            view.apply_cancel(&cancel, at, moment);
        }
        Ok(Cancellation::Cancelled { lsn })
    }
}
