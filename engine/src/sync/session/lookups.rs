//! What the upstream may have forgotten, where it can be asked for the outcome of a key.
//!
//! | the upstream says of an event's key | the event is |
//! |---|---|
//! | what became of it | settled, or in review, as if a reply had said so |
//! | that it never came, or was forgotten with its effect undone | sent again, as if for the first time |
//! | that it cannot say for now; or nobody answers | asked for again, after the backoff |
//! | anything else: it cannot be asked for this one | uncertain: a person decides |
//!
//! One question at a time is on its way, and only where nothing is to be sent.

use std::collections::BTreeMap;

use onceward_wal::Lsn;

use super::candidates::Candidates;
use super::open::First;
use super::{Session, store_access::StoreAccess};
use crate::base::{ErrorKind, Result};
use crate::event::StoredEvent;
use crate::outbox::Answer;
use crate::sync::backoff::doubled_ms;
use crate::sync::matching::answer;
use crate::sync::{Failure, ItemOutcome, Options, Question};

/// An event that the upstream is asked about.
#[derive(Debug)]
struct Unknown {
    /// Its key there.
    key: String,
    /// What becomes of it if the upstream cannot be asked.
    otherwise: Answer,
    failures: u32,
    not_before_ms: u64,
}

/// The events that the upstream is asked about.
#[derive(Debug)]
pub(super) struct Lookups {
    can_ask: bool,
    base_ms: u64,
    cap_ms: u64,
    unknown: BTreeMap<u64, Unknown>,
    /// The one whose question is on its way.
    asked: Option<u64>,
    /// Those of which the upstream has nothing, and since when that is known, in trusted time.
    absent: BTreeMap<u64, u64>,
}

impl Lookups {
    /// None so far.
    pub(super) fn new(options: &Options) -> Self {
        Self {
            can_ask: options.can_look_up,
            base_ms: options.backoff_base_ms,
            cap_ms: options.backoff_cap_ms,
            unknown: BTreeMap::new(),
            asked: None,
            absent: BTreeMap::new(),
        }
    }

    /// Whether the upstream can be asked. Then an event is, under the key by which it has it, and `otherwise` is its
    /// answer if that is of no use.
    pub(super) fn add(
        &mut self,
        event: &StoredEvent,
        key: Option<String>,
        otherwise: &Answer,
    ) -> bool {
        let Some(key) = key.filter(|_| self.can_ask) else { return false };
        let unknown = Unknown { key, otherwise: otherwise.clone(), failures: 0, not_before_ms: 0 };
        self.unknown.entry(event.lsn.get()).or_insert(unknown);
        true
    }

    /// Whether an event waits for what the upstream says of it.
    pub(super) fn holds(&self, lsn: u64) -> bool {
        self.unknown.contains_key(&lsn)
    }

    /// When an event was attempted first, as far as that counts.
    pub(super) fn first(&self, lsn: u64, first: First) -> First {
        self.absent.get(&lsn).map_or(first, |trusted_ms| First::Here { trusted_ms: *trusted_ms })
    }

    /// Whether there is anything to ask.
    pub(super) fn is_any(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// When the next question is to be asked, if one waits for its time.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let times = self.unknown.values().map(|unknown| unknown.not_before_ms);
        times.min().filter(|_| self.asked.is_none())
    }

    /// Forgets events for which `waits` does not hold.
    pub(super) fn retain(&mut self, waits: impl Fn(u64) -> bool) {
        self.unknown.retain(|lsn, _| waits(*lsn));
        self.absent.retain(|lsn, _| waits(*lsn));
    }

    /// All of them may be asked for at once.
    pub(super) fn recall(&mut self) {
        self.unknown.values_mut().for_each(|unknown| unknown.not_before_ms = 0);
    }

    /// Whatever was on its way is not any more.
    pub(super) fn forget_asked(&mut self) {
        self.asked = None;
    }

    /// The next question; with `is_once` of those only that were not asked.
    fn ask(&mut self, access: &StoreAccess, is_once: bool, now_ms: u64) -> Option<Question> {
        if self.asked.is_some() {
            return None;
        }
        let mut due = self.unknown.iter().filter(|(_, unknown)| {
            unknown.not_before_ms <= now_ms && (unknown.failures == 0 || !is_once)
        });
        let (lsn, unknown) = due.next()?;
        let (scope, key) = (access.scope().clone(), unknown.key.clone());
        self.asked = Some(*lsn);
        Some(Question { scope, key, lsn: Lsn::from_u64(*lsn)? })
    }

    /// Nothing is known of an event yet: it is asked for later.
    fn ask_later(&mut self, lsn: u64, wish_ms: Option<u64>, now_ms: u64) {
        let Self { unknown, base_ms, cap_ms, .. } = self;
        if let Some(unknown) = unknown.get_mut(&lsn) {
            unknown.failures = unknown.failures.saturating_add(1);
            let wait_ms = doubled_ms(*base_ms, *cap_ms, unknown.failures).max(wish_ms.unwrap_or(0));
            unknown.not_before_ms = now_ms.saturating_add(wait_ms);
        }
    }
}

impl Session {
    /// Whether the upstream is to be asked for the outcome of a key, because it may have forgotten it, and nothing else
    /// is to be sent: see [`Options::with_lookups`]. The driver asks, and reports with [`Session::on_outcome`].
    pub fn question(&mut self, now_ms: u64) -> Option<Question> {
        let may_ask = !self.pacing.is_blocked()
            && self.pacing.until_ms(now_ms).is_none()
            && self.hold.left_ms() == 0
            && !(self.pacing.is_once() && self.pacing.is_unreachable());
        if !may_ask {
            return None;
        }
        let Self { events, pacing, .. } = self;
        events.lookups.ask(&events.access, pacing.is_once(), now_ms)
    }

    /// Applies what the upstream says of a key: what became of the event, or `None` where it never had it; or why it
    /// does not say.
    ///
    /// # Durability
    ///
    /// As [`Session::on_reply`].
    ///
    /// # Errors
    ///
    /// Those of the store; the upstream is then asked again.
    pub fn on_outcome(
        &mut self,
        question: &Question,
        outcome: &std::result::Result<Option<ItemOutcome>, Failure>,
        now_ms: u64,
    ) -> Result<()> {
        let lsn = question.lsn.get();
        let Candidates { lookups, access, .. } = &mut self.events;
        if lookups.asked != Some(lsn) {
            return Ok(());
        }
        lookups.asked = None;
        // A person may have decided meanwhile.
        access.with_waiting(|waits| lookups.retain(waits));
        let otherwise = lookups.unknown.get(&lsn).map(|unknown| unknown.otherwise.clone());
        let Some(otherwise) = otherwise else { return Ok(()) };
        let settled = match outcome {
            Ok(None) => {
                lookups.unknown.remove(&lsn);
                lookups.absent.insert(lsn, access.trusted_ms());
                self.pacing.line_answers();
                // It is sent, also by a run that came to its end.
                self.pacing.resume();
                return Ok(());
            }
            Ok(Some(said)) => {
                self.pacing.line_answers();
                match answer(said) {
                    Ok(answer) => answer,
                    Err(wish_ms) => {
                        lookups.ask_later(lsn, wish_ms, now_ms);
                        return Ok(());
                    }
                }
            }
            Err(
                Failure::Refused { .. }
                | Failure::TooLarge
                | Failure::BatchKeyRefused { .. }
                | Failure::ReplyTooLarge { .. },
            ) => otherwise,
            Err(failure) => {
                lookups.ask_later(lsn, None, now_ms);
                return self.on_no_answer(failure, now_ms);
            }
        };
        let answers = [(lsn, settled)];
        let done = self.events.access.settle(0, &answers);
        match done {
            Err(error) if error.kind() == ErrorKind::Full => {
                self.findings.note(error.to_string());
                self.findings.found_no_room();
                self.events.lookups.ask_later(lsn, None, now_ms);
                Ok(())
            }
            Err(error) => Err(error),
            Ok(()) => {
                self.events.lookups.unknown.remove(&lsn);
                self.events.attempts.forget(&answers);
                self.findings.count_answers(&answers);
                Ok(())
            }
        }
    }
}
