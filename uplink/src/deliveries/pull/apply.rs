//! What an answer of the hub changes in the store.

use onceward::inbox::{DeliveryState, DropReason, Received, WindowId};
use onceward::sync::Failure;
use onceward::{ErrorKind, Lsn, Result};

use super::{ASK_EVERY_MS, Pull};
use crate::deliveries::offer::{Next, Offer};
use crate::deliveries::session::Issued;
use crate::deliveries::steps::{DueStep, StepSaid};

/// Shortest time after the question that brought what was there already.
const REPEATED_MS: u64 = 100;

impl Pull {
    /// The hub has a session: its window is open, and others of the user are not any more.
    pub(super) fn on_session(&mut self, issued: &Issued, now_ms: u64) -> Result<()> {
        if self.ended.as_ref() == Some(&issued.window) {
            self.report.last_trouble =
                Some(format!("the hub issued window {} again, which it had ended", issued.window));
            self.pacing.fail(now_ms, None);
            self.ended = None;
            return Ok(());
        }
        let inbox = self.store.inbox();
        inbox.open_window(&issued.window, issued.remaining)?;
        // A user has one window at a time. Of one that ended unheard this is the only sign.
        for window in self.steps.windows_besides(&issued.window) {
            inbox.close_window(&window)?;
        }
        self.pacing.reset();
        self.report.window = Some(issued.window.as_str().to_owned());
        self.window = Some(issued.window.clone());
        self.ask_after_ms = now_ms;
        Ok(())
    }

    pub(super) fn on_next(
        &mut self,
        next: Next,
        asked: &WindowId,
        (asked_ms, now_ms): (u64, u64),
    ) -> Result<()> {
        match next {
            Next::Nothing => {
                self.pacing.reset();
                self.ask_after_ms = asked_ms.saturating_add(ASK_EVERY_MS);
                Ok(())
            }
            Next::WindowOver => self.on_window_over(asked),
            Next::Offered(offer) => self.on_offer(&offer, asked_ms, now_ms),
        }
    }

    pub(super) fn on_offer(&mut self, offer: &Offer, asked_ms: u64, now_ms: u64) -> Result<()> {
        let delivery = match offer.to_delivery(self.options.user()) {
            Ok(delivery) => delivery,
            Err(found) => {
                self.unusable(offer, &found, now_ms);
                return Ok(());
            }
        };
        match self.store.inbox().receive(&delivery) {
            Ok(Received::Fresh { lsn }) => {
                self.report.received = self.report.received.saturating_add(1);
                self.pacing.reset();
                self.steps.note(lsn, &delivery, offer.done());
                self.catch_up(lsn, offer.done())
            }
            Ok(Received::Duplicate { lsn, state }) => {
                self.report.duplicates = self.report.duplicates.saturating_add(1);
                self.pacing.reset();
                self.ask_after_ms = asked_ms.saturating_add(REPEATED_MS);
                match state {
                    DeliveryState::Open => {
                        self.steps.note(lsn, &delivery, offer.done());
                        self.catch_up(lsn, offer.done())
                    }
                    DeliveryState::Acked => {
                        self.ack_again = Some(offer.ending());
                        Ok(())
                    }
                    // Final here, and nothing that the hub would take is to be told.
                    _ => Ok(()),
                }
            }
            Ok(Received::Dropped { why: DropReason::WindowNotOpen }) => {
                // It ended here, or the hub has another one for this user.
                self.window = None;
                self.report.window = None;
                // A hub may go on with that, whatever session it is asked for.
                self.ask_after_ms = now_ms.saturating_add(ASK_EVERY_MS);
                Ok(())
            }
            Ok(_) => {
                self.shortage("the inbox holds as many unfinished deliveries as it may", now_ms);
                Ok(())
            }
            Err(found) if found.kind() == ErrorKind::Invalid => {
                self.unusable(offer, &found, now_ms);
                Ok(())
            }
            Err(found) => Err(found),
        }
    }

    /// The hub knows of more steps than the store: work goes on behind them.
    pub(super) fn catch_up(&mut self, lsn: Lsn, done: u32) -> Result<()> {
        let next = match self.store.inbox().resume(lsn) {
            Ok(next) => next,
            Err(found) if is_final(&found) => return Ok(()),
            Err(found) => return Err(found),
        };
        if done == 0 || next.is_none_or(|next| next > done) {
            return Ok(());
        }
        match self.store.inbox().progress(lsn, done) {
            Err(found) if !is_final(&found) => Err(found),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) fn on_step(&mut self, due: &DueStep, said: &StepSaid) -> Result<()> {
        self.pacing.reset();
        match said {
            StepSaid::Recorded(step) => {
                self.report.steps_told = self.report.steps_told.saturating_add(1);
                self.steps.told(due.lsn, *step);
                self.catch_up(due.lsn, *step)
            }
            StepSaid::Done => match self.store.inbox().ack(due.lsn) {
                Ok(_) => {
                    self.report.finished_elsewhere =
                        self.report.finished_elsewhere.saturating_add(1);
                    Ok(())
                }
                Err(found) if is_final(&found) => Ok(()),
                Err(found) => Err(found),
            },
            StepSaid::WindowOver => self.on_window_over(due.window()),
            StepSaid::Pointless => {
                self.steps.told(due.lsn, u32::MAX);
                Ok(())
            }
        }
    }

    /// The hub ended a window: what is open in it is dropped. If it is the one that is asked in, another session is
    /// due.
    pub(super) fn on_window_over(&mut self, window: &WindowId) -> Result<()> {
        self.store.inbox().close_window(window)?;
        self.report.windows_over = self.report.windows_over.saturating_add(1);
        self.ended = Some(window.clone());
        if self.window.as_ref() == Some(window) {
            self.window = None;
            self.report.window = None;
        }
        Ok(())
    }

    pub(super) fn unusable(&mut self, offer: &Offer, found: &onceward::Error, now_ms: u64) {
        self.report.unusable = self.report.unusable.saturating_add(1);
        self.report.last_trouble = Some(format!("delivery {}: {found}", offer.id().escape_debug()));
        self.ask_after_ms = now_ms.saturating_add(ASK_EVERY_MS);
    }

    /// There is no room: nothing is asked for until there may be some.
    pub(super) fn shortage(&mut self, why: &str, now_ms: u64) {
        self.report.refused_full = self.report.refused_full.saturating_add(1);
        self.report.last_trouble = Some(why.to_owned());
        self.pacing.fail(now_ms, None);
    }

    pub(super) fn fail(&mut self, failure: &Failure, now_ms: u64) {
        self.report.failures = self.report.failures.saturating_add(1);
        let (why, retry_after_ms) = match failure {
            Failure::Unavailable { why, retry_after_ms, .. } => (why.clone(), *retry_after_ms),
            Failure::InProgress { retry_after_ms } => {
                ("it is worked on".to_owned(), *retry_after_ms)
            }
            Failure::Blocked { why } => {
                self.report.blocked = true;
                (why.clone(), None)
            }
            Failure::Misdirected { why }
            | Failure::ReplyTooLarge { why }
            | Failure::LineTooNarrow { why } => (why.clone(), None),
            Failure::Refused { code, message } | Failure::BatchKeyRefused { code, message } => {
                (format!("the hub says {code}: {message}"), None)
            }
            Failure::TooLarge => ("the request is too large".to_owned(), None),
            // A newer kind of failure is one all the same.
            _ => ("an unknown failure".to_owned(), None),
        };
        self.report.last_trouble = Some(why);
        if !self.report.blocked {
            self.pacing.fail(now_ms, retry_after_ms);
        }
    }
}

/// Whether a delivery is over here, or gone.
fn is_final(found: &onceward::Error) -> bool {
    matches!(found.kind(), ErrorKind::Fenced | ErrorKind::NotFound)
}
