//! What is kept by upstream: under which keys it gets a scope's events, and until when it is not asked.

use super::{Inner, Share};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Scope;
use crate::frames::upstreams::{Hold, Rule};
use crate::frames::{KIND_HOLD, codec};
use crate::sync::{KeyRule, Options, Upstream};

impl Inner {
    /// Under which keys a session sends. The rule that is written down counts; else the host's, which only
    /// scope `default` may leave out.
    ///
    /// # Errors
    ///
    /// `Invalid`: `WIRE_KEYS_MISSING`, `WIRE_KEYS_BARE`, `WIRE_KEYS_CHANGED`. `Unsupported`: the rule is of a
    /// newer version.
    pub(crate) fn rule_for(&self, options: &Options) -> Result<KeyRule> {
        let Options { scope, upstream, .. } = options;
        let known = self.view.lock().upstreams.rule(upstream.as_str(), scope.as_str());
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
        match (options.keys, known) {
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
    pub(super) fn unwritten_rule(&self, options: &Options) -> Option<Rule> {
        let (upstream, scope) = (options.upstream.as_str(), options.scope.as_str());
        let rule = options.keys?;
        let is_known = self.view.lock().upstreams.rule(upstream, scope).is_some();
        let (upstream, scope) = (upstream.to_owned(), scope.to_owned());
        (!is_known).then(|| Rule { upstream, scope, rule: rule.code() })
    }

    /// How long an upstream is not to be asked, milliseconds; 0: it may be.
    pub(crate) fn held_for_ms(&self, upstream: &Upstream) -> u64 {
        let now_ms = self.moment(self.mono_ms()).trusted_ms;
        let until_ms = self.view.lock().upstreams.held_until_ms(upstream.as_str());
        until_ms.map_or(0, |until_ms| until_ms.saturating_sub(now_ms))
    }

    /// An upstream asked not to be asked for so long; 0: it may be asked again. By trusted time: a machine
    /// that was off waits for what is left at most. Where there is no room for it, it is kept in memory; that
    /// it may be asked is then written when this is told again.
    ///
    /// # Errors
    ///
    /// `Io`, `Poisoned`.
    pub(crate) fn hold_upstream(&self, upstream: &Upstream, ms: u64) -> Result<()> {
        let _one_at_a_time = self.control.lock();
        let until_ms = match ms {
            0 => 0,
            ms => self.moment(self.mono_ms()).trusted_ms.saturating_add(ms),
        };
        {
            let mut view = self.view.lock();
            if until_ms == 0 && view.upstreams.is_free(upstream.as_str()) {
                return Ok(());
            }
            view.upstreams.hold(upstream.as_str(), until_ms);
        }
        let hold = Hold { upstream: upstream.as_str().to_owned(), until_ms };
        match self.append_control(&[(KIND_HOLD, codec::encode(&hold))], Share::Nothing) {
            Ok((placed, _)) => {
                let mut view = self.view.lock();
                placed.into_iter().for_each(|at| view.apply_hold(&hold, at));
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            Err(error) => Err(error),
        }
    }
}
