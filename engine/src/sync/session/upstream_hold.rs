//! An upstream that asked not to be asked for a while is not asked, by any session, until that is over.

use super::pacing::ONCE_WAIT_MS_MAX;
use crate::base::Result;
use crate::store::Store;
use crate::sync::backoff::RETRY_AFTER_MS_MAX;
use crate::sync::{Answered, Upstream};
use crate::wire::rfc3339;

/// How long one upstream asked not to be asked. The store keeps it; here is what the report says of it.
#[derive(Debug)]
pub(super) struct UpstreamHold {
    store: Store,
    upstream: Upstream,
    /// Wall clock until which the session waits for it, Unix milliseconds, if it does.
    until_wall_ms: Option<i64>,
}

impl UpstreamHold {
    /// The hold of an upstream in a store.
    pub(super) fn new(store: &Store, upstream: &Upstream) -> Self {
        Self { store: store.clone(), upstream: upstream.clone(), until_wall_ms: None }
    }

    /// Begins a hold, because whoever answered asked not to be asked for so long.
    pub(super) fn begin(&self, retry_after_ms: Option<u64>, answered: Answered) -> Result<()> {
        let wish_ms = retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX);
        // What a stranger on the way says holds for the moment only.
        if wish_ms == 0 || answered != Answered::Upstream {
            return Ok(());
        }
        self.store.inner.upstreams().hold_upstream(&self.upstream, wish_ms)
    }

    /// Begins the wait of an upstream that works on a batch, or fails every item of it: that is said often, and the
    /// wait within this session is enough for what is short.
    pub(super) fn begin_if_long(&self, retry_after_ms: Option<u64>) -> Result<()> {
        let wish_ms = retry_after_ms.filter(|wish_ms| *wish_ms > ONCE_WAIT_MS_MAX);
        self.begin(wish_ms, Answered::Upstream)
    }

    /// The upstream may be asked: the host says so, or it answered.
    pub(super) fn end(&self) -> Result<()> {
        self.store.inner.upstreams().hold_upstream(&self.upstream, 0)
    }

    /// How long the upstream is not to be asked; 0: it may be asked.
    pub(super) fn left_ms(&self) -> u64 {
        self.store.inner.upstreams().held_for_ms(&self.upstream)
    }

    /// The session waits for so long. Returns what to say of it, where that is news.
    pub(super) fn note_wait(&mut self, left_ms: u64) -> Option<String> {
        let until_wall_ms = self.store.inner.time.wall_ms().saturating_add_unsigned(left_ms);
        let is_news = self.until_wall_ms.replace(until_wall_ms).is_none();
        is_news.then(|| held_words(until_wall_ms, left_ms))
    }

    /// The session does not wait for it.
    pub(super) fn note_no_wait(&mut self) {
        self.until_wall_ms = None;
    }

    /// Wall clock until which the session waits, Unix milliseconds; `None`: it does not.
    pub(super) fn until_wall_ms(&self) -> Option<i64> {
        self.until_wall_ms
    }
}

/// The words for the wait, for who looks at a clock and for who does not trust the one here.
fn held_words(until_wall_ms: i64, left_ms: u64) -> String {
    let seconds = left_ms.div_ceil(1_000);
    // To the second, and not before it is over.
    let until = rfc3339(until_wall_ms.saturating_add(999)).unwrap_or_default();
    let until = until.split('.').next().unwrap_or_default().replace('T', " ");
    format!("the upstream asked not to be asked until {until} UTC, in {seconds} s")
}
