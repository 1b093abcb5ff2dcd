//! Which rule for its keys counts for an upstream, and how long it is left alone.

use super::frames::{Hold, MarkFrame, Rule};
use super::{KeyRule, Route, SyncResult, Upstream};
use crate::base::{Error, ErrorKind, FrameKind, Result, codec};
use crate::event::Scope;
use crate::kernel::{FrameBody, Share};
use crate::store::{Shared, StoreState};

/// What is kept by upstream, of an open store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upstreams<'s> {
    inner: &'s Shared,
}

impl<'s> Upstreams<'s> {
    /// The calls of this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }

    /// The rule under which keys a session sends: the rule in the log, or else the host's, which only
    /// scope `default` may leave out.
    ///
    /// # Errors
    ///
    /// `Invalid`: `WIRE_KEYS_MISSING`, `WIRE_KEYS_BARE`, `WIRE_KEYS_CHANGED`. `Unsupported`: the rule is of a
    /// newer version.
    pub(crate) fn rule_for(&self, route: Route<'_>) -> Result<KeyRule> {
        let Route { scope, upstream, .. } = route;
        let known = self.inner.state.lock().upstreams.rule(upstream.as_str(), scope.as_str());
        let is_default = *scope == Scope::default();
        let known = match known {
            None => None,
            Some(Some(known)) => Some(known),
            Some(None) => {
                let message = format!(
                    "the keys of scope {scope} at {upstream} have a rule of a newer version"
                );
                return Err(Error::new(ErrorKind::Unsupported, "WIRE_KEYS_NEWER", message));
            }
        };
        match (route.keys, known) {
            (Some(KeyRule::Bare), _) if !is_default => {
                let message = format!(
                    "scope {scope} cannot be sent by its bare keys: {upstream} would take them for keys of \
                     scope default"
                );
                Err(Error::invalid("WIRE_KEYS_BARE", message))
            }
            (Some(wanted), Some(known)) if wanted != known => {
                let message = format!(
                    "scope {scope} was sent to {upstream} with keys by the rule {known} and cannot be sent by \
                     {wanted}: what was sent before would be taken for new"
                );
                Err(Error::invalid("WIRE_KEYS_CHANGED", message))
            }
            (_, Some(known)) => Ok(known),
            (Some(wanted), None) => Ok(wanted),
            (None, None) if is_default => Ok(KeyRule::Bare),
            (None, None) => {
                let message = format!(
                    "scope {scope} needs a rule for its keys at {upstream}, which would take the same key of two \
                     scopes for one event: such as {}",
                    KeyRule::ScopePrefix
                );
                Err(Error::invalid("WIRE_KEYS_MISSING", message))
            }
        }
    }

    /// The rule that is to be written with a session's first batch.
    pub(crate) fn unwritten_rule(&self, route: Route<'_>) -> Option<Rule> {
        let (upstream, scope) = (route.upstream.as_str(), route.scope.as_str());
        let rule = route.keys?;
        let is_known = self.inner.state.lock().upstreams.rule(upstream, scope).is_some();
        let (upstream, scope) = (upstream.to_owned(), scope.to_owned());
        (!is_known).then(|| Rule { upstream, scope, rule: rule.code() })
    }

    /// How long an upstream is not to be asked, milliseconds; 0: it may be.
    pub(crate) fn held_for_ms(&self, upstream: &Upstream) -> u64 {
        let now_ms = self.inner.time.trusted_ms();
        let until_ms = self.inner.state.lock().upstreams.held_until_ms(upstream.as_str());
        until_ms.map_or(0, |until_ms| until_ms.saturating_sub(now_ms))
    }

    /// Something came of sending a scope's events: notes it in memory. Returns whether it is another thing than what
    /// was written down last.
    pub(crate) fn note_result(&self, result: SyncResult) -> bool {
        let mut state = self.inner.state.lock();
        let written = state.upstreams.results.written(&result.scope);
        let is_news = written.is_none_or(|before| result.is_news(before));
        state.upstreams.results.note(result);
        is_news
    }

    /// Writes down what came of sending a scope's events. Returns whether there was room for it besides the reserve.
    ///
    /// # Errors
    ///
    /// `Io`, `Poisoned`.
    pub(crate) fn write_result(&self, result: &SyncResult) -> Result<bool> {
        let _one_at_a_time = self.inner.control.lock();
        let result = result.to_frame();
        let frame = FrameBody::new(FrameKind::SyncResult, codec::encode(&result));
        match self.inner.write(&[frame], Share::Nothing) {
            Ok(written) => {
                let mut state = self.inner.state.lock();
                let StoreState { kernel, upstreams, .. } = &mut *state;
                for at in written.placed {
                    upstreams.results.apply(kernel, &result, at);
                }
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Full => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What an upstream wants to be reminded of with the events of a scope.
    pub(crate) fn mark(&self, route: Route<'_>) -> MarkFrame {
        let (upstream, scope) = (route.upstream.as_str(), route.scope.as_str());
        let known = self.inner.state.lock().upstreams.mark(upstream, scope).cloned();
        let (upstream, scope) = (upstream.to_owned(), scope.to_owned());
        known.unwrap_or_else(|| MarkFrame { upstream, scope, ..MarkFrame::default() })
    }

    /// The last batches of the histories that other upstreams have of a scope: one of them may be this one under
    /// another address.
    pub(crate) fn batches_elsewhere(&self, route: Route<'_>) -> Vec<String> {
        let state = self.inner.state.lock();
        let marks = state.upstreams.other_marks(route.upstream.as_str(), route.scope.as_str());
        marks.filter_map(|mark| mark.split(' ').next()).map(ToOwned::to_owned).collect()
    }

    /// Keeps a mark, durably. Takes `control`.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`.
    pub(crate) fn keep_mark(&self, mark: MarkFrame) -> Result<()> {
        let _one_at_a_time = self.inner.control.lock();
        let frame = FrameBody::new(FrameKind::Mark, codec::encode(&mark));
        // Answers come after it, and find room as long as any does.
        let written = self.inner.write(&[frame], Share::Answers)?;
        let mut state = self.inner.state.lock();
        let StoreState { kernel, upstreams, .. } = &mut *state;
        for at in written.placed {
            upstreams.apply_mark(kernel, mark.clone(), at);
        }
        Ok(())
    }

    /// An upstream asked not to be asked for so long; 0: it may be asked again. By trusted time: a machine
    /// that was off waits for what is left at most. Where there is no room for it, it is kept in memory; that
    /// it may be asked is then written when this is said again.
    ///
    /// # Errors
    ///
    /// `Io`, `Poisoned`.
    pub(crate) fn hold_upstream(&self, upstream: &Upstream, ms: u64) -> Result<()> {
        let _one_at_a_time = self.inner.control.lock();
        let until_ms = match ms {
            0 => 0,
            ms => self.inner.time.trusted_ms().saturating_add(ms),
        };
        {
            let mut state = self.inner.state.lock();
            if until_ms == 0 && state.upstreams.is_free(upstream.as_str()) {
                return Ok(());
            }
            state.upstreams.hold(upstream.as_str(), until_ms);
        }
        let hold = Hold { upstream: upstream.as_str().to_owned(), until_ms };
        let frame = FrameBody::new(FrameKind::Hold, codec::encode(&hold));
        match self.inner.write(&[frame], Share::Nothing) {
            Ok(written) => {
                let mut state = self.inner.state.lock();
                let StoreState { kernel, upstreams, .. } = &mut *state;
                written.placed.into_iter().for_each(|at| upstreams.apply_hold(kernel, &hold, at));
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            Err(error) => Err(error),
        }
    }
}
