//! The end of a demo: the verdict, as a small table or as one JSON object.

use serde::Serialize;

use super::{compare::Findings, site::Run};
use crate::{
    exit::{Exit, Failure, Outcome},
    output::{Listing, Output, complain},
};

/// The verdict as JSON. The fields are public: their names never change.
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    /// Purchases that the terminal holds.
    captured: u64,
    /// Of those, taken by the hub.
    accepted: u64,
    /// Ever in review.
    rejected: u64,
    /// Of those, accepted by retry.
    resolved: u64,
    /// Replies that the uploader never had whole.
    replies_lost: u64,
    /// Purchases that the hub answered as applied before.
    duplicates_absorbed: u64,
    /// Fewest effects of one purchase.
    effects_min: u64,
    /// Most effects of one purchase.
    effects_max: u64,
    /// The terminal's sum.
    amount_terminal: &'a str,
    /// The hub's sum.
    amount_hub: &'a str,
    /// Whether everything is as it must be.
    ok: bool,
}

/// Shows the verdict; the exit code says it too.
///
/// # Errors
///
/// Stdout refused.
pub(super) fn show(findings: &Findings, run: &Run, json: bool) -> Outcome {
    let mut differences = findings.differences.clone();
    differences.extend(weak_trial(findings, run));
    let ok = differences.is_empty();
    let mut out = Output::stdout();
    if json {
        out.json(&verdict(
            findings,
            run,
            ok,
            &findings.amount_terminal.to_string(),
            &findings.amount_hub.to_string(),
        ))?;
    } else {
        out.listing(&table(findings, run))?;
    }
    out.flush()?;
    if ok {
        return Ok(Exit::Ok);
    }
    for difference in differences.iter().take(DIFFERENCES_SHOWN) {
        complain(difference);
    }
    Err(Failure::failed(format!("hub and terminal differ in {} points", differences.len())))
}

/// What the run did not put to the test: a line that loses nothing proves nothing.
fn weak_trial(findings: &Findings, run: &Run) -> Vec<String> {
    let rejected = u64::try_from(run.reviewed.len()).unwrap_or(u64::MAX);
    [
        (findings.captured == 0, "nothing was captured"),
        (run.replies_lost == 0, "no reply was lost, so nothing was proved about that"),
        (
            findings.duplicates_absorbed == 0 && run.dialect.has_duplicates,
            "the hub absorbed no duplicate, so nothing was proved about that",
        ),
        (
            rejected == 0 && run.dialect.has_refusals,
            "nothing was rejected, so nothing was proved about review",
        ),
        (findings.resolved != rejected, "not everything that was in review was accepted by retry"),
    ]
    .into_iter()
    .filter(|(weak, _)| *weak)
    .map(|(_, why)| why.to_owned())
    .collect()
}

/// The verdict as JSON.
fn verdict<'a>(
    findings: &Findings,
    run: &Run,
    ok: bool,
    amount_terminal: &'a str,
    amount_hub: &'a str,
) -> Verdict<'a> {
    Verdict {
        captured: findings.captured,
        accepted: findings.accepted,
        rejected: u64::try_from(run.reviewed.len()).unwrap_or(u64::MAX),
        resolved: findings.resolved,
        replies_lost: run.replies_lost,
        duplicates_absorbed: findings.duplicates_absorbed,
        effects_min: findings.effects_min,
        effects_max: findings.effects_max,
        amount_terminal,
        amount_hub,
        ok,
    }
}

/// The verdict as a table.
fn table(findings: &Findings, run: &Run) -> Listing {
    let effects = match (findings.effects_min, findings.effects_max) {
        (1, 1) => "exactly 1 for all".to_owned(),
        (fewest, most) => format!("{fewest} to {most}"),
    };
    let mut table = Listing::new();
    let rows = [
        ("captured", findings.captured.to_string()),
        ("upload attempts", run.upload_requests.to_string()),
        ("replies lost", run.replies_lost.to_string()),
        ("duplicates absorbed", findings.duplicates_absorbed.to_string()),
        ("kills (SIGKILL)", run.kills.to_string()),
        ("rejected", run.reviewed.len().to_string()),
        ("resolved", findings.resolved.to_string()),
        ("effects per purchase", effects),
        ("amount at the terminal", findings.amount_terminal.to_string()),
        ("amount at the hub", findings.amount_hub.to_string()),
        ("seconds", format!("{:.1}", run.seconds)),
    ];
    for (name, value) in rows {
        table.row([name, &value]);
    }
    table
}

/// More differences than this are only counted.
const DIFFERENCES_SHOWN: usize = 20;
