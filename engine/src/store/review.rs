//! What waits for a person: events that the upstream refused for good.

use super::{Inner, Store};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Key, Scope};
use crate::frames::control::{Action, Decision};
use crate::frames::{KIND_DECISION, codec};
use crate::limits::NOTE_BYTES_MAX;
use crate::report::ReviewItem;
use crate::view::{Review, Standing};

impl Store {
    /// The events that wait for a person, oldest first; of one scope or of all.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: an event cannot be read.
    pub fn reviews(&self, scope: Option<&Scope>) -> Result<Vec<ReviewItem>> {
        let found = {
            let view = self.inner.view.lock();
            let wanted = |lsn: &u64| {
                let live = view.events.get(lsn);
                live.is_some_and(|live| scope.is_none_or(|s| view.scope(live.scope) == Some(s)))
            };
            let waiting = view.reviews.iter().filter(|(lsn, _)| wanted(lsn));
            waiting
                .filter_map(|(lsn, review)| Some((view.standing(*lsn)?, review.clone())))
                .collect::<Vec<_>>()
        };
        found
            .into_iter()
            .filter_map(|(standing, review)| self.inner.review_item(standing, review).transpose())
            .collect()
    }

    /// One event that waits for a person.
    ///
    /// # Errors
    ///
    /// `NotFound`: the event does not wait for a person. `Corrupt`, `Io`: it cannot be read.
    pub fn review(&self, scope: &Scope, key: &Key) -> Result<ReviewItem> {
        let (standing, review) = self.inner.find_review(scope, key)?;
        self.inner.review_item(standing, review)?.ok_or_else(|| not_in_review(scope, key))
    }

    /// Sends an event from review again, under the same key.
    ///
    /// # Durability
    ///
    /// The decision survives a crash when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// `NotFound`: the event does not wait for a person (any more). `Full`, `Io`, `Poisoned`.
    pub fn retry(&self, scope: &Scope, key: &Key) -> Result<()> {
        self.inner.decide(scope, key, Action::Retry)
    }

    /// Finishes an event in review: its state becomes `rejected`, with a note why.
    ///
    /// # Durability
    ///
    /// The decision survives a crash when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// `Invalid`: a note over 1,024 bytes. `NotFound`: the event does not wait for a person (any
    /// more). `Full`, `Io`, `Poisoned`.
    pub fn resolve(&self, scope: &Scope, key: &Key, note: &str) -> Result<()> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(Error::invalid(
                "NOTE_TOO_LONG",
                format!("note: has {} bytes, at most {NOTE_BYTES_MAX}", note.len()),
            ));
        }
        self.inner.decide(scope, key, Action::Resolve { note: note.to_owned() })
    }
}

impl Inner {
    fn find_review(&self, scope: &Scope, key: &Key) -> Result<(Standing, Review)> {
        let print = self.secret.fingerprint(scope.as_str(), key.as_str().as_bytes());
        let view = self.view.lock();
        let found = view.keys.find(print)?.and_then(|found| {
            let review = view.reviews.get(&found.lsn)?;
            Some((view.standing(found.lsn)?, review.clone()))
        });
        found.ok_or_else(|| not_in_review(scope, key))
    }

    /// `None`: it was decided and is gone in the meantime.
    fn review_item(&self, standing: Standing, review: Review) -> Result<Option<ReviewItem>> {
        Ok(self.read_event(standing)?.map(|event| ReviewItem::of(event, review)))
    }

    fn decide(&self, scope: &Scope, key: &Key, action: Action) -> Result<()> {
        let _one_at_a_time = self.control.lock();
        let (standing, review) = self.find_review(scope, key)?;
        let decision = Decision { event: standing.lsn, version: review.version, action };
        let (placed, moment) = self.append_control(&[(KIND_DECISION, codec::encode(&decision))])?;
        let mut view = self.view.lock();
        for at in placed {
            view.apply_decision(&decision, at, moment);
        }
        Ok(())
    }
}

fn not_in_review(scope: &Scope, key: &Key) -> Error {
    let message = format!("no review item has the key {key} in scope {scope}");
    Error::new(ErrorKind::NotFound, "NOT_IN_REVIEW", message)
}
