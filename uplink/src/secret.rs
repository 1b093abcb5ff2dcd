//! A credential that cannot be printed.

use std::fmt;

/// A credential. `Debug` hides it, and there is no `Display`.
///
/// ```
/// use onceward_uplink::Secret;
///
/// let key = Secret::new("key-of-this-terminal");
/// assert!(!format!("{key:?}").contains("terminal"));
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

/// Shorter credentials are not searched for in replies: they would match ordinary text.
const REDACTED_BYTES_MIN: usize = 8;

/// The text that replaces a credential.
const REDACTED: &[u8] = b"[redacted]";

impl Secret {
    /// Wraps a credential.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The credential itself, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// `bytes` without this credential: some servers echo request headers in their error pages, and
    /// those end in reports.
    pub(crate) fn redact(&self, bytes: &[u8]) -> Vec<u8> {
        let secret = self.0.as_bytes();
        if secret.len() < REDACTED_BYTES_MIN {
            return bytes.to_vec();
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            if let Some(behind) = rest.strip_prefix(secret) {
                out.extend_from_slice(REDACTED);
                rest = behind;
            } else {
                out.push(*first);
                rest = after;
            }
        }
        out
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_credential() {
        let shown = format!("{:?}", Some(Secret::new("wede_live_1234567890")));
        assert_eq!(shown, "Some(Secret([redacted]))");
    }

    #[test]
    fn an_echoed_credential_is_taken_out_wherever_it_stands() {
        let secret = Secret::new("wede_live_1234567890");
        let echo = b"wede_live_1234567890 Bearer wede_live_1234567890wede_live_1234567890.";
        assert_eq!(secret.redact(echo), b"[redacted] Bearer [redacted][redacted].");
        assert_eq!(secret.redact(b"wede_live_123456789"), b"wede_live_123456789");
    }

    #[test]
    fn a_credential_of_a_few_letters_does_not_eat_ordinary_text() {
        assert_eq!(Secret::new("a").redact(b"banana"), b"banana");
    }
}
