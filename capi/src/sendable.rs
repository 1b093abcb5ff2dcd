//! The upstream that a store captures for: what can never be sent to it is refused. No pointers from C here.

use onceward::sync::{self, Misfit};
use onceward::{Config, Event, Scope};
use onceward_uplink::{Forloy, Wede, sendable};

use crate::abi::{Dialect, KeyRule, Status};
use crate::failure::Failure;

/// All dialects.
pub(crate) const DIALECTS: [Dialect; 3] = [Dialect::None, Dialect::Forloy, Dialect::Wede];
/// All rules.
pub(crate) const KEY_RULES: [KeyRule; 2] = [KeyRule::None, KeyRule::ScopePrefix];

/// Judges an event and the moment of its capture, Unix milliseconds.
type Judge = Box<dyn Fn(&Event, i64) -> Result<(), Misfit> + Send + Sync>;

/// The configuration of a store that refuses what the dialect of this number can never carry, under keys by the rule
/// of this number.
///
/// # Errors
///
/// `Unsupported`: a number is of a newer version. `Invalid`: a rule without a dialect, for which nobody asks.
pub(crate) fn judged(config: Config, dialect: u32, key_rule: u32) -> Result<Config, Failure> {
    let dialect = known("dialect", dialect, &DIALECTS, |found| found as u32)?;
    let rule = known("key_rule", key_rule, &KEY_RULES, |found| found as u32)?;
    if dialect == Dialect::None {
        return match rule {
            KeyRule::None => Ok(config),
            KeyRule::ScopePrefix => {
                let message = "options: a key_rule without a dialect judges nothing";
                Err(Failure::invalid("OPTION_INVALID", message))
            }
        };
    }
    let bare = judge(dialect, sync::KeyRule::Bare);
    let prefixed = judge(dialect, sync::KeyRule::ScopePrefix);
    Ok(config.with_sendable(move |event, captured_at_ms| {
        if event.scope == Scope::default() {
            return bare(event, captured_at_ms);
        }
        match rule {
            KeyRule::ScopePrefix => prefixed(event, captured_at_ms),
            KeyRule::None => Err(without_rule(&event.scope)),
        }
    }))
}

/// The value of this number.
pub(crate) fn known<T: Copy>(
    name: &str,
    number: u32,
    all: &[T],
    number_of: impl Fn(T) -> u32,
) -> Result<T, Failure> {
    all.iter().copied().find(|value| number_of(*value) == number).ok_or_else(|| {
        let message = format!("options: {name} {number} is not known to this version");
        Failure::new(Status::Unsupported, "OPTION_TOO_NEW", message)
    })
}

/// The judge of what a dialect can carry.
fn judge(dialect: Dialect, rule: sync::KeyRule) -> Judge {
    match dialect {
        Dialect::None => Box::new(|_, _| Ok(())),
        Dialect::Forloy => Box::new(sendable(Forloy::new(), rule)),
        // Which device it is makes no difference to an event.
        Dialect::Wede => Box::new(sendable(Wede::new("any"), rule)),
    }
}

/// An event of a scope for whose keys nobody gave a rule.
fn without_rule(scope: &Scope) -> Misfit {
    Misfit {
        code: "WIRE_KEYS_MISSING".to_owned(),
        message: format!(
            "scope: {scope} needs a key_rule, or the upstream takes the same key of two scopes for one event"
        ),
    }
}
