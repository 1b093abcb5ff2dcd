//! What came of sending each scope last, for who looks at the store's status: in memory at once, and written down on
//! change, at most once a minute. What stays as it is and is not good is written again, so that its times are none of
//! long ago: after a minute, and then when it is so for twice as long, at least once an hour.

use std::collections::BTreeMap;

use crate::event::Scope;
use crate::store::Store;
use crate::sync::{Options, Report, Step, SyncResult, SyncState};

/// Time between two writes of one scope's, at least.
const WRITTEN_MS: u64 = 60_000;
/// Time between two writes of what stays as it is, at most, as long as it is tried.
const AGAIN_MS: u64 = 60 * 60_000;
/// Longest words that are kept, bytes.
const WORDS_BYTES_MAX: usize = 512;

/// The result of one scope.
#[derive(Debug)]
struct Noted {
    result: SyncResult,
    /// Whether it may have to be written.
    is_new: bool,
    /// Since when it says what it says, in trusted time.
    since_ms: u64,
    /// When it was written last, in trusted time.
    written_ms: Option<u64>,
}

impl Noted {
    /// Whether it is to be written now, if it is other than what is written.
    fn is_due(&self, is_news: bool, now_ms: u64) -> bool {
        if is_news && self.written_ms.is_none() {
            return true;
        }
        // What an earlier opening wrote was written a while ago.
        let written_ms = self.written_ms.unwrap_or(self.since_ms);
        let is_for_ms = now_ms.saturating_sub(self.since_ms);
        let every_ms =
            if is_news { WRITTEN_MS } else { (is_for_ms / 2).clamp(WRITTEN_MS, AGAIN_MS) };
        (is_news || self.result.state != SyncState::Good)
            && now_ms.saturating_sub(written_ms) >= every_ms
    }
}

/// The results by scope.
#[derive(Debug, Default)]
pub(super) struct Results {
    of: BTreeMap<Scope, Noted>,
}

impl Results {
    /// Something came of an exchange.
    pub(super) fn note(&mut self, store: &Store, options: &Options, report: &Report) {
        let (state, what) = state_of(report);
        let result = SyncResult {
            scope: options.scope.clone(),
            upstream: options.upstream.to_string(),
            state,
            what: cut(what).to_owned(),
            at_ms: store.inner.time.wall_ms(),
            next_ms: report.held_until_ms,
        };
        let since_ms = store.inner.time.trusted_ms();
        match self.of.get_mut(&options.scope) {
            Some(noted) => {
                if result.is_news(&noted.result) {
                    noted.since_ms = since_ms;
                }
                (noted.result, noted.is_new) = (result, true);
            }
            None => {
                let noted = Noted { result, is_new: true, since_ms, written_ms: None };
                self.of.insert(options.scope.clone(), noted);
            }
        }
    }

    /// Whether anything came of a scope.
    pub(super) fn has(&self, scope: &Scope) -> bool {
        self.of.contains_key(scope)
    }

    /// Keeps what is new, now that it is known when the next attempt is made. That it cannot be written stops nothing:
    /// whatever else is written reports it.
    pub(super) fn keep(&mut self, store: &Store, step: &Step, now_ms: u64) {
        let next_ms = match step {
            Step::Wait { until_ms } => {
                let wait_ms = until_ms.saturating_sub(now_ms);
                Some(store.inner.time.wall_ms().saturating_add_unsigned(wait_ms))
            }
            _ => None,
        };
        for noted in self.of.values_mut().filter(|noted| noted.is_new) {
            noted.result.next_ms = next_ms.or(noted.result.next_ms);
            let upstreams = store.inner.upstreams();
            let is_news = upstreams.note_result(noted.result.clone());
            let now_ms = store.inner.time.trusted_ms();
            noted.is_new = is_news;
            if noted.is_due(is_news, now_ms)
                && upstreams.write_result(&noted.result).is_ok_and(|is_written| is_written)
            {
                (noted.is_new, noted.written_ms) = (false, Some(now_ms));
            }
        }
    }
}

/// How sending goes, and what came, in words.
fn state_of(report: &Report) -> (SyncState, &str) {
    let last = report.last_failure.as_deref().unwrap_or("the upstream did not say why");
    if report.blocked {
        return (SyncState::Blocked, last);
    }
    if let Some(why) = &report.misconfigured {
        return (SyncState::Misconfigured, why);
    }
    if report.misfits > 0 && report.attempted == 0 {
        return (SyncState::Waiting, last);
    }
    if report.unreachable || report.held_until_ms.is_some() || report.is_full {
        return (SyncState::Waiting, last);
    }
    (SyncState::Good, "the upstream answers")
}

/// The beginning of words, as much as is kept.
fn cut(what: &str) -> &str {
    let end = (0..=what.len().min(WORDS_BYTES_MAX)).rfind(|end| what.is_char_boundary(*end));
    end.and_then(|end| what.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_between_characters() {
        let long = "\u{e4}".repeat(WORDS_BYTES_MAX);
        assert_eq!(cut(&long).len(), WORDS_BYTES_MAX);
        assert_eq!(cut(&long[..WORDS_BYTES_MAX - 2]).len(), WORDS_BYTES_MAX - 2);
        assert_eq!(cut(&format!("x{long}")).len(), WORDS_BYTES_MAX - 1);
    }
}
