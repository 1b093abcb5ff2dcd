//! A text with placeholders. `{{` and `}}` are braces.

use std::borrow::Cow;

use onceward::sync::Misfit;

use super::placeholder::{Place, Placeholder};
use crate::dialect::misfit;

/// A piece of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Piece {
    /// As it is.
    Fixed(String),
    /// What the event has.
    Of(Placeholder),
}

/// A text with placeholders.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Text {
    /// The pieces in their order.
    pub(super) pieces: Vec<Piece>,
}

/// What a text has for a placeholder: nothing where the event lacks it.
pub(super) type Value<'a> = Result<Option<Cow<'a, str>>, Misfit>;

impl Text {
    /// Reads a text for that place; the error says what is wrong with it.
    pub(super) fn parse(text: &str, place: Place) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let (mut fixed, mut rest) = (String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            fixed.push_str(before);
            if let Some(behind) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                fixed.extend(from.chars().take(1));
                rest = behind;
                continue;
            }
            let inner = from.strip_prefix('{').ok_or("a } without a {; two of them are one }")?;
            let (name, behind) =
                inner.split_once('}').ok_or("a { without a }; two of them are one {")?;
            let placeholder = Placeholder::named(name)
                .ok_or_else(|| format!("unknown placeholder {{{name}}}"))?;
            if !place.takes(&placeholder) {
                return Err(format!("{{{name}}} cannot be here"));
            }
            if !fixed.is_empty() {
                pieces.push(Piece::Fixed(std::mem::take(&mut fixed)));
            }
            pieces.push(Piece::Of(placeholder));
            rest = behind;
        }
        fixed.push_str(rest);
        if !fixed.is_empty() {
            pieces.push(Piece::Fixed(fixed));
        }
        Ok(Self { pieces })
    }

    /// The placeholders of the text.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Of(placeholder) => Some(placeholder),
            Piece::Fixed(_) => None,
        })
    }

    /// The placeholder that is all of the text.
    pub(super) fn alone(&self) -> Option<&Placeholder> {
        match self.pieces.as_slice() {
            [Piece::Of(placeholder)] => Some(placeholder),
            _ => None,
        }
    }

    /// Whether the text has the event's key, and nothing that another attempt changes.
    pub(super) fn names_event(&self) -> bool {
        let has = |wanted: &Placeholder| self.placeholders().any(|found| found == wanted);
        has(&Placeholder::Key) && !has(&Placeholder::BatchKey)
    }

    /// The text with the values that `value` gives, each passed through `spelled`.
    ///
    /// # Errors
    ///
    /// The event lacks a value.
    pub(super) fn render<'a>(
        &self,
        value: &dyn Fn(&Placeholder) -> Value<'a>,
        spelled: &dyn Fn(&str) -> String,
    ) -> Result<String, Misfit> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Fixed(text) => out.push_str(text),
                Piece::Of(placeholder) => {
                    let value = value(placeholder)?;
                    let lacking = || misfit(format!("{placeholder}: the event has none"));
                    out.push_str(&spelled(&value.ok_or_else(lacking)?));
                }
            }
        }
        Ok(out)
    }
}

/// What an event has for a placeholder of its own.
pub(super) fn of_event<'a>(
    event: &'a onceward::StoredEvent,
    wire_key: &'a str,
    placeholder: &Placeholder,
) -> Value<'a> {
    let own = &event.event;
    Ok(match placeholder {
        Placeholder::Key => Some(Cow::Borrowed(wire_key)),
        Placeholder::Scope => Some(Cow::Borrowed(own.scope.as_str())),
        Placeholder::Kind => Some(Cow::Borrowed(own.kind.as_str())),
        Placeholder::CapturedAt => {
            Some(Cow::Owned(crate::dialect::captured_at(event, "captured_at")?))
        }
        Placeholder::Amount => own.amount.map(|amount| Cow::Owned(amount.to_string())),
        Placeholder::Lsn => Some(Cow::Owned(event.lsn.to_string())),
        Placeholder::Header(name) => own.headers.value(name).map(Cow::Borrowed),
        Placeholder::BatchKey | Placeholder::DeviceId | Placeholder::Payload => None,
    })
}
