//! An upstream that asked not to be asked for a while is not asked, by any session, until that is over.

use super::Session;
use super::pacing::ONCE_WAIT_MS_MAX;
use crate::base::Result;
use crate::sync::backoff::RETRY_AFTER_MS_MAX;
use crate::sync::{Answered, Effort, Step};
use crate::wire::rfc3339;

impl Session {
    /// Takes up that whoever answered asked not to be asked for so long.
    pub(super) fn hold_line(
        &mut self,
        retry_after_ms: Option<u64>,
        answered: Answered,
    ) -> Result<()> {
        let wish_ms = retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX);
        // What a stranger on the way says holds for the moment only.
        if wish_ms == 0 || answered != Answered::Upstream {
            return Ok(());
        }
        self.inner().upstreams().hold_upstream(&self.options.upstream, wish_ms)
    }

    /// The same of one that works on a batch, or fails every item of it: it is said often, and the wait within this
    /// session is enough for what is short.
    pub(super) fn hold_line_for_long(&mut self, retry_after_ms: Option<u64>) -> Result<()> {
        let wish_ms = retry_after_ms.filter(|wish_ms| *wish_ms > ONCE_WAIT_MS_MAX);
        self.hold_line(wish_ms, Answered::Upstream)
    }

    /// The upstream may be asked: the host says so, or it answered.
    pub(super) fn end_hold(&self) -> Result<()> {
        self.inner().upstreams().hold_upstream(&self.options.upstream, 0)
    }

    /// What to do while the upstream is not to be asked; `None`: it may be.
    pub(super) fn held_line(&mut self, now_ms: u64) -> Option<Step> {
        let left_ms = self.inner().upstreams().held_for_ms(&self.options.upstream);
        // With nothing to ask for, nobody is kept waiting.
        if left_ms == 0 || !(self.has_more(now_ms) || self.waits_for_time()) {
            self.report.held_until_ms = None;
            return None;
        }
        let until_wall_ms = self.inner().time.wall_ms().saturating_add_unsigned(left_ms);
        let is_news = self.report.held_until_ms.replace(until_wall_ms).is_none();
        if is_news {
            self.report.last_failure = Some(held_words(until_wall_ms, left_ms));
        }
        if self.options.effort == Effort::Forever || left_ms <= ONCE_WAIT_MS_MAX {
            return Some(Step::Wait { until_ms: now_ms.saturating_add(left_ms) });
        }
        self.report.unreachable = true;
        self.finished = true;
        Some(Step::Idle)
    }
}

/// Until when nobody is to be asked, for who looks at a clock and for who does not trust the one here.
fn held_words(until_wall_ms: i64, left_ms: u64) -> String {
    let seconds = left_ms.div_ceil(1_000);
    // To the second, and not before it is over.
    let until = rfc3339(until_wall_ms.saturating_add(999)).unwrap_or_default();
    let until = until.split('.').next().unwrap_or_default().replace('T', " ");
    format!("the upstream asked not to be asked until {until} UTC, in {seconds} s")
}
