//! The way of a list of items through cards and store, the same for every dialect.

use onceward::Event;

use crate::{
    apply::{self, Judged, Proposal},
    cards::{CardRefusal, Cards},
    receipt::{CardType, TransactionReceipt},
    tenant::Tenant,
};

/// An item that keeps the rules of its dialect.
pub(crate) struct Item {
    /// The event that takes effect.
    pub(crate) event: Event,
    /// The card that must exist and be active, if the item uses one.
    pub(crate) card: Option<UsedCard>,
}

/// A card that an item uses.
pub(crate) struct UsedCard {
    /// The card's code.
    pub(crate) code: String,
    /// The card's type where every card exists.
    pub(crate) fallback: CardType,
}

/// What became of an item.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    /// The store judged it.
    Judged(Judged),
    /// The item's card cannot be used, and its key is free: nothing was written.
    Refused(CardRefusal),
}

/// Decides about `items`, in the same order.
///
/// An item whose card cannot be used is refused, unless its key was accepted before: then it is the
/// duplicate that it was, whatever became of the card since. These are looked up before anything is
/// applied, so that a later item with the same key cannot change what is said of an earlier one.
///
/// # Durability
///
/// As [`apply::apply`].
pub(crate) fn decide(tenant: &Tenant, cards: &Cards, items: Vec<Item>) -> Vec<Decision> {
    let mut decisions: Vec<Option<Decision>> = Vec::with_capacity(items.len());
    let mut proposals = Vec::new();
    for Item { event, card } in items {
        let card_type = card.map(|card| cards.judge(&card.code, card.fallback)).transpose();
        decisions.push(match card_type {
            Ok(card_type) => {
                let receipt = TransactionReceipt::issue(card_type);
                proposals.push(Proposal { event, receipt });
                None
            }
            Err(refusal) => {
                let known = apply::known(tenant, &event);
                Some(known.map_or(Decision::Refused(refusal), Decision::Judged))
            }
        });
    }
    let mut judged = apply::apply(tenant, &proposals).into_iter();
    let mut next = || judged.next().unwrap_or(Judged::Failed(apply::Trouble::Internal));
    decisions
        .into_iter()
        .map(|decision| decision.unwrap_or_else(|| Decision::Judged(next())))
        .collect()
}
