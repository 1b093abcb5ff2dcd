//! The purchases of the demo: real ones, built into the program. See `data/README.md` for where they come from.

use onceward::Amount;

use crate::exit::Failure;

/// One purchase.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Purchase {
    /// Made of the line's number: some lines repeat another in every column and are purchases all the same.
    pub(super) key: String,
    /// The customer's card.
    pub(super) card: String,
    /// The money, exactly as the data spells it.
    pub(super) amount_text: String,
    /// The same as a number.
    pub(super) amount: Amount,
    /// What the till is given on stdin.
    pub(super) capture_line: String,
}

/// The first `rows` purchases, or all; in their payloads `money` names the members that hold the amount.
///
/// # Errors
///
/// The data is not what it was when the program was written, which a test of this module excludes.
pub(super) fn purchases(rows: Option<u64>, money: &[&str]) -> Result<Vec<Purchase>, Failure> {
    let wrong = || Failure::failed("the built-in purchases cannot be read");
    let text = str::from_utf8(DATA).map_err(|_not_text| wrong())?;
    let rows = rows.map_or(usize::MAX, |rows| usize::try_from(rows).unwrap_or(usize::MAX));
    let numbered = (1_u32..).zip(text.lines()).take(rows);
    numbered.map(|(number, line)| purchase(number, line, money).ok_or_else(wrong)).collect()
}

/// Reads one line: two customer numbers, date, count of CDs, amount.
fn purchase(number: u32, line: &str, money: &[&str]) -> Option<Purchase> {
    let mut columns = line.split_ascii_whitespace();
    let (customer, _in_sample) = (columns.next()?, columns.next()?);
    let (date, count, amount_text) = (columns.next()?, columns.next()?, columns.next()?);
    let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..8)?);
    let key = format!("cdnow-{number:06}");
    let card = format!("forloy_enr_{customer}");
    let at = format!("{year}-{month}-{day}T12:00:00.000Z");
    // The columns are digits and points, so they are JSON as they are.
    let money: String = money.iter().map(|name| format!(r#""{name}":{amount_text},"#)).collect();
    let capture_line = format!(
        concat!(
            r#"{{"key":"{key}","amount":"{amount}","captured_at":"{at}","payload":{{"#,
            r#""qr_code_data":"{card}","location_id":"loc_cdnow","staff_user_id":"usr_till_01","#,
            r#"{money}"pos_reference_id":"receipt-{date}-{number:06}","#,
            r#""transaction_notes":"{count} CDs","client_timestamp":"{at}"}}}}"#,
        ),
        key = key,
        amount = amount_text,
        money = money,
        at = at,
        card = card,
        date = date,
        number = number,
        count = count,
    );
    let amount = amount_text.parse().ok()?;
    Some(Purchase { key, card, amount_text: amount_text.to_owned(), amount, capture_line })
}

/// Customer (in the master set, in the sample), date, count of CDs, amount; lines end in CRLF.
const DATA: &[u8] = include_bytes!("../../data/cdnow_sample.txt");

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::demo::dialect::FORLOY_MONEY;

    #[test]
    fn the_data_is_the_whole_sample_to_the_cent() {
        let all = purchases(None, FORLOY_MONEY).unwrap();
        assert_eq!(all.len(), 6_919);
        let total = all
            .iter()
            .try_fold(Amount::default(), |sum, purchase| sum.checked_add(purchase.amount))
            .unwrap();
        assert_eq!(total.to_string(), "244091.94");
        assert_eq!(all.iter().filter(|purchase| purchase.amount_text == "0.00").count(), 8);
        let keys: HashSet<_> = all.iter().map(|purchase| &purchase.key).collect();
        assert_eq!(keys.len(), all.len(), "every line has a key of its own");
        let cards: HashSet<_> = all.iter().map(|purchase| &purchase.card).collect();
        assert_eq!(cards.len(), 2_357);
    }

    #[test]
    fn a_line_becomes_an_item_with_the_amount_as_it_was_spelled() {
        let first = purchases(Some(1), FORLOY_MONEY).unwrap().remove(0);
        let line: serde_json::Value = serde_json::from_str(&first.capture_line).unwrap();
        assert_eq!(line["key"], "cdnow-000001");
        assert_eq!(line["payload"]["qr_code_data"], "forloy_enr_00004");
        assert_eq!(line["payload"]["client_timestamp"], "1997-01-01T12:00:00.000Z");
        assert!(
            first.capture_line.contains(r#""purchase_amount":29.33,"#),
            "{}",
            first.capture_line
        );
    }
}
