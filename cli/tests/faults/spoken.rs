//! The dialects of the matrix, and how each is set up.
//! Method: the crate's own dialects, one of its built-in files, and one file that is written out here.

use std::fmt;

use onceward::{Scope, sync};
use onceward_uplink::{
    BUILT_IN, Dialect, Forloy, HttpDialect, Onceward, Wede,
    faults::Fault::{self, ItemDoubled, ItemDropped, ItemsShuffled, StrangerAdded},
};

/// A dialect, one of those that the hub answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Spoken {
    /// Lists of purchases.
    Forloy,
    /// Lists of events.
    Wede,
    /// The segment stream.
    Onceward,
    /// What a file describes, with lists of events.
    HttpList,
    /// What the built-in file `wede-single` describes, with one event a request.
    HttpSingle,
}

impl Spoken {
    /// The dialect itself.
    pub(crate) fn dialect(self) -> Box<dyn Dialect> {
        let file = |text| {
            let dialect = HttpDialect::from_toml(text).unwrap();
            Box::new(dialect.with_device_id("till-7"))
        };
        match self {
            Self::Forloy => Box::new(Forloy::new()),
            Self::Wede => Box::new(Wede::new("till-7")),
            Self::Onceward => Box::new(Onceward::new()),
            Self::HttpList => file(LIST),
            Self::HttpSingle => {
                let file_of = BUILT_IN.into_iter().find(|(name, _)| *name == "wede-single");
                file(file_of.unwrap().1)
            }
        }
    }

    /// How a session sends in it: in many requests, several of them at once.
    pub(crate) fn options(self, seed: u64) -> sync::Options {
        let options = sync::Options::new(Scope::default()).with_seed(seed).with_window(4);
        match self {
            Self::HttpSingle => options,
            _ => options.with_items_max(20),
        }
    }

    /// How many events a run has.
    pub(crate) fn events(self) -> usize {
        match self {
            // Each is a request of its own.
            Self::HttpSingle => 24,
            _ => 240,
        }
    }

    /// Why a fault is none in this dialect; `None` if it is one.
    pub(crate) fn knows_no(self, fault: Fault) -> Option<&'static str> {
        let is_of_items = [ItemsShuffled, ItemDropped, StrangerAdded, ItemDoubled].contains(&fault);
        match self {
            Self::Onceward if is_of_items => Some("a reply answers for a batch and lists no items"),
            Self::HttpSingle if fault == ItemsShuffled => Some("one item has no other order"),
            _ => None,
        }
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forloy => "forloy",
            Self::Wede => "wede",
            Self::Onceward => "onceward",
            Self::HttpList => "http: (lists)",
            Self::HttpSingle => "http: (single)",
        })
    }
}

/// Wede's batch sync as a file describes it.
const LIST: &str = r#"
name = "wede-list"
horizon = "30d"

[request]
path = "/v1/sync/batch"
items = "array"
items_max = 500
headers = { Idempotency-Key = "{batch_key}" }

[item]
template = '{"type": "{kind}", "idempotency_key": "{key}", "payload": "{payload}"}'

[body]
template = '{"events": [], "device_id": "{device_id}", "captured_at": "2026-01-01T00:00:00.000Z"}'
at = "/events"

[reply]
statuses = [200]
results = "/data/events"
key = "/idempotency_key"
outcome = "/status"
code = "/reason"

[reply.refusal]
member = "/code"
code = "/code"
message = "/detail"

[reply.accepted]
words = ["accepted"]

[reply.duplicate]
words = ["duplicate"]

[reply.rejected]
words = ["rejected"]
"#;
