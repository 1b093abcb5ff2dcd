//! The request that a dialect hands to the line.

use std::time::Duration;

/// The method of a request.
///
/// ```
/// use onceward_uplink::Method;
///
/// assert_eq!(Method::Put.as_str(), "PUT");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// Asks for something and changes nothing.
    Get,
    /// Gives something to be handled.
    Post,
    /// Puts something in its place.
    Put,
    /// Changes a part of something.
    Patch,
    /// Takes something away.
    Delete,
}

impl Method {
    /// The method as requests spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Where in a request the line puts the key of the terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyPlace {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key alone, in the header of this name.
    Header(String),
    /// Nowhere.
    Nowhere,
}

/// A request.
///
/// Holds no credentials; the [`Line`](crate::Line) puts them in their [place](KeyPlace).
///
/// ```
/// use onceward_uplink::{Method, Request};
///
/// let request = Request::post("/v1/events", "{}").with_header("Idempotency-Key", "batch-1");
/// assert_eq!((request.method, request.path.as_str()), (Method::Post, "/v1/events"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path below the base address, with a leading slash.
    pub path: String,
    /// Headers besides the credentials. Without a `Content-Type` among them the body is sent as `application/json`.
    pub headers: Vec<(String, String)>,
    /// Where the key goes.
    pub key: KeyPlace,
    /// The body; of a `GET` it is not sent.
    pub body: Vec<u8>,
    /// How long the upstream is asked to hold its answer back: a transport waits so much longer than for others. None
    /// by default.
    pub hold: Duration,
}

impl Request {
    /// A request without headers, whose key is a bearer token.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        let (path, body) = (path.into(), body.into());
        Self {
            method,
            path,
            headers: Vec::new(),
            key: KeyPlace::Bearer,
            body,
            hold: Duration::ZERO,
        }
    }

    /// A `POST` without headers, whose key is a bearer token.
    #[must_use]
    pub fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new(Method::Post, path, body)
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets where the key goes.
    #[must_use]
    pub fn with_key(mut self, place: KeyPlace) -> Self {
        self.key = place;
        self
    }

    /// Asks the upstream to hold its answer back for so long at most, until it has one: the transport waits for it.
    #[must_use]
    pub fn with_hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }
}
