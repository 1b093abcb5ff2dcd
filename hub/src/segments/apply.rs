//! Applies a slice: each event once, those of a lane in order.

use std::collections::HashMap;

use onceward::wire::StreamEntry;
use onceward::{Event, Scope};

use super::history::History;
use super::reply::Exception;
use crate::{
    apply::{self, Judged, Proposal},
    receipt::TransactionReceipt,
    tenant::Tenant,
};

/// What became of a slice.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Events that took effect now.
    pub(super) fresh: u64,
    /// Events that had taken effect before.
    pub(super) duplicate: u64,
    /// Those that did not, in their order.
    pub(super) exceptions: Vec<Exception>,
    /// Numbers of events of lanes that took effect.
    pub(super) in_lanes: Vec<u64>,
}

/// What is said of one event before anything is applied.
enum Step<'a> {
    /// It is applied.
    Apply(Event),
    /// It is not, and why; those behind it in its lane wait.
    Not(Exception),
    /// It came before.
    Known(&'a StreamEntry<'a>),
}

/// Applies the events of a slice to the tenant's store, in this scope of it.
///
/// # Durability
///
/// As [`apply::apply`].
pub(super) fn apply_slice(
    tenant: &Tenant,
    history: &History,
    scope: &Scope,
    entries: &[StreamEntry<'_>],
) -> Applied {
    let mut done = Applied::default();
    // The event of each lane that did not take effect.
    let mut held: HashMap<&str, u64> = HashMap::new();
    let receipt = TransactionReceipt::issue(None);
    let mut waiting: Vec<(&StreamEntry<'_>, Proposal)> = Vec::with_capacity(entries.len());
    for entry in entries {
        match judge(tenant, history, (scope, entry), &held) {
            Step::Apply(event) => {
                waiting.push((entry, Proposal { event, receipt: receipt.clone() }));
            }
            Step::Known(entry) => {
                done.duplicate += 1;
                done.in_lanes.extend(entry.lane.map(|_| entry.lsn));
            }
            Step::Not(exception) => {
                if let Some(lane) = entry.lane {
                    held.entry(lane).or_insert(entry.lsn);
                }
                done.exceptions.push(exception);
            }
        }
    }
    settle(tenant, waiting, &mut held, &mut done);
    done.exceptions.sort_by_key(|exception| exception.lsn);
    done
}

/// What can be said of an event before anything of the slice is applied.
fn judge<'a>(
    tenant: &Tenant,
    history: &History,
    (scope, entry): (&Scope, &'a StreamEntry<'a>),
    held: &HashMap<&str, u64>,
) -> Step<'a> {
    let behind = entry.behind.filter(|lsn| !history.is_done(*lsn));
    let behind = behind.or_else(|| held.get(entry.lane?).copied());
    if let Some(behind) = behind {
        return Step::Not(Exception::parked(entry.lsn, behind));
    }
    let event = entry
        .checked_headers()
        .and_then(|headers| entry.event(scope, &headers).map(|event| event.to_event()));
    let event = match event {
        Ok(event) => event,
        Err(error) => {
            return Step::Not(Exception::rejected(entry.lsn, "INVALID_EVENT", &error.to_string()));
        }
    };
    // What follows it in its lane may take effect in the same write: so it must be known that nothing is against it.
    if entry.lane.is_some()
        && let Some(known) = apply::known(tenant, &event)
    {
        return match exception(entry.lsn, &known) {
            Some(exception) => Step::Not(exception),
            None => Step::Known(entry),
        };
    }
    Step::Apply(event)
}

/// Applies what nothing is known against, one atomic write after the other: a small one may find room where the one
/// before it did not, and what is behind that in a lane must not be in it.
fn settle<'a>(
    tenant: &Tenant,
    waiting: Vec<(&'a StreamEntry<'a>, Proposal)>,
    held: &mut HashMap<&'a str, u64>,
    done: &mut Applied,
) {
    let groups = apply::groups(waiting.iter().map(|(_, it)| it), tenant.group_bytes_max());
    let mut waiting = waiting.into_iter();
    for group in groups {
        let group = waiting.by_ref().take(group.len());
        let behind = |entry: &StreamEntry<'_>| held.get(entry.lane?).copied();
        let mut free = Vec::new();
        for (entry, proposal) in group {
            match behind(entry) {
                Some(behind) => done.exceptions.push(Exception::parked(entry.lsn, behind)),
                None => free.push((entry, proposal)),
            }
        }
        settle_group(tenant, free, held, done);
    }
}

/// Applies what is in one atomic write.
fn settle_group<'a>(
    tenant: &Tenant,
    group: Vec<(&'a StreamEntry<'a>, Proposal)>,
    held: &mut HashMap<&'a str, u64>,
    done: &mut Applied,
) {
    let (entries, proposals): (Vec<&StreamEntry<'_>>, Vec<Proposal>) = group.into_iter().unzip();
    for (entry, judged) in entries.into_iter().zip(apply::apply(tenant, &proposals)) {
        match exception(entry.lsn, &judged) {
            Some(exception) => {
                if let Some(lane) = entry.lane {
                    held.entry(lane).or_insert(entry.lsn);
                }
                done.exceptions.push(exception);
            }
            None => {
                done.in_lanes.extend(entry.lane.map(|_| entry.lsn));
                match judged {
                    Judged::Duplicate(_) => done.duplicate += 1,
                    _ => done.fresh += 1,
                }
            }
        }
    }
}

/// What is said of an event that did not take effect; `None`: it did, now or before.
fn exception(lsn: u64, judged: &Judged) -> Option<Exception> {
    match judged {
        Judged::Fresh(_) | Judged::Duplicate(_) => None,
        Judged::Conflict => {
            Some(Exception::rejected(lsn, "IDEMPOTENCY_KEY_REUSED", "another event has this key"))
        }
        Judged::OutcomeUnknown => Some(Exception::uncertain(
            lsn,
            "the event came before, and nobody knows any more whether it took effect",
        )),
        Judged::Failed(trouble) => Some(Exception::transient(
            lsn,
            match trouble {
                apply::Trouble::Full => "FULL",
                apply::Trouble::Storage => "DATABASE_ERROR",
                apply::Trouble::Internal => "INTERNAL_ERROR",
            },
        )),
    }
}
