//! What came of a run and what is left, as a person or a program reads it.

use onceward::{Scope, Store, sync::Report};
use serde::Serialize;

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
    /// Events that still wait, in the scope that was sent.
    pub(super) pending: u64,
    /// Pending events that wait in their lane behind one that waits for a person, as far as the run came.
    pub(super) behind: u64,
    /// Events that still wait in other scopes, which this run does not send.
    pub(super) pending_elsewhere: u64,
    /// Events that wait for a person, in that scope.
    in_review: u64,
    /// Requests.
    batches: u64,
    /// Bytes of items sent.
    bytes: u64,
}

impl Summary {
    /// Sums up a run and what is left.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub(super) fn new(report: &Report, store: &Store, scope: &Scope) -> Result<Self, Failure> {
        let here = pending(store, scope)?;
        let status = store.status();
        let everywhere = status.pending.saturating_add(status.in_flight);
        Ok(Self {
            attempted: report.attempted,
            accepted: report.accepted,
            duplicate: report.duplicate,
            rejected: report.rejected,
            pending: here,
            behind: report.behind,
            pending_elsewhere: everywhere.saturating_sub(here),
            in_review: store.reviews().count(Some(scope)),
            batches: report.batches,
            bytes: report.bytes,
        })
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

/// Events of `scope` that wait to be sent; what is in review does not.
///
/// # Errors
///
/// The store cannot be read.
pub(super) fn pending(store: &Store, scope: &Scope) -> Result<u64, Failure> {
    let status = store.status();
    if status.pending == 0 && status.in_flight == 0 {
        // Nothing in any scope: no need to look at each event.
        return Ok(0);
    }
    let mut count = 0_u64;
    let mut after = None;
    loop {
        let page = store
            .pending(scope, after, PAGE_EVENTS)
            .map_err(|error| Failure::engine("cannot count what is pending", &error))?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(last.lsn);
        count = count.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
    }
}

/// Events that are looked at together when they are counted.
const PAGE_EVENTS: usize = 1_000;
