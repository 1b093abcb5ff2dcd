//! `status`: what a store holds. Takes no lock.

use std::collections::BTreeMap;

use onceward::Status;
use onceward::inspect::RecoveryReport;
use onceward::sync::{SyncResult, SyncState};
use onceward::wire::rfc3339;
use serde::Serialize;

use crate::{
    args::StoreArgs,
    command::shape::{self, FenceShape, RecoveryShape},
    exit::{Exit, Failure, Outcome},
    output::{Listing, Output, Style, complain},
};

/// Runs the command; a damaged store is shown and ends with the code for it.
///
/// # Errors
///
/// The directory holds no store that this program can read, or stdout refused.
pub fn run(args: &StoreArgs, style: Style) -> Outcome {
    let inspection = shape::inspect(&args.store)?;
    let (status, recovery) = (inspection.status(), inspection.recovery());
    let mut out = Output::stdout();
    show(&mut out, &status, recovery, (onceward::host::remark_on(&args.store), style))?;
    out.flush()?;
    if recovery.damage.is_empty() {
        return Ok(Exit::Ok);
    }
    complain(&format!("damaged ranges: {}; `verify` names them", recovery.damage.len()));
    Ok(Exit::Damage)
}

/// The content of a store in numbers, as JSON.
#[derive(Debug, Serialize)]
struct StatusShape<'a> {
    /// Events that wait to be sent.
    pending: u64,
    /// Events that were sent and are not answered.
    in_flight: u64,
    /// Events with a final answer.
    settled: u64,
    /// Keys whose events are lost to damage.
    lost: u64,
    /// Events that wait for a person.
    in_review: u64,
    /// Events of which nobody knows whether they took effect.
    uncertain: u64,
    /// Pending events that wait in their lane behind one that waits for a person.
    behind: u64,
    /// Events that were dropped to make room, since the store was made; `summary` lists the last of them.
    dropped: u64,
    /// Events that were taken back before they were sent, since the store was made.
    cancelled: u64,
    /// Leases that are neither completed nor released.
    leases: u64,
    /// Completed records that are remembered.
    records: u64,
    /// Bytes that unsettled events take in the log: what a limit on bytes counts.
    unsettled_bytes: u64,
    /// Size of the log.
    bytes: u64,
    /// Age of the oldest event that is not settled.
    oldest_pending_ms: u64,
    /// Sum of the amounts that are not settled.
    amount_pending: String,
    amount_in_flight: String,
    amount_in_review: String,
    amount_uncertain: String,
    /// Whether the sum of the amounts does not fit: it is at least that, or at most where that is negative.
    amount_is_at_limit: bool,
    /// Why the file system may not keep what it is given; null where nothing is known against it.
    file_system: Option<&'static str>,
    /// Since when and for which bundle the store is left; null if it is not.
    fence: Option<FenceShape>,
    /// How many events each scope has that are pending or in flight; none of a scope without any.
    to_send: BTreeMap<&'a str, u64>,
    /// What came of sending last, by scope; of one that was never sent there is none.
    sync: Vec<SyncShape<'a>>,
    /// The result that recovery would have at opening.
    recovery: RecoveryShape<'a>,
}

/// What came of sending a scope's events last, as JSON.
#[derive(Debug, Serialize)]
struct SyncShape<'a> {
    scope: &'a str,
    upstream: &'a str,
    /// `good`, `waiting`, `blocked` or `misconfigured`.
    state: &'static str,
    /// What came, in words.
    what: &'a str,
    /// When, by this machine's clock; null if that is no moment.
    at: Option<String>,
    /// When the next attempt was planned for, as it was written down with the rest; null: for none, or with the next
    /// event.
    next: Option<String>,
}

impl<'a> From<&'a SyncResult> for SyncShape<'a> {
    fn from(result: &'a SyncResult) -> Self {
        let SyncResult { scope, upstream, what, .. } = result;
        Self {
            scope: scope.as_str(),
            upstream,
            state: state_of(result.state),
            what,
            at: rfc3339(result.at_ms),
            next: result.next_ms.and_then(rfc3339),
        }
    }
}

/// A state as JSON spells it.
fn state_of(state: SyncState) -> &'static str {
    match state {
        SyncState::Good => "good",
        SyncState::Waiting => "waiting",
        SyncState::Blocked => "blocked",
        SyncState::Misconfigured => "misconfigured",
        _ => "unknown",
    }
}

/// Writes the status.
fn show(
    out: &mut Output,
    status: &Status,
    recovery: &RecoveryReport,
    (file_system, style): (Option<&'static str>, Style),
) -> Result<(), Failure> {
    if style == Style::Json {
        return out.json(&StatusShape {
            pending: status.pending,
            in_flight: status.in_flight,
            settled: status.settled,
            lost: status.lost,
            in_review: status.in_review,
            uncertain: status.uncertain,
            behind: status.behind,
            dropped: status.evicted,
            cancelled: status.cancelled,
            leases: status.leases,
            records: status.records,
            unsettled_bytes: status.unsettled_bytes,
            bytes: status.bytes,
            oldest_pending_ms: shape::whole_ms(status.oldest_pending),
            amount_pending: status.amount_pending.to_string(),
            amount_in_flight: status.amount_in_flight.to_string(),
            amount_in_review: status.amount_in_review.to_string(),
            amount_uncertain: status.amount_uncertain.to_string(),
            amount_is_at_limit: status.amount_is_at_limit,
            file_system,
            fence: status.fence.as_ref().map(FenceShape::from),
            to_send: status.to_send.iter().map(|(scope, count)| (scope.as_str(), *count)).collect(),
            sync: status.sync.iter().map(SyncShape::from).collect(),
            recovery: RecoveryShape::from(recovery),
        });
    }
    show_table(out, status, recovery, file_system)
}

/// The same for a person.
fn show_table(
    out: &mut Output,
    status: &Status,
    recovery: &RecoveryReport,
    file_system: Option<&'static str>,
) -> Result<(), Failure> {
    let mut table = Listing::new();
    table.row(["pending", &status.pending.to_string()]);
    table.row(["in flight", &status.in_flight.to_string()]);
    table.row(["settled", &status.settled.to_string()]);
    table.row(["lost to damage", &status.lost.to_string()]);
    table.row(["in review", &status.in_review.to_string()]);
    table.row(["uncertain", &status.uncertain.to_string()]);
    table.row(["behind one that waits", &status.behind.to_string()]);
    table.row(["dropped", &status.evicted.to_string()]);
    table.row(["cancelled", &status.cancelled.to_string()]);
    table.row(["leases", &status.leases.to_string()]);
    table.row(["records", &status.records.to_string()]);
    table.row(["unsettled bytes", &status.unsettled_bytes.to_string()]);
    table.row(["bytes", &status.bytes.to_string()]);
    table.row(["oldest pending", &format!("{} ms", shape::whole_ms(status.oldest_pending))]);
    for (what, amount) in [
        ("amount pending", status.amount_pending),
        ("amount in flight", status.amount_in_flight),
        ("amount in review", status.amount_in_review),
        ("amount uncertain", status.amount_uncertain),
    ] {
        let bound = match amount.ten_thousandths() {
            i64::MAX if status.amount_is_at_limit => "at least ",
            i64::MIN if status.amount_is_at_limit => "at most ",
            _ => "",
        };
        table.row([what, &format!("{bound}{amount}")]);
    }
    if status.to_send.len() > 1 {
        for (scope, count) in &status.to_send {
            table.row([format!("to send of {scope}").as_str(), &count.to_string()]);
        }
    }
    if let Some(remark) = file_system {
        table.row(["file system", remark]);
    }
    for result in &status.sync {
        let SyncShape { scope, state, what, at, next, .. } = SyncShape::from(result);
        let at = at.unwrap_or_default();
        // What another process wrote down may be of a while ago, and that process may have ended.
        let next = next.map(|next| format!("; the next attempt was planned for {next}"));
        let next = next.unwrap_or_default();
        table.row([&format!("sync of {scope}"), &format!("{state}, {at}: {what}{next}")]);
    }
    if let Some(fence) = &status.fence {
        table.row(["left for bundle", &fence.bundle.to_string()]);
    }
    table.row(["damaged ranges", &recovery.damage.len().to_string()]);
    out.listing(&table)
}
