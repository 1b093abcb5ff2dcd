//! The receipt that is kept beside an applied item: what a duplicate must get again.

use onceward::Receipt;
use serde::{Deserialize, Serialize};

use crate::request_id::unique;

/// How a card rewards.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CardType {
    /// Money back.
    Cashback,
    /// Punches towards a reward.
    Punch,
}

impl CardType {
    /// The word on the wire and in the receipt.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Cashback => "cashback",
            Self::Punch => "punch",
        }
    }

    /// The card type of a word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Cashback, Self::Punch].into_iter().find(|known| known.as_str() == word)
    }
}

/// `txn_` and 32 hex digits, and `/` and the card type where a card was used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TransactionReceipt {
    /// Name of the transaction, for ever the same for one key.
    pub(crate) transaction_id: String,
    /// Type of the card at the moment of the transaction; none where no card was used.
    pub(crate) card_type: Option<CardType>,
}

impl TransactionReceipt {
    /// A receipt with a transaction id of its own.
    pub(crate) fn issue(card_type: Option<CardType>) -> Self {
        Self { transaction_id: unique("txn_"), card_type }
    }

    /// The bytes that the store keeps; at most 45, so they always fit a receipt.
    pub(crate) fn encode(&self) -> Result<Receipt, onceward::Error> {
        let mut text = self.transaction_id.clone();
        if let Some(card_type) = self.card_type {
            text.push('/');
            text.push_str(card_type.as_str());
        }
        Receipt::new(text.as_bytes())
    }

    /// What kept bytes say, or `None` if they are not a receipt of ours.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        let (transaction_id, card_type) = match text.split_once('/') {
            Some((id, word)) => (id, Some(CardType::of(word)?)),
            None => (text, None),
        };
        let is_ours = transaction_id.starts_with("txn_");
        is_ours.then(|| Self { transaction_id: transaction_id.to_owned(), card_type })
    }
}

#[cfg(test)]
mod tests {
    use super::{CardType, TransactionReceipt};

    #[test]
    fn a_receipt_comes_back_as_it_was_kept() {
        for card_type in [None, Some(CardType::Cashback), Some(CardType::Punch)] {
            let receipt = TransactionReceipt::issue(card_type);
            let bytes = receipt.encode().unwrap();
            assert_eq!(TransactionReceipt::decode(bytes.as_bytes()), Some(receipt));
        }
    }

    #[test]
    fn foreign_bytes_are_no_receipt() {
        for foreign in [&b""[..], b"\xff", b"txn_1/gold", b"order-7"] {
            assert_eq!(TransactionReceipt::decode(foreign), None, "{foreign:?}");
        }
    }
}
