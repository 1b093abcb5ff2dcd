//! Who answered a request.

/// Who answered a request that brought no outcome.
///
/// On the way to an upstream others answer too: proxies, load balancers, login pages. Only what the upstream
/// itself says holds for longer than the moment.
///
/// ```
/// use onceward::sync::{Answered, Failure};
///
/// /// A page instead of an answer: the wrong address, or a login page on the way.
/// fn page(title: &str) -> Failure {
///     let why = format!("the answer is a web page titled {title:?}");
///     Failure::Unavailable { why, retry_after_ms: None, answered: Answered::Stranger }
/// }
/// # let _ = page("Log in");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answered {
    /// Nobody answered, or not to the end.
    Nobody,
    /// Somebody answered, but not in the upstream's own format.
    Stranger,
    /// The upstream answered, in its own format.
    Upstream,
}
