mod answers;
mod document;
mod faults;
mod lookups;
mod loopback;
mod properties;
mod requests;
mod telling;

use onceward::sync::ItemOutcome;
use onceward::{Event, Key, Payload, Scope};

use super::*;

/// The built-in dialect of that name.
fn built_in(name: &str) -> HttpDialect {
    let (_, text) = BUILT_IN.into_iter().find(|(other, _)| *other == name).unwrap();
    HttpDialect::from_toml(text).unwrap().with_device_id("till-7")
}

/// A description for one event a request, whose tables behind `[request]` are `rest`.
fn one(rest: &str) -> String {
    format!(
        "name = \"t\"\nhorizon = \"1h\"\n[request]\npath = \"/e/{{key}}\"\nitems = \"one\"\n{rest}"
    )
}

/// A description for many events a request.
fn array(rest: &str) -> String {
    format!(
        "name = \"t\"\nhorizon = \"1h\"\n[request]\npath = \"/e\"\nitems = \"array\"\nitems_max = 10\n{rest}"
    )
}

/// An item that is its payload.
const PAYLOAD: &str = "[item]\ntemplate = '\"{payload}\"'\n";
/// A reply by a status alone.
const IGNORED: &str = "[reply]\nbody = \"ignored\"\nstatuses = [200]\n";
/// A reply with a list.
const LIST: &str = r#"
[item]
template = '{"id":"{key}","data":"{payload}"}'
[reply]
statuses = [200]
results = "/results"
key = "/id"
outcome = "/status"
code = "/code"
message = "/text"
receipt = "/receipt"
[reply.refusal]
member = "/error"
code = "/error/code"
message = "/error/text"
[reply.accepted]
words = ["ok"]
codes = ["00"]
[reply.duplicate]
words = ["known"]
codes = ["already"]
[reply.rejected]
words = ["no"]
codes = ["bad"]
[reply.uncertain]
codes = ["lost"]
[reply.transient]
codes = ["busy"]
"#;

/// The dialect of a description that has no fault.
fn dialect(text: &str) -> HttpDialect {
    HttpDialect::from_toml(text).unwrap_or_else(|fault| panic!("{fault}"))
}

/// An event of the default scope, captured at the beginning of 2026.
fn event(key: &str, payload: &str) -> StoredEvent {
    let payload = Payload::json(payload).unwrap();
    let event = Event::new(Scope::default(), Key::new(key).unwrap(), payload);
    StoredEvent::as_if_captured(event, 1_767_225_600_000)
}

/// What `request` is made of an event.
fn sent(dialect: &HttpDialect, event: &StoredEvent) -> Request {
    dialect.sample_request(event, event.event.key.as_str(), "batch-1").unwrap()
}

/// An answer of JSON.
fn json(status: u16, body: &str) -> Response {
    Response::new(status, body).with_content_type("application/json; charset=utf-8")
}

/// What an answer says of the event `k`, which was alone in its request.
fn read(dialect: &HttpDialect, response: &Response) -> Result<ItemOutcome, Failure> {
    let mut items = dialect.read_reply("k", response)?.items;
    assert_eq!(items.len(), 1, "{items:?}");
    let (key, outcome) = items.pop().unwrap();
    assert_eq!(key, "k");
    Ok(outcome)
}
