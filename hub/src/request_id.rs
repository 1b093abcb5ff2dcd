//! Names and moments that the hub makes itself: request ids, transaction ids, time stamps.

use jiff::Timestamp;
use uuid::Uuid;

/// The name of one request, sent to the client in every answer.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// A name that no other request has.
    pub(crate) fn make() -> Self {
        Self(unique("req_"))
    }

    /// The text `req_...`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// `prefix` and 32 hex digits that rise with time and never repeat.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::now_v7().simple())
}

/// The present moment as RFC 3339 with milliseconds, in UTC.
pub(crate) fn timestamp() -> String {
    render(Timestamp::now())
}

/// `moment` as RFC 3339 with milliseconds, in UTC.
fn render(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{render, unique};

    #[test]
    fn a_moment_is_rendered_with_milliseconds_even_when_they_are_zero() {
        let moment: Timestamp = "2026-03-10T16:00:12+01:00".parse().unwrap();
        assert_eq!(render(moment), "2026-03-10T15:00:12.000Z");
    }

    #[test]
    fn made_names_differ_and_are_prefix_and_32_hex_digits() {
        let (first, second) = (unique("txn_"), unique("txn_"));
        assert_ne!(first, second);
        let digits = first.strip_prefix("txn_").unwrap();
        assert_eq!(digits.len(), 32);
        assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digits}");
    }
}
