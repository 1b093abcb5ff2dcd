//! What a dialect hands to the line.

/// A request: always `POST`, always JSON.
///
/// Holds no credentials; the [`Line`](crate::Line) adds them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Path below the base address, with a leading slash.
    pub path: String,
    /// Headers besides the content type and the credentials.
    pub headers: Vec<(String, String)>,
    /// The JSON document.
    pub body: Vec<u8>,
}
