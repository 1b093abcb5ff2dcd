//! The request that a dialect hands to the line.

/// A request: always `POST`, always JSON.
///
/// Holds no credentials; the [`Line`](crate::Line) adds them.
///
/// ```
/// use onceward_uplink::Request;
///
/// let request = Request {
///     path: "/v1/events".to_owned(),
///     headers: vec![("Idempotency-Key".to_owned(), "batch-1".to_owned())],
///     body: b"{}".to_vec(),
/// };
/// # let _ = request;
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Path below the base address, with a leading slash.
    pub path: String,
    /// Headers besides the content type and the credentials.
    pub headers: Vec<(String, String)>,
    /// The JSON document.
    pub body: Vec<u8>,
}
