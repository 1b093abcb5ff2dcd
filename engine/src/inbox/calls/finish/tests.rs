use super::*;
use crate::inbox::{WindowId, WindowKey};

fn numbered(event_id: &str) -> Delivery {
    Delivery::new(event_id, Payload::bytes(Vec::new())).unwrap()
}

fn within(subject: &str, delivery_id: &str) -> Delivery {
    let within = WindowKey::new(subject, delivery_id, WindowId::new("w").unwrap()).unwrap();
    Delivery::of_window(within, Payload::bytes(Vec::new()))
}

#[test]
fn keys_of_answers_are_stable_and_never_too_long() {
    let lsn = Lsn::from_u64(u64::MAX);
    let failed = DeliveryFinish::Failed { error: "no" };
    assert_eq!(event_key(&numbered("e1"), DeliveryFinish::Acked, None), "ack:e1");
    assert_eq!(event_key(&numbered("e1"), failed, Lsn::from_u64(7)), "fail:e1~7");
    let (fits, long) = ("x".repeat(251), "x".repeat(255));
    assert_eq!(event_key(&numbered(&fits), DeliveryFinish::Acked, None), format!("ack:{fits}"));
    let cut = event_key(&numbered(&long), DeliveryFinish::Acked, None);
    // Written down: it must be the same in every version.
    assert_eq!(cut, format!("ack:{}~{}", &long[..190], LONG_DIGITS));
    let umlauts = "\u{fc}".repeat(127);
    let all = [numbered(&long), numbered(&umlauts), within(&long, &long), within("s", "d")];
    let keys = all.iter().map(|delivery| event_key(delivery, failed, lsn)).collect::<Vec<_>>();
    for key in &keys {
        assert!(Key::new(key).is_ok(), "{} bytes", key.len());
    }
    assert_eq!(event_key(&within("user-1", "tour"), DeliveryFinish::Acked, None), WITHIN_KEY);
    let other = event_key(&within("user-1t", "our"), DeliveryFinish::Acked, None);
    assert_ne!(other[other.len() - 32..], WITHIN_KEY[WITHIN_KEY.len() - 32..]);
}

const LONG_DIGITS: &str = "c057e75b9cdbf277f79f0834db3594e5";
const WITHIN_KEY: &str = "ack:tour~ae59a7e50dff155abb2e9426eea7fb8d";
