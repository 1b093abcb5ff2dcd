//! One line of input, from text to event. Knows no store: what a line says, not whether it is new.

use std::{borrow::Cow, fmt};

use onceward::{Amount, Class, EventRef, Headers, PayloadRef, Scope};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

/// Why a line is refused, as the answer shows it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Refusal {
    /// Stable, in upper snake case.
    pub(super) code: String,
    /// One sentence that names the field and the limit.
    pub(super) message: String,
}

impl Refusal {
    /// A refusal of this module's own.
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

impl From<onceward::Error> for Refusal {
    fn from(error: onceward::Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// A line that could not become an event, with its key if that much could be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct BadLine {
    /// The key as the line spelled it.
    pub(super) key: Option<String>,
    /// What is wrong.
    pub(super) refusal: Refusal,
}

/// The fields that all events of a run share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    /// The scope of all events.
    pub(super) scope: Scope,
    /// The headers that every event gets before those of its line.
    pub(super) headers: Headers,
}

/// The fields of a line, each where the line has it if it is spelled there as it is meant.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    /// The scope of all events of the run.
    scope: &'a Scope,
    /// The idempotency key.
    key: Cow<'a, str>,
    /// The content.
    payload: PayloadRef<'a>,
    /// The kind, if the line has one.
    kind: Option<Cow<'a, str>>,
    /// The amount, if the line has one.
    amount: Option<Amount>,
    /// When it happened, Unix milliseconds, if the line says so.
    captured_at_ms: Option<i64>,
    /// The lane, if the line has one.
    lane: Option<Cow<'a, str>>,
    /// Whether it may be dropped.
    class: Class,
    /// The headers of the run, and behind them those of the line.
    headers: Cow<'a, Headers>,
}

impl Parsed<'_> {
    /// The event that a line says.
    ///
    /// # Errors
    ///
    /// A field is over its limit.
    pub(super) fn event(&self) -> Result<EventRef<'_>, BadLine> {
        let checked = || {
            let mut event = EventRef::new(self.scope, &self.key, self.payload.reborrow())?;
            if let Some(kind) = &self.kind {
                event = event.with_kind(kind)?;
            }
            if let Some(lane) = &self.lane {
                event = event.with_lane(lane)?;
            }
            if let Some(amount) = self.amount {
                event = event.with_amount(amount);
            }
            if let Some(ms) = self.captured_at_ms {
                event = event.with_captured_at_ms(ms);
            }
            Ok(event.with_class(self.class).with_headers(&self.headers))
        };
        let key = || Some(self.key.clone().into_owned());
        checked().map_err(|error: onceward::Error| BadLine { key: key(), refusal: error.into() })
    }
}

/// Reads the fields of a line.
///
/// # Errors
///
/// The line is blank, not UTF-8, not a JSON object, has a field that is unknown, missing, twice there or of another
/// form. Nothing was stored.
pub(super) fn parse<'a>(bytes: &'a [u8], shared: &'a Shared) -> Result<Parsed<'a>, BadLine> {
    let bare = |refusal| BadLine { key: None, refusal };
    let text = str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to().saturating_add(1);
        bare(Refusal::new("LINE_NOT_UTF8", format!("the line is not UTF-8 from its byte {at} on")))
    })?;
    let text = text.trim_matches([' ', '\t', '\r']);
    if text.is_empty() {
        return Err(bare(Refusal::new("LINE_BLANK", "the line is blank; a JSON object is needed")));
    }
    if !text.starts_with('{') {
        // Also an array, whose elements would otherwise be taken for the fields in their order.
        return Err(bare(not_an_object(text)));
    }
    let fields: Fields<'_> = serde_json::from_str(text)
        .map_err(|error| BadLine { key: key_of(text), refusal: unreadable(text, &error) })?;
    let key = fields.key.as_deref().map(str::to_owned);
    checked(fields, shared).map_err(|refusal| BadLine { key, refusal })
}

/// The fields of a line. Unknown and repeated ones are errors: a typing mistake must not lose data.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with \"key\" and \"payload\"")]
struct Fields<'a> {
    /// The idempotency key.
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    /// Any JSON value, `null` as well, in its own spelling.
    #[serde(borrow, default, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
    /// The event's kind.
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    /// A number or a text; in its own spelling, since a float would round it.
    #[serde(borrow, default)]
    amount: Option<&'a RawValue>,
    /// RFC 3339 text, or Unix milliseconds.
    #[serde(borrow, default)]
    captured_at: Option<&'a RawValue>,
    /// Events of one lane are sent in order, one at a time.
    #[serde(borrow, default)]
    lane: Option<Cow<'a, str>>,
    /// `keep` or `evictable`.
    #[serde(borrow, default)]
    class: Option<Cow<'a, str>>,
    /// An object of texts, or a list of pairs.
    #[serde(default)]
    headers: Option<Pairs>,
}

/// Names and values in their order; a name may come more than once, in an object too.
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(PairsVisitor)
    }
}

/// Reads either spelling of headers.
struct PairsVisitor;

impl<'de> de::Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers as an object of texts, or as a list of pairs of texts")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = list.next_element()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

/// Reads a value that may be `null` as present.
fn present<'de, D: Deserializer<'de>>(input: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(input).map(Some)
}

/// Reads what each field says.
fn checked<'a>(fields: Fields<'a>, shared: &'a Shared) -> Result<Parsed<'a>, Refusal> {
    let key = fields.key.ok_or_else(|| missing("key"))?;
    let payload = fields.payload.ok_or_else(|| missing("payload"))?;
    let mut headers = Cow::Borrowed(&shared.headers);
    for (name, value) in fields.headers.map(|pairs| pairs.0).unwrap_or_default() {
        headers = Cow::Owned(headers.into_owned().with(&name, &value)?);
    }
    Ok(Parsed {
        scope: &shared.scope,
        key,
        payload: PayloadRef::json(payload.get())?,
        kind: fields.kind,
        amount: fields.amount.map(amount).transpose()?,
        captured_at_ms: fields.captured_at.map(captured_at_ms).transpose()?,
        lane: fields.lane,
        class: fields.class.map_or(Ok(Class::Keep), |class| class_of(&class))?,
        headers,
    })
}

/// The refusal of a line that does not begin as an object does.
fn not_an_object(text: &str) -> Refusal {
    match serde_json::from_str::<de::IgnoredAny>(text) {
        Ok(_) => Refusal::new("LINE_NOT_OBJECT", "the line is JSON and not an object"),
        Err(error) => {
            Refusal::new("LINE_NOT_JSON", format!("the line is not JSON: {}", within_line(&error)))
        }
    }
}

/// The refusal of a line without `field`.
fn missing(field: &str) -> Refusal {
    Refusal::new("FIELD_MISSING", format!("{field}: missing"))
}

/// An exact decimal from its own spelling, which no float has touched.
fn amount(raw: &RawValue) -> Result<Amount, Refusal> {
    let text = match serde_json::from_str::<Cow<'_, str>>(raw.get()) {
        Ok(text) => text,
        Err(_)
            if raw.get().starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) =>
        {
            Cow::Borrowed(raw.get())
        }
        Err(_) => {
            return Err(Refusal::new("AMOUNT_INVALID", "amount: neither a number nor a text"));
        }
    };
    Ok(text.parse::<Amount>()?)
}

/// Unix milliseconds from RFC 3339 text or from an integer.
fn captured_at_ms(raw: &RawValue) -> Result<i64, Refusal> {
    let refused = |why: String| Refusal::new("CAPTURED_AT_INVALID", format!("captured_at: {why}"));
    if let Ok(ms) = serde_json::from_str::<i64>(raw.get()) {
        return Ok(ms);
    }
    let text: Cow<'_, str> = serde_json::from_str(raw.get()).map_err(|_not_a_text| {
        refused("neither RFC 3339 text nor an integer of Unix milliseconds".to_owned())
    })?;
    onceward::wire::parse_rfc3339(&text).map_err(|fault| refused(fault.to_string()))
}

/// The class that a word names.
fn class_of(word: &str) -> Result<Class, Refusal> {
    match word {
        "keep" => Ok(Class::Keep),
        "evictable" => Ok(Class::Evictable),
        _ => Err(Refusal::new("CLASS_INVALID", "class: neither \"keep\" nor \"evictable\"")),
    }
}

/// The message of serde. A line has one line: "at line 1" would be taken for the number of the input's line.
fn within_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// The refusal of a line that serde refused.
fn unreadable(text: &str, error: &serde_json::Error) -> Refusal {
    let why = within_line(error);
    let is_json = serde_json::from_str::<de::IgnoredAny>(text).is_ok();
    let code = match (is_json, text.starts_with('{')) {
        (false, _) => "LINE_NOT_JSON",
        (true, false) => "LINE_NOT_OBJECT",
        (true, true) if why.starts_with("unknown field") => "FIELD_UNKNOWN",
        (true, true) if why.starts_with("duplicate field") => "FIELD_REPEATED",
        (true, true) => "FIELD_INVALID",
    };
    Refusal::new(code, why)
}

/// The key of a line that is an object with something else wrong.
fn key_of(text: &str) -> Option<String> {
    /// Only the key; everything else is skipped.
    #[derive(Deserialize)]
    struct KeyOnly {
        /// The idempotency key.
        key: String,
    }
    serde_json::from_str::<KeyOnly>(text).ok().map(|found| found.key)
}

#[cfg(test)]
mod tests;
