//! The response that the line hands back to a dialect.

use std::fmt;
use std::time::Duration;

use crate::excerpt;
use crate::retry_after;
use crate::secret::Secret;
use crate::upstream::{About, HORIZON_HEADER};

/// An answer, whatever its status. Anybody may have written it.
///
/// ```
/// use onceward_uplink::Response;
///
/// // What a test of a dialect gives it.
/// let response = Response::new(503, "busy").with_retry_after("120");
/// assert_eq!((response.status, response.retry_after.as_deref()), (503, Some("120")));
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Response {
    /// The status number.
    pub status: u16,
    /// The header `Retry-After`, as it was spelled.
    pub retry_after: Option<String>,
    /// The header `Date`, as it was spelled: what a date in `Retry-After` is relative to.
    pub date: Option<String>,
    /// The header `Content-Type`: nothing but JSON is an upstream's word.
    pub content_type: Option<String>,
    /// The header `Content-Encoding`: no compressed answer was asked for.
    pub content_encoding: Option<String>,
    /// The header `Location`: where a redirect leads, which is not followed.
    pub location: Option<String>,
    /// All headers that are text, those above too, as they were spelled.
    headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
    /// The credential that must not come back out of the body into a report.
    hidden: Option<Secret>,
    /// The upstream's clock and horizon, as the headers give them.
    about: About,
    /// Whether the body did not come whole. Then the body is not here, or is the beginning of what is not JSON.
    is_cut: bool,
}

impl Response {
    /// An answer without any of the headers.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let (body, about) = (body.into(), About::default());
        Self {
            status,
            retry_after: None,
            date: None,
            content_type: None,
            content_encoding: None,
            location: None,
            headers: Vec::new(),
            body,
            hidden: None,
            about,
            is_cut: false,
        }
    }

    /// An answer with its headers, whatever the case of their names, for hosts with a client of their own.
    /// `round_trip` is the time from the beginning of the request to the head of the answer.
    ///
    /// The upstream's clock is taken from `Date`, and how long it remembers keys, in seconds, from `Onceward-Horizon`;
    /// both are believed only where the dialect understood the answer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use onceward_uplink::Response;
    ///
    /// let headers = [("content-type", "application/json"), ("Retry-After", "120")];
    /// let response = Response::from_headers(503, headers, Duration::from_millis(80), "{}");
    /// assert_eq!(response.retry_after.as_deref(), Some("120"));
    /// ```
    #[must_use]
    pub fn from_headers<'a>(
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        round_trip: Duration,
        body: impl Into<Vec<u8>>,
    ) -> Self {
        let (mut response, mut horizon) = (Self::new(status, body), None);
        for (name, value) in headers {
            let first = |field: &mut Option<String>| {
                field.get_or_insert_with(|| value.to_owned());
            };
            match name.to_ascii_lowercase().as_str() {
                "retry-after" => match &mut response.retry_after {
                    // Which of several counts is judged where they are read.
                    Some(wishes) => wishes.extend([", ", value]),
                    none => *none = Some(value.to_owned()),
                },
                "date" => first(&mut response.date),
                "content-type" => first(&mut response.content_type),
                "content-encoding" => first(&mut response.content_encoding),
                "location" => first(&mut response.location),
                HORIZON_HEADER => first(&mut horizon),
                _ => {}
            }
            response.headers.push((name.to_owned(), value.to_owned()));
        }
        let round_trip_ms = u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX);
        let about = About::read(response.date.as_deref(), horizon.as_deref(), round_trip_ms);
        response.with_about(about)
    }

    /// Sets the header `Retry-After`.
    #[must_use]
    pub fn with_retry_after(mut self, value: impl Into<String>) -> Self {
        self.retry_after = Some(value.into());
        self
    }

    /// Sets the header `Date`.
    #[must_use]
    pub fn with_date(mut self, value: impl Into<String>) -> Self {
        self.date = Some(value.into());
        self
    }

    /// Sets the header `Content-Type`.
    #[must_use]
    pub fn with_content_type(mut self, value: impl Into<String>) -> Self {
        self.content_type = Some(value.into());
        self
    }

    /// Sets the header `Content-Encoding`.
    #[must_use]
    pub fn with_content_encoding(mut self, value: impl Into<String>) -> Self {
        self.content_encoding = Some(value.into());
        self
    }

    /// Sets the header `Location`.
    #[must_use]
    pub fn with_location(mut self, value: impl Into<String>) -> Self {
        self.location = Some(value.into());
        self
    }

    /// Adds a header, whichever it is; one that has a field of its own sets that too.
    ///
    /// ```
    /// use onceward_uplink::Response;
    ///
    /// let response = Response::new(201, "").with_header("Location", "/sales/7");
    /// assert_eq!(response.header("location"), Some("/sales/7"));
    /// assert_eq!(response.location.as_deref(), Some("/sales/7"));
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let field = match name.to_ascii_lowercase().as_str() {
            "retry-after" => Some(&mut self.retry_after),
            "date" => Some(&mut self.date),
            "content-type" => Some(&mut self.content_type),
            "content-encoding" => Some(&mut self.content_encoding),
            "location" => Some(&mut self.location),
            _ => None,
        };
        if let Some(field) = field {
            *field = Some(value.clone());
        }
        self.headers.push((name, value));
        self
    }

    /// The first header of that name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    /// Sets the credential that is taken out of whatever is quoted from the body.
    #[must_use]
    pub fn hiding(mut self, secret: Option<Secret>) -> Self {
        self.hidden = secret;
        self
    }

    /// Sets the upstream's clock and horizon.
    #[must_use]
    pub(crate) fn with_about(mut self, about: About) -> Self {
        self.about = about;
        self
    }

    /// Notes that the body did not come whole.
    #[must_use]
    pub(crate) fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    /// Whether the body did not come whole.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The upstream's clock and horizon, to be believed if a dialect understood the response.
    pub(crate) fn about(&self) -> About {
        self.about
    }

    /// The wait that the upstream asks for, if it asks in an understandable way.
    pub(crate) fn retry_after_ms(&self) -> Option<u64> {
        retry_after::retry_after_ms(self.retry_after.as_deref()?, self.date.as_deref())
    }

    /// `bytes` without the credential.
    pub(crate) fn redacted(&self, bytes: &[u8]) -> Vec<u8> {
        self.hidden.as_ref().map_or_else(|| bytes.to_vec(), |secret| secret.redact(bytes))
    }

    /// `text` without the credential, cut to at most `bytes_max` bytes.
    pub(crate) fn quoted(&self, text: &str, bytes_max: usize) -> String {
        let clean = self.redacted(text.as_bytes());
        excerpt::cut(&String::from_utf8_lossy(&clean), bytes_max).to_owned()
    }

    /// The first bytes of the body for a message, escaped.
    pub(crate) fn excerpt(&self) -> String {
        excerpt::excerpt(&self.redacted(&self.body))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("body", &self.excerpt())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_that_count_are_taken_in_any_case_and_the_first_of_each() {
        let headers = [
            ("X-Other", "1"),
            ("DATE", "Tue, 10 Mar 2026 14:22:05 GMT"),
            ("Date", "Wed, 11 Mar 2026 14:22:05 GMT"),
            ("onceward-Horizon", "60"),
            ("Content-Type", "application/json"),
            ("content-encoding", "gzip"),
            ("Location", "/login"),
        ];
        let response = Response::from_headers(302, headers, Duration::from_millis(80), "{}");
        let about = response.about();
        assert_eq!(about.horizon, Some(Duration::from_mins(1)));
        assert_eq!(about.time.unwrap().unix_ms, 1_773_152_525_540);
        assert_eq!(response.content_type.as_deref(), Some("application/json"));
        assert_eq!(response.content_encoding.as_deref(), Some("gzip"));
        assert_eq!(response.location.as_deref(), Some("/login"));
        assert_eq!((response.status, response.retry_after, response.body.len()), (302, None, 2));
    }

    #[test]
    fn of_two_wishes_to_wait_the_longer_one_counts() {
        let wish = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().copied();
            Response::from_headers(503, headers, Duration::ZERO, "").retry_after_ms()
        };
        assert_eq!(wish(&[("retry-after", "7")]), Some(7_000), "control");
        assert_eq!(wish(&[("retry-after", "9"), ("Retry-After", "7")]), Some(9_000));
    }
}
