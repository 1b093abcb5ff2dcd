//! When anything is sent again. Every repetition passes through one backoff, of the line or of an
//! event ([`Attempts`](super::attempts::Attempts)); what is due is gathered, so that few requests carry it.
//!
//! ```text
//!               every answer: one more may be on its way,      a failure of the line: half as many, and all
//!               up to the window                               that is on its way failed once, together
//!   good ------------------------------------------------> good ---------------------------------> waiting
//!     ^                                                                                               |
//!     |   an answer                                               backoff over, on_online             v
//!     +------------------------- trying: one request, and no second one before its answer <-----------+
//!
//!   blocked: credentials or version were refused. Nothing goes until on_new_key or on_online.
//! ```

use super::window::SendWindow;
use crate::sync::backoff::{Backoff, RETRY_AFTER_MS_MAX, doubled_ms};
use crate::sync::{Effort, Options};

/// With [`Effort::Once`]: requests in a row that brought nothing, after which no more are sent.
const FRUITLESS_MAX: u32 = 3;
/// With [`Effort::Once`]: a wait that is longer ends it.
pub(super) const ONCE_WAIT_MS_MAX: u64 = 10_000;

/// The state of the line, and when the next request may be sent.
#[derive(Debug)]
pub(super) struct Pacing {
    effort: Effort,
    base_ms: u64,
    cap_ms: u64,
    backoff: Backoff,
    not_before_ms: u64,
    /// Requests in a row that brought nothing.
    fruitless: u32,
    /// Counts the pauses.
    epoch: u64,
    /// How many batches may be on their way.
    window: SendWindow,
    /// The line failed last.
    is_unreachable: bool,
    /// The upstream refuses the credentials or the version.
    is_blocked: bool,
    /// Nothing more is sent.
    is_finished: bool,
}

impl Pacing {
    /// The first request may be sent at once.
    pub(super) fn new(options: &Options) -> Self {
        let (base_ms, cap_ms) = (options.backoff_base_ms, options.backoff_cap_ms);
        Self {
            effort: options.effort,
            base_ms,
            cap_ms,
            backoff: Backoff::new(base_ms, cap_ms, options.seed),
            not_before_ms: 0,
            fruitless: 0,
            epoch: 0,
            window: SendWindow::new(options),
            is_unreachable: false,
            is_blocked: false,
            is_finished: false,
        }
    }

    /// Whether the session makes one run.
    pub(super) fn is_once(&self) -> bool {
        self.effort == Effort::Once
    }

    /// The time until which nothing is sent; `None`: something may be.
    pub(super) fn until_ms(&self, now_ms: u64) -> Option<u64> {
        (now_ms < self.not_before_ms).then_some(self.not_before_ms)
    }

    /// Whether a session of this effort waits for so long.
    pub(super) fn waits_for(&self, wait_ms: u64) -> bool {
        !self.is_once() || wait_ms <= ONCE_WAIT_MS_MAX
    }

    /// The count of the pauses so far: what was sent in an earlier one says nothing about the line that the failure
    /// which began the last pause did not say.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether another batch may go while so many are on their way.
    pub(super) fn has_room(&self, in_flight: usize) -> bool {
        self.window.has_room(in_flight)
    }

    /// A request that was sent in this epoch brought nothing: the next one waits, and goes alone. Of requests that
    /// were on their way together, the first that fails counts; the others only make the wait longer, if the upstream
    /// wishes that.
    pub(super) fn pause_for(&mut self, epoch: u64, retry_after_ms: Option<u64>, now_ms: u64) {
        if epoch == self.epoch {
            self.window.shrink();
            self.pause(retry_after_ms, now_ms);
            return;
        }
        let wish_ms = retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX);
        if self.until_ms(now_ms).is_some() {
            self.not_before_ms = self.not_before_ms.max(now_ms.saturating_add(wish_ms));
        }
    }

    /// What was sent brought nothing: the next request waits.
    pub(super) fn pause(&mut self, retry_after_ms: Option<u64>, now_ms: u64) {
        self.epoch = self.epoch.saturating_add(1);
        let wait_ms = self.backoff.wait_ms(retry_after_ms);
        self.not_before_ms = now_ms.saturating_add(wait_ms);
        self.fruitless = self.fruitless.saturating_add(1);
        let is_over = self.fruitless >= FRUITLESS_MAX || wait_ms > ONCE_WAIT_MS_MAX;
        self.is_finished |= self.is_once() && is_over;
    }

    /// The next request waits as long as any may; with [`Effort::Once`] there is none.
    pub(super) fn pause_longest(&mut self, now_ms: u64) {
        self.not_before_ms = now_ms.saturating_add(self.cap_ms);
        self.finish_if_once();
    }

    /// The time until which others go before a batch that was attempted this often: ever longer, and longer than the
    /// line waits.
    pub(super) fn aside_until_ms(&self, attempts: u32, now_ms: u64) -> u64 {
        let wait_ms = doubled_ms(self.base_ms, self.cap_ms, attempts);
        now_ms.saturating_add(wait_ms).max(self.not_before_ms.saturating_add(self.base_ms))
    }

    /// Events of a request of this epoch were answered: one more batch may be on its way. What only refuses is asked
    /// one batch at a time.
    pub(super) fn events_are_answered(&mut self, epoch: u64) {
        if epoch == self.epoch {
            self.window.grow();
        }
    }

    /// Something came back that is worth the next request, to a request of this epoch. To one that was sent before a
    /// pause it is no reason to end that.
    pub(super) fn line_works(&mut self, epoch: u64) {
        self.line_answers();
        if epoch == self.epoch {
            self.forget_failures();
        }
    }

    /// The host says that it is worth trying: what was learned of the line counts no more.
    pub(super) fn forget_line(&mut self) {
        self.forget_failures();
        self.unblock();
        self.window.forget();
    }

    /// Nothing that failed is waited for.
    pub(super) fn forget_failures(&mut self) {
        self.backoff.reset();
        self.send_at_once();
        self.fruitless = 0;
    }

    /// The next request does not wait.
    pub(super) fn send_at_once(&mut self) {
        self.not_before_ms = 0;
    }

    /// Notes that somebody answers on the line.
    pub(super) fn line_answers(&mut self) {
        self.is_unreachable = false;
    }

    /// Notes that nobody answers on the line, or not who was asked.
    pub(super) fn line_fails(&mut self) {
        self.is_unreachable = true;
    }

    /// Whether the line failed last.
    pub(super) fn is_unreachable(&self) -> bool {
        self.is_unreachable
    }

    /// The upstream refuses the credentials or the version.
    pub(super) fn block(&mut self) {
        self.is_blocked = true;
    }

    /// Forgets that the credentials are refused: they may be others.
    pub(super) fn unblock(&mut self) {
        self.is_blocked = false;
    }

    /// Whether the upstream refuses the credentials or the version.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Nothing more is sent.
    pub(super) fn finish(&mut self) {
        self.is_finished = true;
    }

    /// With [`Effort::Once`] nothing more is sent.
    pub(super) fn finish_if_once(&mut self) {
        self.is_finished |= self.is_once();
    }

    /// Goes on, because there is something to send again.
    pub(super) fn resume(&mut self) {
        self.is_finished = false;
    }

    /// Whether nothing more is sent.
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Scope;

    fn pacing(effort: Effort) -> Pacing {
        Pacing::new(
            &Options::new(Scope::default())
                .with_backoff(
                    std::time::Duration::from_millis(1_000),
                    std::time::Duration::from_millis(8_000),
                )
                .with_effort(effort),
        )
    }

    #[test]
    fn a_run_ends_with_the_third_request_that_brings_nothing_and_a_session_for_ever_does_not() {
        for (effort, ends) in [(Effort::Once, true), (Effort::Forever, false)] {
            let mut pacing = pacing(effort);
            pacing.pause(None, 0);
            pacing.pause(None, 0);
            pacing.line_works(pacing.epoch());
            for _ in 1..FRUITLESS_MAX {
                pacing.pause(None, 0);
                assert!(!pacing.is_finished(), "what worked begins the count anew");
            }
            pacing.pause(None, 0);
            assert_eq!(pacing.is_finished(), ends);
        }
    }

    #[test]
    fn a_run_waits_ten_seconds_and_no_longer() {
        let mut once = pacing(Effort::Once);
        assert!(once.waits_for(10_000) && !once.waits_for(10_001));
        assert!(pacing(Effort::Forever).waits_for(u64::MAX));
        once.pause(Some(10_000), 0);
        assert_eq!((once.until_ms(0), once.until_ms(10_000)), (Some(10_000), None));
        assert!(!once.is_finished());
        once.pause(Some(10_001), 0);
        assert!(once.is_finished());
        once.resume();
        once.pause_longest(0);
        assert_eq!((once.until_ms(0), once.is_finished()), (Some(8_000), true));
    }

    #[test]
    fn what_is_aside_waits_longer_than_the_line_and_ever_longer() {
        let mut pacing = pacing(Effort::Forever);
        assert_eq!(
            [1, 2, 9].map(|attempts| pacing.aside_until_ms(attempts, 100)),
            [2_100, 4_100, 8_100]
        );
        pacing.pause(Some(60_000), 0);
        assert_eq!(pacing.aside_until_ms(1, 100), 61_000);
    }

    #[test]
    fn a_forgotten_failure_is_no_sign_that_somebody_is_there() {
        let mut pacing = pacing(Effort::Forever);
        pacing.line_fails();
        pacing.pause(None, 0);
        pacing.forget_failures();
        assert_eq!((pacing.until_ms(0), pacing.is_unreachable()), (None, true));
        pacing.line_works(pacing.epoch());
        assert!(!pacing.is_unreachable());
    }

    #[test]
    fn of_requests_that_were_on_their_way_together_one_failure_counts_and_the_longest_wish() {
        let mut pacing = pacing(Effort::Forever);
        let epoch = pacing.epoch();
        for _ in 0..9 {
            pacing.pause_for(epoch, None, 0);
        }
        let until_ms = pacing.until_ms(0).unwrap();
        assert!((1_000..=2_000).contains(&until_ms), "one failure: {until_ms}");
        pacing.pause_for(epoch, Some(60_000), 500);
        assert_eq!(pacing.until_ms(0), Some(60_500));
        pacing.line_works(epoch);
        assert_eq!(pacing.until_ms(0), Some(60_500), "it was sent before the pause");
        pacing.pause_for(epoch, Some(9_000), 61_000);
        assert_eq!(
            pacing.until_ms(61_000),
            None,
            "the pause is over, and another request may be on its way"
        );
        pacing.line_works(pacing.epoch());
        assert_eq!(pacing.until_ms(0), None);
    }
}
