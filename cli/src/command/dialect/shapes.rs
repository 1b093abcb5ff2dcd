//! What a check prints, as JSON. The fields are public: their names never change.

use onceward_uplink::{Dialect, HttpDialect, KeyPlace, Request};
use serde::Serialize;

use super::reading::Read;

/// A file that comes with the program.
#[derive(Debug, Serialize)]
pub(super) struct NamedShape<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// What it is for.
    pub(super) about: &'a str,
}

/// What a file describes.
#[derive(Debug, Serialize)]
pub(super) struct CheckShape<'a> {
    /// Name of the dialect.
    dialect: &'a str,
    /// Most events of a request.
    items_max: usize,
    /// How long the upstream remembers keys; `null`: nobody knows.
    horizon_ms: Option<u64>,
    /// What it would send.
    request: RequestShape<'a>,
    /// How it would ask for the key.
    lookup: Option<RequestShape<'a>>,
    /// How an answer is read, if one was given.
    reply: Option<&'a Read>,
}

/// A request.
#[derive(Debug, Serialize)]
struct RequestShape<'a> {
    /// Its method.
    method: &'static str,
    /// The path below the address.
    path: &'a str,
    /// The header that has the terminal's key.
    key_header: Option<&'a str>,
    /// The other headers.
    headers: Vec<[&'a str; 2]>,
    /// The body.
    body: String,
}

impl<'a> CheckShape<'a> {
    /// What a dialect sends, and how it reads an answer.
    pub(super) fn new(
        dialect: &'a HttpDialect,
        (request, lookup): (&'a Request, Option<&'a Request>),
        reply: Option<&'a Read>,
    ) -> Self {
        Self {
            dialect: dialect.name(),
            items_max: dialect.items_max(),
            horizon_ms: dialect.horizon_ms(),
            request: RequestShape::new(request),
            lookup: lookup.map(RequestShape::new),
            reply,
        }
    }
}

impl<'a> RequestShape<'a> {
    /// The shape of a request.
    fn new(request: &'a Request) -> Self {
        let key_header = match &request.key {
            KeyPlace::Bearer => Some("Authorization"),
            KeyPlace::Header(name) => Some(name.as_ref()),
            _ => None,
        };
        let headers = request.headers.iter();
        Self {
            method: request.method.as_str(),
            path: &request.path,
            key_header,
            headers: headers.map(|(name, value)| [name.as_ref(), value.as_ref()]).collect(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
        }
    }
}
