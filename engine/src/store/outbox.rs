//! What is to be sent, what is on its way, and what the upstream said.

use std::ops::Bound;

use onceward_wal::Lsn;

use super::{Answer, Inner, Settlement, Share, Store};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Scope, StoredEvent};
use crate::frames::control::{Batch, Envelope};
use crate::frames::{KIND_BATCH, KIND_UPSTREAM, codec};
use crate::sync::Options;
use crate::view::{Live, Standing};

/// What a frame takes besides its body.
const FRAME_BYTES: usize = 64;

/// A batch that was formed and is not answered.
#[derive(Clone, Debug)]
pub(crate) struct Formed {
    pub(crate) number: u64,
    /// LSNs of its events, ascending.
    pub(crate) events: Vec<u64>,
    pub(crate) envelope: Envelope,
}

impl Store {
    /// The events of a scope that wait to be sent or are on their way, in the order of their numbers,
    /// at most `max` of them from behind `after` on. Those in review are not among them.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: an event cannot be read.
    pub fn pending(
        &self,
        scope: &Scope,
        after: Option<Lsn>,
        max: usize,
    ) -> Result<Vec<StoredEvent>> {
        let synced = self.inner.log.synced();
        let from = after.map_or(Bound::Unbounded, |lsn| Bound::Excluded(lsn.get()));
        let found: Vec<Standing> = {
            let view = self.inner.view.lock();
            let Some(number) = view.scope_number(scope.as_str()) else { return Ok(Vec::new()) };
            view.events
                .range((from, Bound::Included(synced)))
                .filter(|(_, live)| live.scope == number && live.is_to_deliver())
                .take(max)
                .filter_map(|(lsn, _)| view.standing(*lsn))
                .collect()
        };
        self.inner.read_events(&found)
    }

    /// Gives events their final answers: for hosts that deliver by themselves.
    ///
    /// Events that are unknown or have a final answer are left as they are: a late answer changes
    /// nothing.
    ///
    /// # Durability
    ///
    /// The answers survive a crash when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: as after a crash, some answers may be kept. On a full disk those that
    /// settle find room longer than those that put an event into review: give them in calls of their own.
    pub fn settle(&self, answers: &[Settlement]) -> Result<()> {
        let settled = self.inner.with_room(|| {
            self.inner.refuse_if_closed()?;
            let _one_at_a_time = self.inner.control.lock();
            let mut known: Vec<(u64, &Answer)> = {
                let mut view = self.inner.view.lock();
                let mut known = Vec::with_capacity(answers.len());
                for Settlement { scope, key, answer } in answers {
                    let key = key.as_str().as_bytes();
                    let print = self.inner.secret.fingerprint(scope.as_str(), key);
                    let found = self.inner.asking(&mut view, |view| view.find(print))?;
                    known.extend(found.map(|found| (found.lsn, answer)));
                }
                known
            };
            known.sort_by_key(|(lsn, _)| *lsn);
            known.dedup_by_key(|(lsn, _)| *lsn);
            self.inner.settle_events(0, &known)
        });
        self.end_settling(settled)
    }

    /// Gives all events of a scope that wait to be sent or are on their way, and whose numbers are from
    /// `first` to `last`, the same final answer: for hosts whose upstream confirms up to a point.
    ///
    /// Events in review, of other scopes, and those that have a final answer are left as they are.
    ///
    /// ```
    /// use onceward::{Answer, Config, Event, Key, Payload, Scope, State, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new())?;
    /// let scope = Scope::new("scans")?;
    /// for n in 1..=3 {
    ///     let key = Key::new(&format!("gate-2-{n}"))?;
    ///     store.capture(&Event::new(scope.clone(), key, Payload::json("{}")?))?;
    /// }
    /// // Sent by other means; the upstream has the first two.
    /// let sent = store.pending(&scope, None, 10)?;
    /// let answer = Answer::Accepted { receipt: None };
    /// store.settle_range(&scope, sent[0].lsn, sent[1].lsn, &answer)?;
    /// assert_eq!(store.outcome(&scope, &Key::new("gate-2-2")?)?.state, State::Accepted);
    /// assert_eq!(store.pending(&scope, None, 10)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// As [`Store::settle`].
    ///
    /// # Errors
    ///
    /// As [`Store::settle`].
    ///
    /// # Cost
    ///
    /// One frame for all of up to 1,024 events whose numbers follow each other, and no key is looked up.
    pub fn settle_range(
        &self,
        scope: &Scope,
        first: Lsn,
        last: Lsn,
        answer: &Answer,
    ) -> Result<()> {
        let settled = self.inner.with_room(|| {
            self.inner.refuse_if_closed()?;
            let _one_at_a_time = self.inner.control.lock();
            let found: Vec<(u64, &Answer)> = {
                let view = self.inner.view.lock();
                let Some(number) = view.scope_number(scope.as_str()) else { return Ok(()) };
                view.events
                    .range(first.get()..=last.get())
                    .filter(|(_, live)| live.scope == number && live.is_to_deliver())
                    .map(|(lsn, _)| (*lsn, answer))
                    .collect()
            };
            self.inner.settle_events(0, &found)
        });
        self.end_settling(settled)
    }

    /// What is done after answers were taken up, or some of them before something failed.
    fn end_settling(&self, settled: Result<()>) -> Result<()> {
        self.inner.tell_of_reviews();
        settled?;
        match self.clean_up() {
            // What could not be cleaned now is cleaned later; the answers are kept.
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            other => other,
        }
    }
}

impl Inner {
    /// Fixes batches of events, durably, by what a session's options say and as of this opening; and
    /// retires `parent` (0 for none) whose parts they are. Takes `control`.
    pub(crate) fn form_batches(
        &self,
        options: &Options,
        parent: u64,
        parts: &[Vec<u64>],
    ) -> Result<Vec<Formed>> {
        self.with_room(|| self.try_form_batches(options, parent, parts))
    }

    fn try_form_batches(
        &self,
        options: &Options,
        parent: u64,
        parts: &[Vec<u64>],
    ) -> Result<Vec<Formed>> {
        self.refuse_if_closed()?;
        let _one_at_a_time = self.control.lock();
        self.refuse_if_fenced()?;
        // Since the session took it up, a bundle may have brought another one.
        self.rule_for(options)?;
        let envelope = Envelope {
            opening: self.stamp.opening,
            upstream: options.upstream.as_str().to_owned(),
            settings: options.settings.clone(),
        };
        let batches: Vec<Batch> = parts
            .iter()
            .map(|events| Batch {
                number: 0,
                scope: options.scope.as_str().to_owned(),
                parent,
                events: events.clone(),
                envelope: envelope.clone(),
            })
            .collect();
        let mut frames: Vec<(u8, Vec<u8>)> =
            batches.iter().map(|batch| (KIND_BATCH, codec::encode(batch))).collect();
        let rule = self.unwritten_rule(options);
        // Behind the batches, and in one commit with them: before any attempt.
        frames.extend(rule.iter().map(|rule| (KIND_UPSTREAM, codec::encode(rule))));
        let bytes: usize = frames.iter().map(|(_, body)| body.len() + FRAME_BYTES).sum();
        self.keep_answers(u64::try_from(bytes).unwrap_or(u64::MAX), parent, parts)?;
        let (placed, moment) = self.append_retiring(&frames, (Share::Batches, parent))?;
        let mut view = self.view.lock();
        let mut formed = Vec::with_capacity(placed.len());
        if let (Some(rule), Some(at)) = (&rule, placed.last()) {
            view.apply_rule(rule, *at);
        }
        for (batch, at) in batches.into_iter().zip(placed) {
            view.apply_batch(&batch, options.scope.clone(), (at, moment));
            let Batch { events, envelope, .. } = batch;
            formed.push(Formed { number: at.lsn, events, envelope });
        }
        Ok(formed)
    }

    /// The batches of a scope that are not answered, oldest first.
    pub(crate) fn open_batches(&self, scope: &Scope) -> Vec<Formed> {
        let view = self.view.lock();
        view.batches
            .iter()
            .filter(|(_, batch)| batch.scope == *scope)
            .map(|(number, batch)| Formed {
                number: *number,
                events: batch.events.clone(),
                envelope: batch.envelope.clone(),
            })
            .collect()
    }

    /// Reads those of the events that wait for the upstream. One whose bytes are damaged is left
    /// out, and told to `damaged`: it must not hold up its neighbours.
    pub(crate) fn read_live(
        &self,
        lsns: &[u64],
        damaged: &mut dyn FnMut(&Error),
    ) -> Result<Vec<StoredEvent>> {
        let found: Vec<Standing> = {
            let view = self.view.lock();
            let is_live = |lsn: &u64| view.events.get(lsn).is_some_and(Live::is_to_deliver);
            let live = lsns.iter().filter(|lsn| is_live(lsn));
            live.filter_map(|lsn| view.standing(*lsn)).collect()
        };
        let mut events = Vec::with_capacity(found.len());
        self.read_each(&found, |read| {
            match read {
                Ok(event) => events.extend(event),
                Err(error) if error.kind() == ErrorKind::Corrupt => damaged(&error),
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        Ok(events)
    }

    /// The numbers of synced events of a scope that wait to be sent, from behind `after` on; of each
    /// lane the first that has no final answer, if that one waits to be sent.
    pub(crate) fn waiting(&self, scope: &Scope, after: u64, max: usize) -> Vec<u64> {
        let synced = self.log.synced();
        if after >= synced {
            return Vec::new();
        }
        let view = self.view.lock();
        let Some(number) = view.scope_number(scope.as_str()) else { return Vec::new() };
        view.front(number, after, synced).take(max).collect()
    }

    /// How many events of a scope wait behind one of their lane that waits for a person.
    pub(crate) fn behind_parked(&self, scope: &Scope) -> u64 {
        let view = self.view.lock();
        view.scope_number(scope.as_str()).map_or(0, |number| view.behind_parked(Some(number)))
    }
}
