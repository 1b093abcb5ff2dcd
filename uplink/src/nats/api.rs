//! The two documents of JetStream that are asked for: what a stream is, and that one is to be made.

use std::fmt;
use std::time::Duration;

use onceward::Scope;
use serde::Deserialize;

use super::options::{NatsOptions, NewStream};
use super::subject::meets;

/// There is no stream of that name.
const STREAM_NOT_FOUND: u64 = 10_059;
/// JetStream is not there for this account, or on this server.
const NO_JETSTREAM: [u64; 2] = [10_039, 10_076];

/// A refusal.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ApiError {
    /// As a status of HTTP.
    #[serde(default)]
    pub(super) code: u64,
    /// What exactly it is.
    #[serde(default)]
    pub(super) err_code: u64,
    /// In words.
    #[serde(default)]
    pub(super) description: String,
}

impl ApiError {
    /// Whether there is no such stream.
    pub(super) fn is_not_found(&self) -> bool {
        self.err_code == STREAM_NOT_FOUND || (self.err_code == 0 && self.code == 404)
    }

    /// Whether there is no JetStream.
    pub(super) fn is_no_jetstream(&self) -> bool {
        NO_JETSTREAM.contains(&self.err_code)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.description, self.err_code)
    }
}

/// The answer to both.
#[derive(Deserialize)]
pub(super) struct StreamAnswer {
    /// Why there is none.
    pub(super) error: Option<ApiError>,
    /// How the stream is set.
    pub(super) config: Option<StreamConfig>,
    /// The server's clock, which newer servers say.
    pub(super) ts: Option<String>,
}

/// How a stream is set, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamConfig {
    /// What it takes.
    #[serde(default)]
    subjects: Vec<String>,
    /// How long it knows a message again, nanoseconds.
    #[serde(default)]
    duplicate_window: u64,
    /// Whether it answers nothing.
    #[serde(default)]
    no_ack: bool,
    /// Whether it takes nothing more.
    #[serde(default)]
    sealed: bool,
}

impl StreamConfig {
    /// How long it knows a message again.
    pub(super) fn duplicate_window(&self) -> Duration {
        Duration::from_nanos(self.duplicate_window)
    }

    /// Why the events of these scopes cannot be sent to it, if they cannot.
    pub(super) fn unfit(&self, options: &NatsOptions, scopes: &[Scope]) -> Option<String> {
        let name = &options.stream;
        if self.no_ack {
            return Some(format!("stream {name:?} acknowledges nothing (no_ack)"));
        }
        if self.sealed {
            return Some(format!("stream {name:?} is sealed"));
        }
        scopes.iter().find_map(|scope| {
            let pattern = options.subject.pattern(Some(scope));
            let is_met = self.subjects.iter().any(|filter| meets(filter, &pattern));
            let theirs = self.subjects.join(", ");
            (!is_met).then(|| {
                format!("stream {name:?} takes no messages for {pattern:?}, only for {theirs:?}")
            })
        })
    }
}

/// The request for a stream, to be made as it is.
pub(super) fn creation(options: &NatsOptions, new: NewStream) -> String {
    let window = u64::try_from(new.duplicate_window.as_nanos()).unwrap_or(u64::MAX);
    serde_json::json!({
        "name": options.stream,
        "subjects": [options.subject.pattern(None)],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_consumers": -1,
        "num_replicas": new.replicas,
        "duplicate_window": window,
    })
    .to_string()
}
