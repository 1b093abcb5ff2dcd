//! Which events form an item.

use super::*;

#[test]
fn the_spelling_of_numbers_survives() {
    for number in ["24.50", "0", "0.10", "1.000000", "922337203685477.5807"] {
        let payload = BARE.replace("24.50", number);
        let item = item_of(&payload).unwrap();
        assert!(item.contains(&format!("\"purchase_amount\":{number},")), "{item}");
    }
}

#[test]
fn an_event_that_cannot_form_an_item_says_why() {
    assert!(item_of(BARE).is_ok(), "control");
    let with = |member: &str| BARE.replace('}', &format!(",{member}}}"));
    let without = |name: &str| BARE.replace(name, "pos_reference_id");
    let table = [
        ("[]".to_owned(), "the payload is not a JSON object"),
        ("null".to_owned(), "the payload is not a JSON object"),
        (without("qr_code_data"), "qr_code_data: the field is missing"),
        (without("location_id"), "location_id: the field is missing"),
        (without("staff_user_id"), "staff_user_id: the field is missing"),
        (
            r#"{"qr_code_data":"q","location_id":"l","staff_user_id":"u"}"#.to_owned(),
            "purchase_amount: the field is missing",
        ),
        (BARE.replace("24.50", "\"24.50\""), "purchase_amount: must be a number"),
        (BARE.replace("24.50", "null"), "purchase_amount: must be a number"),
        (BARE.replace("\"q\"", "7"), "qr_code_data: must be a text"),
        (BARE.replace("\"q\"", "null"), "qr_code_data: must be a text"),
        (with(r#""punch_count":"1""#), "punch_count: must be a whole number"),
        (with(r#""punch_count":1.5"#), "punch_count: must be a whole number"),
        (with(r#""transaction_notes":{}"#), "transaction_notes: must be a text"),
        (with(r#""client_timestamp":0"#), "client_timestamp: must be a text"),
        (with(r#""idempotency_key":"other""#), "idempotency_key: the payload has another key"),
        (with(r#""idempotency_key":null"#), "idempotency_key: must be a text"),
        (BARE.replace("24.50", "1e2"), "purchase_amount: must be written without an exponent"),
        (BARE.replace("24.50", "-0"), "purchase_amount: must not be negative"),
        (BARE.replace("24.50", "0.00001"), "purchase_amount: must be money with at most 4"),
        (BARE.replace("24.50", "922337203685477.5808"), "purchase_amount: must be money"),
        (BARE.replace("\"q\"", "\"\""), "qr_code_data: must not be empty"),
        (BARE.replace("\"q\"", r#""\ud83d""#), "qr_code_data: must be a text"),
        (BARE.replace("\"q\"", &format!("\"{}\"", "q".repeat(256))), "qr_code_data: must be at"),
        (with(r#""pos_terminal_id":"""#), "pos_terminal_id: must not be empty"),
        (with(r#""punch_count":4294967296"#), "punch_count: must be a whole number"),
        (with(r#""punch_count":-1"#), "punch_count: must be a whole number"),
        (with(r#""client_timestamp":"then""#), "client_timestamp: must be an RFC 3339 time"),
        (with(r#""client_timestamp":"""#), "client_timestamp: must not be empty"),
        (with(r#""client_timestamp":"2026-11-29T12:00:00""#), "client_timestamp: has no offset"),
        (
            with(r#""client_timestamp":"20261129T120000Z""#),
            "client_timestamp: must be an RFC 3339 time",
        ),
        (with(&format!("\"transaction_notes\":\"{}\"", "n".repeat(65_500))), "the item has 65"),
        (with(r#""tip":1"#), "tip: unknown field"),
        (with(r#""purchase_amount":24.50"#), "purchase_amount: the field is there twice"),
    ];
    for (payload, expected) in table {
        let misfit = item_of(&payload).unwrap_err();
        assert_eq!(misfit.code, INVALID_ITEM);
        assert!(misfit.message.starts_with(expected), "{payload}: {}", misfit.message);
    }
    let mut bytes = stored("k", BARE);
    bytes.event.payload = Payload::bytes(BARE.as_bytes().to_vec());
    assert_eq!(item(&bytes, "k").unwrap_err().message, "the payload is not JSON");
}

#[test]
fn optional_fields_may_be_null() {
    for members in [
        r#""punch_count":null,"pos_terminal_id":null,"client_timestamp":null"#,
        r#""transaction_notes":"","punch_count":4294967295"#,
    ] {
        assert!(item_of(&BARE.replace('}', &format!(",{members}}}"))).is_ok(), "{members}");
    }
}

#[test]
fn an_amount_must_equal_the_payloads_money_exactly() {
    let with_amount = |money: &str, amount: &str| {
        let mut event = stored("k", &BARE.replace("24.50", money));
        event.event.amount = Some(amount.parse().unwrap());
        item(&event, event.event.key.as_str())
    };
    for (money, amount) in [("24.50", "24.5"), ("24.500000", "24.50"), ("0", "0")] {
        assert!(with_amount(money, amount).is_ok(), "{money} is {amount}");
    }
    for (money, amount) in [("24.50", "24.51"), ("24.50001", "24.50"), ("24.5", "-24.5")] {
        let misfit = with_amount(money, amount).unwrap_err();
        assert!(misfit.message.starts_with("purchase_amount: "), "{}", misfit.message);
    }
}
