//! How answers are read: the rules of a file, checked when it is read so that nothing confirms by accident.

use toml::Spanned;

use super::fault::{Found, found};
use super::file::{MeaningTable, RefusalTable, ReplyTable};
use super::head::check_name;
use super::lexicon::{Lexicon, Meaning};
use super::plan::Mode;
use super::pointer::Pointer;
use crate::dialect::status;

/// Whether the bodies of answers are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Body {
    /// They are JSON of the declared shape.
    Json,
    /// The status says it all, as the file says in as many words.
    Ignored,
}

/// Where a result has its parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    /// The key.
    pub(super) key: Option<Pointer>,
    /// The word for what became of the event.
    pub(super) outcome: Option<Pointer>,
    /// A code.
    pub(super) code: Option<Pointer>,
    /// Words for people.
    pub(super) message: Option<Pointer>,
    /// The receipt.
    pub(super) receipt: Option<Pointer>,
}

/// What a refusal of the upstream looks like.
#[derive(Clone, Debug)]
pub(super) struct RefusalShape {
    /// What each has.
    pub(super) member: Pointer,
    /// A code.
    pub(super) code: Option<Pointer>,
    /// Words for people.
    pub(super) message: Option<Pointer>,
}

/// What an answer may be about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum About {
    /// The events of a request.
    Request(Mode),
    /// A key that was asked for.
    Lookup,
}

/// The rules by which answers are read.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The table of the file.
    pub(super) table: &'static str,
    /// What the answers are about.
    pub(super) about: About,
    /// Whether bodies are read.
    pub(super) body: Body,
    /// The statuses that may confirm, in the order of the file.
    pub(super) statuses: Vec<u16>,
    /// The types of the upstream's answers, in small letters; none: any kind of JSON.
    pub(super) content_type: Vec<String>,
    /// What every answer with such a status has.
    pub(super) members: Vec<Pointer>,
    /// Where the list of results is.
    pub(super) results: Option<Pointer>,
    /// Where a result has its parts.
    pub(super) parts: Parts,
    /// The header with the receipt.
    pub(super) receipt_header: Option<String>,
    /// What refusals look like.
    pub(super) refusal: Option<RefusalShape>,
    /// What words, codes and statuses mean.
    pub(super) lexicon: Lexicon,
}

impl Rules {
    /// Reads the table of that name.
    pub(super) fn load(
        at: &Spanned<ReplyTable>,
        table: &'static str,
        about: About,
    ) -> Result<Self, Found> {
        let reply = at.get_ref();
        let pointer = |given: &Option<Spanned<String>>, name: &str| {
            let parsed = given.as_ref().map(|at| Pointer::parse(at, &format!("{table}.{name}")));
            parsed.transpose()
        };
        let members = reply.members.iter();
        let members = members.map(|at| Pointer::parse_inner(at, &format!("{table}.members")));
        let rules = Self {
            table,
            about,
            body: body(reply, table)?,
            statuses: statuses(reply, table)?,
            content_type: content_type(reply, table)?,
            members: members.collect::<Result<_, _>>()?,
            results: pointer(&reply.results, "results")?,
            parts: Parts {
                key: pointer(&reply.key, "key")?,
                outcome: pointer(&reply.outcome, "outcome")?,
                code: pointer(&reply.code, "code")?,
                message: pointer(&reply.message, "message")?,
                receipt: pointer(&reply.receipt, "receipt")?,
            },
            receipt_header: receipt_header(reply, table, about)?,
            refusal: reply.refusal.as_ref().map(|at| refusal(at.get_ref(), table)).transpose()?,
            lexicon: Lexicon::load(reply, table)?,
        };
        match rules.body {
            Body::Ignored => rules.check_ignored(reply, table)?,
            Body::Json => rules.check_json(at, table)?,
        }
        rules.check_meanings(reply, table)?;
        Ok(rules)
    }

    /// Whether a code is what confirms.
    pub(super) fn accepts_codes(&self) -> bool {
        self.parts.code.is_some() && self.lexicon.accepts_codes()
    }

    /// Where bodies are ignored, nothing may depend on one.
    fn check_ignored(&self, reply: &ReplyTable, table: &str) -> Result<(), Found> {
        let body = reply.body.as_ref();
        if self.about == About::Request(Mode::Array)
            && let Some(body) = body
        {
            let what = "a status cannot say which of many events took effect";
            return Err(found(body, format!("{table}.body"), what, "\"json\""));
        }
        let texts = [
            ("results", &reply.results),
            ("key", &reply.key),
            ("outcome", &reply.outcome),
            ("code", &reply.code),
            ("message", &reply.message),
            ("receipt", &reply.receipt),
        ];
        let given = texts.into_iter().filter_map(|(name, at)| Some((name, at.as_ref()?.span())));
        let members = reply.members.iter().map(|at| ("members", at.span()));
        let kinds = reply.content_type.iter().map(|at| ("content_type", at.span()));
        let refusal = reply.refusal.iter().map(|at| ("refusal", at.span()));
        if let Some((name, span)) = given.chain(members).chain(kinds).chain(refusal).next() {
            let (field, what) = (format!("{table}.{name}"), "the body is ignored");
            return Err(found(&Spanned::new(span, ()), field, what, "only with body = \"json\""));
        }
        Ok(())
    }

    /// Something in the document must say that an event took effect.
    fn check_json(&self, at: &Spanned<ReplyTable>, table: &str) -> Result<(), Found> {
        let parts = &self.parts;
        let accepts_word = self.lexicon.words.values().any(|it| *it == Meaning::Accepted);
        if parts.outcome.is_some() && !accepts_word && self.lexicon.accepts_codes() {
            let (field, what) = (
                format!("{table}.accepted.words"),
                format!("it is missing: `codes` alone confirm nothing beside {table}.outcome"),
            );
            let allowed = format!("a list of the words of success; or no {table}.outcome");
            let accepted = at.get_ref().accepted.as_ref().map_or_else(|| at.span(), Spanned::span);
            return Err(found(&Spanned::new(accepted, ()), field, what, allowed));
        }
        if parts.outcome.is_some() && !accepts_word {
            let (field, what) = (format!("{table}.accepted"), "no word confirms an event");
            return Err(found(at, field, what, "a list `words` with those of success"));
        }
        let is_list = self.results.is_some();
        if self.about == About::Request(Mode::Array) && !is_list {
            let what = "the list of results is not named, and the request has many events";
            return Err(found(
                at,
                format!("{table}.results"),
                what,
                "a JSON pointer, \"\" for the whole",
            ));
        }
        if is_list && parts.key.is_none() {
            let what = "the results of a list are matched by their keys";
            return Err(found(at, format!("{table}.key"), what, "a JSON pointer into a result"));
        }
        let says_code = self.accepts_codes();
        if is_list && parts.outcome.is_none() && !says_code {
            let what = "no word and no code of a result confirms it";
            let allowed = "a JSON pointer, and `accepted.words`; or `code` and `accepted.codes`";
            return Err(found(at, format!("{table}.outcome"), what, allowed));
        }
        let has_shape = parts.key.is_some() || !self.members.is_empty();
        if parts.outcome.is_none() && !says_code && !has_shape {
            let what = "nothing in the document confirms the event: any JSON would";
            let allowed = "`outcome`, `key` or `members`; or body = \"ignored\"";
            return Err(found(at, format!("{table}.outcome"), what, allowed));
        }
        Ok(())
    }

    /// Each list must be of use where it is, and none may contradict `statuses`.
    fn check_meanings(&self, reply: &ReplyTable, table: &str) -> Result<(), Found> {
        let has_codes =
            self.parts.code.is_some() || self.refusal.as_ref().is_some_and(|it| it.code.is_some());
        for (meaning, name, at) in Meaning::tables(reply) {
            let Some(at) = at else { continue };
            let path = |list: &str| format!("{table}.{name}.{list}");
            if meaning == Meaning::Unknown && self.about != About::Lookup {
                let what = "only an answer to a lookup says that a key never came";
                return Err(found(at, format!("{table}.{name}"), what, "in lookup.reply"));
            }
            let MeaningTable { words, codes, statuses } = at.get_ref();
            if let Some(word) = words.first().filter(|_| self.parts.outcome.is_none()) {
                let what = "nothing says where words are";
                return Err(found(word, path("words"), what, format!("only with {table}.outcome")));
            }
            if let Some(code) = codes.first().filter(|_| !has_codes) {
                let allowed = format!("only with {table}.code or {table}.refusal.code");
                return Err(found(code, path("codes"), "nothing says where codes are", allowed));
            }
            for status in statuses {
                if let Some((what, allowed)) = self.status_fault(meaning, *status.get_ref()) {
                    return Err(found(status, path("statuses"), what, allowed));
                }
            }
        }
        Ok(())
    }

    /// What is wrong with a status of that meaning, and what may be there.
    fn status_fault(&self, meaning: Meaning, status: u16) -> Option<(&'static str, &'static str)> {
        if meaning == Meaning::Accepted {
            return Some(("a status that confirms has its own list", "`statuses` of the reply"));
        }
        if self.about == About::Request(Mode::Array) && meaning.is_of_one() {
            return Some((
                "a status cannot say which of many events it is about",
                "only with items = \"one\"; `refused` for a request as a whole",
            ));
        }
        let is_read_by_item = self.parts.outcome.is_some() || self.results.is_some();
        if self.statuses.contains(&status) && (meaning != Meaning::Duplicate || is_read_by_item) {
            return Some(("the status is one of those that confirm", "each in one list, once"));
        }
        if self.body == Body::Json && self.refusal.is_none() && !self.statuses.contains(&status) {
            return Some((
                "nothing says what an answer with this status looks like",
                "only with `refusal`",
            ));
        }
        let is_final = matches!(
            meaning,
            Meaning::Duplicate | Meaning::Rejected | Meaning::Uncertain | Meaning::Unknown
        );
        if self.body == Body::Ignored && is_final && status::is_for_now(status) {
            return Some(("proxies answer with this status too", "a status that is not for now"));
        }
        None
    }
}

/// Whether bodies are read.
fn body(reply: &ReplyTable, table: &str) -> Result<Body, Found> {
    let Some(given) = &reply.body else { return Ok(Body::Json) };
    match given.get_ref().as_str() {
        "json" => Ok(Body::Json),
        "ignored" => Ok(Body::Ignored),
        other => {
            let what = format!("{other:?} is neither");
            Err(found(given, format!("{table}.body"), what, "\"json\", \"ignored\""))
        }
    }
}

/// The statuses that may confirm.
fn statuses(reply: &ReplyTable, table: &str) -> Result<Vec<u16>, Found> {
    let (field, allowed) = (format!("{table}.statuses"), "some of 200 to 299, each once");
    let list = reply.statuses.get_ref();
    if list.is_empty() {
        return Err(found(&reply.statuses, field, "no status confirms anything", allowed));
    }
    let mut statuses = Vec::new();
    for status in list {
        let number = *status.get_ref();
        if !(200..=299).contains(&number) || statuses.contains(&number) {
            let what = format!("{number} is there twice or confirms nothing");
            return Err(found(status, field, what, allowed));
        }
        statuses.push(number);
    }
    Ok(statuses)
}

/// The types of answers.
fn content_type(reply: &ReplyTable, table: &str) -> Result<Vec<String>, Found> {
    let check = |at: &Spanned<String>| {
        let text = at.get_ref();
        if !text.contains('/') || text.contains([';', ' ']) {
            let what = format!("{text:?} is no media type without parameters");
            let allowed = "such as \"application/json\"";
            return Err(found(at, format!("{table}.content_type"), what, allowed));
        }
        Ok(text.to_ascii_lowercase())
    };
    reply.content_type.iter().map(check).collect()
}

/// The header with the receipt.
fn receipt_header(reply: &ReplyTable, table: &str, about: About) -> Result<Option<String>, Found> {
    let Some(given) = &reply.receipt_header else { return Ok(None) };
    let field = format!("{table}.receipt_header");
    check_name(given, given.get_ref(), &field)?;
    let what = if about == About::Request(Mode::Array) {
        "a header cannot be the receipt of many events"
    } else if reply.results.is_some() {
        "the receipts of a list are in its results"
    } else if reply.receipt.is_some() {
        "the receipt is in the body"
    } else {
        return Ok(Some(given.get_ref().clone()));
    };
    Err(found(given, field, what, "`receipt`"))
}

/// What refusals look like.
fn refusal(given: &RefusalTable, table: &str) -> Result<RefusalShape, Found> {
    let pointer = |at: &Option<Spanned<String>>, name: &str| {
        let field = format!("{table}.refusal.{name}");
        at.as_ref().map(|at| Pointer::parse_inner(at, &field)).transpose()
    };
    Ok(RefusalShape {
        member: Pointer::parse_inner(&given.member, &format!("{table}.refusal.member"))?,
        code: pointer(&given.code, "code")?,
        message: pointer(&given.message, "message")?,
    })
}
