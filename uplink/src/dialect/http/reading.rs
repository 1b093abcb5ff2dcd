//! From an answer to what it says, of each event or of the request as a whole.

use onceward::sync::Failure;
use serde_json::value::RawValue;

use super::document::{self, key_at, text_at};
use super::lexicon::{Judged, Meaning};
use super::rules::{Body, RefusalShape, Rules};
use super::said::Said;
use crate::dialect::{Response, form, status};
use crate::excerpt::MESSAGE_BYTES_MAX;

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
    if !may_confirm {
        let (Ok(document), Some(shape)) = (document, &rules.refusal) else {
            return Err(unrecognised(response));
        };
        return refusal(rules, shape, document, response);
    }
    document
        .and_then(|document| confirming(rules, sole, document, response))
        .map_err(|why| not_declared(response, &why))
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
        None => Err(unrecognised(response)),
    }
}

/// Reads a document that may confirm events; the error says why it is not the declared one.
fn confirming(
    rules: &Rules,
    sole: Option<&str>,
    document: &RawValue,
    response: &Response,
) -> Result<Answer, String> {
    if rules.members.iter().any(|member| member.find(document).is_none()) {
        return Err("a declared member is not there".to_owned());
    }
    let Some(results) = &rules.results else {
        if let Some(pointer) = &rules.parts.key
            && Some(key_at(pointer, document)?.as_str()) != sole
        {
            return Err("the answer is about another key".to_owned());
        }
        return result(rules, document, response).map(Answer::One);
    };
    let list = results.find(document).ok_or("the list of results is not there")?;
    let list: Vec<&RawValue> = serde_json::from_str(list.get())
        .map_err(|_no_list| "what should be the list of results is none".to_owned())?;
    let pointer = rules.parts.key.as_ref().ok_or("results have no key")?;
    let entry = |raw| Ok((key_at(pointer, raw)?, result(rules, raw, response)?));
    list.into_iter().map(entry).collect::<Result<_, String>>().map(Answer::Items)
}

/// Reads one result, which is the whole document where there is no list.
fn result(rules: &Rules, raw: &RawValue, response: &Response) -> Result<Said, String> {
    let parts = &rules.parts;
    let (word, code) = (text_at(parts.outcome.as_ref(), raw)?, text_at(parts.code.as_ref(), raw)?);
    let said_by = |meaning: Option<Meaning>, code: String| {
        let in_body = text_at(parts.receipt.as_ref(), raw)?;
        Ok(Said {
            meaning,
            code,
            message: text_at(parts.message.as_ref(), raw)?.unwrap_or_default(),
            receipt: in_body.or_else(|| receipt_header(rules, response)),
            reply: raw.get().to_owned(),
        })
    };
    let name = code.clone().or_else(|| word.clone()).unwrap_or_default();
    match rules.lexicon.judge(word.as_deref(), code.as_deref()) {
        Judged::As(meaning) => said_by(Some(meaning), name),
        Judged::Unknown => said_by(None, name),
        Judged::Contradiction => said_by(None, CONTRADICTION.to_owned()),
        Judged::Silent if parts.outcome.is_some() || rules.accepts_codes() => {
            Err("a result does not say what became of the event".to_owned())
        }
        Judged::Silent => {
            let by_status = rules.lexicon.statuses.get(&response.status).copied();
            said_by(Some(by_status.unwrap_or(Meaning::Accepted)), name)
        }
    }
}

/// Reads an answer with a status that confirms nothing.
fn refusal(
    rules: &Rules,
    shape: &RefusalShape,
    document: &RawValue,
    response: &Response,
) -> Result<Answer, Failure> {
    let not_declared = |why: String| not_declared(response, &why);
    if shape.member.find(document).is_none() {
        return Err(unrecognised(response));
    }
    let code = text_at(shape.code.as_ref(), document).map_err(not_declared)?;
    let message = text_at(shape.message.as_ref(), document).map_err(not_declared)?;
    let by_code = code.as_ref().and_then(|code| rules.lexicon.codes.get(code));
    let by_status = rules.lexicon.statuses.get(&response.status);
    let meaning = by_code.or(by_status).copied().or_else(|| usual(response.status));
    let Some(meaning) = meaning else { return Err(unrecognised(response)) };
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

/// The receipt that a header has.
fn receipt_header(rules: &Rules, response: &Response) -> Option<String> {
    rules.receipt_header.as_ref().and_then(|name| response.header(name)).map(str::to_owned)
}

/// An answer that is not the declared one. What the reader of JSON says may show words of the answer.
fn not_declared(response: &Response, why: &str) -> Failure {
    status::not_recognised(response, &response.quoted(why, MESSAGE_BYTES_MAX))
}

/// An answer that is not in the upstream's own format. Whoever finds the request too large, fewer events may get
/// through there.
fn unrecognised(response: &Response) -> Failure {
    let what = status::meaning(response.status);
    if response.status == 413 {
        let form = form::describe(response);
        return Failure::LineTooNarrow { why: format!("status 413: {what}; {form}") };
    }
    status::not_recognised(response, what)
}
