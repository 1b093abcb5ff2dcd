use crate::inbox::*;

#[test]
fn texts_that_are_empty_or_too_long_are_refused_by_name() {
    let payload = || Payload::bytes(vec![1]);
    let long = "x".repeat(256);
    assert!(Delivery::new(&long[..255], payload()).is_ok(), "control: the longest");
    assert!(WindowId::new(&long[..63]).is_ok(), "control: the longest");
    for bad in ["", long.as_str()] {
        let error = Delivery::new(bad, payload()).unwrap_err();
        assert_eq!(error.code(), "ID_INVALID");
        assert!(error.to_string().contains("event_id") && error.to_string().contains("255"));
        let error = Delivery::new("e", payload()).unwrap().with_external_id(bad).unwrap_err();
        assert!(error.to_string().contains("external_id"), "{error}");
        let window = || WindowId::new("w").unwrap();
        assert_eq!(WindowKey::new(bad, "d", window()).unwrap_err().code(), "SUBJECT_INVALID");
        assert_eq!(WindowKey::new("s", bad, window()).unwrap_err().code(), "ID_INVALID");
    }
    for bad in ["", &long[..64]] {
        assert_eq!(WindowId::new(bad).unwrap_err().code(), "WINDOW_INVALID");
    }
    assert!(Delivery::new("e", payload()).unwrap().with_steps(0).is_err());
}

#[test]
fn a_delivery_is_the_same_after_the_log_held_it() {
    let within = WindowKey::new("user", "survey", WindowId::new("w").unwrap()).unwrap();
    let json = Payload::json(r#"{"a":1.50}"#).unwrap();
    let full = Delivery::new("e", json).unwrap().with_external_id("x").unwrap();
    let full = full.with_window(within.clone()).with_steps(7).unwrap();
    let plain = Delivery::of_window(within, Payload::bytes(vec![0, 255]));
    for delivery in [full, plain] {
        assert_eq!(Delivery::of_body(delivery.to_body()), Some(delivery));
    }
}

#[test]
fn states_keep_their_numbers() {
    use DeliveryState::{Acked, Dropped, Failed, Open};
    for (state, code) in [(Open, 1), (Acked, 2), (Failed, 3), (Dropped, 4)] {
        assert_eq!((state.code(), DeliveryState::from_code(code)), (code, Some(state)));
    }
    assert_eq!(DeliveryState::from_code(0), None);
    assert_eq!(DeliveryState::from_code(5), None);
}
