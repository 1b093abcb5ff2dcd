use serde_json::{Value, json};

use super::{ITEM_BYTES_MAX, ITEMS_MAX, parse};

/// A purchase that keeps every rule.
fn purchase() -> Value {
    json!({
        "qr_code_data": "card", "location_id": "loc", "staff_user_id": "staff",
        "purchase_amount": 24.50, "idempotency_key": "k"
    })
}

/// What is said of a request whose fourth purchase has `name` changed to the JSON text `value`, or
/// removed.
fn judged(name: &str, value: Option<&str>) -> String {
    let mut bad = purchase();
    bad.as_object_mut().unwrap().remove(name);
    let mut text = bad.to_string();
    if let Some(value) = value {
        text.insert_str(1, &format!("\"{name}\":{value},"));
    }
    let good = purchase();
    let body = format!("{{\"transactions\":[{good},{good},{good},{text}]}}");
    match parse(body.as_bytes()) {
        Ok(items) => format!("{} items", items.len()),
        Err(problem) => format!("{problem:?}"),
    }
}

#[test]
fn every_required_field_is_missed_by_its_path() {
    assert_eq!(judged("transaction_notes", None), "4 items", "control");
    for name in
        ["qr_code_data", "location_id", "staff_user_id", "purchase_amount", "idempotency_key"]
    {
        let shown = judged(name, None);
        assert!(shown.contains(&format!("transactions[3].{name} is missing")), "{shown}");
    }
}

#[test]
fn values_that_break_a_rule_are_named_by_their_path() {
    let long = format!("\"{}\"", "k".repeat(256));
    for (name, value, expected) in [
        ("qr_code_data", "7", "must be a string"),
        ("qr_code_data", "\"\"", "must not be empty"),
        ("location_id", "null", "must be a string"),
        ("staff_user_id", "{}", "must be a string"),
        ("purchase_amount", "\"24.50\"", "must be a number"),
        ("purchase_amount", "null", "must be a number"),
        ("purchase_amount", "-0.01", "must not be negative"),
        ("purchase_amount", "1.00001", "more than 4 decimals"),
        ("purchase_amount", "1e1", "without an exponent"),
        ("purchase_amount", "99999999999999999999", "must be money"),
        ("idempotency_key", "\"\"", "must not be empty"),
        ("idempotency_key", long.as_str(), "must be at most 255 bytes, not 256"),
        ("punch_count", "-1", "must be a whole number"),
        ("punch_count", "1.5", "must be a whole number"),
        ("punch_count", "\"1\"", "must be a whole number"),
        ("transaction_notes", "1", "must be a string"),
        ("pos_reference_id", "[]", "must be a string"),
        ("pos_terminal_id", "false", "must be a string"),
        ("client_timestamp", "\"yesterday\"", "must be an RFC 3339 time"),
        ("client_timestamp", "1773152525", "must be a string"),
        ("tip", "1", "is not a known field"),
        ("purchase_amount", "1,\"purchase_amount\":2", "is there twice"),
    ] {
        let shown = judged(name, Some(value));
        assert!(shown.contains(&format!("transactions[3].{name} ")), "{name} {value}: {shown}");
        assert!(shown.contains(expected), "{name} {value}: {shown}");
    }
}

#[test]
fn values_at_their_limits_are_accepted() {
    let longest = format!("\"{}\"", "k".repeat(255));
    for (name, value) in [
        ("purchase_amount", "0"),
        ("purchase_amount", "0.00"),
        ("purchase_amount", "0.0001"),
        ("idempotency_key", longest.as_str()),
        ("punch_count", "0"),
        ("transaction_notes", "\"\""),
        ("transaction_notes", "null"),
        ("pos_terminal_id", "null"),
        ("punch_count", "null"),
        ("client_timestamp", "null"),
        ("client_timestamp", "\"2026-03-10T14:22:05.000+01:00\""),
    ] {
        assert_eq!(judged(name, Some(value)), "4 items", "{name} {value}");
    }
}

#[test]
fn a_purchase_over_the_limit_in_bytes_is_refused_and_white_space_does_not_count() {
    let notes = |bytes: usize| format!("\"{}\"", "n".repeat(bytes));
    let others = purchase().to_string().len() + "\"transaction_notes\":\"\",".len();
    let most = ITEM_BYTES_MAX - others;
    assert_eq!(judged("transaction_notes", Some(&notes(most))), "4 items", "control");
    let shown = judged("transaction_notes", Some(&notes(most + 1)));
    assert!(shown.contains("transactions[3] must be at most 65536 bytes"), "{shown}");
    let spaced = format!("{}{}", " ".repeat(1_000), notes(most));
    assert_eq!(judged("transaction_notes", Some(&spaced)), "4 items");
}

#[test]
fn a_request_holds_1_to_100_purchases_and_nothing_else() {
    let refusal = |body: &str| format!("{:?}", parse(body.as_bytes()).map(|_| ()).unwrap_err());
    let many = |count: usize| json!({ "transactions": vec![purchase(); count] }).to_string();
    assert_eq!(parse(many(ITEMS_MAX).as_bytes()).unwrap().len(), 100, "control");
    assert!(refusal(&many(0)).contains("transactions must hold 1 to 100 items, not 0"));
    assert!(refusal(&many(101)).contains("transactions must hold 1 to 100 items, not 101"));
    assert!(refusal("{}").contains("transactions is missing"));
    assert!(refusal("[]").contains("body must be an object"));
    assert!(refusal(r#"{"transactions":{}}"#).contains("transactions must be an array"));
    assert!(refusal(r#"{"transactions":[7]}"#).contains("transactions[0] must be an object"));
    let extra = many(1).replacen('{', r#"{"device":1,"#, 1);
    assert!(refusal(&extra).contains("device is not a known field"));
}

#[test]
fn no_changed_byte_breaks_the_reader_or_makes_it_accept_what_is_not_json() {
    let body = include_bytes!("../../../../tests/fixtures/forloy/request.json");
    assert_eq!(parse(body).unwrap().len(), 2, "control");
    let mut accepted = 0;
    for at in 0..body.len() {
        for byte in *b"\0\"\\{}[],:-9 e.\xff" {
            let mut changed = body.to_vec();
            changed[at] = byte;
            if parse(&changed).is_ok() {
                accepted += 1;
                assert!(serde_json::from_slice::<Value>(&changed).is_ok(), "byte {at} = {byte}");
            }
        }
        let is_whole = at >= body.trim_ascii_end().len();
        assert_eq!(parse(&body[..at]).is_ok(), is_whole, "cut at {at}");
    }
    assert!(accepted > 0, "a letter within a text may change");
}
