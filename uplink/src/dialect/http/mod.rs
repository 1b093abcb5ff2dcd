//! A dialect that a file describes: requests and answers of an HTTP API, without a line of Rust.
//!
//! `DIALECTS.md` has the format. A file is checked when it is read; what it then says never changes what confirms an
//! event: an explicit positive answer for its own key.
//!
//! | file             | what                                                        |
//! |------------------|-------------------------------------------------------------|
//! | `file.rs`        | the fields, as they are read                                |
//! | `fault.rs`       | what is wrong with a file, and where                        |
//! | `horizon.rs`     | how long the upstream remembers keys                        |
//! | `placeholder.rs` | what stands in braces, and where it may                     |
//! | `text.rs`        | texts with placeholders                                     |
//! | `template.rs`    | JSON with placeholders                                      |
//! | `head.rs`        | path and headers                                            |
//! | `plan.rs`        | the request: checked, formed for an event, built for a batch |
//! | `pointer.rs`     | JSON pointers                                               |
//! | `lexicon.rs`     | what words, codes and statuses mean                         |
//! | `rules.rs`       | how answers are read, and that nothing confirms by accident |
//! | `document.rs`    | whether an answer is a document of the upstream's           |
//! | `part.rs`        | a part of an answer, and what is there instead              |
//! | `reading.rs`     | what an answer says                                         |
//! | `said.rs`        | the same, as the session takes it                           |
//! | `lookup.rs`      | asking for one key                                          |
//! | `built_in.rs`    | the files that come with the crate                          |

mod built_in;
mod document;
mod fault;
mod file;
mod head;
mod horizon;
mod lexicon;
mod lookup;
mod part;
mod placeholder;
mod plan;
mod pointer;
mod reading;
mod rules;
mod said;
mod template;
mod text;

use std::path::Path;

use onceward::StoredEvent;
use onceward::host::{Outside, read_at_most};
use onceward::sync::{Batch, Failure, ItemOutcome, Misfit, Reply};
use toml::Spanned;

use self::fault::{Found, found};
use self::file::File;
use self::lexicon::Meaning;
use self::lookup::Lookup;
use self::placeholder::Placeholder;
use self::plan::{Formed, Mode, Names, Plan};
use self::reading::Answer;
use self::rules::{About, Rules};
use super::{Dialect, Method, Request, Response, status};
use crate::error::{Cause, Error};

pub use self::built_in::BUILT_IN;
pub use self::fault::{DialectFault, Spot};

/// Longest file of a dialect.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Longest name of a dialect.
const NAME_BYTES_MAX: usize = 64;

/// A dialect that a file describes; the format is below.
///
/// ```
/// use onceward_uplink::{Dialect, HttpDialect};
///
/// let dialect = HttpDialect::from_toml(
///     r#"
///     name = "orders"
///     horizon = "30d"
///
///     [request]
///     path = "/orders"
///     items = "one"
///     headers = { Idempotency-Key = "{key}" }
///
///     [item]
///     template = '"{payload}"'
///
///     [reply]
///     statuses = [201]
///     key = "/idempotency_key"
///     "#,
/// )?;
/// assert_eq!((dialect.name(), dialect.items_max()), ("orders", 1));
/// # Ok::<(), onceward_uplink::DialectFault>(())
/// ```
#[doc = include_str!("../../../DIALECTS.md")]
#[derive(Clone, Debug)]
pub struct HttpDialect {
    name: String,
    horizon_ms: Option<u64>,
    plan: Plan,
    rules: Rules,
    lookup: Option<Lookup>,
    device_id: String,
}

impl HttpDialect {
    /// Reads a description.
    ///
    /// # Errors
    ///
    /// Where it is wrong, and what may be there.
    pub fn from_toml(text: &str) -> Result<Self, DialectFault> {
        let file: File = toml::from_str(text).map_err(|error| fault::of_toml(text, &error))?;
        Self::of(&file).map_err(|found| found.located(text))
    }

    /// Reads a description from a file.
    ///
    /// ```
    /// use onceward_uplink::{ErrorKind, HttpDialect};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("till.toml");
    /// # std::fs::write(&path, "name = \"till\"\nhorizon = \"soon\"\n")?;
    /// let error = HttpDialect::from_file(&path).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Invalid);
    /// assert!(error.to_string().contains("till.toml:"), "{error}");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Io`: the file cannot be read. `Invalid`: it is no UTF-8, or describes no dialect; the message says where.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let bytes = Outside::open_file(path).and_then(|file| read_at_most(file, FILE_BYTES_MAX));
        let bytes = bytes.map_err(|found| Cause::File {
            argument: "dialect",
            why: format!("cannot read {shown}: {found}"),
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_not_text| Error::invalid("dialect", format!("{shown} is not UTF-8")))?;
        let dialect = Self::from_toml(&text);
        Ok(dialect.map_err(|fault| Cause::Dialect(DialectFault { file: shown, ..fault }))?)
    }

    /// Names the device, where the file has `{device_id}`: the store's id, unless the host has a better name. Without
    /// one a header or a path that needs it makes each event a misfit.
    #[must_use]
    pub fn with_device_id(mut self, device_id: impl Into<String>) -> Self {
        self.device_id = device_id.into();
        self
    }

    /// Whether the file has `{device_id}` anywhere.
    ///
    /// ```
    /// use onceward_uplink::{BUILT_IN, HttpDialect};
    ///
    /// let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "webhook").ok_or("it is there")?;
    /// assert!(HttpDialect::from_toml(text)?.needs_device_id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn needs_device_id(&self) -> bool {
        let wanted = &Placeholder::DeviceId;
        self.plan.has(wanted) || self.lookup.as_ref().is_some_and(|lookup| lookup.has(wanted))
    }

    /// The request that would carry this event alone, under that key, in a batch of that name: for looking at.
    ///
    /// ```
    /// use onceward::{Event, Key, Payload, Scope, StoredEvent};
    /// use onceward_uplink::{BUILT_IN, HttpDialect};
    ///
    /// let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "webhook").ok_or("it is there")?;
    /// let dialect = HttpDialect::from_toml(text)?.with_device_id("till-7");
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json(r#"{"total":24.50}"#)?);
    /// let sale = StoredEvent::as_if_captured(sale, 1_800_000_000_000);
    /// let request = dialect.sample_request(&sale, "sale-1", "batch-1").map_err(|misfit| misfit.message)?;
    /// assert_eq!((request.path.as_str(), request.body.as_slice()), ("/hook", br#"{"total":24.50}"#.as_slice()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Why the event cannot be sent.
    pub fn sample_request(
        &self,
        event: &StoredEvent,
        wire_key: &str,
        batch_key: &str,
    ) -> Result<Request, Misfit> {
        let mut item = Vec::new();
        self.plan.form(event, (wire_key, &self.device_id), &mut item)?;
        let (scope, device_id) = (event.event.scope.as_str(), self.device_id.as_str());
        let formed = Formed { key: wire_key, lsn: event.lsn.get(), body: &item };
        self.plan.request(std::iter::once(formed), Names { scope, batch_key, device_id })
    }

    /// Reads an answer to a request with the event of that key, as [`Dialect::decode`] does.
    ///
    /// ```
    /// use onceward::sync::ItemOutcome;
    /// use onceward_uplink::{BUILT_IN, HttpDialect, Response};
    ///
    /// let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "webhook").ok_or("it is there")?;
    /// let dialect = HttpDialect::from_toml(text)?;
    /// let reply = dialect.read_reply("sale-1", &Response::new(208, "")).map_err(|failure| format!("{failure:?}"))?;
    /// assert_eq!(reply.items, [("sale-1".to_owned(), ItemOutcome::Duplicate { receipt: None })]);
    /// assert!(dialect.read_reply("sale-1", &Response::new(502, "<html>")).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the response is instead of an answer by item.
    pub fn read_reply(&self, key: &str, response: &Response) -> Result<Reply, Failure> {
        let one = |outcome| Reply::of(vec![(key.to_owned(), outcome)]);
        match reading::read(&self.rules, Some(key), response)? {
            Answer::Items(items) => {
                let outcomes = items.into_iter().map(|(key, said)| (key, said.outcome(response)));
                Ok(Reply::of(outcomes.collect()))
            }
            Answer::One(said) => match said.meaning {
                Some(Meaning::Transient) | None => Ok(one(said.outcome(response))),
                _ => said.failure(response).map_or_else(|| Ok(one(said.outcome(response))), Err),
            },
            Answer::Refusal(said) => match (said.failure(response), self.plan.mode, said.meaning) {
                (Some(failure), ..) => Err(failure),
                (None, Mode::One, _) => Ok(one(said.outcome(response))),
                // Of many events one is at fault, and is found by halves.
                (None, Mode::Array, Some(Meaning::Rejected)) => Err(said.refused(response)),
                (None, Mode::Array, _) => Err(reading::of_no_event(&said, response)),
            },
        }
    }

    /// The statuses whose answers may confirm events, in the order of the file.
    ///
    /// ```
    /// use onceward_uplink::{BUILT_IN, HttpDialect};
    ///
    /// let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "cloudevents-batch").ok_or("it is there")?;
    /// assert_eq!(HttpDialect::from_toml(text)?.statuses(), [200, 207]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn statuses(&self) -> &[u16] {
        &self.rules.statuses
    }

    /// The same of answers to lookups; none where there are no lookups.
    #[must_use]
    pub fn lookup_statuses(&self) -> &[u16] {
        self.lookup.as_ref().map_or(&[], Lookup::statuses)
    }

    /// What of a batch a request shows. One that was formed when the file had no device yet is sent with today's.
    fn names<'a>(&'a self, batch: &'a Batch) -> Names<'a> {
        let formed_with = Some(batch.settings.as_str()).filter(|id| !id.is_empty());
        Names {
            scope: batch.scope.as_str(),
            batch_key: batch.idempotency_key.as_str(),
            device_id: formed_with.unwrap_or(&self.device_id),
        }
    }

    /// The dialect of a file.
    fn of(file: &File) -> Result<Self, Found> {
        let name = checked_name(&file.name)?;
        let horizon_ms = horizon::read(file)?;
        let plan = Plan::load(file)?;
        let rules = Rules::load(&file.reply, "reply", About::Request(plan.mode))?;
        if let Some(at) = &file.reply.get_ref().batch_key_refused
            && !plan.has(&Placeholder::BatchKey)
        {
            let what = "the upstream never sees the batch's key";
            let allowed = "only with {batch_key} in the request";
            return Err(found(at, "reply.batch_key_refused", what, allowed));
        }
        let lookup =
            file.lookup.as_ref().map(|at| Lookup::load(at, &plan.credential)).transpose()?;
        Ok(Self { name, horizon_ms, plan, rules, lookup, device_id: String::new() })
    }
}

/// The name of a dialect.
fn checked_name(at: &Spanned<String>) -> Result<String, Found> {
    let text = at.get_ref();
    let is_plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(is_plain) {
        let allowed = "1 to 64 small letters, digits, -, _ and .";
        return Err(found(at, "name", format!("{text:?} is no name"), allowed));
    }
    Ok(text.clone())
}

impl Dialect for HttpDialect {
    fn name(&self) -> &str {
        &self.name
    }

    fn conveys_scope(&self) -> bool {
        self.plan.conveys_scope
    }

    fn settings(&self) -> String {
        if self.needs_device_id() { self.device_id.clone() } else { String::new() }
    }

    fn items_max(&self) -> usize {
        self.plan.items_max
    }

    fn bytes_max(&self) -> Option<usize> {
        Some(self.plan.bytes_max)
    }

    fn horizon_ms(&self) -> Option<u64> {
        self.horizon_ms
    }

    fn can_look_up(&self) -> bool {
        self.lookup.is_some()
    }

    /// `None` too where the key cannot be in such a request as it is.
    fn lookup_request(&self, key: &str, scope: &str) -> Option<Request> {
        self.lookup.as_ref()?.request(key, scope, &self.device_id)
    }

    fn read_lookup(&self, key: &str, response: &Response) -> Result<Option<ItemOutcome>, Failure> {
        match &self.lookup {
            Some(lookup) => lookup.read(key, response),
            None => Err(status::not_recognised(response, "an answer that nobody expected")),
        }
    }

    fn form(&self, event: &StoredEvent, wire_key: &str, item: &mut Vec<u8>) -> Result<(), Misfit> {
        self.plan.form(event, (wire_key, &self.device_id), item)
    }

    /// A batch that cannot be sent as it is asks for the root instead; forming its events has shown that this one can,
    /// unless it has the device's name from another file.
    fn request(&self, batch: &Batch) -> Request {
        let request = self.plan.request(batch.items().map(Formed::from), self.names(batch));
        request.unwrap_or_else(|_misfit| Request::new(Method::Get, "/", ""))
    }

    fn decode(&self, batch: &Batch, response: &Response) -> Result<Reply, Failure> {
        let first = batch.items().next().map(Formed::from).unwrap_or_default();
        if let Err(misfit) = self.plan.head(first, self.names(batch)) {
            // Whatever was asked, it was not this batch.
            return Err(status::not_recognised(response, &format!("not sent: {}", misfit.message)));
        }
        self.read_reply(first.key, response)
    }
}

#[cfg(test)]
mod tests;
