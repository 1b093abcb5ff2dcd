//! Asking for the outcome of one key.

use std::borrow::Cow;

use onceward::sync::{Failure, ItemOutcome};
use toml::Spanned;

use super::fault::{Found, found};
use super::file::LookupTable;
use super::head::Head;
use super::lexicon::Meaning;
use super::placeholder::{Place, Placeholder};
use super::pointer::Pointer;
use super::reading::{self, Answer};
use super::rules::{About, Rules};
use super::said::Said;
use crate::dialect::{KeyPlace, Method, Request, Response, status};
use crate::excerpt::MESSAGE_BYTES_MAX;

/// A request for the outcome of a key, and how its answer is read.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    head: Head,
    credential: KeyPlace,
    rules: Rules,
}

impl Lookup {
    /// Reads what the file says of lookups.
    pub(super) fn load(at: &Spanned<LookupTable>, credential: &KeyPlace) -> Result<Self, Found> {
        let table = at.get_ref();
        let texts = (&table.path, &table.headers);
        let head = Head::parse(texts, credential, ("lookup", Place::Lookup))?;
        if !head.names_event() {
            let what = "the upstream never sees the key that is asked for";
            return Err(found(&table.path, "lookup.path", what, "{key} in lookup.path"));
        }
        let rules = Rules::load(&table.reply, "lookup.reply", About::Lookup)?;
        Ok(Self { head, credential: credential.clone(), rules })
    }

    /// The statuses whose answers may say what became of an event.
    pub(super) fn statuses(&self) -> &[u16] {
        &self.rules.statuses
    }

    /// Whether path or headers have that placeholder.
    pub(super) fn has(&self, wanted: &Placeholder) -> bool {
        self.head.placeholders().any(|found| found == wanted)
    }

    /// The request for the key in that scope, if the key can be in one.
    pub(super) fn request(&self, key: &str, scope: &str, device_id: &str) -> Option<Request> {
        let value = |placeholder: &Placeholder| {
            Ok(match placeholder {
                Placeholder::Key => Some(Cow::Borrowed(key)),
                Placeholder::Scope => Some(Cow::Borrowed(scope)),
                Placeholder::DeviceId => Some(Cow::Borrowed(device_id)),
                _ => None,
            })
        };
        let (path, headers) = self.head.render(&value).ok()?;
        let request = Request::new(Method::Get, path, "").with_key(self.credential.clone());
        // A cache on the way may have an earlier answer, such as that the key never came, and it came since.
        let is_said = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Cache-Control"));
        let request =
            if is_said { request } else { request.with_header("Cache-Control", "no-cache") };
        Some(
            headers
                .into_iter()
                .fold(request, |request, (name, value)| request.with_header(name, value)),
        )
    }

    /// Reads the answer to a request for `key`.
    pub(super) fn read(
        &self,
        key: &str,
        response: &Response,
    ) -> Result<Option<ItemOutcome>, Failure> {
        let outcome = |said: &Said| match said.meaning {
            Some(Meaning::Unknown) => Ok(None),
            _ => said.failure(response).map_or_else(|| Ok(Some(said.outcome(response))), Err),
        };
        match reading::read(&self.rules, Some(key), response)? {
            Answer::One(said) | Answer::Refusal(said) => outcome(&said),
            Answer::Items(items) => {
                let mut own = items.iter().filter(|(other, _)| other == key);
                match (own.next(), own.next()) {
                    (Some((_, said)), None) => outcome(said),
                    (None, _) => Err(self.not_named(response, "no result has")),
                    (Some(_), Some(_)) => Err(self.not_named(response, "two results have")),
                }
            }
        }
    }

    /// An answer with a list that does not have the key once.
    fn not_named(&self, response: &Response, how_many: &str) -> Failure {
        let pointer = self.rules.parts.key.as_ref().map(Pointer::to_string).unwrap_or_default();
        let what = format!("{how_many} the key at {pointer} ({}.key)", self.rules.table);
        status::not_recognised(response, &response.quoted(&what, MESSAGE_BYTES_MAX))
    }
}
