//! A batch for which the line fails again and again may fail because of what is in it: a filter on the
//! way, an upstream that breaks on it. It must not hold up the others, and what becomes of them tells.
//!
//! | the line failed for the same batch three times, or the upstream still worked on it, and | it |
//! |---|---|
//! | nobody knows more | is set aside for others, and sent again where there are none |
//! | another one is aside | is sent again: the line is down |
//! | the upstream took others since the line failed first | is halved; a single event comes again alone, ever later |
//! | the upstream took others, and works on this one | comes again as it is, ever later |
//!
//! With [`Effort::Once`](crate::sync::Effort::Once) a batch that failed on the way waits for the end of the
//! run. It is halved then if the upstream took others since; or if it is the only one, is left from an
//! earlier run, and somebody on the way answered. A line that is down halves nothing by this.
//!
//! No event is rejected for it, because nobody said so.

use super::horizon::First;
use super::{Open, Session};
use crate::base::{ErrorKind, Result};
use crate::sync::backoff::doubled_ms;

/// Attempts of a batch before others go first.
const PATIENCE: u32 = 3;

/// A batch that others go before.
#[derive(Debug)]
pub(super) struct Aside {
    open: Open,
    /// When it goes before them.
    until_ms: u64,
    /// It is at fault itself: it waits until then even if there is nothing else to send.
    is_at_fault: bool,
}

impl Session {
    /// A batch brought nothing, and the line waits already. After an error the batch is sent again.
    pub(super) fn send_after_failure(
        &mut self,
        mut open: Open,
        now_ms: u64,
        may_halve: bool,
    ) -> Result<()> {
        let failed_at = *open.failed_at.get_or_insert(self.acceptances);
        let is_at_fault = failed_at < self.acceptances;
        if self.is_once() {
            if may_halve {
                self.aside.push(Aside { open, until_ms: u64::MAX, is_at_fault: true });
            }
            return Ok(());
        }
        if open.attempts < PATIENCE || !(is_at_fault || self.aside.is_empty()) {
            self.queue.push_front(open);
            return Ok(());
        }
        if is_at_fault && may_halve {
            let halved = match self.halve(&open) {
                // It waits as it is: what the line does is no reason to end a run.
                Err(error) if error.kind() == ErrorKind::Full => {
                    self.found_no_room(1);
                    Ok(false)
                }
                halved => halved,
            };
            if !matches!(halved, Ok(false)) {
                self.sent = halved.is_err().then_some(open);
                return halved.map(drop);
            }
        }
        let (base_ms, cap_ms) = (self.options.backoff_base_ms, self.options.backoff_cap_ms);
        let wait_ms = doubled_ms(base_ms, cap_ms, open.attempts);
        let until_ms =
            now_ms.saturating_add(wait_ms).max(self.not_before_ms.saturating_add(base_ms));
        self.aside.push(Aside { open, until_ms, is_at_fault });
        Ok(())
    }

    /// Halves take the place of a batch; `false`: it has no two events that can be read.
    pub(super) fn halve(&mut self, open: &Open) -> Result<bool> {
        let events = self.read(&open.formed.events)?;
        let events: Vec<u64> = events.into_iter().map(|event| event.lsn.get()).collect();
        let (first, second) = events.split_at(events.len().div_ceil(2));
        if second.is_empty() {
            return Ok(false);
        }
        let parts = [first.to_vec(), second.to_vec()];
        let halves =
            self.inner().events().form_batches(self.options.route(), open.formed.number, &parts)?;
        for formed in halves.into_iter().rev() {
            let fresh = Open { formed, attempts: 0, failed_at: None, met_stranger: false, ..*open };
            self.queue.push_front(fresh);
        }
        Ok(true)
    }

    /// Whether a batch that failed in this run is to be halved, with [`Effort::Once`](crate::sync::Effort::Once).
    fn is_to_halve(&self, open: &Open) -> bool {
        let since = open.failed_at.is_some_and(|at| at < self.acceptances);
        let is_left = open.first == Some(First::Before) && self.aside.len() == 1;
        let is_filtered = open.met_stranger && (self.acceptances > 0 || is_left);
        open.formed.events.len() > 1 && (since || is_filtered)
    }

    /// Whether there is such a batch.
    pub(super) fn has_one_to_halve(&self) -> bool {
        self.is_once() && self.aside.iter().any(|aside| self.is_to_halve(&aside.open))
    }

    /// Puts halves of one such batch in the queue; after an error it is as it was.
    pub(super) fn halve_one_that_failed(&mut self) -> Result<()> {
        if !self.is_once() {
            return Ok(());
        }
        while let Some(at) = self.aside.iter().position(|aside| self.is_to_halve(&aside.open)) {
            let aside = self.aside.remove(at);
            match self.halve(&aside.open) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // It stays whole, for another run.
                Err(error) if error.kind() == ErrorKind::Full => self.found_no_room(1),
                Err(error) => {
                    self.aside.push(aside);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Puts those in the queue whose time has come.
    pub(super) fn take_aside(&mut self, now_ms: u64) {
        let due = self.aside.extract_if(.., |aside| aside.until_ms <= now_ms);
        self.queue.extend(due.map(|aside| aside.open));
    }

    /// One that is sent because there is nothing else.
    pub(super) fn next_aside(&mut self) -> Option<Open> {
        let at = self.aside.iter().position(|aside| !aside.is_at_fault)?;
        Some(self.aside.remove(at).open)
    }

    /// When the first of them is to be sent.
    pub(super) fn aside_until_ms(&self) -> Option<u64> {
        self.aside.iter().map(|aside| aside.until_ms).min()
    }

    /// The last of them may be sent at once.
    pub(super) fn recall_last_aside(&mut self) {
        self.aside.iter_mut().next_back().into_iter().for_each(|aside| aside.until_ms = 0);
    }

    /// All of them may be sent at once.
    pub(super) fn recall_aside(&mut self) {
        self.aside.iter_mut().for_each(|aside| aside.until_ms = 0);
    }
}
