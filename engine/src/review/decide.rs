//! Decisions of persons on what waits for them.

use onceward_wal::Lsn;

use super::catalog::{Fact, RowId};
use super::frames::{Action, DecisionFrame};
use super::list::{not_in_review, not_in_review_since};
use super::{Decision, DecisionAction, DecisionMade, Reviews};
use crate::base::bounds::PAGE_MAX;
use crate::base::{Error, ErrorKind, FrameKind, Result, codec};
use crate::event::{Key, Scope};
use crate::kernel::{FrameBody, Share};
use crate::store::StoreState;

impl Reviews<'_> {
    /// Carries out what a person decided about an event that waits for one.
    ///
    /// Name the version that the person looked at: of two who decide at once, the second then gets an error,
    /// and by whom the first decision was made.
    ///
    /// ```
    /// # use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, Store};
    /// use onceward::ErrorKind;
    /// use onceward::review::Decision;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// # let store = Store::open(&dir, Config::new())?;
    /// # let (scope, key) = (Scope::default(), Key::new("sale-1")?);
    /// # store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
    /// # let answer = Answer::Rejected { code: "A".into(), message: "?".into(), reply: vec![] };
    /// # store.settle(&[Settlement { scope: scope.clone(), key: key.clone(), answer }])?;
    /// let seen = store.reviews().get(&scope, &key)?;
    /// let retry = Decision::retry(scope.clone(), key.clone()).with_person("anna").with_version(seen.version);
    /// store.reviews().decide(&retry)?;
    ///
    /// let late = Decision::resolve(scope, key, "paid in cash").with_person("ben").with_version(seen.version);
    /// let error = store.reviews().decide(&late).unwrap_err();
    /// assert_eq!((error.kind(), error.code()), (ErrorKind::Fenced, "ALREADY_DECIDED"));
    /// assert!(error.to_string().contains("anna"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// The decision survives a crash when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// `Invalid`: a note over 1,024 bytes, `NOTE_TOO_LONG`, or a name over 64, `WHO_TOO_LONG`.
    /// `Fenced`, code `ALREADY_DECIDED`: the version that was named is not the one that waits now.
    /// `NotFound`, code `NOT_IN_REVIEW`: the event does not wait for a person. `Full`: no room.
    /// `Poisoned`, `Io`: as for [`Store::capture`](crate::Store::capture).
    pub fn decide(&self, decision: &Decision) -> Result<()> {
        self.inner.reserve().with_room(|| self.decide_now(decision))
    }

    /// Sends an event from review again, under the same key: [`Reviews::decide`](crate::review::Reviews::decide)
    /// without a name, a note and a version.
    ///
    /// ```
    /// use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, State, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # let (scope, key) = (Scope::default(), Key::new("sale-1")?);
    /// # store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
    /// # let answer = Answer::Rejected { code: "NO_CARD".into(), message: "?".into(), reply: vec![] };
    /// # store.settle(&[Settlement { scope: scope.clone(), key: key.clone(), answer }])?;
    /// store.reviews().retry(&scope, &key)?;
    /// assert_eq!(store.outcome(&scope, &key)?.state, State::Pending);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// The decision survives a crash when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// `NotFound`, code `NOT_IN_REVIEW`: the event does not wait for a person (any more). `Full`,
    /// `Poisoned`, `Io`: as for [`Reviews::decide`](crate::review::Reviews::decide).
    pub fn retry(&self, scope: &Scope, key: &Key) -> Result<()> {
        self.decide(&Decision::retry(scope.clone(), key.clone()))
    }

    /// Finishes an event in review: its state becomes `rejected`, with a note why.
    /// [`Reviews::decide`](crate::review::Reviews::decide) without a name and a version.
    ///
    /// ```
    /// use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, State, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # let (scope, key) = (Scope::default(), Key::new("sale-1")?);
    /// # store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
    /// # let answer = Answer::Rejected { code: "NO_CARD".into(), message: "?".into(), reply: vec![] };
    /// # store.settle(&[Settlement { scope: scope.clone(), key: key.clone(), answer }])?;
    /// store.reviews().resolve(&scope, &key, "paid in cash")?;
    /// assert_eq!(store.outcome(&scope, &key)?.state, State::Rejected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// The decision survives a crash when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// `Invalid`: a note over 1,024 bytes. `NotFound`, code `NOT_IN_REVIEW`: the event does not wait
    /// for a person (any more). `Full`, `Poisoned`, `Io`: as for [`Reviews::decide`](crate::review::Reviews::decide).
    pub fn resolve(&self, scope: &Scope, key: &Key, note: &str) -> Result<()> {
        self.decide(&Decision::resolve(scope.clone(), key.clone(), note))
    }

    /// The decisions that were made, oldest first, from behind `after` on, at most `max` and at most
    /// 1,000. The newest 256 are remembered.
    ///
    /// ```
    /// use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # let (scope, key) = (Scope::default(), Key::new("sale-1")?);
    /// # store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
    /// # let answer = Answer::Rejected { code: "NO_CARD".into(), message: "?".into(), reply: vec![] };
    /// # store.settle(&[Settlement { scope: scope.clone(), key: key.clone(), answer }])?;
    /// store.reviews().resolve(&scope, &key, "paid in cash")?;
    /// let page = store.reviews().decisions(None, 100)?;
    /// let next = store.reviews().decisions(page.last().map(|made| made.lsn), 100)?;
    /// assert_eq!((page.len(), next.len()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Corrupt`: one cannot be read.
    pub fn decisions(&self, after: Option<Lsn>, max: usize) -> Result<Vec<DecisionMade>> {
        self.inner.refuse_if_closed()?;
        let after = after.map_or(0, Lsn::get);
        let max = max.min(PAGE_MAX);
        self.inner
            .catalog()
            .ask_if_any(|shelf| shelf.decisions(after, max))
            .iter()
            .map(made)
            .collect()
    }

    /// The decisions that were made about one event, oldest first, of those that are remembered.
    ///
    /// ```
    /// use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # let (scope, key) = (Scope::default(), Key::new("sale-1")?);
    /// # store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
    /// # let answer = Answer::Rejected { code: "NO_CARD".into(), message: "?".into(), reply: vec![] };
    /// # store.settle(&[Settlement { scope: scope.clone(), key: key.clone(), answer }])?;
    /// store.reviews().retry(&scope, &key)?;
    /// assert_eq!(store.reviews().decisions_on(&scope, &key)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index or a decision cannot be read.
    pub fn decisions_on(&self, scope: &Scope, key: &Key) -> Result<Vec<DecisionMade>> {
        self.inner.refuse_if_closed()?;
        let Some(event) = self.event_of(scope, key)? else { return Ok(Vec::new()) };
        self.inner
            .catalog()
            .ask_if_any(|shelf| shelf.decisions_on(event))
            .iter()
            .map(made)
            .collect()
    }
}

impl Reviews<'_> {
    /// Does what [`Reviews::decide`](crate::review::Reviews::decide) says.
    pub(crate) fn decide_now(&self, decision: &Decision) -> Result<()> {
        decision.check()?;
        let Decision { scope, key, note, who, .. } = decision;
        self.inner.refuse_if_closed()?;
        let _one_at_a_time = self.inner.control.lock();
        self.inner.state.lock().rescue.refuse_if_fenced()?;
        let found = self.find_review(scope, key)?;
        let fits = |id: &RowId| decision.version.is_none_or(|seen| seen == id.version);
        let Some(id) = found.filter(fits) else { return Err(self.refusal(decision, found)?) };
        let mut frame = DecisionFrame {
            event: id.event,
            version: id.version,
            action: match decision.action {
                DecisionAction::Retry => Action::Retry,
                DecisionAction::Resolve => Action::Resolve,
            },
            number: 0,
            scope: scope.as_str().to_owned(),
            key: key.as_str().to_owned(),
            note: note.clone(),
            who: who.clone(),
            made_ms: self.inner.time.wall_ms(),
        };
        let body = FrameBody::new(FrameKind::Decision, codec::encode(&frame));
        let written = self.inner.write(&[body], Share::Decisions)?;
        for at in written.placed {
            let forgotten = {
                let mut state = self.inner.state.lock();
                let StoreState { kernel, outbox, decisions, .. } = &mut *state;
                let oldest = decisions.numbers().next();
                decisions.apply((kernel, outbox), &frame, (at, written.moment));
                oldest.filter(|oldest| decisions.get(*oldest).is_none())
            };
            frame.number = at.lsn;
            let mut facts = vec![Fact::Gone(id), Fact::Decided(frame.clone())];
            facts.extend(forgotten.map(Fact::Forgotten));
            self.inner.catalog().keep(&facts, at.lsn);
        }
        Ok(())
    }

    /// Why a decision cannot be carried out, `found` being what waits now.
    fn refusal(&self, decision: &Decision, found: Option<RowId>) -> Result<Error> {
        let Decision { scope, key, .. } = decision;
        let Some(event) = self.event_of(scope, key)? else { return Ok(not_in_review(scope, key)) };
        let history = self.inner.catalog().ask_if_any(|shelf| shelf.decisions_on(event));
        let by = |made: &DecisionFrame| {
            let who = if made.who.is_empty() { "somebody" } else { &made.who };
            let what = match made.action {
                Action::Retry => DecisionAction::Retry,
                Action::Resolve => DecisionAction::Resolve,
            };
            (who.to_owned(), what)
        };
        let Some(seen) = decision.version else {
            let last = history.last().map(by).map(|(who, what)| format!("; {who} decided: {what}"));
            return Ok(not_in_review_since(scope, key, &last.unwrap_or_default()));
        };
        let now = match found {
            Some(id) => format!("; version {} waits now", id.version),
            None => String::new(),
        };
        let message = match history.iter().find(|made| made.version == seen) {
            Some(made) => {
                let (who, what) = by(made);
                format!("{who} decided first on {key} in scope {scope}: {what}{now}")
            }
            None => format!("version {seen} of {key} in scope {scope} does not wait any more{now}"),
        };
        Ok(Error::new(ErrorKind::Fenced, "ALREADY_DECIDED", message))
    }

    /// Whether just this decision was carried out before.
    pub(crate) fn was_made(&self, decision: &Decision) -> Result<bool> {
        let Some(event) = self.event_of(&decision.scope, &decision.key)? else { return Ok(false) };
        let history = self.inner.catalog().ask_if_any(|shelf| shelf.decisions_on(event));
        let made = history.iter().map(made).collect::<Result<Vec<DecisionMade>>>()?;
        Ok(made.iter().any(|made| made.decision == *decision))
    }

    /// The number of the event that has a key.
    fn event_of(&self, scope: &Scope, key: &Key) -> Result<Option<u64>> {
        let fingerprint = self.inner.secret().fingerprint(scope.as_str(), key.as_str().as_bytes());
        let synced = self.inner.log.synced();
        let found =
            self.inner.asking(&mut self.inner.state.lock(), |_, keys| keys.find(fingerprint))?;
        Ok(found.map(|found| found.lsn).filter(|lsn| *lsn <= synced))
    }
}

/// A decision as the host sees it.
fn made(frame: &DecisionFrame) -> Result<DecisionMade> {
    let without = || Error::corrupt("the frame of a decision has LSN 0, must be at least 1");
    let action = match frame.action {
        Action::Retry => DecisionAction::Retry,
        Action::Resolve => DecisionAction::Resolve,
    };
    Ok(DecisionMade {
        lsn: Lsn::from_u64(frame.number).ok_or_else(without)?,
        event: Lsn::from_u64(frame.event).ok_or_else(without)?,
        decision: Decision {
            scope: Scope::new(&frame.scope)?,
            key: Key::new(&frame.key)?,
            action,
            note: frame.note.clone(),
            who: frame.who.clone(),
            version: Some(frame.version),
        },
        made_at_ms: frame.made_ms,
    })
}
