//! The request that a file describes: checked when it is read, formed for each event, built for each batch.

use std::borrow::Cow;
use std::collections::BTreeMap;

use onceward::StoredEvent;
use onceward::sync::{Item, Misfit};

use super::fault::{Found, found};
use super::file::{BodyTable, File};
use super::head::{Head, Rendered, credential};
use super::placeholder::{Place, Placeholder};
use super::pointer::Pointer;
use super::template::{self, AmountForm, Filling, Node};
use super::text::{Value, of_event};
use crate::dialect::{KeyPlace, Method, Request, misfit};

/// How many events a request carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// One.
    One,
    /// Many, in a list.
    Array,
}

/// A request, as the file describes it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// How many events it carries.
    pub(super) mode: Mode,
    /// The most of them.
    pub(super) items_max: usize,
    /// Most bytes of its items.
    pub(super) bytes_max: usize,
    /// Whether the upstream keeps scopes apart.
    pub(super) conveys_scope: bool,
    /// Where the terminal's key goes.
    pub(super) credential: KeyPlace,
    method: Method,
    head: Head,
    content_type: String,
    item: Node,
    amount: AmountForm,
    around: Option<Node>,
}

/// What of a batch a request shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    /// The scope of its events.
    pub(super) scope: &'a str,
    /// Its own name.
    pub(super) batch_key: &'a str,
    /// The device.
    pub(super) device_id: &'a str,
}

/// An item, as it was formed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Formed<'a> {
    /// The key under which the upstream gets the event.
    pub(super) key: &'a str,
    /// The event's number.
    pub(super) lsn: u64,
    /// What [`Plan::form`] made of it.
    pub(super) body: &'a [u8],
}

impl<'a> From<Item<'a>> for Formed<'a> {
    fn from(item: Item<'a>) -> Self {
        Self { key: item.key, lsn: item.lsn.get(), body: item.body }
    }
}

/// What the path and the headers have of an event, by placeholder: noted in its item, as a request is built of items.
type Notes = BTreeMap<String, Option<String>>;

/// Most bytes of the items where the file names no limit: as a session's own.
const BYTES_MAX: u64 = 475_000;

impl Plan {
    /// Reads what the file says of the request.
    pub(super) fn load(file: &File) -> Result<Self, Found> {
        let request = file.request.get_ref();
        let items = &request.items;
        let mode = match items.get_ref().as_str() {
            "one" => Mode::One,
            "array" => Mode::Array,
            other => {
                let what = format!("{other:?} is neither");
                return Err(found(items, "request.items", what, "\"one\", \"array\""));
            }
        };
        let credential = credential(request.credential.as_ref())?;
        let place = if mode == Mode::One { Place::HeadOfOne } else { Place::HeadOfMany };
        let head = Head::parse((&request.path, &request.headers), &credential, ("request", place))?;
        let plan = Self {
            mode,
            items_max: items_max(file, mode)?,
            bytes_max: bytes_max(file)?,
            conveys_scope: request.conveys_scope.as_ref().is_some_and(|given| *given.get_ref()),
            credential,
            method: method(file)?,
            head,
            content_type: content_type(file)?,
            item: template::parse(&file.item.get_ref().template, "item.template", Place::Item)?,
            amount: amount(file)?,
            around: file.body.as_ref().map(|body| around(body.get_ref())).transpose()?,
        };
        plan.check_key(file)?;
        plan.check_scope(file)?;
        Ok(plan)
    }

    /// Whether the request has that placeholder anywhere.
    pub(super) fn has(&self, wanted: &Placeholder) -> bool {
        self.head.placeholders().any(|found| found == wanted)
            || self.item.has(wanted)
            || self.around.as_ref().is_some_and(|around| around.has(wanted))
    }

    /// The upstream must remember an event by the event's own key.
    fn check_key(&self, file: &File) -> Result<(), Found> {
        let in_head = self.mode == Mode::One && self.head.names_event();
        if in_head || self.item.names_event() {
            return Ok(());
        }
        let (what, allowed) = match self.mode {
            Mode::One if self.head.placeholders().any(|found| *found == Placeholder::BatchKey) => (
                "the batch's key is the event's only one, and it changes when the batch is formed anew",
                "{key} in request.path, in a header or in the item's template, without {batch_key} beside it",
            ),
            Mode::One => (
                "the upstream never sees the event's key",
                "{key} in request.path, in a header or in the item's template",
            ),
            Mode::Array => ("the items have no key", "{key} in the item's template"),
        };
        Err(found(&file.item, "item.template", what, allowed))
    }

    /// An upstream cannot keep scopes apart that it does not see.
    fn check_scope(&self, file: &File) -> Result<(), Found> {
        match &file.request.get_ref().conveys_scope {
            Some(given) if *given.get_ref() && !self.has(&Placeholder::Scope) => Err(found(
                given,
                "request.conveys_scope",
                "the upstream never sees the scope",
                "false, or {scope} in the request",
            )),
            _ => Ok(()),
        }
    }

    /// Appends the item that an event is: in a request for one, the notes for its head and a line end are before it.
    pub(super) fn form(
        &self,
        event: &StoredEvent,
        (wire_key, device_id): (&str, &str),
        item: &mut Vec<u8>,
    ) -> Result<(), Misfit> {
        let own = |placeholder: &Placeholder| of_event(event, wire_key, placeholder);
        self.head.render(&|placeholder| match placeholder {
            Placeholder::BatchKey => Ok(Some(Cow::Borrowed("batch"))),
            Placeholder::DeviceId => Ok(Some(Cow::Borrowed(device_id))),
            other => own(other),
        })?;
        if self.mode == Mode::One {
            let mut notes = Notes::new();
            for placeholder in self.head.placeholders().filter(|found| is_noted(found)) {
                let value = own(placeholder)?.map(Cow::into_owned);
                notes.insert(placeholder.to_string(), value);
            }
            // Texts only, which always encode.
            drop(serde_json::to_writer(&mut *item, &notes));
            item.push(b'\n');
        }
        let start = item.len();
        let filling = Filling { value: &own, event: Some(event), amount: self.amount, items: b"" };
        self.item.render(&filling, item)?;
        let bytes = item.len().saturating_sub(start);
        if bytes > self.bytes_max {
            let bytes_max = self.bytes_max;
            return Err(misfit(format!("the item has {bytes} bytes, more than {bytes_max}")));
        }
        Ok(())
    }

    /// Path and headers of the request whose first item is this.
    ///
    /// # Errors
    ///
    /// A name cannot be there as it is. Forming the item has shown that the event can.
    pub(super) fn head(&self, first: Formed<'_>, names: Names<'_>) -> Result<Rendered, Misfit> {
        let (notes, _) = split(first.body);
        self.head.render(&|placeholder| value(placeholder, (first, &notes), names))
    }

    /// The request that carries items, as they were formed; in a request for one, only the first.
    ///
    /// # Errors
    ///
    /// As [`Plan::head`].
    pub(super) fn request<'a>(
        &self,
        items: impl Iterator<Item = Formed<'a>>,
        names: Names<'_>,
    ) -> Result<Request, Misfit> {
        let mut items = items.peekable();
        let first = items.peek().copied().unwrap_or_default();
        let (path, headers) = self.head(first, names)?;
        let (notes, own) = split(first.body);
        let content = match self.mode {
            Mode::One => own.to_vec(),
            Mode::Array => {
                let mut list = vec![b'['];
                crate::dialect::push_items(items.map(|item| item.body), &mut list);
                list.push(b']');
                list
            }
        };
        let body = match &self.around {
            None => content,
            Some(around) => {
                let mut body = Vec::with_capacity(content.len());
                let value = |placeholder: &Placeholder| value(placeholder, (first, &notes), names);
                let filling =
                    Filling { value: &value, event: None, amount: self.amount, items: &content };
                around.render(&filling, &mut body)?;
                body
            }
        };
        let request = Request::new(self.method, path, body).with_key(self.credential.clone());
        let request = request.with_header("Content-Type", &self.content_type);
        let with = headers.into_iter();
        Ok(with.fold(request, |request, (name, value)| request.with_header(name, value)))
    }
}

/// Whether only the event itself knows the value.
fn is_noted(placeholder: &Placeholder) -> bool {
    matches!(
        placeholder,
        Placeholder::Kind | Placeholder::Amount | Placeholder::CapturedAt | Placeholder::Header(_)
    )
}

/// The notes of an item, and the item.
fn split(item: &[u8]) -> (Notes, &[u8]) {
    let Some(end) = item.iter().position(|byte| *byte == b'\n') else {
        return (Notes::new(), item);
    };
    let (notes, rest) = item.split_at(end);
    (serde_json::from_slice(notes).unwrap_or_default(), rest.get(1..).unwrap_or_default())
}

/// What a request has for a placeholder.
fn value<'a>(
    placeholder: &Placeholder,
    (item, notes): (Formed<'_>, &Notes),
    names: Names<'_>,
) -> Value<'a> {
    let text = match placeholder {
        Placeholder::Key => item.key.to_owned(),
        Placeholder::Scope => names.scope.to_owned(),
        Placeholder::BatchKey => names.batch_key.to_owned(),
        Placeholder::DeviceId => names.device_id.to_owned(),
        Placeholder::Lsn => item.lsn.to_string(),
        other => return Ok(notes.get(&other.to_string()).cloned().flatten().map(Cow::Owned)),
    };
    Ok(Some(Cow::Owned(text)))
}

/// The method.
fn method(file: &File) -> Result<Method, Found> {
    let Some(given) = &file.request.get_ref().method else { return Ok(Method::Post) };
    match given.get_ref().as_str() {
        "POST" => Ok(Method::Post),
        "PUT" => Ok(Method::Put),
        "PATCH" => Ok(Method::Patch),
        other => {
            let what = format!("{other:?} carries no events");
            Err(found(given, "request.method", what, "\"POST\", \"PUT\", \"PATCH\""))
        }
    }
}

/// Most items.
fn items_max(file: &File, mode: Mode) -> Result<usize, Found> {
    let field = "request.items_max";
    match (mode, &file.request.get_ref().items_max) {
        (Mode::One, None) => Ok(1),
        (Mode::One, Some(given)) => {
            let what = "a request for one event has one";
            Err(found(given, field, what, "only with items = \"array\""))
        }
        (Mode::Array, None) => {
            let items = &file.request.get_ref().items;
            Err(found(items, field, "it is missing", "a number of 1 to 10000"))
        }
        (Mode::Array, Some(given)) => match usize::try_from(*given.get_ref()) {
            Ok(count @ 1..=10_000) => Ok(count),
            _ => {
                let what = format!("{} items cannot be sent together", given.get_ref());
                Err(found(given, field, what, "a number of 1 to 10000"))
            }
        },
    }
}

/// Most bytes of the items.
fn bytes_max(file: &File) -> Result<usize, Found> {
    let given = file.request.get_ref().bytes_max.as_ref();
    let bytes = given.map_or(BYTES_MAX, |given| *given.get_ref());
    match (usize::try_from(bytes), given) {
        (Ok(bytes @ 256..=16_777_216), _) => Ok(bytes),
        (_, Some(given)) => {
            let what = format!("{bytes} bytes cannot be the limit");
            Err(found(given, "request.bytes_max", what, "a number of 256 to 16777216"))
        }
        (_, None) => Ok(usize::MAX),
    }
}

/// The type of the body.
fn content_type(file: &File) -> Result<String, Found> {
    let Some(given) = &file.request.get_ref().content_type else {
        return Ok("application/json".to_owned());
    };
    let text = given.get_ref();
    let is_printable = |byte: u8| (0x20..0x7f).contains(&byte);
    if !text.contains('/') || text.trim() != text || !text.bytes().all(is_printable) {
        let what = format!("{text:?} is no media type");
        let allowed = "a media type such as \"application/json\"";
        return Err(found(given, "request.content_type", what, allowed));
    }
    Ok(text.clone())
}

/// How amounts are spelled.
fn amount(file: &File) -> Result<AmountForm, Found> {
    let Some(given) = &file.item.get_ref().amount else { return Ok(AmountForm::default()) };
    match given.get_ref().as_str() {
        "number" => Ok(AmountForm::Number),
        "text" => Ok(AmountForm::Text),
        other => {
            let what = format!("{other:?} is neither");
            Err(found(given, "item.amount", what, "\"number\", \"text\""))
        }
    }
}

/// What is around the items.
fn around(body: &BodyTable) -> Result<Node, Found> {
    let mut node = template::parse(&body.template, "body.template", Place::Body)?;
    let at = Pointer::parse_inner(&body.at, "body.at")?;
    node.put_items(&at.steps).ok_or_else(|| {
        let what = format!("the template has nothing at {}", body.at.get_ref());
        found(&body.at, "body.at", what, "a JSON pointer to a value of the template")
    })?;
    Ok(node)
}
