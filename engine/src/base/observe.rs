//! What a store reports to the crates `tracing` and `metrics`, behind the features of the same names: the one door to
//! both. `engine/OBSERVING.md` lists every name.
//!
//! Numbers and codes only: nothing here is given a key, a payload, a scope or an amount. Without the features each
//! function only does the work that it was given, and a measurement that nobody asked for is not taken.

use super::{RecoveryReport, Result};
#[cfg(feature = "metrics")]
use std::time::Instant;

/// To whom events and spans say that they are of this crate.
#[cfg(feature = "tracing")]
const TARGET: &str = "onceward";

/// How many events of a call had which verdict.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VerdictCounts {
    pub(crate) fresh: u64,
    pub(crate) duplicate: u64,
    pub(crate) conflict: u64,
}

/// What a store holds, by stage.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "there is nobody to report to"))]
pub(crate) struct HeldCounts {
    pub(crate) pending: u64,
    pub(crate) in_flight: u64,
    pub(crate) in_review: u64,
    pub(crate) uncertain: u64,
    pub(crate) log_bytes: u64,
}

/// How long something took.
#[cfg(feature = "metrics")]
struct Stopwatch(Instant);

#[cfg(feature = "metrics")]
impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "measures only: nothing is decided by it")]
    fn start() -> Self {
        Self(Instant::now())
    }

    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// A call that captures events.
pub(crate) fn capture<T>(
    events: usize,
    counts: impl FnOnce(&T) -> VerdictCounts,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    #[cfg(feature = "tracing")]
    let _span = tracing::debug_span!(target: TARGET, "capture", events).entered();
    #[cfg(not(feature = "tracing"))]
    let _unreported = events;
    #[cfg(not(any(feature = "tracing", feature = "metrics")))]
    let _unreported = counts;
    let done = work();
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    match &done {
        Ok(judged) => captured(counts(judged)),
        Err(refused) => capture_refused(refused),
    }
    done
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
fn captured(VerdictCounts { fresh, duplicate, conflict }: VerdictCounts) {
    #[cfg(feature = "tracing")]
    tracing::debug!(name: "captured", target: TARGET, fresh, duplicate, conflict, "captured");
    #[cfg(feature = "metrics")]
    {
        metrics::counter!("onceward_captures_total", "verdict" => "fresh").increment(fresh);
        metrics::counter!("onceward_captures_total", "verdict" => "duplicate").increment(duplicate);
        metrics::counter!("onceward_captures_total", "verdict" => "conflict").increment(conflict);
    }
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
fn capture_refused(refused: &super::Error) {
    let code = refused.code();
    #[cfg(feature = "tracing")]
    tracing::debug!(
        name: "capture_refused",
        target: TARGET,
        code,
        in_doubt = refused.in_doubt(),
        "capture refused"
    );
    #[cfg(feature = "metrics")]
    metrics::counter!("onceward_captures_refused_total", "code" => code).increment(1);
}

/// A call waits until what it wrote is durable.
pub(crate) fn durable_wait<T>(wait: impl FnOnce() -> T) -> T {
    #[cfg(feature = "tracing")]
    let _span = tracing::trace_span!(target: TARGET, "durable_wait").entered();
    #[cfg(feature = "metrics")]
    let watch = Stopwatch::start();
    let done = wait();
    #[cfg(feature = "metrics")]
    metrics::histogram!("onceward_durable_wait_seconds").record(watch.seconds());
    done
}

/// The index's files were written, or could not be.
pub(crate) fn checkpoint<T, E>(write: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    #[cfg(feature = "tracing")]
    let _span = tracing::debug_span!(target: TARGET, "checkpoint").entered();
    #[cfg(feature = "metrics")]
    let watch = Stopwatch::start();
    let done = write();
    #[cfg(feature = "tracing")]
    trace_checkpoint(done.is_ok());
    #[cfg(feature = "metrics")]
    {
        let result = if done.is_ok() { "written" } else { "failed" };
        metrics::counter!("onceward_checkpoints_total", "result" => result).increment(1);
        metrics::histogram!("onceward_checkpoint_seconds").record(watch.seconds());
    }
    done
}

#[cfg(feature = "tracing")]
fn trace_checkpoint(is_written: bool) {
    if is_written {
        tracing::debug!(name: "checkpoint_written", target: TARGET, "checkpoint written");
    } else {
        tracing::warn!(name: "checkpoint_failed", target: TARGET, "checkpoint failed");
    }
}

/// The gauges, from what a store holds now.
#[cfg_attr(
    not(feature = "metrics"),
    expect(unused_variables, reason = "there is nobody to report to")
)]
pub(crate) fn held(counts: impl FnOnce() -> HeldCounts) {
    #[cfg(feature = "metrics")]
    {
        let HeldCounts { pending, in_flight, in_review, uncertain, log_bytes } = counts();
        gauge_of_stage("pending", pending);
        gauge_of_stage("in_flight", in_flight);
        gauge_of_stage("in_review", in_review);
        gauge_of_stage("uncertain", uncertain);
        metrics::gauge!("onceward_log_bytes").set(as_gauge(log_bytes));
    }
}

#[cfg(feature = "metrics")]
fn gauge_of_stage(stage: &'static str, events: u64) {
    metrics::gauge!("onceward_unsettled_events", "stage" => stage).set(as_gauge(events));
}

/// A number as a gauge has it: exact below 2^53.
#[cfg(feature = "metrics")]
#[expect(clippy::cast_precision_loss, reason = "a gauge is an f64")]
fn as_gauge(number: u64) -> f64 {
    number as f64
}

/// A function that reports numbers: to `tracing` by an event, whose message is its name in words, because many a
/// subscriber prints no names; to `metrics` by counters.
macro_rules! report {
    (
        $(#[doc = $doc:literal])+
        $name:ident($($field:ident: $type:ty),*), $level:ident, $message:literal,
        $($counter:literal += $by:expr),*
    ) => {
        $(#[doc = $doc])+
        pub(crate) fn $name($($field: $type),*) {
            #[cfg(feature = "tracing")]
            tracing::$level!(name: stringify!($name), target: TARGET, $($field,)* $message);
            #[cfg(not(feature = "tracing"))]
            let _unreported = ($(&$field,)*);
            #[cfg(feature = "metrics")]
            {
                $(metrics::counter!($counter).increment($by);)*
            }
        }
    };
}

report! {
    /// Frames were queued, to be written.
    appended(frames: usize, bytes: u64), trace, "appended",
    "onceward_appended_bytes_total" += bytes
}
report! {
    /// A damaged range was found.
    damage_found(file: &str, offset: u64, length: u64), warn, "damage found",
    "onceward_damaged_ranges_total" += 1
}
report! {
    /// The disk, or the room that may be used, is full.
    disk_full(code: &'static str), warn, "disk full",
    "onceward_disk_full_total" += 1
}
report! {
    /// The disk refused: to read, or for the first time to write or sync, after which nothing is written.
    disk_failed(code: &'static str, in_doubt: bool), error, "disk failed",
    "onceward_disk_failures_total" += 1
}
report! {
    /// A call was refused because the store must be opened again.
    poisoned(code: &'static str), error, "poisoned",
    "onceward_poisoned_total" += 1
}
report! {
    /// A segment was emptied, and is given back.
    segment_cleaned(segment: u64, used_bytes: u64, carried_bytes: u64), debug, "segment cleaned",
    "onceward_cleaned_segments_total" += 1,
    "onceward_cleaned_bytes_total" += used_bytes,
    "onceward_carried_bytes_total" += carried_bytes
}
report! {
    /// The index was made anew from the log while the store is open.
    index_made_anew(damaged_ranges: usize), warn, "index made anew",
    "onceward_indexes_made_anew_total" += 1
}
report! {
    /// A store was left, or opened again after it had been left.
    fence(is_up: bool), info, "fence",
    "onceward_fences_total" += 1
}
report! {
    /// Batches were fixed, to be sent.
    batches_formed(batches: usize, events: u64), debug, "batches formed",
    "onceward_batch_events_total" += events
}
report! {
    /// Final answers of the upstream, or of the host, were written.
    answered(batch: u64, events: u64), debug, "answered",
    "onceward_answers_total" += events
}
/// A store was opened, and this was found.
pub(crate) fn opened(found: &RecoveryReport) {
    #[cfg(feature = "tracing")]
    tracing::info!(
        name: "opened",
        target: TARGET,
        clean = found.clean,
        frames = found.frames,
        torn_bytes = found.torn_bytes,
        torn_frames_in_doubt = found.torn_frames_in_doubt,
        damaged_ranges = found.damaged_ranges(),
        keys_of_lost_frames = found.keys_of_lost_frames,
        index_rebuilt = found.index_rebuilt.is_some(),
        catalog_rebuilt = found.catalog_rebuilt.is_some(),
        "opened"
    );
    #[cfg(feature = "metrics")]
    metrics::counter!("onceward_openings_total").increment(1);
    for damage in &found.damage {
        damage_found(&damage.file, damage.offset, damage.length);
    }
}
