//! When anything is sent again. Every repetition passes through one backoff, of the line or of an
//! event; what is due is gathered, so that few requests carry it.

use super::horizon::First;
use super::suspects::Suspicion;
use super::{Open, Session};
use crate::base::Result;
use crate::outbox::Answer;
use crate::sync::Effort;
use crate::sync::backoff::{RETRY_AFTER_MS_MAX, doubled_ms};

/// With [`Effort::Once`]: requests in a row that brought nothing, after which no more are sent.
const FRUITLESS_MAX: u32 = 3;
/// With [`Effort::Once`]: a wait that is longer ends it.
pub(super) const ONCE_WAIT_MS_MAX: u64 = 10_000;

/// So many times as many events of a reply fail for now as do not: then the upstream is busy.
const BUSY_TIMES: usize = 9;

/// An event that is to be sent again.
#[derive(Debug)]
pub(super) struct Retry {
    /// How often it failed for now.
    failures: u32,
    pub(super) not_before_ms: u64,
    pub(super) first: First,
    /// It was refused alone, and nobody knows whose fault it is: it waits for evidence.
    pub(super) suspicion: Option<Suspicion>,
}

impl Retry {
    /// An event that has not failed in this session.
    pub(super) fn new(first: First) -> Self {
        Self { failures: 0, not_before_ms: 0, first, suspicion: None }
    }

    /// Whether it may be sent.
    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        self.suspicion.is_none() && self.not_before_ms <= now_ms
    }

    /// Forgets why it waits.
    pub(super) fn forgive(&mut self) {
        *self = Self::new(self.first);
    }
}

impl Session {
    /// An event failed for now. Those that fail at about the same time come back together, at a time
    /// that the seed shifts between terminals.
    pub(super) fn retry_later(
        &mut self,
        (lsn, first): (u64, First),
        retry_after_ms: Option<u64>,
        now_ms: u64,
    ) {
        let (base_ms, cap_ms) = (self.options.backoff_base_ms, self.options.backoff_cap_ms);
        let retry = self.retries.entry(lsn).or_insert_with(|| Retry::new(first));
        let longest_ms = doubled_ms(base_ms, cap_ms, retry.failures);
        retry.failures = retry.failures.saturating_add(1);
        let grid_ms = (longest_ms / 2).max(1);
        let at_least_ms = retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX);
        let wait_ms = longest_ms.saturating_sub(grid_ms).max(base_ms).max(at_least_ms);
        let due_ms = now_ms.saturating_add(wait_ms);
        let past_ms = due_ms.wrapping_add(self.options.seed) % grid_ms;
        retry.not_before_ms = due_ms.saturating_add(grid_ms - past_ms);
    }

    /// When to go on after a reply: its events that failed for now come again later, and where nearly
    /// all of them did, so does everything else.
    pub(super) fn take_up_pace(
        &mut self,
        open: &Open,
        answers: &[(u64, Answer)],
        later: &[(u64, Option<u64>)],
        now_ms: u64,
    ) -> Result<()> {
        for (lsn, retry_after_ms) in later {
            let first = self.first(*lsn, open.first.unwrap_or(First::Before));
            self.retry_later((*lsn, first), *retry_after_ms, now_ms);
        }
        if !later.is_empty() && later.len() >= answers.len().saturating_mul(BUSY_TIMES) {
            // What all of them wish is a wish of the upstream's.
            let wishes = later.iter().map(|(_, wish)| wish.unwrap_or(0));
            let wish = wishes.min();
            self.report.unreachable = false;
            self.pause(wish, now_ms);
            return self.hold_line_for_long(wish);
        }
        self.line_works();
        Ok(())
    }

    /// A request brought nothing: the next one waits.
    pub(super) fn pause(&mut self, retry_after_ms: Option<u64>, now_ms: u64) {
        let wait_ms = self.backoff.wait_ms(retry_after_ms);
        self.not_before_ms = now_ms.saturating_add(wait_ms);
        self.fruitless = self.fruitless.saturating_add(1);
        let is_over = self.fruitless >= FRUITLESS_MAX || wait_ms > ONCE_WAIT_MS_MAX;
        self.finished |= self.is_once() && is_over;
    }

    /// Something came back that is worth the next request.
    pub(super) fn line_works(&mut self) {
        self.backoff.reset();
        self.not_before_ms = 0;
        self.fruitless = 0;
        self.report.unreachable = false;
    }

    pub(super) fn is_once(&self) -> bool {
        self.options.effort == Effort::Once
    }

    /// Whether there is anything to wait for: with [`Effort::Once`] what was not attempted, or is halved.
    pub(super) fn has_more(&self, now_ms: u64) -> bool {
        !self.is_once()
            || !self.queue.is_empty()
            || self.has_one_to_halve()
            || self.find_due(0, now_ms).is_some()
    }
}
