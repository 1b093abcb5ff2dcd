//! What an upstream can never take.

/// Why an event cannot form an item of a dialect.
///
/// ```
/// use std::sync::Arc;
///
/// use onceward::sync::{Form, Misfit};
///
/// // This upstream takes objects only.
/// let form: Form = Arc::new(|event, _key, item| match event.event.payload.as_json() {
///     Some(text) if text.starts_with('{') => {
///         item.extend_from_slice(text.as_bytes());
///         Ok(())
///     }
///     _ => Err(Misfit {
///         code: "INVALID_ITEM".to_owned(),
///         message: "payload: is no object".to_owned(),
///     }),
/// });
/// # let _ = form;
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Misfit {
    /// Short name in capitals, such as `INVALID_ITEM`.
    pub code: String,
    /// Which field breaks which rule.
    pub message: String,
}
