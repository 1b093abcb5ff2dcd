//! The hub's cards in the demo: at first some are unknown and some inactive, later all are in order.

use std::collections::BTreeSet;

use super::purchases::Purchase;

/// In which state the cards are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cards {
    /// Some are missing from the file and some are inactive.
    Faulty,
    /// All are there and active.
    Mended,
}

/// The cards file for these purchases.
#[must_use]
pub(super) fn file(purchases: &[Purchase], cards: Cards) -> String {
    let codes: BTreeSet<&str> = purchases.iter().map(|purchase| purchase.card.as_str()).collect();
    let mut text = String::new();
    for (index, code) in codes.into_iter().enumerate() {
        let status = match (cards, index % PERIOD) {
            (Cards::Faulty, UNKNOWN) => continue,
            (Cards::Faulty, INACTIVE) => "inactive",
            (Cards::Faulty | Cards::Mended, _) => "active",
        };
        text.push_str(&format!(
            r#"{{"code":"{code}","status":"{status}","card_type":"cashback"}}"#
        ));
        text.push('\n');
    }
    text
}

/// Of this many cards one is unknown and one inactive.
const PERIOD: usize = 25;

/// Which of them is unknown.
const UNKNOWN: usize = 7;

/// Which of them is inactive.
const INACTIVE: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{dialect::FORLOY_MONEY, purchases::purchases};

    #[test]
    fn some_cards_are_unknown_and_some_inactive_until_they_are_mended() {
        let purchases = purchases(Some(200), FORLOY_MONEY).unwrap();
        let codes: BTreeSet<_> = purchases.iter().map(|purchase| &purchase.card).collect();
        let (faulty, mended) = (file(&purchases, Cards::Faulty), file(&purchases, Cards::Mended));
        assert_eq!(mended.lines().count(), codes.len());
        assert!(!mended.contains("inactive"));
        assert!(faulty.lines().count() < codes.len());
        assert!(faulty.contains("inactive"));
    }
}
