//! Applies items to a tenant's store, each at most once, and judges those that were there before.

use std::ops::Range;

use onceward::capture::{Applied, EffectRef};
use onceward::{Event, EventRef, Receipt, State, Store};

use crate::{receipt::TransactionReceipt, tenant::Tenant};

/// What one frame adds to its key and payload, bytes, generously.
const FRAME_BYTES: u64 = 512;
/// How many effects one atomic write may have.
const GROUP_ITEMS_MAX: usize = 1_000;

/// An item that keeps all rules, with the receipt that it gets if it is new.
#[derive(Clone)]
pub(crate) struct Proposal {
    /// The event that takes effect.
    pub(crate) event: Event,
    /// The receipt that the item gets if it is new.
    pub(crate) receipt: TransactionReceipt,
}

/// What became of an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Judged {
    /// The item took effect now, and that is durable.
    Fresh(TransactionReceipt),
    /// The item had taken effect before.
    Duplicate(TransactionReceipt),
    /// The item's key is taken by other content.
    Conflict,
    /// The item came before, and the store does not know any more whether it took effect.
    OutcomeUnknown,
    /// The item could not be stored; whether it was may be in doubt. Sending it again is safe.
    Failed(Trouble),
}

/// Why an item could not be stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    /// The store has no room; nothing of it was written.
    Full,
    /// The store refused.
    Storage,
    /// What the store knows of the key does not fit together.
    Internal,
}

/// Applies `proposals` and says what became of each, in the same order.
///
/// # Durability
///
/// An item is said to have taken effect only after the store has synced it. After a crash items that
/// were not answered are there or not; a repetition finds out.
pub(crate) fn apply(tenant: &Tenant, proposals: &[Proposal]) -> Vec<Judged> {
    let mut judged = Vec::with_capacity(proposals.len());
    for group in groups(proposals.iter(), tenant.group_bytes_max()) {
        let group = proposals.get(group).unwrap_or_default();
        judged.extend(apply_group(tenant, group));
    }
    judged
}

/// What the store knows of `event`'s key without writing; `None` if nothing.
pub(crate) fn known(tenant: &Tenant, event: &Event) -> Option<Judged> {
    tenant.with_store(|store| lookup(store, event)).unwrap_or_else(|refused| {
        tenant.report(&refused);
        Some(Judged::Failed(Trouble::Storage))
    })
}

/// What the store knows of `event`'s key.
fn lookup(store: &Store, event: &Event) -> Result<Option<Judged>, onceward::Error> {
    let outcome = store.outcome(&event.scope, &event.key)?;
    match outcome.state {
        State::Unknown => return Ok(None),
        State::OutcomeUnknown => return Ok(Some(Judged::OutcomeUnknown)),
        _ => {}
    }
    if let Some(stored) = store.find(&event.scope, &event.key)? {
        let stored = stored.event;
        if stored.kind != event.kind
            || stored.amount != event.amount
            || stored.payload.as_bytes() != event.payload.as_bytes()
        {
            return Ok(Some(Judged::Conflict));
        }
    }
    Ok(Some(duplicate(outcome.receipt.as_ref())))
}

/// Applies one atomic group.
fn apply_group(tenant: &Tenant, group: &[Proposal]) -> Vec<Judged> {
    match tenant.with_store(|store| try_group(store, group)) {
        Ok(judged) => {
            if judged.iter().any(|judged| matches!(judged, Judged::Fresh(_))) {
                tenant.has_room();
            }
            judged
        }
        Err(refused) => {
            tenant.report(&refused);
            let trouble = if refused.is_full() { Trouble::Full } else { Trouble::Storage };
            group.iter().map(|proposal| after_failure(tenant, proposal, trouble)).collect()
        }
    }
}

/// The judgement of an item whose group was refused.
///
/// A full store has written nothing and still answers, so what was there before is confirmed. After
/// any other failure nothing is.
fn after_failure(tenant: &Tenant, proposal: &Proposal, trouble: Trouble) -> Judged {
    match trouble {
        Trouble::Full => known(tenant, &proposal.event).unwrap_or(Judged::Failed(trouble)),
        Trouble::Storage | Trouble::Internal => Judged::Failed(trouble),
    }
}

/// Applies one atomic group, or nothing of it.
fn try_group(store: &Store, group: &[Proposal]) -> Result<Vec<Judged>, onceward::Error> {
    let receipts: Vec<Receipt> =
        group.iter().map(|proposal| proposal.receipt.encode()).collect::<Result<_, _>>()?;
    let with_receipts = group.iter().zip(&receipts);
    let effects: Vec<EffectRef<'_>> = with_receipts
        .map(|(proposal, receipt)| EffectRef { event: EventRef::from(&proposal.event), receipt })
        .collect();
    let applied = store.apply_batch(&effects)?;
    let mut verdicts = applied.into_iter();
    Ok(group
        .iter()
        .map(|proposal| match verdicts.next() {
            Some(Applied::Fresh { .. }) => Judged::Fresh(proposal.receipt.clone()),
            Some(Applied::Duplicate { receipt, .. }) => duplicate(receipt.as_ref()),
            Some(Applied::Conflict { .. }) => Judged::Conflict,
            Some(Applied::OutcomeUnknown { .. }) => Judged::OutcomeUnknown,
            // What a newer engine may answer, this hub does not understand.
            Some(_) | None => Judged::Failed(Trouble::Internal),
        })
        .collect())
}

/// The answer for a key that is known with this receipt.
fn duplicate(receipt: Option<&Receipt>) -> Judged {
    let receipt = receipt.and_then(|kept| TransactionReceipt::decode(kept.as_bytes()));
    receipt.map_or(Judged::Failed(Trouble::Internal), Judged::Duplicate)
}

/// Cuts `proposals` into groups that fit one atomic write each.
pub(crate) fn groups<'a>(
    proposals: impl Iterator<Item = &'a Proposal>,
    bytes_max: u64,
) -> Vec<Range<usize>> {
    let sizes = proposals.map(|proposal| {
        let payload = proposal.event.payload.as_bytes().len();
        u64::try_from(payload).unwrap_or(u64::MAX).saturating_add(FRAME_BYTES)
    });
    cut(sizes, bytes_max)
}

/// Cuts a row of sizes into ranges of at most `bytes_max` and 1,000 items each; a single size over the
/// limit is alone in its range, and the store refuses it.
fn cut(sizes: impl Iterator<Item = u64>, bytes_max: u64) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut bytes: u64 = 0;
    for (index, size) in sizes.enumerate() {
        bytes = bytes.saturating_add(size);
        match ranges.last_mut() {
            Some(range) if bytes <= bytes_max && range.len() < GROUP_ITEMS_MAX => {
                range.end = index.saturating_add(1);
            }
            _ => {
                ranges.push(index..index.saturating_add(1));
                bytes = size;
            }
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn groups_keep_the_order_and_the_limits() {
        assert_eq!(cut([].into_iter(), 10), vec![]);
        assert_eq!(cut([5, 5, 1].into_iter(), 10), vec![0..2, 2..3]);
        assert_eq!(cut([50, 1, 1].into_iter(), 10), vec![0..1, 1..3]);
        let many = cut(std::iter::repeat_n(1, 2_001), u64::MAX);
        assert_eq!(many, vec![0..1_000, 1_000..2_000, 2_000..2_001]);
    }
}
