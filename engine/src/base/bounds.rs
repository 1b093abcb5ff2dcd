//! Every limit of a store, in one table.

/// Longest scope, bytes.
pub(crate) const SCOPE_BYTES_MAX: usize = 63;
/// Longest key, bytes; its length is one byte in a capture frame.
pub(crate) const KEY_BYTES_MAX: usize = 255;
/// Longest name of a key of the host, bytes: it is in every wrapped key.
#[cfg(feature = "encryption")]
pub(crate) const KEY_ID_BYTES_MAX: usize = 12;
/// Longest kind, bytes.
pub(crate) const KIND_BYTES_MAX: usize = 64;
/// Longest lane, bytes.
pub(crate) const LANE_BYTES_MAX: usize = 255;
/// Most headers of an event.
pub(crate) const HEADERS_MAX: usize = 16;
/// Longest name of a header, bytes.
pub(crate) const HEADER_NAME_BYTES_MAX: usize = 64;
/// Longest value of a header, bytes.
pub(crate) const HEADER_VALUE_BYTES_MAX: usize = 1_024;
/// Names and values of all headers of an event, bytes.
pub(crate) const HEADERS_BYTES_MAX: usize = 4_096;
/// Bytes of deferred captures that may wait to be synced; the log itself waits beyond 8 MiB.
pub(crate) const DEFERRED_BYTES_MAX: u64 = 6 * 1024 * 1024;
/// How long a deferred capture for which nobody waits stays unsynced where the host ticks, milliseconds.
pub(crate) const LINGER_MS: u64 = 200;
/// Most events that one commit may evict: their frame must fit into the smallest segment.
pub(crate) const EVICTED_TOGETHER_MAX: usize = 4_096;
/// Evicted events that a store can name; of more it knows the count.
pub(crate) const LOSSES_MAX: usize = 512;
/// Longest receipt, bytes.
pub(crate) const RECEIPT_BYTES_MAX: usize = 64;
/// Most events in one atomic batch.
pub(crate) const BATCH_EVENTS_MAX: usize = 1_000;
/// Longest note of a review decision, bytes.
pub(crate) const NOTE_BYTES_MAX: usize = 1_024;
/// Longest name of who decided, bytes.
pub(crate) const WHO_BYTES_MAX: usize = 64;
/// Decisions that are remembered after they were made, the newest; each is at most about 1.5 KiB of
/// log, which cleaning carries.
pub(crate) const DECISIONS_KEPT: usize = 256;
/// Most review items, or decisions, that one call returns.
pub(crate) const PAGE_MAX: usize = 1_000;
/// Bundles of which a store remembers that it imported them, the newest.
pub(crate) const IMPORTS_KEPT: usize = 64;
/// Scopes that a summary lists, those with most unsettled events.
pub(crate) const SUMMARY_SCOPES_MAX: usize = 64;
/// Events that the result of an export or import names; of more it knows the count.
#[cfg(feature = "rescue")]
pub(crate) const LEFT_OUT_LISTED_MAX: usize = 1_000;
/// Files with decisions that one tick carries out.
pub(crate) const DECISION_FILES_MAX: usize = 100;
/// Longest file with a decision, bytes: a note of 1 KiB, every character of it escaped.
pub(crate) const DECISION_FILE_BYTES_MAX: u64 = 16 * 1024;
/// Refused files with decisions that the status reports, the newest.
pub(crate) const DECISION_TROUBLES_KEPT: usize = 16;
/// How much of the upstream's reply a review item keeps, bytes.
pub(crate) const REPLY_BYTES_KEPT: usize = 1_024;
/// Longest settings of a session, bytes: each batch's frame has them.
pub(crate) const SETTINGS_BYTES_MAX: usize = 1_024;
/// Longest code of a rejection that is kept, bytes.
pub(crate) const CODE_BYTES_KEPT: usize = 64;
/// How much of a rejection's message a review item keeps, bytes.
pub(crate) const MESSAGE_BYTES_KEPT: usize = 512;
/// Longest number of an event or of a delivery that the upstream gives, bytes.
pub(crate) const DELIVERY_ID_BYTES_MAX: usize = 255;
/// Longest name of a server window, bytes.
pub(crate) const WINDOW_ID_BYTES_MAX: usize = 63;
/// Longest time for which a server window is open, milliseconds: 400 days.
pub(crate) const WINDOW_OPEN_MS_MAX: u64 = 400 * 24 * 60 * 60 * 1000;
/// Most server windows that are open at one time.
pub(crate) const WINDOWS_MAX: usize = 64;
/// Longest error of a failed delivery, bytes.
pub(crate) const DELIVERY_ERROR_BYTES_MAX: usize = 1_024;
/// Most deliveries that a store may be configured to hold unfinished: when they are dropped, one frame
/// lists them all.
pub(crate) const DELIVERIES_MAX: usize = 10_000;
/// How many of the deliveries that were dropped are listed.
pub(crate) const DROPPED_LISTED_MAX: usize = 256;
/// Largest payload by default, bytes.
pub(crate) const PAYLOAD_BYTES_MAX_DEFAULT: u32 = 64 * 1024;
/// Shortest lease, milliseconds: a number of seconds that was meant as such is below it.
pub(crate) const LEASE_MS_MIN: u64 = 1_000;
/// Longest lease, milliseconds.
pub(crate) const LEASE_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Length of a lease by default, milliseconds.
pub(crate) const LEASE_MS_DEFAULT: u64 = 30_000;
/// After how long a caller is asked to ask again for a record that is in progress, milliseconds.
pub(crate) const RETRY_AFTER_MS: u64 = 1_500;
/// Leases that are open at once, by default.
pub(crate) const LEASES_MAX_DEFAULT: u32 = 10_000;
/// Memory for the bodies of records that were used lately, by default, bytes.
pub(crate) const RECORD_CACHE_BYTES_DEFAULT: u64 = 1024 * 1024;

const _: () = assert!(LEASE_MS_MIN <= LEASE_MS_DEFAULT && LEASE_MS_DEFAULT <= LEASE_MS_MAX);
const _: () = assert!(KEY_BYTES_MAX <= 255 && LANE_BYTES_MAX <= 255, "lengths are one byte");
const _: () = assert!(SCOPE_BYTES_MAX <= 255 && KIND_BYTES_MAX <= 255, "lengths are one byte");
const _: () = assert!(
    DELIVERIES_MAX * 8 + WINDOWS_MAX * (WINDOW_ID_BYTES_MAX + 256) < 192 * 1024,
    "what lists dropped deliveries must fit into the smallest segment"
);
const _: () = assert!(HEADERS_MAX <= 255 && HEADER_NAME_BYTES_MAX <= 255, "counts are one byte");
const _: () = assert!(HEADER_VALUE_BYTES_MAX <= 65_535, "the length of a value is two bytes");
const _: () = assert!(EVICTED_TOGETHER_MAX * 24 <= 96 * 1024, "two fifths of the smallest segment");
const _: () =
    assert!(DECISION_FILE_BYTES_MAX > 8 * 1_024 && NOTE_BYTES_MAX == 1_024, "a file fits its note");
const _: () = assert!(CODE_BYTES_KEPT <= 255, "the catalog's keys have its length in one byte");
