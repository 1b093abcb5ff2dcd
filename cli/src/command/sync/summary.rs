//! What came of a run and what is left, as a person or a program reads it.

use onceward::{Store, sync::Report};
use serde::Serialize;

use super::scopes::Scopes;
use crate::{
    exit::Failure,
    output::{Output, Style},
};

/// What came of a run. The fields are public: their names never change.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Items sent, resends counted.
    attempted: u64,
    /// Items that took effect now.
    accepted: u64,
    /// Items that the upstream already had.
    duplicate: u64,
    /// Items that went to review.
    rejected: u64,
    /// Events that still wait, in the scopes that were sent.
    pub(super) pending: u64,
    /// Pending events that wait in their lane behind one that waits for a person, as far as the run came.
    pub(super) behind: u64,
    /// Events that still wait in other scopes, which this run does not send.
    pub(super) pending_elsewhere: u64,
    /// Events that wait for a person, in those scopes.
    in_review: u64,
    /// Requests.
    batches: u64,
    /// Bytes of items sent.
    bytes: u64,
}

impl Summary {
    /// Sums up a run and what is left.
    pub(super) fn new(report: &Report, store: &Store, scopes: &Scopes) -> Self {
        let here = scopes.pending(store);
        let status = store.status();
        let everywhere = status.pending.saturating_add(status.in_flight);
        let in_review = scopes.names().map(|scope| store.reviews().count(Some(scope)));
        Self {
            attempted: report.attempted,
            accepted: report.accepted,
            duplicate: report.duplicate,
            rejected: report.rejected,
            pending: here,
            behind: report.behind,
            pending_elsewhere: everywhere.saturating_sub(here),
            in_review: in_review.fold(0, u64::saturating_add),
            batches: report.batches,
            bytes: report.bytes,
        }
    }

    /// Writes it to stdout.
    ///
    /// # Errors
    ///
    /// Stdout refused.
    pub(super) fn show(&self, style: Style) -> Result<(), Failure> {
        let mut out = Output::stdout();
        if style == Style::Json {
            out.json(self)?;
        } else {
            let Self { attempted, accepted, duplicate, rejected, pending, in_review, .. } = self;
            out.line(&format!(
                "sent {attempted}: {accepted} accepted, {duplicate} known before, {rejected} rejected"
            ))?;
            let behind = self.behind_shown();
            out.line(&format!("left: {pending} pending{behind}, {in_review} in review"))?;
        }
        out.flush()
    }

    /// How many of the pending events no run will send before a person decided.
    pub(super) fn behind_shown(&self) -> String {
        match self.behind {
            0 => String::new(),
            count => format!(" ({count} of them in their lane behind one that waits for a person)"),
        }
    }
}
