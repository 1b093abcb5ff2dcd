//! A call that must take effect once, however often it is asked for: a payment that a client retries
//! because it did not hear the answer.
//!
//! `cargo run -p onceward --example 03_idempotent_call`

use std::error::Error;
use std::time::Duration;

use onceward::records::{LeaseReply, LeaseRequest};
use onceward::{Config, Key, Payload, Scope, Store};

/// Plays the system that takes the money, which must be asked once for each order.
#[derive(Default)]
struct Bank {
    payments: Vec<String>,
}

impl Bank {
    fn pay(&mut self, order: &str) -> String {
        self.payments.push(order.to_owned());
        format!(r#"{{"status":"paid","order":"{order}"}}"#)
    }

    fn has_paid(&self, order: &str) -> bool {
        self.payments.iter().any(|paid| paid == order)
    }
}

/// What the service does for every request; the order's number is the key.
fn pay(store: &Store, bank: &mut Bank, order: &str) -> Result<String, Box<dyn Error>> {
    let begin = LeaseRequest::new(Scope::new("payouts")?, Key::new(order)?)
        .with_lease(Duration::from_secs(10));
    let body = match store.records().begin(&begin)? {
        // Nobody did it: do it, and keep what came of it.
        LeaseReply::Acquired(lease) => {
            let answer = Payload::json(&bank.pay(order))?;
            store.records().complete(&lease, &answer)?.body
        }
        // It was done: the same answer again.
        LeaseReply::Cached(record) => record.body,
        // An earlier attempt ended without a word, in a crash perhaps. Look before doing it again.
        LeaseReply::OutcomeUnknown(lease) => {
            let answer = match bank.has_paid(order) {
                true => format!(r#"{{"status":"paid","order":"{order}"}}"#),
                false => bank.pay(order),
            };
            store.records().complete(&lease, &Payload::json(&answer)?)?.body
        }
        LeaseReply::InProgress { retry_after_ms } => {
            return Ok(format!("ask again in {retry_after_ms} ms"));
        }
        other => return Err(format!("refused: {other:?}").into()),
    };
    Ok(body.as_json().unwrap_or_default().to_owned())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let dir = dir.path().join("store");
    let mut bank = Bank::default();

    let store = Store::open(&dir, Config::new())?;
    let first = pay(&store, &mut bank, "order-2001")?;
    let again = pay(&store, &mut bank, "order-2001")?;
    assert_eq!(first, again);

    // The process ends in the middle of the next payment, after the bank took the money.
    let begin = LeaseRequest::new(Scope::new("payouts")?, Key::new("order-2002")?);
    assert!(matches!(store.records().begin(&begin)?, LeaseReply::Acquired(_)));
    assert!(pay(&store, &mut bank, "order-2002")?.starts_with("ask again"));
    bank.pay("order-2002");
    drop(store);

    let store = Store::open(&dir, Config::new())?;
    assert_eq!(pay(&store, &mut bank, "order-2001")?, first);
    let found = pay(&store, &mut bank, "order-2002")?;
    assert_eq!(found, r#"{"status":"paid","order":"order-2002"}"#);
    assert_eq!(bank.payments, ["order-2001", "order-2002"], "each once");
    store.close()?;
    Ok(())
}
