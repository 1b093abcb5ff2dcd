//! The ledger: every effect that was applied, read from the log's own frames.
//!
//! The dedup index is not asked: if it ever let an item through twice, the ledger would hold it twice.

use std::path::Path;

use onceward::inspect::Inspection;
use onceward::{Amount, Lsn};

use crate::{
    batches,
    error::{Cause, Error},
    tenant,
};

/// An effect that was applied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LedgerEntry {
    /// The number of the effect's frame.
    pub lsn: Lsn,
    /// The dialect that it came by: `forloy` or `wede`.
    pub scope: String,
    /// The effect's idempotency key.
    pub key: String,
    /// The effect's amount, if it has one.
    pub amount: Option<Amount>,
    /// The receipt that every repetition gets: the transaction's id and, after a `/`, the card's type.
    pub receipt: Option<String>,
    /// The item as it was sent, without insignificant white space.
    pub payload: String,
}

/// Every effect of `tenant` in the data directory `data`, in the order of the log.
///
/// Takes no lock and writes nothing, so it may be called while a hub is running.
///
/// # Errors
///
/// `Invalid` for a name that no tenant can have, `NotFound` if it has no store, `Corrupt` if anything
/// in the log is damaged: a ledger with a gap is none.
pub fn ledger(data: &Path, tenant: &str) -> Result<Vec<LedgerEntry>, Error> {
    let dir = tenant::directory(data, tenant)?;
    let failed = |error| Error::store(tenant, error);
    let inspection = Inspection::open(&dir).map_err(failed)?;
    let damage = &inspection.recovery().damage;
    if let Some(first) = damage.first() {
        return Err(Error::from(Cause::Damaged {
            tenant: tenant.to_owned(),
            count: damage.len(),
            first: format!("{} at {}: {}", first.file, first.offset, first.what),
        }));
    }
    let mut entries = Vec::new();
    for stored in inspection.events() {
        let stored = stored.map_err(failed)?;
        let event = stored.event;
        if event.scope.as_str() == batches::SCOPE {
            continue;
        }
        entries.push(LedgerEntry {
            lsn: stored.lsn,
            scope: event.scope.as_str().to_owned(),
            key: event.key.as_str().to_owned(),
            amount: event.amount,
            receipt: stored
                .receipt
                .map(|kept| String::from_utf8_lossy(kept.as_bytes()).into_owned()),
            payload: String::from_utf8_lossy(event.payload.as_bytes()).into_owned(),
        });
    }
    Ok(entries)
}
