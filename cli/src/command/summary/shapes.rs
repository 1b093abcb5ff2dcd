//! The JSON that `summary` prints for programs.

use onceward::limits::Loss;
use onceward::rescue::{Import, Reason, SafeToWipe, ScopeSummary, Summary, Tally};
use serde::Serialize;

use crate::command::shape::{self, FenceShape};

/// The content of a store that is still needed, as JSON. The fields are public: their names never change.
#[derive(Debug, Serialize)]
pub(super) struct SummaryShape<'a> {
    /// The store's number.
    store: String,
    /// Whether nothing in it is needed any more.
    safe_to_wipe: bool,
    /// What speaks against wiping the store.
    why: Vec<WhyShape>,
    /// Events by state.
    #[serde(flatten)]
    states: StatesShape,
    /// Events by state for each scope, of scopes with unsettled events, those with the most first.
    scopes: Vec<ScopeShape<'a>>,
    /// How many such scopes are not listed.
    scopes_left_out: u64,
    /// Leases that are neither completed nor released.
    leases: u64,
    /// Deliveries that are not finished.
    deliveries: u64,
    /// Age of the oldest event that is not settled.
    oldest_ms: Option<u64>,
    /// Bytes that unsettled events take in the log.
    unsettled_bytes: u64,
    /// Size of the log.
    bytes: u64,
    /// Events that were dropped to make room since the store was made.
    dropped: u64,
    /// The events that were dropped last.
    losses: Vec<LossShape<'a>>,
    /// Since when and for which bundle the store is left.
    fence: Option<FenceShape>,
    /// Bundles of other stores that were imported.
    imports: Vec<ImportShape>,
}

/// A reason not to wipe.
#[derive(Debug, Serialize)]
struct WhyShape {
    /// The reason's name, in snake case.
    reason: &'static str,
    /// The reason in words.
    text: String,
}

/// Events by state.
#[derive(Debug, Serialize)]
struct StatesShape {
    /// Events that wait to be sent.
    pending: TallyShape,
    /// Events that were sent and are not answered.
    in_flight: TallyShape,
    /// Events that wait for a person.
    in_review: TallyShape,
    /// Events of which nobody knows whether they took effect.
    uncertain: TallyShape,
}

/// The count and the sum of some events.
#[derive(Debug, Serialize)]
struct TallyShape {
    /// How many events there are.
    count: u64,
    /// Sum of the amounts, an exact decimal.
    amount: String,
    /// Whether the sum does not fit; left out if it does. It is at least that, or at most where that is negative.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_at_limit: bool,
}

/// The events of one scope.
#[derive(Debug, Serialize)]
struct ScopeShape<'a> {
    /// The scope.
    scope: &'a str,
    /// The scope's events by state.
    #[serde(flatten)]
    states: StatesShape,
}

/// An event that was dropped.
#[derive(Debug, Serialize)]
struct LossShape<'a> {
    /// The event's number.
    lsn: u64,
    /// The event's scope.
    scope: &'a str,
    /// The event's key, while the log has it.
    key: Option<&'a str>,
    /// When the event was dropped, RFC 3339.
    dropped: Option<String>,
    /// When the event was dropped, Unix milliseconds.
    dropped_ms: i64,
}

/// A bundle that was imported.
#[derive(Debug, Serialize)]
struct ImportShape {
    /// The bundle's number.
    bundle: String,
    /// The store that the bundle is from.
    source: String,
    /// When the bundle was imported, RFC 3339.
    imported: Option<String>,
    /// When the bundle was imported, Unix milliseconds.
    imported_ms: i64,
    /// Events that were new.
    fresh: u64,
    /// Events that were here.
    duplicate: u64,
    /// Events that were left out because their keys are here with other content.
    conflict: u64,
    /// Events that were left out for another reason.
    refused: u64,
}

impl From<Tally> for TallyShape {
    fn from(tally: Tally) -> Self {
        let Tally { count, amount, is_at_limit, .. } = tally;
        Self { count, amount: amount.to_string(), is_at_limit }
    }
}

impl<'a> From<&'a ScopeSummary> for ScopeShape<'a> {
    fn from(of: &'a ScopeSummary) -> Self {
        let states = StatesShape {
            pending: of.pending.into(),
            in_flight: of.in_flight.into(),
            in_review: of.in_review.into(),
            uncertain: of.uncertain.into(),
        };
        Self { scope: of.scope.as_str(), states }
    }
}

impl<'a> From<&'a Loss> for LossShape<'a> {
    fn from(loss: &'a Loss) -> Self {
        Self {
            lsn: loss.lsn.get(),
            scope: loss.scope.as_str(),
            key: loss.key.as_ref().map(onceward::Key::as_str),
            dropped: shape::moment(loss.dropped_ms),
            dropped_ms: loss.dropped_ms,
        }
    }
}

impl From<&Import> for ImportShape {
    fn from(import: &Import) -> Self {
        Self {
            bundle: import.bundle.to_string(),
            source: import.source.to_string(),
            imported: shape::moment(import.imported_ms),
            imported_ms: import.imported_ms,
            fresh: import.fresh,
            duplicate: import.duplicates,
            conflict: import.conflicts,
            refused: import.refused,
        }
    }
}

impl From<&Reason> for WhyShape {
    fn from(reason: &Reason) -> Self {
        let name = match reason {
            Reason::Pending(_) => "pending",
            Reason::InFlight(_) => "in_flight",
            Reason::InReview(_) => "in_review",
            Reason::Uncertain(_) => "uncertain",
            Reason::Leases { .. } => "leases",
            Reason::Deliveries { .. } => "deliveries",
            Reason::Damage { .. } => "damage",
            Reason::Unchecked { .. } => "unchecked",
            Reason::Quarantine { .. } => "quarantine",
            Reason::Unreadable { .. } => "unreadable",
            _ => "other",
        };
        Self { reason: name, text: reason.to_string() }
    }
}

impl<'a> SummaryShape<'a> {
    /// The shape of what was found.
    pub(super) fn new(
        of: &'a Summary,
        safe: &SafeToWipe,
        losses: &'a [Loss],
        dropped: u64,
    ) -> Self {
        let why = match safe {
            SafeToWipe::Safe => Vec::new(),
            SafeToWipe::NotSafe { why } => why.iter().map(WhyShape::from).collect(),
        };
        Self {
            store: of.store.to_string(),
            safe_to_wipe: safe.is_safe(),
            why,
            states: StatesShape {
                pending: of.pending.into(),
                in_flight: of.in_flight.into(),
                in_review: of.in_review.into(),
                uncertain: of.uncertain.into(),
            },
            scopes: of.scopes.iter().map(ScopeShape::from).collect(),
            scopes_left_out: of.scopes_left_out,
            leases: of.leases,
            deliveries: of.deliveries,
            oldest_ms: of.oldest.map(shape::whole_ms),
            unsettled_bytes: of.unsettled_bytes,
            bytes: of.bytes,
            dropped,
            losses: losses.iter().map(LossShape::from).collect(),
            fence: of.fence.as_ref().map(FenceShape::from),
            imports: of.imports.iter().map(ImportShape::from).collect(),
        }
    }
}
