//! The shapes that several commands share: opening a store with a fair word, and events and items as JSON.

use std::path::Path;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use onceward::config::Create;
use onceward::inspect::{Damage, Inspection, RecoveryReport};
use onceward::rescue::Fence;
use onceward::review::ReviewItem;
use onceward::{Config, Payload, Store, StoredEvent};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::exit::{self, Failure};
use crate::output::chatter;

/// Opens a store to write to it, and says on stderr what recovery found.
///
/// # Errors
///
/// The store is locked, damaged beyond opening, of a newer format, or not one.
pub(super) fn open(dir: &Path, config: Config) -> Result<Store, Failure> {
    let store = Store::open(dir, config).map_err(|error| refused(dir, &error))?;
    report_recovery(&store.recovery());
    if let Some(remark) = onceward::host::remark_on(dir) {
        chatter(&format!("the file system of {}: {remark}", dir.display()));
    }
    Ok(store)
}

/// Opens a store that must exist already.
///
/// # Errors
///
/// As [`open`].
pub(super) fn open_existing(dir: &Path) -> Result<Store, Failure> {
    open(dir, Config::new().with_create(Create::Never))
}

/// Closes a store in order, and says on stderr what went wrong beside what was asked and cost nothing.
///
/// # Errors
///
/// The disk refused.
pub(super) fn close(store: Store) -> Result<(), Failure> {
    let status = store.status();
    let reported = &store.recovery().catalog_rebuilt;
    let catalog = status.catalog_trouble.as_ref().filter(|why| reported.as_ref() != Some(*why));
    for (what, why) in [("index", status.index_trouble.as_ref()), ("catalog", catalog)] {
        if let Some(why) = why {
            chatter(&format!("the files of the {what} failed, which lost nothing: {why}"));
        }
    }
    store.close().map_err(|error| Failure::closing(&error))
}

/// Closes a store in order after what was done with it, or could not be.
///
/// # Errors
///
/// The failure of `done`, with a failure to close added; or the failure to close.
pub(super) fn closing<T>(store: Store, done: Result<T, Failure>) -> Result<T, Failure> {
    exit::after_closing(done, close(store))
}

/// Looks at a store without a lock.
///
/// # Errors
///
/// The directory holds no store, one of a newer format, or cannot be read.
pub(super) fn inspect(dir: &Path) -> Result<Inspection, Failure> {
    Inspection::open(dir).map_err(|error| refused(dir, &error))
}

/// A failure to open `dir`.
pub(super) fn refused(dir: &Path, error: &onceward::Error) -> Failure {
    match error.code() {
        // An argument that only the engine can judge, such as the size of segments.
        "CONFIG_INVALID" => {
            Failure::usage(format!("cannot open the store {}: {error}", dir.display()))
        }
        _ => Failure::opening(error),
    }
}

/// Says on stderr what is remarkable about a store that was opened.
pub(super) fn report_recovery(report: &RecoveryReport) {
    if report.torn_bytes > 0 {
        chatter(&torn(report));
    }
    for (what, why) in [("index", &report.index_rebuilt), ("catalog", &report.catalog_rebuilt)] {
        if let Some(why) = why {
            chatter(&format!("the files of the {what} are made anew from the log: {why}"));
        }
    }
    if report.keys_of_lost_frames > 0 {
        chatter(&format!(
            "keys whose events are lost to damage, and which stay taken, outcome unknown: {}",
            report.keys_of_lost_frames
        ));
    }
    report_damage(&report.damage);
}

/// Says on stderr what is damaged.
pub(super) fn report_damage(damage: &[Damage]) {
    for damage in damage {
        chatter(&format!("damage: {}", damage_line(damage)));
    }
}

/// A damaged range as one line: `FILE OFFSET LENGTH what`.
pub(super) fn damage_line(damage: &Damage) -> String {
    format!("{} {} {} {}", damage.file, damage.offset, damage.length, damage.what)
}

/// One line about a torn tail.
pub(super) fn torn(report: &RecoveryReport) -> String {
    format!(
        "torn tail of {} bytes after a crash, which is not damage; whole frames in it, never confirmed: {}",
        report.torn_bytes, report.torn_frames_in_doubt
    )
}

/// The result of recovery, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct RecoveryShape<'a> {
    /// Whether the store had been closed in order.
    clean: bool,
    /// Frames read.
    frames: u64,
    /// Size of the torn tail.
    torn_bytes: u64,
    /// Whole frames in the torn tail.
    torn_frames_in_doubt: u64,
    /// Damaged ranges.
    damage: Vec<DamageShape<'a>>,
    /// The time since the store was last in use, if nothing measured it.
    unmeasured: Option<UnmeasuredShape>,
}

/// Time that nobody measured, as JSON: it does not count for forgetting keys.
#[derive(Debug, Serialize)]
pub(super) struct UnmeasuredShape {
    /// Length of that time by the wall clock, milliseconds; null if that is not known either.
    by_wall_clock_ms: Option<i64>,
}

/// A damaged range, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct DamageShape<'a> {
    /// File within the store's directory.
    file: &'a str,
    /// First bad byte.
    offset: u64,
    /// Count of bytes.
    length: u64,
    /// What is wrong with the range.
    what: &'a str,
}

impl<'a> From<&'a Damage> for DamageShape<'a> {
    fn from(damage: &'a Damage) -> Self {
        let Damage { file, offset, length, what, .. } = damage;
        Self { file, offset: *offset, length: *length, what }
    }
}

impl<'a> From<&'a RecoveryReport> for RecoveryShape<'a> {
    fn from(report: &'a RecoveryReport) -> Self {
        let damage = report.damage.iter().map(DamageShape::from).collect();
        Self {
            clean: report.clean,
            frames: report.frames,
            torn_bytes: report.torn_bytes,
            torn_frames_in_doubt: report.torn_frames_in_doubt,
            damage,
            unmeasured: report
                .unmeasured
                .map(|off| UnmeasuredShape { by_wall_clock_ms: off.by_wall_clock_ms }),
        }
    }
}

/// Since when and for which bundle a store is left, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct FenceShape {
    /// The number of the bundle that the store is left for.
    bundle: String,
    /// Since when the store is left, RFC 3339.
    since: Option<String>,
    /// Since when the store is left, Unix milliseconds.
    since_ms: i64,
}

impl From<&Fence> for FenceShape {
    fn from(fence: &Fence) -> Self {
        let (bundle, since_ms) = (fence.bundle.to_string(), fence.since_ms);
        Self { bundle, since: moment(since_ms), since_ms }
    }
}

/// An event, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct EventShape<'a> {
    /// The event's number.
    lsn: u64,
    /// The event's scope.
    scope: &'a str,
    /// The event's key.
    key: &'a str,
    /// The payload: the JSON value that was given, or `{"base64":"..."}` for bytes.
    payload: Box<RawValue>,
    /// The event's state.
    state: &'static str,
    /// The event's kind.
    kind: &'a str,
    /// The event's amount, an exact decimal.
    amount: Option<String>,
    /// When the event happened, RFC 3339; null if that is beyond the calendar, or if nobody knows.
    captured_at: Option<String>,
    /// When the event happened, Unix milliseconds; null if nobody knows.
    captured_at_ms: Option<i64>,
    /// The event's lane.
    lane: Option<&'a str>,
    /// The event's class: `keep` or `evictable`.
    class: &'static str,
    /// The event's headers, names and values in their order; a name may come more than once.
    headers: Vec<(&'a str, &'a str)>,
    /// `json`, or `bytes` for a payload that was given as bytes.
    payload_form: &'static str,
}

impl<'a> EventShape<'a> {
    /// The shape of `stored`.
    ///
    /// # Errors
    ///
    /// The payload that the log holds is not the JSON that it claims to be.
    pub(super) fn new(stored: &'a StoredEvent) -> Result<Self, Failure> {
        let event = &stored.event;
        let payload = payload(&event.payload).map_err(|error| {
            Failure::failed(format!("event {}: payload: not JSON: {error}", stored.lsn))
        })?;
        Ok(Self {
            lsn: stored.lsn.get(),
            scope: event.scope.as_str(),
            key: event.key.as_str(),
            payload,
            state: stored.state.as_str(),
            kind: event.kind.as_str(),
            amount: event.amount.map(|amount| amount.to_string()),
            captured_at: stored.captured_at_ms.and_then(moment),
            captured_at_ms: stored.captured_at_ms,
            lane: event.lane.as_ref().map(onceward::Lane::as_str),
            class: match event.class {
                onceward::Class::Keep => "keep",
                onceward::Class::Evictable => "evictable",
            },
            headers: event.headers.iter().collect(),
            payload_form: if event.payload.is_json() { "json" } else { "bytes" },
        })
    }
}

/// The payload in its own spelling.
fn payload(payload: &Payload) -> serde_json::Result<Box<RawValue>> {
    let text = match payload.as_json() {
        Some(text) => text.to_owned(),
        None => format!(r#"{{"base64":"{}"}}"#, BASE64_STANDARD.encode(payload.as_bytes())),
    };
    RawValue::from_string(text)
}

/// A review item, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct ReviewShape<'a> {
    /// The event's number.
    lsn: u64,
    /// The event's scope.
    scope: &'a str,
    /// The event's key.
    key: &'a str,
    /// The upstream's code.
    code: &'a str,
    /// The upstream's words.
    message: &'a str,
    /// Since when the event is in review, RFC 3339.
    since: Option<String>,
    /// Since when the event is in review, Unix milliseconds.
    since_ms: i64,
    /// The item's version: it differs each time the event comes into review.
    version: u64,
    /// The event's amount.
    amount: Option<String>,
    /// The beginning of the upstream's reply: text, or `{"base64":"..."}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<Reply>,
    /// The event itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<EventShape<'a>>,
}

/// A reply of the upstream, which is usually text.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Reply {
    /// The reply is UTF-8 text.
    Text(String),
    /// The reply is no UTF-8 text.
    Bytes {
        /// The bytes in base64.
        base64: String,
    },
}

impl<'a> ReviewShape<'a> {
    /// The item as one line of a list, without reply and event.
    pub(super) fn brief(item: &'a ReviewItem) -> Self {
        Self {
            lsn: item.lsn.get(),
            scope: item.scope.as_str(),
            key: item.key.as_str(),
            code: &item.code,
            message: &item.message,
            since: moment(item.since_ms),
            since_ms: item.since_ms,
            version: item.version,
            amount: item.event().amount.map(|amount| amount.to_string()),
            reply: None,
            event: None,
        }
    }

    /// The item with the upstream's reply and the event.
    ///
    /// # Errors
    ///
    /// As [`EventShape::new`].
    pub(super) fn whole(item: &'a ReviewItem) -> Result<Self, Failure> {
        let reply = match str::from_utf8(&item.reply) {
            Ok(text) => Reply::Text(text.to_owned()),
            Err(_not_text) => Reply::Bytes { base64: BASE64_STANDARD.encode(&item.reply) },
        };
        let event = Some(EventShape::new(&item.stored)?);
        Ok(Self { reply: Some(reply), event, ..Self::brief(item) })
    }
}

/// Unix milliseconds as RFC 3339, if the calendar reaches that far.
pub(super) fn moment(unix_ms: i64) -> Option<String> {
    onceward::wire::rfc3339(unix_ms)
}

/// Whole milliseconds of a length of time, as listings and JSON have it; a part of one is left out.
pub(super) fn whole_ms(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_milliseconds() {
        assert_eq!(moment(0).unwrap(), "1970-01-01T00:00:00.000Z");
        assert_eq!(moment(i64::MAX), None);
    }
}
