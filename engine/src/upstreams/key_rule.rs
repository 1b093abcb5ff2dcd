//! The rule under which key an upstream gets an event: two events that are two here are two there.
//!
//! A key is unique within its scope, and an upstream that knows keys alone would take the same key of two
//! scopes for one event. Only scope `default` is sent by its bare keys; every other scope needs a rule from
//! the host, which is written down before the first attempt and never changes at that upstream.

use std::fmt;

use super::Misfit;
use crate::base::bounds::KEY_BYTES_MAX;
use crate::event::{Key, Scope};

/// What a key on the wire begins with that names its scope. Bare keys that look so are not sent.
const SIGIL: char = '~';
/// What is between scope and key.
const SEPARATOR: char = '/';

/// How the keys of a scope are kept apart from those of others at one upstream.
///
/// ```
/// use onceward::sync::KeyRule;
/// use onceward::{Key, Scope};
///
/// let (scope, key) = (Scope::new("tips")?, Key::new("receipt-1")?);
/// assert_eq!(KeyRule::ScopePrefix.wire_key(&scope, &key).unwrap(), "~tips/receipt-1");
/// assert_eq!(KeyRule::Bare.wire_key(&Scope::default(), &key).unwrap(), "receipt-1");
/// // It would be the key of another event.
/// let look_alike = Key::new("~tips/receipt-1")?;
/// assert!(KeyRule::Bare.wire_key(&Scope::default(), &look_alike).is_err());
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeyRule {
    /// The key as it is: of scope `default` only.
    Bare,
    /// The event's key behind its scope: `~scope/key`.
    ScopePrefix,
    /// The key as it is: whoever carries the batch gives the upstream its scope by other means, such as a path or
    /// a field, and the upstream keeps the keys of two scopes apart. The host vouches for that.
    Conveyed,
}

impl KeyRule {
    /// The key that the upstream gets.
    ///
    /// # Errors
    ///
    /// Why this event can never be sent so: `KEY_RESERVED`, a bare key looks as one with a scope before it;
    /// `KEY_TOO_LONG`, it would have over 255 bytes.
    pub fn wire_key(self, scope: &Scope, key: &Key) -> Result<String, Misfit> {
        let mut wire_key = String::new();
        self.push_wire_key(scope, key, &mut wire_key).map(|()| wire_key)
    }

    /// Appends the key that the upstream gets. After an error part of it may be there.
    pub(crate) fn push_wire_key(
        self,
        scope: &Scope,
        key: &Key,
        to: &mut String,
    ) -> Result<(), Misfit> {
        let key = key.as_str();
        match self {
            Self::Bare if names_a_scope(key) => {
                return Err(Misfit {
                    code: "KEY_RESERVED".to_owned(),
                    message:
                        "key: begins as the keys of other scopes do at the upstream, and might be \
                              taken for one of theirs"
                            .to_owned(),
                });
            }
            Self::Bare | Self::Conveyed => {}
            Self::ScopePrefix => {
                let scope = scope.as_str();
                let bytes = scope.len() + key.len() + 2;
                if bytes > KEY_BYTES_MAX {
                    return Err(Misfit {
                        code: "KEY_TOO_LONG".to_owned(),
                        message: format!(
                            "key: has {bytes} bytes with its scope before it, at most {KEY_BYTES_MAX} are sent"
                        ),
                    });
                }
                to.push(SIGIL);
                to.push_str(scope);
                to.push(SEPARATOR);
            }
        }
        to.push_str(key);
        Ok(())
    }

    /// The rule's number in frames.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Bare => 1,
            Self::ScopePrefix => 2,
            Self::Conveyed => 3,
        }
    }

    /// The rule of a number; `None`: of a newer version.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Bare, Self::ScopePrefix, Self::Conveyed].into_iter().find(|rule| rule.code() == code)
    }
}

impl fmt::Display for KeyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bare => "bare",
            Self::ScopePrefix => "scope-prefix",
            Self::Conveyed => "conveyed",
        })
    }
}

/// Whether a bare key looks as one with a scope before it.
fn names_a_scope(key: &str) -> bool {
    let named = key.strip_prefix(SIGIL).and_then(|rest| rest.split_once(SEPARATOR));
    named.is_some_and(|(scope, _)| Scope::new(scope).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_events_have_the_same_key_on_the_wire() {
        let scopes = ["default", "a", "a-b", "b"].map(|name| Scope::new(name).unwrap());
        let keys = ["k", "a/k", "~a/k", "~a/~a/k", "/k", "~/k", "~A/k", "~default/k", "~b/k", "~a"];
        let mut seen = std::collections::HashSet::new();
        let mut refused = 0;
        for scope in &scopes {
            for key in keys {
                let rule =
                    if *scope == Scope::default() { KeyRule::Bare } else { KeyRule::ScopePrefix };
                match rule.wire_key(scope, &Key::new(key).unwrap()) {
                    Ok(wire_key) => {
                        assert!(seen.insert(wire_key.clone()), "{scope} {key}: {wire_key}");
                    }
                    Err(misfit) => {
                        assert_eq!(misfit.code, "KEY_RESERVED", "{scope} {key}");
                        refused += 1;
                    }
                }
            }
        }
        assert_eq!(refused, 4, "of scope `default`, those that look as if they had another");
    }

    #[test]
    fn a_key_that_is_too_long_with_its_scope_is_refused_by_name() {
        let scope = Scope::new("tips").unwrap();
        let key = |bytes: usize| Key::new(&"k".repeat(bytes)).unwrap();
        let longest = KEY_BYTES_MAX - "~tips/".len();
        assert_eq!(KeyRule::ScopePrefix.wire_key(&scope, &key(longest)).unwrap().len(), 255);
        let misfit = KeyRule::ScopePrefix.wire_key(&scope, &key(longest + 1)).unwrap_err();
        assert_eq!(misfit.code, "KEY_TOO_LONG");
    }
}
