//! From an answer to what it says, of each event or of the request as a whole.

use onceward::sync::Failure;
use serde_json::value::RawValue;

use super::document;
use super::lexicon::{Judged, Meaning};
use super::part::Part;
use super::pointer::Pointer;
use super::rules::{Body, RefusalShape, Rules};
use super::said::Said;
use crate::dialect::{Response, form, status};
use crate::excerpt::{CODE_BYTES_MAX, MESSAGE_BYTES_MAX};

/// What an answer says.
#[derive(Debug)]
pub(super) enum Answer {
    /// Of each event by its key.
    Items(Vec<(String, Said)>),
    /// Of the one event of the request, with a status that may confirm.
    One(Said),
    /// Of the request, with another status.
    Refusal(Said),
}

/// The code of an answer that says two things.
const CONTRADICTION: &str = "CONTRADICTION";

/// Reads `response` to a request that had only the event of that key, if it had one.
///
/// # Errors
///
/// The answer is not the upstream's.
pub(super) fn read(
    rules: &Rules,
    sole: Option<&str>,
    response: &Response,
) -> Result<Answer, Failure> {
    let may_confirm = rules.statuses.contains(&response.status);
    if rules.body == Body::Ignored {
        return ignored(rules, response, may_confirm);
    }
    let document = document::read(rules, response);
    if may_confirm {
        return document
            .and_then(|document| confirming(rules, sole, document, response))
            .map_err(|why| not_declared(response, &why));
    }
    match (document, &rules.refusal) {
        (Ok(document), Some(shape)) => refusal(rules, shape, document, response),
        (Ok(_), None) => {
            Err(unrecognised(rules, response, &format!("there is no {}.refusal", rules.table)))
        }
        // What else it is, the description of the answer says.
        (Err(why), _) if form::may_be_json(response) && !response.body.is_empty() => {
            Err(unrecognised(rules, response, &why))
        }
        (Err(_), _) => Err(unrecognised(rules, response, "")),
    }
}

/// Reads an answer by its status alone.
fn ignored(rules: &Rules, response: &Response, may_confirm: bool) -> Result<Answer, Failure> {
    let by_status = rules.lexicon.statuses.get(&response.status).copied();
    if may_confirm && response.is_cut() {
        return Err(status::not_recognised(response, "its body did not come whole"));
    }
    let said = |meaning| Said {
        meaning: Some(meaning),
        code: format!("STATUS_{}", response.status),
        message: status::meaning(response.status).to_owned(),
        receipt: receipt_header(rules, response),
        reply: String::from_utf8_lossy(&response.body).into_owned(),
    };
    match by_status {
        _ if may_confirm => Ok(Answer::One(said(by_status.unwrap_or(Meaning::Accepted)))),
        Some(meaning) => Ok(Answer::Refusal(said(meaning))),
        None => {
            let why = format!("no list of {} has this status", rules.table);
            Err(unrecognised(rules, response, &why))
        }
    }
}

/// The part at `pointer`, as the field of that name says, in the answer or in that result of its list.
fn part<'a>(
    rules: &Rules,
    field: &'static str,
    pointer: &'a Pointer,
    result: Option<usize>,
) -> Part<'a> {
    Part { pointer, table: rules.table, field, result }
}

/// Reads a document that may confirm events; the error says why it is not the declared one.
fn confirming(
    rules: &Rules,
    sole: Option<&str>,
    document: &RawValue,
    response: &Response,
) -> Result<Answer, String> {
    for pointer in &rules.members {
        part(rules, "members", pointer, None).find(document)?;
    }
    let Some(results) = &rules.results else {
        if let Some(pointer) = &rules.parts.key {
            let part = part(rules, "key", pointer, None);
            let key = part.key(document)?;
            if Some(key.as_str()) != sole {
                return Err(format!("{} is not the event's key", part.holding(&key, response)));
            }
        }
        return result(rules, (document, None), response).map(Answer::One);
    };
    let list = part(rules, "results", results, None).list(document)?;
    let pointer = rules.parts.key.as_ref().ok_or("results have no key")?;
    let entry = |(at, raw)| {
        let key = part(rules, "key", pointer, Some(at)).key(raw)?;
        Ok((key, result(rules, (raw, Some(at)), response)?))
    };
    list.into_iter().enumerate().map(entry).collect::<Result<_, String>>().map(Answer::Items)
}

/// Reads one result and its number in the list; where there is none, the whole document.
fn result(
    rules: &Rules,
    (raw, at): (&RawValue, Option<usize>),
    response: &Response,
) -> Result<Said, String> {
    let parts = &rules.parts;
    let text = |field, pointer: &Option<Pointer>| match pointer {
        Some(pointer) => part(rules, field, pointer, at).text(raw),
        None => Ok(None),
    };
    let (word, code) = (text("outcome", &parts.outcome)?, text("code", &parts.code)?);
    let said_by = |meaning: Option<Meaning>, code: String| {
        let in_body = text("receipt", &parts.receipt)?;
        Ok(Said {
            meaning,
            code,
            message: text("message", &parts.message)?.unwrap_or_default(),
            receipt: in_body.or_else(|| receipt_header(rules, response)),
            reply: raw.get().to_owned(),
        })
    };
    let name = || code.clone().or_else(|| word.clone()).unwrap_or_default();
    let (by_word, by_code) = (word.as_deref(), code.as_deref());
    match rules.lexicon.judge(by_word, by_code) {
        Judged::As(meaning) => said_by(Some(meaning), name()),
        Judged::Unknown => said_by(None, undocumented(rules, (by_word, by_code), response)),
        Judged::Contradiction => said_by(None, contradiction(rules, (by_word, by_code), response)),
        Judged::Silent if parts.outcome.is_some() || rules.accepts_codes() => {
            Err(silence(rules, raw, at))
        }
        Judged::Silent => {
            let by_status = rules.lexicon.statuses.get(&response.status).copied();
            said_by(Some(by_status.unwrap_or(Meaning::Accepted)), name())
        }
    }
}

/// The word and the code of a result, each with where it is.
fn spoken(
    rules: &Rules,
    (word, code): (Option<&str>, Option<&str>),
    response: &Response,
) -> (Option<String>, Option<String>) {
    let told = |field, pointer: &Option<Pointer>, text: Option<&str>| {
        Some(part(rules, field, pointer.as_ref()?, None).holding(text?, response))
    };
    let parts = &rules.parts;
    (told("outcome", &parts.outcome, word), told("code", &parts.code, code))
}

/// That nobody documented the word, or without one the code.
fn undocumented(rules: &Rules, said: (Option<&str>, Option<&str>), response: &Response) -> String {
    let (word, code) = spoken(rules, said, response);
    format!("{} is in none of the file's lists", word.or(code).unwrap_or_default())
}

/// What of a result confirms the event, and what does not.
fn contradiction(rules: &Rules, said: (Option<&str>, Option<&str>), response: &Response) -> String {
    let by_word = said.0.and_then(|word| rules.lexicon.words.get(word));
    let (word, code) = spoken(rules, said, response);
    let code = code.unwrap_or_default();
    let (confirming, other) = match (by_word, word) {
        (Some(meaning), Some(word)) if meaning.confirms() => (word, code),
        (_, Some(word)) => (code, word),
        (_, None) => (code, format!("no word ({}.outcome)", rules.table)),
    };
    format!("{CONTRADICTION}: {confirming} confirms the event, {other} does not")
}

/// That a result does not say what became of the event.
fn silence(rules: &Rules, raw: &RawValue, at: Option<usize>) -> String {
    let parts = [("outcome", &rules.parts.outcome), ("code", &rules.parts.code)];
    let looked = parts.into_iter().filter_map(|(field, pointer)| Some((field, pointer.as_ref()?)));
    let found = looked.map(|(field, pointer)| part(rules, field, pointer, at).silent(raw));
    let found: Vec<String> = found.collect();
    format!("what became of the event is not said: {}", found.join(", "))
}

/// Reads an answer with a status that confirms nothing.
fn refusal(
    rules: &Rules,
    shape: &RefusalShape,
    document: &RawValue,
    response: &Response,
) -> Result<Answer, Failure> {
    let not_declared = |why: String| not_declared(response, &why);
    if let Err(why) = part(rules, "refusal.member", &shape.member, None).find(document) {
        return Err(unrecognised(rules, response, &why));
    }
    let text = |field, pointer: &Option<Pointer>| match pointer {
        Some(pointer) => part(rules, field, pointer, None).text(document),
        None => Ok(None),
    };
    let code = text("refusal.code", &shape.code).map_err(not_declared)?;
    let message = text("refusal.message", &shape.message).map_err(not_declared)?;
    let by_code = code.as_ref().and_then(|code| rules.lexicon.codes.get(code));
    let by_status = rules.lexicon.statuses.get(&response.status);
    let meaning = by_code.or(by_status).copied().or_else(|| usual(response.status));
    let Some(meaning) = meaning else {
        let code = code.as_deref().zip(shape.code.as_ref()).map(|(code, pointer)| {
            let held = part(rules, "refusal.code", pointer, None).holding(code, response);
            format!(", nor is {held}")
        });
        let why = format!("it is in none of the file's lists{}", code.unwrap_or_default());
        return Err(unrecognised(rules, response, &why));
    };
    Ok(Answer::Refusal(Said {
        meaning: Some(meaning),
        code: code.unwrap_or_else(|| format!("STATUS_{}", response.status)),
        message: message.unwrap_or_else(|| status::meaning(response.status).to_owned()),
        receipt: receipt_header(rules, response),
        reply: document.get().to_owned(),
    }))
}

/// What a status means in a refusal of the upstream's own, where the file does not say it.
pub(super) fn usual(status: u16) -> Option<Meaning> {
    match status {
        400 | 422 => Some(Meaning::Refused),
        401 | 403 | 426 => Some(Meaning::Blocked),
        409 => Some(Meaning::InProgress),
        413 => Some(Meaning::TooLarge),
        other if status::is_for_now(other) => Some(Meaning::Transient),
        _ => None,
    }
}

/// A refusal that means what only an event can be, of a request with many of them.
pub(super) fn of_no_event(said: &Said, response: &Response) -> Failure {
    let code = form::shown(response, &said.code, CODE_BYTES_MAX);
    let why = format!("{code} of a request with many events says nothing of any of them");
    status::not_recognised(response, &why)
}

/// The receipt that a header has.
fn receipt_header(rules: &Rules, response: &Response) -> Option<String> {
    rules.receipt_header.as_ref().and_then(|name| response.header(name)).map(str::to_owned)
}

/// An answer that is not the declared one. What the reader of JSON says may show words of the answer.
fn not_declared(response: &Response, why: &str) -> Failure {
    status::not_recognised(response, &response.quoted(why, MESSAGE_BYTES_MAX))
}

/// An answer that is not in the upstream's own format, and why, if there is more to say. Whoever finds the request too
/// large, fewer events may get through there.
fn unrecognised(rules: &Rules, response: &Response, why: &str) -> Failure {
    let what = match response.status {
        200..=299 => format!("it is not in {}.statuses", rules.table),
        other => status::meaning(other).to_owned(),
    };
    let what = if why.is_empty() { what } else { format!("{what}; {why}") };
    let what = response.quoted(&what, MESSAGE_BYTES_MAX);
    if response.status == 413 {
        let form = form::describe(response);
        return Failure::LineTooNarrow { why: format!("status 413: {what}; {form}") };
    }
    status::not_recognised(response, &what)
}
