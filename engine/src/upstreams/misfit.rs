//! What an upstream can never take.

/// Why an event cannot form an item of a dialect.
///
/// ```
/// use onceward::sync::{Fit, Misfit};
///
/// // This upstream takes objects only.
/// let fit: Fit = Box::new(|event, _key| match event.event.payload.as_json() {
///     Some(text) if text.starts_with('{') => Ok(text.len()),
///     _ => Err(Misfit {
///         code: "INVALID_ITEM".to_owned(),
///         message: "payload: is no object".to_owned(),
///     }),
/// });
/// # let _ = fit;
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Misfit {
    /// Short name in capitals, such as `INVALID_ITEM`.
    pub code: String,
    /// Which field breaks which rule.
    pub message: String,
}
