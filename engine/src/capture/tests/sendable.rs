//! Events that the upstream can never take.

use crate::capture::Effect;
use crate::sync::Misfit;
use crate::testing::{Rig, event};
use crate::{ErrorKind, Event, Payload, Receipt, Verdict};

/// Takes objects only, captured from 1970 on.
fn objects_only(event: &Event, captured_at_ms: i64) -> Result<(), Misfit> {
    let is_object = event.payload.as_json().is_some_and(|text| text.starts_with('{'));
    if is_object && captured_at_ms >= 0 {
        return Ok(());
    }
    Err(Misfit { code: "INVALID_ITEM".to_owned(), message: "is no object".to_owned() })
}

fn with_payload(number: u64, text: &str) -> Event {
    Event { payload: Payload::json(text).unwrap(), ..event(number) }
}

#[test]
fn what_the_upstream_can_never_take_is_refused_and_nothing_of_the_call_is_stored() {
    let mut rig = Rig::new();
    rig.config = rig.config.with_sendable(objects_only);
    let store = rig.open();
    let (good, bad) = (with_payload(1, "{}"), with_payload(2, "[]"));
    let early = with_payload(3, "{}").with_captured_at_ms(-1);
    for refused in [&bad, &early] {
        let error = store.capture(refused).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "UNSENDABLE"));
        assert!(error.to_string().ends_with("can never take this: is no object"), "{error}");
        assert!(!error.in_doubt());
    }
    let batch = [good.clone(), bad.clone()];
    assert_eq!(store.capture_batch(&batch).unwrap_err().code(), "UNSENDABLE");
    assert_eq!(store.capture_batch_deferred(&batch).err().unwrap().code(), "UNSENDABLE");
    assert_eq!(store.would_accept(&bad).unwrap_err().code(), "UNSENDABLE");
    assert_eq!(store.status().pending, 0);
    assert!(matches!(store.capture(&good).unwrap(), Verdict::Fresh { .. }), "control");
}

#[test]
fn a_key_that_is_known_is_answered_whatever_the_upstream_can_take() {
    let mut rig = Rig::new();
    let bad = with_payload(1, "[]");
    let first = rig.open().capture(&bad).unwrap().lsn();
    rig.config = rig.config.with_sendable(objects_only);
    let store = rig.open();
    assert!(matches!(store.capture(&bad).unwrap(), Verdict::Duplicate { lsn, .. } if lsn == first));
}

#[test]
fn what_a_receiver_applies_is_sent_nowhere_and_not_asked_about() {
    let mut rig = Rig::new();
    rig.config = rig.config.with_sendable(objects_only);
    let store = rig.open();
    let effect = Effect { event: with_payload(1, "[]"), receipt: Receipt::new(b"r").unwrap() };
    assert!(store.apply_batch(&[effect]).is_ok());
}
