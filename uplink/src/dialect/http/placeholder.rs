//! What stands in braces: a part of the event, of its batch or of the terminal.

use std::fmt;

/// A part of an event or of its batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Placeholder {
    /// The key under which the upstream gets the event.
    Key,
    /// The event's scope.
    Scope,
    /// The event's kind.
    Kind,
    /// The name of the batch, which changes when it is formed anew.
    BatchKey,
    /// The name of the device.
    DeviceId,
    /// When it was captured, in RFC 3339.
    CapturedAt,
    /// The amount.
    Amount,
    /// The event's number in the store.
    Lsn,
    /// A header of the event.
    Header(String),
    /// The payload, as it was captured.
    Payload,
}

/// The place that a text with placeholders has, by which it may have some of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// Path and headers of a request for one event.
    HeadOfOne,
    /// Path and headers of a request for many.
    HeadOfMany,
    /// The item's template.
    Item,
    /// The template around the items.
    Body,
    /// Path and headers of a lookup.
    Lookup,
}

impl Placeholder {
    /// The placeholder of that name, without its braces.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "key" => Self::Key,
            "scope" => Self::Scope,
            "kind" => Self::Kind,
            "batch_key" => Self::BatchKey,
            "device_id" => Self::DeviceId,
            "captured_at" => Self::CapturedAt,
            "amount" => Self::Amount,
            "lsn" => Self::Lsn,
            "payload" => Self::Payload,
            _ => {
                let header = name.strip_prefix("header:").filter(|header| !header.is_empty())?;
                Self::Header(header.to_owned())
            }
        })
    }

    /// Whether an event may lack it.
    pub(super) fn is_optional(&self) -> bool {
        matches!(self, Self::Amount | Self::Header(_))
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Scope => "scope",
            Self::Kind => "kind",
            Self::BatchKey => "batch_key",
            Self::DeviceId => "device_id",
            Self::CapturedAt => "captured_at",
            Self::Amount => "amount",
            Self::Lsn => "lsn",
            Self::Payload => "payload",
            Self::Header(name) => return write!(f, "header:{name}"),
        })
    }
}

impl Place {
    /// Whether a text in this place may have `placeholder`.
    pub(super) fn takes(self, placeholder: &Placeholder) -> bool {
        let of_batch = matches!(placeholder, Placeholder::BatchKey | Placeholder::DeviceId);
        let is_scope = *placeholder == Placeholder::Scope;
        match self {
            Self::HeadOfOne => *placeholder != Placeholder::Payload,
            Self::HeadOfMany | Self::Body => of_batch || is_scope,
            Self::Item => !of_batch,
            Self::Lookup => {
                matches!(placeholder, Placeholder::Key | Placeholder::Scope | Placeholder::DeviceId)
            }
        }
    }

    /// The placeholders that a text in this place may have, for people.
    pub(super) fn allowed(self) -> &'static str {
        match self {
            Self::HeadOfOne => {
                "{key}, {scope}, {kind}, {batch_key}, {device_id}, {captured_at}, {amount}, {lsn}, {header:NAME}"
            }
            Self::HeadOfMany | Self::Body => "{scope}, {batch_key}, {device_id}",
            Self::Item => {
                "{key}, {scope}, {kind}, {captured_at}, {amount}, {lsn}, {header:NAME}, and {payload} alone in a text"
            }
            Self::Lookup => "{key}, {scope}, {device_id}",
        }
    }
}
